#!/bin/sh
# tests/cli/test_ner.sh - named entities through the command line: both stages and the control, what a run leaves, files of
# other tools, bad rows, a model that is tuned on.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
entities=pipelines/builtin/entities
"$FTPIPE" lua tests/demo/entities.lua "$work/encoder" || exit 1

# check NAME COMMAND...: it succeeds
check() {
    name=$1
    shift
    if "$@" > "$work/said" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
run() {
    "$FTPIPE" run pipelines/ner.lua --set model="$work/encoder" --set head_epochs=1 --set head_lr=1e-2 --set lr=3e-3 "$@"
}
splits="--set train=$entities/train.txt --set valid=$entities/valid.txt --set test=$entities/test.txt"

# ---- a run ----

check "two stages and the control" run $splits --set control=true --set epochs=3 --out "$work/run"
cp "$work/said" "$work/log"
check "rows, windows, words and entities are told" grep -q "test: 67 rows in 67 windows, 961 words, 111 entities" "$work/log"
check "the baseline" grep -q "training entities" "$work/run/report.txt"
check "types" grep -q "label  precision  recall    F1  entities  predicted" "$work/run/report.txt"
check "it learns" "$FTPIPE" lua tests/demo/learnt.lua "$work/run/log.jsonl"
check "config.json is for transformers" grep -q '"architectures":\["BertForTokenClassification"\]' "$work/run/model/config.json"
check "and names labels" grep -q '"id2label":{"0":"O","1":"B-LOC","2":"I-LOC"' "$work/run/model/config.json"
check "gold and predicted tags" awk -F'\t' 'NF && NF != 3 { bad = 1 } END { exit bad }' "$work/run/predictions.conll"
check "one line for each word" test "$(grep -c . "$work/run/predictions.conll")" = "$(grep -c . $entities/test.txt)"
check "the same with small windows, on one thread" run $splits --set epochs=1 --set max_length=16 --set stride=4 --threads 1 --out "$work/one"
cp "$work/said" "$work/log"
check "more windows than rows" grep -q "train: 300 rows in [4-9][0-9][0-9] windows" "$work/log"
check "the same on two" env FTPIPE_CACHE="$work/other" "$FTPIPE" run pipelines/ner.lua --set model="$work/encoder" --set head_epochs=1 --set head_lr=1e-2 \
    --set lr=3e-3 $splits --set epochs=1 --set max_length=16 --set stride=4 --threads 2 --out "$work/two"
check "has the same bits" cmp "$work/one/model/model.safetensors" "$work/two/model/model.safetensors"
check "the head is kept" run --set head=keep --set model="$work/run/model" $splits --set epochs=1 --out "$work/kept"
cp "$work/said" "$work/log"
check "and scored before training" grep -q "tuned: before training, validation f1" "$work/log"

# ---- bad rows ----

sed '3s/\t.*//' $entities/test.txt > "$work/bad.txt"
if run --quiet --set data="$work/bad.txt" --out "$work/bad" > "$work/said" 2>&1 ||
    ! grep -q "bad.txt:3: 1 column, where the lines before have 2" "$work/said" || [ -e "$work/bad/metrics.json" ]
then failed=$((failed + 1)); echo "FAILED bad row:"; cat "$work/said"
else passed=$((passed + 1)); fi
check "bad rows aside" run --quiet --set data="$work/bad.txt" --set bad=quarantine --set epochs=1 --out "$work/aside"
check "are kept" grep -q "bad.txt,3,.*1 column" "$work/aside/rejected.csv"
sed 's/B-PER/B-PERS/' $entities/test.txt > "$work/bad.txt"
if run --quiet --set train=$entities/train.txt --set test="$work/bad.txt" --out "$work/bad" > "$work/said" 2>&1 ||
    ! grep -q "bad.txt:[0-9]*: no training row has an entity of type 'PERS'; did you mean 'PER'?" "$work/said"
then failed=$((failed + 1)); echo "FAILED a type that training does not have:"; cat "$work/said"
else passed=$((passed + 1)); fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
