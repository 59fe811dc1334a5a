#!/bin/sh
# tests/cli/test_preflight.sh - before anything expensive runs: all problems together, and what the rest will take.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cp pipelines/sentiment.lua "$work"
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
says() { grep -q -- "$1" message; }
does() { command=$1; shift; "$FTPIPE" "$command" sentiment.lua --set model=encoder --set head_epochs=2 --set epochs=2 "$@" > out 2> message; }

# Every file, column and label set is looked at, and all that is wrong is told at once.
{ cat reviews.csv; printf ',pos\nfine,\n'; } > holes.csv
sed '1s/label/lable/' reviews.csv > renamed.csv
does run --set train=holes.csv --set valid=renamed.csv --set test=nowhere.csv --set model=nothing
check "a preflight that finds something: exit code 2" test $? -eq 2
check "it counts the problems" says "^ftpipe: 5 problems:"
check "an empty text" says "^  sentiment.lua:[0-9]*: holes.csv:122: the text is empty"
check "an empty label, in the same file" says "holes.csv:123: the label is empty"
check "a column of another file" says 'renamed.csv:.*did you mean "lable"'
check "a file that is not there" says "nowhere.csv: No such file"
check "an encoder that is not there" says "there is no directory nothing"
check "nothing has been computed" test ! -e store/journal.jsonl
sed '2,$s/pos$/good/' reviews.csv > labels1.csv
sed '2,$s/neg$/awful/' reviews.csv > labels2.csv
does run --set train=reviews.csv --set valid=labels1.csv --set test=labels2.csv
check "label sets of all files" sh -c "grep -q \"labels1.csv.*'good' does not occur\" message && grep -q \"labels2.csv.*'awful' does not occur\" message"
for k in 1 2 3 4 5 6 7 8 9; do echo ",pos"; done | cat reviews.csv - > many.csv
does run --set data=many.csv
check "of many bad rows some are told" says "many.csv: and 4 more rows that cannot be read"
sed 's/freeze = "loaded"/freeze = "encodr.*"/' sentiment.lua > glob.lua
"$FTPIPE" run glob.lua --set model=encoder --set data=reviews.csv > out 2> message
check "a glob that matches nothing" sh -c "grep -q 'glob.lua:[0-9]*: .*encodr' message"
check "is told before anything is computed from weights" sh -c "! grep -qE 'features|finetune' store/journal.jsonl"
sed "s/ft.finetune { name = \"head\",/ft.finetune { name = \"head\", metric = \"exact\",/" glob.lua > two.lua
"$FTPIPE" run two.lua --set model=encoder --set data=reviews.csv > out 2> message
check "together with what else is wrong in the settings" sh -c "grep -q '2 problems' message && grep -q 'metric = exact' message"
rm -rf store runs

# The forecast: guesses first, then this machine's own speed.
does plan --set data=reviews.csv
check "plan tells what the rest will take" grep -q "^6 of 8 steps run: .*s, [0-9]* MiB of memory, [0-9]* MiB of disk" out
check "and that these are guesses" grep -q "^(times are guesses" out
does run --set data=reviews.csv
check "run tells it before it begins" says "^to do: .*s, [0-9]* MiB of memory"
check "how long steps took is remembered" test "$(grep -c '"kind":"finetune' store/speeds)" = 2
does plan --set data=reviews.csv --set lr=1e-3
check "for the next forecast, which is no guess" sh -c "grep -q '^2 of 8 steps run: ' out && ! grep -q guesses out"
# A machine that is said to have taken an hour for a trillionth of the work.
sed 's/"seconds":[0-9.e-]*/"seconds":3600/' store/speeds > slow && cp slow store/speeds
does plan --set data=reviews.csv --set lr=1e-3
check "the forecast follows what is remembered" grep -qE "^2 of 8 steps run: about 2.0 h" out
does run --set data=reviews.csv --set lr=1e-3 --set epochs=3 --memory 3M
check "a ceiling that is too low is told before anything is computed" says "sentiment.lua:[0-9]*: out of memory before training"
check "with what would do" says "hint: .*--memory"

awk 'BEGIN { print "text,label"; for (i = 0; i < 60; i++) { s = "the"; for (k = 0; k < 70 + i; k++) s = s " of"; print s "," (i % 2 ? "pos" : "neg") } }' > long.csv
does run --set data=long.csv
check "a share of rows that is cut is told" says "of the rows of train are longer than 64 tokens and are cut"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
