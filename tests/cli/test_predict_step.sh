#!/bin/sh
# tests/cli/test_predict_step.sh - ft.predict for each task: unlabelled rows get the labels that `ftpipe predict` gives them, those
# that are certain enough are trained on in their turn, and nothing is tested with them.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 80 || exit 1
"$FTPIPE" lua tests/demo/topics.lua "$work" || exit 1
"$FTPIPE" lua tests/demo/pairs.lua "$work/pairs.csv" || exit 1
"$FTPIPE" lua tests/demo/questions.lua "$work/reader" || exit 1
"$FTPIPE" lua tests/demo/entities.lua "$work/tagger" || exit 1
cp pipelines/builtin/questions/*.json pipelines/builtin/entities/*.txt tests/cli/said_as.lua "$work"
cd "$work" || exit 1

check() { # check NAME COMMAND...: it succeeds
    name=$1
    shift
    if "$@" > said 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name:"; cat said; fi
}
says() { grep -q -- "$1" message; }

# pipeline FILE ROWS NEW ENCODER TASK OPTIONS KEEP: a teacher learns from ROWS and labels NEW; a student learns from both
pipeline() {
    cat > "$1" << END
local ft = require "ftpipe"
local p = ft.params { least = { default = 0.0 } }
local encoder = ft.pretrained { from = "$4" }
local parts = ft.split { rows = ft.read { task = "$5", $2 }, valid = 0.2, test = 0.2 }
local data = ft.tokenize { rows = parts, with = encoder, max_length = 64 }
local teacher = ft.finetune { name = "teacher", model = ft.replace_head { on = encoder, task = "$5", labels = data }, data = data,
   lr = 3e-3, epochs = 2 }
local new = ft.read { name = "new", task = "$5", labelled = false, $3 }
local said = ft.predict { name = "said", model = teacher, rows = new, least = p.least }
local certain = ft.filter { name = "certain", rows = said, keep = function(row) $6 end }
local more = ft.concat { rows = { parts, certain }, into = "train" }
local again = ft.tokenize { name = "again", rows = more, with = encoder, max_length = 64 }
local student = ft.finetune { name = "student", model = ft.replace_head { on = encoder, task = "$5", labels = again }, data = again,
   lr = 3e-3, epochs = 1 }
return ft.pipeline { name = "teach", model = teacher,
   report = ft.evaluate { data = again, models = { teacher = teacher, student = student } } }
END
}
# taught TASK KEPT HEADER: its pipeline ran, and so many of all new rows were trained on
taught() {
    check "$1: it runs" test -s "$1/metrics.json"
    check "$1: what a row says, its label and how certain it is" test "$(head -n 1 "$1/said.csv")" = "$3"
    check "$1: the student has more rows to learn from, and no more to be tested with" "$FTPIPE" lua said_as.lua rows "$1/metrics.json" "$2"
}

# One label for each row.
awk -F, 'NR == 1 { print "text" } NR > 1 { sub(/,[^,]*$/, ""); print }' reviews.csv > new.csv
new=$(($(wc -l < new.csv) - 1))
pipeline labels.lua 'from = "reviews.csv"' 'from = "new.csv"' encoder classification 'return row.probability > 0.5 and row.label ~= ""'
check "classification" "$FTPIPE" run labels.lua --out classification
taught classification $new "split,line,text,given,predicted,probability"
"$FTPIPE" predict classification/model --input new.csv --output labels.jsonl --json 2> message
check "classification: as the command says" "$FTPIPE" lua said_as.lua label classification/said.csv labels.jsonl
middle=$(awk -F, 'NR > 1 { print $NF }' classification/said.csv | sort -n | sed -n "$((new / 2))p")
check "classification: only those that are certain" "$FTPIPE" run labels.lua --set least="$middle" --out some
some=$(grep -c '^all,' some/said.csv)
check "classification: some are left out, and some are not" test "$some" -gt 0 -a "$some" -lt "$new"
check "classification: and the student learns from these" "$FTPIPE" lua said_as.lua rows some/metrics.json "$some"

# Any number of labels.
cut -d , -f 1 topics.csv > topics_new.csv
pipeline topics.lua 'from = "topics.csv", label = "labels"' 'from = "topics_new.csv"' encoder multi_label 'return #row.label < 3'
check "multi_label" "$FTPIPE" run topics.lua --out multi_label
taught multi_label - "split,line,text,given,predicted,probability"
"$FTPIPE" predict multi_label/model --input topics_new.csv --output topics_said.jsonl --json 2> message
check "multi_label: as the command says" "$FTPIPE" lua said_as.lua labels multi_label/said.csv topics_said.jsonl

# A number.
cut -d , -f 1,2 pairs.csv > pairs_new.csv
pipeline scores.lua 'from = "pairs.csv", text = { "premise" }, pair = { "hypothesis" }, label = "score"' \
    'from = "pairs_new.csv", text = { "premise" }, pair = { "hypothesis" }' encoder regression 'return tonumber(row.label) < 100'
check "regression" "$FTPIPE" run scores.lua --out regression
taught regression 400 "split,line,text,pair,given,predicted"
"$FTPIPE" predict regression/model --input pairs_new.csv --text premise --pair hypothesis --output scores.jsonl --json 2> message
check "regression: as the command says" "$FTPIPE" lua said_as.lua score regression/said.csv scores.jsonl
check "regression: numbers are not more or less certain" sh -c "! '$FTPIPE' run scores.lua --set least=0.5 --out none 2> message"
check "regression: which is told" says "scores.lua:[0-9]*: ft.predict: numbers have no probability"

# Entities: unlabelled text, of which the model knows only words.
awk 'NF { printf "%s%s", line, $1; line = " " } !NF && line { print ""; line = "" }' valid.txt | sed 's/["\\]//g; s/.*/{"text":"&"}/' > texts.jsonl
pipeline names.lua 'from = "train.txt"' 'from = "texts.jsonl"' tagger named_entities 'return row.probability > 0 and type(row.entities) == "table"'
check "named_entities" "$FTPIPE" run names.lua --out named_entities
taught named_entities "$(wc -l < texts.jsonl)" "split,line,text,given,predicted,probability"
check "named_entities: a probability is one" awk -F, 'NR > 1 && ($NF <= 0 || $NF > 1) { bad = 1 } END { exit bad }' named_entities/said.csv

# Questions.
pipeline answers.lua 'train = "train.json", test = "valid.json"' 'from = "test.json"' reader question_answering \
    'return row.question ~= "" and #row.answer <= 1'
check "question_answering" "$FTPIPE" run answers.lua --out question_answering
taught question_answering - "split,line,id,question,given,predicted,probability"
"$FTPIPE" predict question_answering/model --input test.json --output answers.json 2> message
check "question_answering: as the command says" "$FTPIPE" lua said_as.lua answers question_answering/said.csv answers.json

# What does not go together.
sed 's/again = ft.tokenize { name = "again", rows = more/again = ft.tokenize { name = "again", rows = ft.split { rows = new }/' labels.lua > bad.lua
check "rows without labels teach nothing" sh -c "! '$FTPIPE' run bad.lua --out bad 2> message"
check "which is told with the way out" says "bad.lua:[0-9]*: the rows have no labels .* ft.predict"
sed 's/rows = { parts, certain }/rows = { parts, new }/' labels.lua > bad.lua
check "nor do they among others" sh -c "! '$FTPIPE' run bad.lua --out bad 2> message"
check "which is told too" says "bad.lua:[0-9]*: concat: of '2' and the rows before, one has no labels"
sed 's/, into = "train"//' labels.lua > bad.lua
check "rows that are split and some that are not" sh -c "! '$FTPIPE' run bad.lua --out bad 2> message"
check "can be joined, which is told" says 'concat: some rows are split and some are not: say into = "train"'
sed 's/name = "new", task = "classification"/name = "new", task = "regression"/; s/row.label ~= ""/true/' labels.lua > bad.lua
check "a model for another task" sh -c "! '$FTPIPE' run bad.lua --out bad 2> message"
check "which is told by name" says "ft.predict: the model is for classification, the rows are for regression"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
