#!/bin/sh
# tests/cli/test_qa.sh - questions through the command line: both stages and the control, what a run leaves, a resume.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
questions=pipelines/builtin/questions
"$FTPIPE" lua tests/demo/questions.lua "$work/encoder" || exit 1

# check NAME COMMAND...: it succeeds
check() {
    name=$1
    shift
    if "$@" > "$work/said" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
run() {
    "$FTPIPE" run pipelines/qa.lua --set model="$work/encoder" --set train=$questions/train.json --set valid=$questions/valid.json \
        --set test=$questions/test.json --set head_epochs=2 --set epochs=2 --set lr=1e-3 "$@"
}

check "two stages and the control" run --set control=true --out "$work/run"
cp "$work/said" "$work/log"
check "windows are told" grep -q "test: 66 questions in [1-9][0-9]* windows" "$work/log"
check "what the run leaves" "$FTPIPE" lua tests/cli/check_qa.lua "$work/run"
check "the report" grep -q "always no answer .* test exact match *test F1\|test exact match" "$work/run/report.txt"
"$FTPIPE" score qa --gold $questions/test.json --predictions "$work/run/predictions.json" --json > "$work/scores.json"
check "predictions.json scores as metrics.json says" "$FTPIPE" lua tests/cli/same_scores.lua "$work/scores.json" "$work/run/metrics.json"

# A bad row names its question and nothing is written; put aside, the others are read.
sed 's/"answer_start": 69/"answer_start": 70/' $questions/test.json > "$work/bad.json"
if "$FTPIPE" run pipelines/qa.lua --quiet --set model="$work/encoder" --set data="$work/bad.json" --out "$work/bad" > "$work/said" 2>&1 ||
    ! grep -q "question 'museum-of-sleep-1': the answer \"whisper\" is not at answer_start 70" "$work/said" || [ -e "$work/bad/metrics.json" ]
then failed=$((failed + 1)); echo "FAILED bad row:"; cat "$work/said"
else passed=$((passed + 1)); fi
check "one file split by context, with bad rows aside" "$FTPIPE" run pipelines/qa.lua --quiet --set model="$work/encoder" --set data="$work/bad.json" --set bad=quarantine \
    --set head_epochs=1 --set epochs=1 --out "$work/aside"
check "no question in two splits" grep -q '"train_test":0' "$work/aside/metrics.json"
check "the bad row is kept" grep -q "museum-of-sleep-1" "$work/aside/rejected.csv"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
