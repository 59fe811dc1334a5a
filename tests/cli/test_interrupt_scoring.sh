#!/bin/sh
# tests/cli/test_interrupt_scoring.sh - Ctrl-C that comes while a model is scored, between two epochs, loses nothing: what the epoch
# trained is in a checkpoint, the message says where it stopped, and the same command goes on to the same weights.
set -u
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cp pipelines/sentiment.lua "$work"
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; tail -n 5 said; fi; }

# One small update an epoch, and many rows to score after each: nearly all the time goes there.
head -n 65 reviews.csv > train.csv
{ head -n 1 reviews.csv; for _ in $(seq 300); do tail -n +66 reviews.csv; done; } > valid.csv
tail -n 30 reviews.csv | cat train.csv - | sed '2,65d' > test.csv
options="--set model=encoder --set train=train.csv --set valid=valid.csv --set test=test.csv --set head_epochs=1 --set epochs=3 --set batch=64"
run() { "$FTPIPE" run sentiment.lua $options --out "$1" > said 2>&1; }

(FTPIPE_CACHE="$work/other"; run whole)
check "undisturbed" test -s whole/metrics.json
# The signal may come before the second epoch is scored, or behind that: then once more, from the start, after another wait.
for try in 0.10 0.05 0.20 0.02 0.40 0.80 1.60; do
    rm -rf stopped
    FTPIPE_CACHE="$work/store$try" "$FTPIPE" run sentiment.lua $options --out stopped > said 2>&1 &
    pid=$!
    n=0
    while ! grep -q "^tuned: epoch 1" said 2> /dev/null && [ $n -lt 1500 ]; do n=$((n + 1)); sleep 0.02; done
    sleep $try
    kill -INT $pid
    wait $pid
    code=$?
    if grep -q "stopped while scoring" said; then break; fi
done
export FTPIPE_CACHE="$work/store$try"
check "exit code 130" test $code = 130
check "it says that it was scoring" grep -q "stopped while scoring in step tuned" said
check "the checkpoint is there" test -s stopped/.run/tuned/checkpoint.safetensors
run stopped
check "and is gone on from" grep -q "tuned: goes on after update" said
check "to the same weights" cmp -s stopped/model/model.safetensors whole/model/model.safetensors
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
