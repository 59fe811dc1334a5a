#!/bin/sh
# tests/cli/test_score.sh - `ftpipe score qa`: the forms of predictions, what is said, and mistakes.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# says NAME PHRASE CODE [arguments]: the output or the message holds the phrase, and the exit code is that
says() {
    name=$1 phrase=$2 code=$3
    shift 3
    "$FTPIPE" score "$@" > "$work/said" 2>&1
    got=$?
    if [ $got -eq "$code" ] && grep -qF -- "$phrase" "$work/said"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name (exit $got):"; cat "$work/said"; fi
}
cat > "$work/gold.json" <<'EOF'
{"version": "2.0", "data": [{"title": "T", "paragraphs": [{"context": "The lamp was red, and a lamp costs 1,000.", "qas": [
 {"id": "a", "question": "Which colour?", "answers": [{"text": "red", "answer_start": 13}]},
 {"id": "b", "question": "What was red?", "answers": [{"text": "The lamp", "answer_start": 0}]},
 {"id": "c", "question": "How much?", "answers": [{"text": "1,000", "answer_start": 35}]},
 {"id": "d", "question": "Who?", "answers": []}]}]}]}
EOF
echo '{"a": "Red.", "b": "lamp was", "c": "", "d": ""}' > "$work/said.json"
qa() { name=$1 phrase=$2 code=$3; shift 3; says "$name" "$phrase" "$code" qa --gold "$work/gold.json" "$@"; }

qa "an object of answers" '"exact":0.5,"f1":0.6666666666666666,"has_answer":{"exact":0.3333333333333333' 0 \
    --predictions "$work/said.json" --json
qa "for people" 'without answer            1     100.00     100.00' 0 --predictions "$work/said.json"
echo '{"a": 0.1, "b": 0.9, "c": 0.2, "d": 0.8}' > "$work/none.json"
qa "a threshold" '"no_answer":{"exact":1,"f1":1,"rows":1}' 0 --predictions "$work/said.json" --no-answer "$work/none.json" \
    --threshold 0.5 --json
qa "the best threshold" 'best exact match 50.00 at threshold 0.1, best F1 66.67 at threshold 0.9' 0 \
    --predictions "$work/said.json" --no-answer "$work/none.json"
cat > "$work/said.jsonl" <<'EOF'
{"id": "a", "answer": "blue", "predicted_answer": "red", "no_answer": 0.1}
{"id": "b", "answer": "the lamp", "no_answer": 0.2}

{"id": "x", "answer": "y", "no_answer": 0.2}
EOF
qa "JSON Lines, a question without prediction" '2 questions have no prediction and count as wrong' 0 --predictions "$work/said.jsonl"
qa "JSON Lines, a prediction without question" '"unknown":1' 0 --predictions "$work/said.jsonl" --json

says "no task" "score needs a task: " 2
says "another task" "there is no task 'qs'; did you mean 'qa'?" 2 qs
says "no gold" "score needs --gold FILE" 2 qa --predictions "$work/said.json"
qa "no predictions" "score needs --predictions FILE" 2
qa "no such file" "nowhere.json" 2 --predictions "$work/nowhere.json"
echo '{"a": "Red."' > "$work/open.json"
qa "predictions that are not closed" "open.json:2: invalid JSON" 2 --predictions "$work/open.json"
echo '{"a": 3}' > "$work/number.json"
qa "a prediction that is no text" "the prediction for question 'a' is no text" 2 --predictions "$work/number.json"
printf '{"id":"a","answer":"x"}\n{"id":"a","answer":"y"}\n' > "$work/twice.jsonl"
qa "two predictions" "twice.jsonl:2: a second prediction for question 'a'" 2 --predictions "$work/twice.jsonl"
printf '{"id":"a","anser":"x"}\n' > "$work/name.jsonl"
qa "a prediction under another name" "name.jsonl:1: question 'a' has no prediction; it is looked for in: predicted_answer" 2 \
    --predictions "$work/name.jsonl"
echo '{"z": "x"}' > "$work/other.json"
qa "predictions for other data" "no prediction is for a question of" 2 --predictions "$work/other.json"
echo '{"id":"a","question":"q","context":"c"}' > "$work/untold.jsonl"
says "gold without answers" "question 'a' has no answers to compare with" 2 qa --gold "$work/untold.jsonl" \
    --predictions "$work/said.json"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
