#!/bin/sh
# tests/slow/test_faults.sh - killed in every single write, rename, fsync, mkdir and unlink of a job with a checkpoint; and
# every third of them failing for lack of space.
set -u
case $FTPIPE in *address*) echo "1 passed, 0 failed"; exit 0 ;; esac
interval=0.02
. tests/faults/lib.sh
n=0
while [ $n -lt "$calls" ]; do
    n=$((n + 1))
    at_call $n
    [ $((n % 3)) -ne 0 ] || no_space $n
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
