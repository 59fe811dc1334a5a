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
        --set test=$questions/test.json --set head_epochs=1 --set epochs=1 --set lr=1e-3 "$@"
}

check "two stages and the control" run --set control=true --out "$work/run"
cp "$work/said" "$work/log"
check "windows are told" grep -q "test: 66 questions in [1-9][0-9]* windows" "$work/log"
check "what the run leaves" "$FTPIPE" lua tests/cli/check_qa.lua "$work/run"
check "the report" grep -q "always no answer .* test exact match *test F1\|test exact match" "$work/run/report.txt"
"$FTPIPE" score qa --gold $questions/test.json --predictions "$work/run/predictions.json" --json > "$work/scores.json"
check "predictions.json scores as metrics.json says" "$FTPIPE" lua tests/cli/same_scores.lua "$work/scores.json" "$work/run/metrics.json"

# Another number of epochs: rows, windows and stage one come from the store.
check "another stage two" run --set epochs=2 --out "$work/again"
cp "$work/said" "$work/log"
check "reads no questions again" sh -c "! grep -q 'questions in' '$work/log'"
check "trains no head again" sh -c "! grep -q 'head: epoch' '$work/log'"
check "but stage two" grep -q "tuned: epoch 2/2" "$work/log"

# ---- predict ----

ask() { "$FTPIPE" predict "$work/run" --quiet "$@" > "$work/out" 2> "$work/message"; }
refused() {   # refused NAME PHRASE [arguments]: a usage error that says the phrase
    name=$1 phrase=$2
    shift 2
    ask "$@"
    if [ $? -eq 2 ] && grep -qF -- "$phrase" "$work/message"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/message"; fi
}
check "one question" ask --question "Who keeps the lamp?" --context "Odile keeps the lamp in the tower."
check "a table of answers" grep -q "^score  place        answer" "$work/out"
check "as JSON" ask --json --best 2 --question "Who keeps the lamp?" --context "Odile keeps the lamp in the tower."
check "its keys" sh -c "grep -q '^{\"question\":.*\"answer\":.*\"start\":.*\"end\":.*\"score\":.*\"no_answer\":.*\"best\":\[{' '$work/out'"
check "a file of SQuAD's to its scripts' form" ask --input $questions/test.json --output "$work/answers.json"
check "is what the run itself predicted" "$FTPIPE" lua tests/cli/same_json.lua "$work/answers.json" "$work/run/predictions.json"
printf '{"id":"a","question":"Who?","context":"Odile and Tarn.","answer":"gold","n":1.50}\n\n{"question":"What?","context":"A lamp."}\n' > "$work/in.jsonl"
check "JSON Lines" ask --input "$work/in.jsonl" --output "$work/out.jsonl"
check "keep their bytes, and a name that is taken" grep -q '^{"id":"a","question":"Who?","context":"Odile and Tarn.","answer":"gold","n":1.50,"predicted_answer":' "$work/out.jsonl"
check "one answer a line" test "$(wc -l < "$work/out.jsonl")" = 2
check "standard input" sh -c "'$FTPIPE' predict '$work/run' --quiet --input - < '$work/in.jsonl' | cmp - '$work/out.jsonl'"
check "the same on one thread" ask --threads 1 --input "$work/in.jsonl" --output "$work/one.jsonl"
check "with the same bits" cmp "$work/one.jsonl" "$work/out.jsonl"
printf '{"question":"Who?","context":"x"}\n{"question":"Who?"}\n' > "$work/in.jsonl"
refused "a question without context" "in.jsonl:2: there is no context" --input "$work/in.jsonl" --output "$work/none.jsonl"
check "leaves nothing" test ! -e "$work/none.jsonl"
printf '{"question":"Who?","context":"x"\n' > "$work/in.jsonl"
refused "JSON that is not closed" "in.jsonl:1: invalid JSON" --input "$work/in.jsonl"
refused "a question alone" "--question and --context go together" --question "Who?"
refused "texts" "answers questions" "some text"
refused "an empty context" "--context is empty" --question "Who?" --context " "
refused "a question that fills the window" "question '1': truncation only_second" --question "$(printf 'who %.0s' $(seq 120))" --context "x"
refused "an output of no known format" "end it with .jsonl or .json" --input $questions/test.json --output "$work/x.csv"

# ---- Going on from a tuned model ----

check "the head is kept" "$FTPIPE" run pipelines/qa.lua --set model="$work/run/model" --set train=$questions/train.json \
    --set valid=$questions/valid.json --set test=$questions/test.json --set head=keep --set epochs=1 --out "$work/kept"
cp "$work/said" "$work/log"
check "it is scored before training" grep -q "tuned: before training, validation f1" "$work/log"
check "before is what the former run ended with" "$FTPIPE" lua tests/cli/same_before.lua "$work/kept/metrics.json" "$work/run/metrics.json"

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
