#!/bin/sh
# tests/cli/test_score.sh - `ftpipe score`: the forms of predictions, what is said, and mistakes.
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

# ---- ner ----

printf 'Ana\tB-PER\nBel\tI-PER\nsaw\tO\nOslo\tB-LOC\n\nYes\tO\n' > "$work/gold.conll"
printf 'Ana O B-PER\nBel O I-PER\nsaw O O\nOslo O I-LOC\n\nYes O O\n' > "$work/said.conll"
ner() { name=$1 phrase=$2 code=$3; shift 3; says "$name" "$phrase" "$code" ner --gold "$work/gold.conll" "$@"; }
ner "columns, as conlleval reads them" '"correct":2,"entities":2,"f1":1,' 0 --predictions "$work/said.conll" --json
ner "and strictly" '"scheme":"IOB2","strict":{"correct":1,"entities":2,"f1":0.6666666666666666,' 0 --predictions "$work/said.conll" --json
ner "for people" 'LOC                  100.00     100.00     100.00          1' 0 --predictions "$work/said.conll"
ner "another column" 'all (micro)            0.00       0.00       0.00          2' 0 --predictions "$work/said.conll" --predictions-column 2
ner "a scheme that the tags do not follow" "the tag 'B-PER' does not belong to the scheme IOE2" 2 --predictions "$work/said.conll" \
    --scheme IOE2
printf '{"text":"Ana Bel saw Oslo","entities":[{"start":0,"end":3,"label":"PER"}],"predicted_entities":[{"start":0,"end":7,"label":"PER"}]}\n{"text":"Yes","entities":[]}\n' > "$work/said.jsonl"
ner "places" '"correct":1,"entities":2,"f1":0.6666666666666666,' 0 --predictions "$work/said.jsonl" --json
printf 'Ana O\n\nYes O\n' > "$work/short.conll"
ner "words that differ" "short.conll:1: the sentence has 1 word, in" 2 --predictions "$work/short.conll"
printf 'Ana O\n' > "$work/short.conll"
ner "sentences that are missing" "has 2 sentences, " 2 --predictions "$work/short.conll"
ner "no such file" "nowhere.conll: there is no such file" 2 --predictions "$work/nowhere.conll"
printf '{"text":"Ana Bel saw Rome","entities":[]}\n{"text":"Yes","entities":[]}\n' > "$work/other.jsonl"
ner "another text" "row 1 is of another text than row 1 of" 2 --predictions "$work/other.jsonl"

# ---- classification ----

printf 'text,label\na,pos\nb,neg\nc,neg\n' > "$work/gold.csv"
printf '{"label":"pos"}\n{"label":"neg"}\n{"label":"pos"}\n' > "$work/said.jsonl"
label() { name=$1 phrase=$2 code=$3; shift 3; says "$name" "$phrase" "$code" classification --gold "$work/gold.csv" "$@"; }
label "labels" '"accuracy":0.6666666666666666,"confusion":[[1,1],[0,1]],"f1":0.6666666666666666,' 0 --predictions "$work/said.jsonl" --json
label "for people" 'rows 3, accuracy 66.67, macro F1 66.67, Matthews correlation 0.5000' 0 --predictions "$work/said.jsonl"
printf 'label,predicted_label\nneg,pos\nneg,neg\nneg,neg\n' > "$work/said.csv"
label "what was predicted beside a label" 'accuracy 100.00' 0 --predictions "$work/said.csv"
label "a column by name" 'accuracy 66.67' 0 --predictions "$work/said.csv" --predictions-column label
printf 'lable\nneg\n' > "$work/bad.csv"
label "no column" "no column 'label'; did you mean 'lable'?" 2 --predictions "$work/bad.csv"
printf 'label\nneg\n' > "$work/bad.csv"
label "rows that are missing" "has 3 rows, " 2 --predictions "$work/bad.csv"

# ---- regression: figures of scipy ----

printf 'text,score\na,1\nb,2\nc,3\nd,4\ne,2.5\n' > "$work/gold.csv"
number() { name=$1 phrase=$2 code=$3; shift 3; says "$name" "$phrase" "$code" regression --gold "$work/gold.csv" "$@"; }
printf 'score,predicted_score\n1,1.1\n2,1.9\n3,3.2\n4,2.0\n2.5,2.0\n' > "$work/said.csv"
number "numbers" 'rows 5, Pearson 0.5960, Spearman 0.8208, mean squared error 0.862, mean absolute error 0.58' 0 --predictions "$work/said.csv"
number "as JSON" '"pearson":0.59601995508' 0 --predictions "$work/said.csv" --json
number "a column by name" 'Pearson 1.0000, Spearman 1.0000, mean squared error 0,' 0 --predictions "$work/said.csv" --predictions-column score
printf '{"score":1.1}\n{"score":1.9}\n{"score":3.2}\n{"score":2}\n{"score":2}\n' > "$work/said.jsonl"
number "JSON Lines" 'Pearson 0.5960, Spearman 0.8208' 0 --predictions "$work/said.jsonl"
printf 'score\n1\n2\nmany\n4\n5\n' > "$work/bad.csv"
number "what is no number" "bad.csv:4: 'many' is no number" 2 --predictions "$work/bad.csv"
printf 'score\n1\n2\n' > "$work/bad.csv"
number "numbers that are missing" "has 5 rows, " 2 --predictions "$work/bad.csv"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
