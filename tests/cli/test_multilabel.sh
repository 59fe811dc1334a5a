#!/bin/sh
# tests/cli/test_multilabel.sh - several labels for each row through the command line: files, thresholds, predict, score, keep.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 60 || exit 1
"$FTPIPE" lua tests/demo/topics.lua "$work" || exit 1

# check NAME COMMAND...: it succeeds
check() {
    name=$1
    shift
    if "$@" > "$work/said" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
refused() {   # refused NAME PHRASE COMMAND...: a usage or data error that says the phrase
    name=$1 phrase=$2
    shift 2
    "$@" > "$work/said" 2>&1
    if [ $? -eq 2 ] && grep -qF -- "$phrase" "$work/said"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
run() {
    "$FTPIPE" run pipelines/multilabel.lua --quiet --set model="$work/encoder" --set head_epochs=1 --set lr=3e-3 "$@"
}
predict() { "$FTPIPE" predict "$work/run" --quiet "$@"; }
at_least() { "$FTPIPE" lua tests/real/at_least.lua "$@"; }

check "a run over labels in one cell" run --set data="$work/topics.csv" --set epochs=7 --set thresholds=each --out "$work/run"
check "it learns" at_least "$work/run/metrics.json" micro_f1 0.95
check "macro F1" at_least "$work/run/metrics.json" macro_f1 0.95
check "subset accuracy" at_least "$work/run/metrics.json" subset_accuracy 0.9
check "config.json says so" grep -q '"problem_type":"multi_label_classification"' "$work/run/model/config.json"
check "thresholds are saved with the weights" grep -q '"settings":{"thresholds":\[0\.' "$work/run/model/ftpipe.json"
check "predictions" grep -q '^row,text,gold,predicted,prob_blame,prob_praise,prob_sound' "$work/run/predictions.csv"

check "arrays" run --set data="$work/topics.jsonl" --set epochs=1 --out "$work/arrays"
check "columns" run --set data="$work/columns.csv" --set labels=blame,praise,sound --set epochs=1 --out "$work/columns"
check "cells" run --set data="$work/topics.csv" --set epochs=1 --out "$work/cells"
check "arrays are cells" cmp "$work/arrays/model/model.safetensors" "$work/cells/model/model.safetensors"
check "columns are cells" cmp "$work/columns/model/model.safetensors" "$work/cells/model/model.safetensors"
check "smoothing changes what is learnt" run --set data="$work/topics.csv" --set epochs=1 --set label_smoothing=0.3 \
    --out "$work/smooth"
check "indeed" sh -c "! cmp -s '$work/smooth/model/model.safetensors' '$work/cells/model/model.safetensors'"

# ---- predict ----

check "a text" sh -c "'$FTPIPE' predict '$work/run' 'my lamp is superb sound .' | grep -Eq '^praise [01].*, sound [01][^ ]* +my lamp'"
check "none of them" sh -c "'$FTPIPE' predict '$work/run' 'my lamp is .' | grep -Eq '^- +my lamp is'"
check "--json" sh -c "'$FTPIPE' predict '$work/run' --json 'my lamp is superb sound .' |
    grep -q '\"labels\":\[\"praise\",\"sound\"\],\"probabilities\":{\"blame\":0\.'"
check "an array" sh -c "printf '{\"text\":\"my lamp is useless .\",\"labels\":null}\n' | '$FTPIPE' predict '$work/run' --quiet --input - |
    grep -q '\"predicted_labels\":\[\"blame\"\]'"
check "a table" predict --input "$work/topics.csv" --output "$work/out.csv"
check "keeps its columns" grep -q '^text,labels,predicted_labels,prob_blame,prob_praise,prob_sound' "$work/out.csv"
check "JSON Lines" predict --input "$work/topics.jsonl" --output "$work/out.jsonl"
check "lines" sh -c "echo 'my lamp is flimsy .' | '$FTPIPE' predict '$work/run' --quiet --input - | grep -q '^my lamp is flimsy .,blame,'"

# ---- score ----

score() { "$FTPIPE" score "$@"; }
check "score of a table" sh -c "'$FTPIPE' score multilabel --gold '$work/topics.csv' --predictions '$work/out.csv' |
    grep -Eq '^rows 400, micro F1 (9|100)'"
check "score of JSON Lines" sh -c "'$FTPIPE' score multilabel --gold '$work/topics.jsonl' --predictions '$work/out.jsonl' --json > '$work/a.json'
    '$FTPIPE' score multilabel --gold '$work/topics.csv' --predictions '$work/out.csv' --json > '$work/b.json'
    cmp '$work/a.json' '$work/b.json' && grep -q '\"subset_accuracy\":' '$work/a.json'"
printf 'labels\na\n' > "$work/short.csv"
refused "other rows" "short.csv has 1" score multilabel --gold "$work/topics.csv" --predictions "$work/short.csv"

# ---- going on, and mistakes ----

check "goes on from itself" run --set model="$work/run/model" --set data="$work/topics.csv" --set epochs=1 --set head=keep --out "$work/kept"
check "scored before" at_least "$work/kept/metrics.json" models.before.test.micro_f1 0.95
sed '3s/,.*/,[open/' "$work/topics.csv" > "$work/bad.csv"
refused "an array that is not closed" "bad.csv:3: the labels begin with [ but are no JSON array" run --set data="$work/bad.csv" --out "$work/none"
check "is kept aside" run --set data="$work/bad.csv" --set bad=quarantine --set epochs=1 --out "$work/aside"
check "with its line" grep -q 'bad.csv,3,' "$work/aside/rejected.csv"
printf 'text,labels\nx,prais\n' > "$work/test.csv"
refused "a label that was not learnt" "test.csv:2: label 'prais' does not occur in the training rows; did you mean 'praise'?" \
    run --set train="$work/topics.csv" --set test="$work/test.csv" --out "$work/none"
sed 's/^local task .*/local task = "classification"/' pipelines/multilabel.lua > "$work/other.lua"
refused "columns for another task" "are for the task multi_label" "$FTPIPE" run "$work/other.lua" --quiet --set model="$work/encoder" \
    --set data="$work/columns.csv" --set labels=blame,praise --set metric=macro_f1 --out "$work/none"
refused "a column that is not there" 'there is no column "blam" (did you mean "blame"?)' run --set data="$work/columns.csv" --set labels=blam,praise --out "$work/none"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
