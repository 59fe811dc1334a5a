#!/bin/sh
# tests/cli/test_crash.sh - a step that crashes, is killed or stopped, and a run that is: the cause, its place, how to go on.
set -u
case $FTPIPE in *address*) echo "1 passed, 0 failed"; exit 0 ;; esac      # the sanitizer speaks instead
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cp pipelines/sentiment.lua "$work"
cd "$work" || exit 1
ulimit -c 0

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; cat message; fi; }
says() { grep -q -- "$1" message; }
last() { tail -n 2 message | head -n 1 | grep -q -- "$1"; }
hint() { tail -n 1 message | grep -q -- "$1"; }
job() { exec "$FTPIPE" run sentiment.lua --set model=encoder --set data=reviews.csv --set head_epochs=2 --set epochs=300 --set lr=1e-5 \
    --checkpoint 0 --out out --set batch=8 "$@"; }
# worker STEP: its process, by the system's own table
worker() {
    grep -lsF -e "--worker" /proc/[0-9]*/cmdline | while read -r file; do
        case " $(cat "$file" 2> /dev/null | tr '\0' ' ')" in
        *" --worker $1 --out out "*) [ "$(readlink "${file%/cmdline}/cwd")" = "$work" ] && file=${file#/proc/} && echo "${file%/cmdline}" ;;
        esac
    done
}
until_it() { while ! "$@" && kill -0 $pid 2> /dev/null; do sleep 0.01; done; }
# begin TEXT [options]: the job, up to where it says so
begin() {
    text=$1; shift
    rm -f message                                                           # the words of the job before are not this one's
    (job "$@" > /dev/null 2> message) &
    pid=$!
    until_it grep -qs -- "$text" message
}
ended() { wait $pid 2> /dev/null; code=$?; }
# ended_by SIGNAL TEXT: the job gets it in the middle of stage two, once it has said that
ended_by() { begin "$2"; kill "-$1" $pid; ended; }
# step_killed SIGNAL TEXT [options]: the same for the process of stage two
step_killed() { signal=$1; shift; begin "$@"; kill "-$signal" "$(worker tuned)"; ended; }

step_killed SEGV "tuned: epoch 2"
check "a step that crashes ends the run with 1" test $code -eq 1
check "the step and its line come last" last "^ftpipe: sentiment.lua:[0-9]*: the worker of step 'tuned' was killed by SIGSEGV"
check "with the command to go on" hint "hint: type the same command again to go on: ftpipe run sentiment.lua --set model=encoder"
check "after its last words" says "^tuned: epoch 2/300"
step_killed KILL "goes on after"
check "one that was killed: exit code 1" test $code -eq 1
check "the step, its line and the signal" last "^ftpipe: sentiment.lua:[0-9]*: the worker of step 'tuned' was killed by SIGKILL"
rm -f message
lines=$(wc -l < out/log.jsonl)
(job --quiet > /dev/null 2> message) &
pid=$!
until_it sh -c "[ \$(wc -l < out/log.jsonl) -gt $((lines + 20)) ]"
check "with --quiet nothing is said" test ! -s message
kill -KILL "$(worker tuned)"
ended
check "but for what ends the run, and the last lines before it" says "^last lines of step 'tuned':"
check "which the step said" says "^tuned: epoch [0-9]*/300"
check "the cause comes last there too" last "^ftpipe: sentiment.lua:[0-9]*: the worker of step 'tuned' was killed by SIGKILL"

ended_by KILL "goes on after"
check "after a kill the next attempt has to tell it" test $code -eq 137
begin "goes on after"
check "the next attempt says how the last one ended" says "the last attempt ended in the middle of step 'tuned' (sentiment.lua:[0-9]*)"
check "and goes on" says "tuned: goes on after update"
state() { sed 's/.*) \([A-Z]\) .*/\1/' "/proc/$1/stat"; }
is() { [ "$(state "$1" 2> /dev/null)" = "$2" ]; }
step=$(worker tuned)
kill -TSTP $pid
until_it is $pid T
until_it is "$step" T
check "Ctrl-Z stops the step too" is "$step" T
kill -CONT $pid
until_it sh -c "! grep -q 'State:.T' /proc/$step/status"
check "and fg lets both go on" sh -c "! grep -q 'State:.T' /proc/$pid/status"
kill -INT $pid
ended
check "Ctrl-C is answered at once, and once" test "$(grep -c "^stopping; what is done so far is saved first (once more: stop at once)" message)" = 1
check "it says where it stopped" last "^ftpipe: \(sentiment.lua:[0-9]*: stopped after update [0-9]* of [0-9]* of step tuned\|sentiment.lua:[0-9]*: stopped while scoring in step tuned\)"
check "and how to go on" hint "type the same command again to go on"
check "exit code 130" test $code -eq 130
begin "goes on after"
check "after Ctrl-C nothing is said of an end" sh -c "! grep -q 'last attempt' message"
step=$(worker tuned)
kill -STOP "$step"      # so that it cannot answer the first
kill -INT $pid
until_it says "^stopping"
kill -INT $pid
ended
check "two of them stop at once" test $code -eq 130
is_gone() { for _ in $(seq 100); do [ -e "/proc/$1" ] && ! is "$1" Z || return 0; sleep 0.05; done; return 1; }
check "and the step with them" is_gone "$step"

# What reads rows or writes results is such a process too.
{ echo "text,label"; for k in $(seq 40); do echo "good $k,pos"; echo "bad $k,neg"; done; } > rows.csv
cat > slow.lua << 'END'
local ft = require "ftpipe"
local n = 0
local rows = ft.map { rows = ft.read { from = "rows.csv" }, with = function(row)
   n = n + 1
   if n == 3 then print("third row") while true do n = n + 1 end end
   return row
end }
return ft.pipeline { name = "slow", outputs = { rows = rows } }
END
rm -f message
("$FTPIPE" run slow.lua --out slow > /dev/null 2> message) &
pid=$!
until_it grep -qs "third row" message
kill -KILL "$(grep -lsF -e .preflight /proc/[0-9]*/cmdline | while read -r file; do file=${file#/proc/}; readlink "/proc/${file%/cmdline}/cwd" | grep -qx "$work" && echo "${file%/cmdline}"; done)"
ended
check "killed at rows: exit code 1" test $code -eq 1
check "the step that was at them" last "^ftpipe: slow.lua:3: the worker of step 'map' was killed by SIGKILL"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
