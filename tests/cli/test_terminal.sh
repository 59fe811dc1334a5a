#!/bin/sh
# tests/cli/test_terminal.sh - on a terminal: bars with time left for texts, tokens, features and training; Ctrl-C typed there
# reaches the step and is told once; elsewhere there are no bars.
set -u
command -v script > /dev/null || { echo "skipped: no script(1) to make a terminal"; echo "1 passed, 0 failed"; exit 0; }
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store" TERM=xterm NO_COLOR=1
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cp pipelines/sentiment.lua pipelines/adapt.lua "$work"
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; tr '\r' '\n' < typed | tail -n 15; fi; }
# on_terminal COMMAND: what a terminal of 110 columns shows of it goes to `typed`
on_terminal() { rm -f typed; script -fqec "stty cols 110; $1" typed < "${keys:-/dev/null}" > /dev/null 2>&1; }
shows() { tr '\r' '\n' < typed | grep -qE -- "$1"; }

many=$((21000 / 120 + 1))
{ head -n 1 reviews.csv; for _ in $(seq $many); do tail -n +2 reviews.csv; done; } > many.csv
on_terminal "$FTPIPE run sentiment.lua --set model=encoder --set data=many.csv --set head_epochs=1 --set epochs=1 --until head --out many"
check "it speaks at once" shows "^sentiment.lua: 6 steps"
check "tokenising" shows "^tokenize: train  \[[= ]*\]  512/16896 .*left"
check "and what is left when it is done" shows "tokenize: train: 16896 rows in [0-9]+ s"
check "features" shows "^head: features of train .*\[=.*\].* [0-9]+/[0-9]+ .*left"
check "training" shows "^head .*\[=.*\].* [0-9]+/[0-9]+  loss [0-9.]+  lr [0-9.e-]+  [0-9.]+[kM]? tokens/s .*left"
for _ in $(seq 400); do cut -d , -f 1 reviews.csv; done > texts.txt
on_terminal "$FTPIPE run adapt.lua --set model=encoder --set from=texts.txt --set length=32 --set adapt_updates=20 --until adapt --out adapted"
check "unlabelled texts" shows "tokens of the texts .*\[=.*\].* [0-9]+/[0-9]+ .*left"

# Ctrl-C, typed once the second stage is at work. Only the process that leads is in the terminal's foreground.
rm -f typed
mkfifo keys
(
    exec 3> keys
    n=0
    while ! tr '\r' '\n' 2> /dev/null < typed | grep -q "^tuned .*\[=" && [ $n -lt 3000 ]; do n=$((n + 1)); sleep 0.02; done
    printf '\003' >&3
    n=0
    while ! tr "\r" "\n" 2> /dev/null < typed | grep -q "^code" && [ $n -lt 1500 ]; do n=$((n + 1)); sleep 0.02; done
) &
keys=keys on_terminal "trap : INT; $FTPIPE run sentiment.lua --set model=encoder --set data=reviews.csv --set head_epochs=1 --set epochs=3000 --set lr=1e-5 --out stopped; echo code \$?"
wait
check "Ctrl-C is answered once" test "$(tr '\r' '\n' < typed | grep -c "stopping; what is done so far is saved first")" = 1
check "and tells how to go on" shows "hint: type the same command again to go on: ftpipe run sentiment.lua"
check "with exit code 130" shows "^code 130"
check "the checkpoint is there" test -s stopped/.run/tuned/checkpoint.safetensors

"$FTPIPE" run sentiment.lua --set model=encoder --set data=reviews.csv --set head_epochs=1 --set epochs=1 --out plain > out 2> typed
check "elsewhere lines are plain" sh -c "! grep -q '$(printf '\r')' typed && grep -q '^tuned: epoch 1/1' typed"
"$FTPIPE" run sentiment.lua --quiet --set model=encoder --set data=reviews.csv --set head_epochs=1 --set epochs=2 --out quiet > out 2> typed
check "with --quiet there are none" test ! -s typed

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
