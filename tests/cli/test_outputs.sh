#!/bin/sh
# tests/cli/test_outputs.sh - what a finished run leaves, and that each way of giving the same data gives the same model.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 160
"$FTPIPE" lua tests/cli/data_forms.lua "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
# job OUT [run's options]: a short run of the main job; its data is among the options
job() {
    out=$work/$1
    shift
    "$FTPIPE" run "${pipeline:-pipelines/sentiment.lua}" --quiet --set model="$work/encoder" --set head_epochs=1 --set epochs=2 \
        --out "$out" "$@" > "$work/stdout" 2> "$work/message" || { cat "$work/message"; return 1; }
}
model() { echo "$work/$1/model/model.safetensors"; }
same_model() { cmp -s "$(model "$1")" "$(model "$2")"; }

# ---- Files ----

files="--set train=$work/train.csv --set valid=$work/valid.csv --set test=$work/test.csv"
# shellcheck disable=SC2086
check "a run with a control" job whole $files --set control=true
check "--quiet prints the directory alone" test "$(cat "$work/stdout")" = "$work/whole"
for name in model/config.json model/model.safetensors model/ftpipe.json metrics.json predictions.csv report.txt log.jsonl plan.json; do
    check "$name is there" test -s "$work/whole/$name"
done
tokenizer() { [ -s "$1/vocab.txt" ] || [ -s "$1/tokenizer.json" ]; }
check "the tokeniser is there" tokenizer "$work/whole/model"
check "no partial file is left" test -z "$(find "$work/whole" -name '*.part*')"
"$FTPIPE" lua tests/cli/check_outputs.lua "$work/whole" "$work/test.csv" > "$work/checked" 2>&1
sed -n '/^FAILED/p' "$work/checked"
for what in metrics predictions log plan; do
    check "$what: contents" grep -q "^ok $what$" "$work/checked"
done
"$FTPIPE" run pipelines/sentiment.lua --quiet --set head_epochs=1 --set epochs=2 --set control=true --set model="$work/encoder" \
    --set test="$work/test.csv" --set valid="$work/valid.csv" --set train="$work/train.csv" --out "$work/order" > /dev/null 2>&1
check "plan.json does not depend on the order of options" cmp -s "$work/whole/plan.json" "$work/order/plan.json"
check "metrics.json neither" cmp -s "$work/whole/metrics.json" "$work/order/metrics.json"

again() { "$FTPIPE" predict "$@" --json > "$work/again.jsonl" 2> "$work/message" || { cat "$work/message"; return 1; }; }
same_predictions() { "$FTPIPE" lua tests/cli/same_predictions.lua "$work/$1/predictions.csv" "$work/again.jsonl" > /dev/null; }
check "predict reads the test file" again "$work/whole/model" --input "$work/test.csv"
check "and says the same as predictions.csv" same_predictions whole
check "predict takes the run's directory too" again "$work/whole" --input "$work/test.csv"
check "with the same answer" same_predictions whole

# ---- Forms of data ----

# shellcheck disable=SC2086
check "without a control" job plain $files
check "the control does not change the model" same_model whole plain
for form in tsv jsonl; do
    check "data in $form" job $form --set train="$work/train.$form" --set valid="$work/valid.$form" --set test="$work/test.$form"
    check "$form gives the model of CSV" same_model plain $form
    check "predict reads $form" again "$work/$form/model" --input "$work/test.$form"
    check "$form is predicted as in predictions.csv" same_predictions $form
done
check "the columns of a file without header have numbers" job numbered --set train="$work/train.bare.tsv" \
    --set valid="$work/valid.bare.tsv" --set test="$work/test.bare.tsv" --set text=2 --set label=1
check "which gives the model of CSV" same_model plain numbered
check "predict reads such a file" again "$work/numbered/model" --input "$work/test.bare.tsv"
check "and says the same" same_predictions numbered
check "a label column by another name" job named --set train="$work/train.two.csv" --set valid="$work/valid.two.csv" \
    --set test="$work/test.two.csv" --set text=title,body --set label=stars --set map=1:neg,5:pos
check "map names the labels" grep -q '"labels":\["neg","pos"\]' "$work/named/metrics.json"
check "predict joins the same text columns" again "$work/named/model" --input "$work/test.two.csv"
check "and says the same as the run" same_predictions named
check "whole numbers as labels" job integers --set data="$work/stars.csv" --set label=stars
check "which are ordered by value" grep -q '"labels":\["1","5","10"\]' "$work/integers/metrics.json"
check "map drops the labels it does not name" job dropped --set data="$work/stars.csv" --set label=stars --set map=1:neg,10:pos
check "and their rows" grep -q '"rows":{"test":[0-9]*,"train":[0-9]*,"valid":[0-9]*}' "$work/dropped/metrics.json"
check "two labels are left" grep -q '"labels":\["neg","pos"\]' "$work/dropped/metrics.json"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
