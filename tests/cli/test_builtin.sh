#!/bin/sh
# tests/cli/test_builtin.sh - the built-in encoder: the default of three pipelines, short runs of each on small parts of the
# built-in data, also from an installed program.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
data=pipelines/builtin

# check NAME COMMAND...: it succeeds
check() {
    name=$1
    shift
    if "$@" > "$work/said" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; tail -n 20 "$work/said"; fi
}
said() { grep -q "$1" "$work/log"; }
short="--set epochs=1 --set head_epochs=2"

for task in sentiment ner qa; do
    check "$task: nothing needs to be said" "$FTPIPE" plan pipelines/$task.lua
    cp "$work/said" "$work/log"
    check "$task: the encoder is the built-in one" said "builtin:mini"
done

check "reviews" "$FTPIPE" run pipelines/sentiment.lua --set train=$data/reviews/valid.csv --set valid=$data/reviews/test.csv \
    --set test=$data/reviews/test.csv $short --set head_epochs=8 --out "$work/sentiment"
cp "$work/said" "$work/log"
check "heads read the mean of its tokens" grep -q '"pool":"mean"' "$work/sentiment/model/ftpipe.json"
check "both stages learn" "$FTPIPE" lua tests/demo/learnt.lua "$work/sentiment/log.jsonl"
check "the tuned model predicts" "$FTPIPE" predict "$work/sentiment/model" "A fine lamp."
check "entities" "$FTPIPE" run pipelines/ner.lua --set train=$data/entities/valid.txt --set valid=$data/entities/test.txt \
    --set test=$data/entities/test.txt $short --out "$work/ner"
check "config.json is for transformers" grep -q '"architectures":\["ElectraForTokenClassification"\]' "$work/ner/model/config.json"
check "the tuned model finds entities" "$FTPIPE" predict "$work/ner/model" "Ana moved to Porto."
check "questions" "$FTPIPE" run pipelines/qa.lua --set train=$data/questions/valid.json --set valid=$data/questions/test.json \
    --set test=$data/questions/test.json $short --out "$work/qa"
check "the tuned model answers" "$FTPIPE" predict "$work/qa/model" --question "Who keeps the lamp?" \
    --context "Odile keeps the lamp in the tower."

# ---- an installed program ----

mkdir -p "$work/usr/bin" "$work/usr/share/ftpipe/pipelines" "$work/elsewhere"
cp "$FTPIPE" "$work/usr/bin/ftpipe"
cp -r pipelines/builtin "$work/usr/share/ftpipe/pipelines/"
check "a pipeline to start from" "$work/usr/bin/ftpipe" new sentiment "$work/elsewhere"
check "is planned with what is installed" sh -c 'cd "$1/elsewhere" && "$1/usr/bin/ftpipe" plan sentiment.lua' sh "$work"
cp "$work/said" "$work/log"
check "with its encoder" said "builtin:mini"
for task in sentiment ner qa; do
    check "$task: runs on what is installed" sh -c 'mkdir "$1/at-$2" && cd "$1/at-$2" && "$1/usr/bin/ftpipe" new "$2" && \
        "$1/usr/bin/ftpipe" run "$2.lua" --set head_epochs=1 --until head' sh "$work" "$task"
done
"$FTPIPE" plan pipelines/sentiment.lua --set model=builtin:mni > "$work/said" 2>&1
cp "$work/said" "$work/log"
check "a name that is not there has a nearest one" said "did you mean builtin:mini"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
