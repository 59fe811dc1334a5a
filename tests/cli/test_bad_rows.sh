#!/bin/sh
# tests/cli/test_bad_rows.sh - bad rows in each format of entities and questions: what is said names file and line or id, nothing is
# written; put aside, each is kept with its text and every other row is read.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/encoders.lua "$work" || exit 1
"$FTPIPE" lua tests/cli/bad_rows.lua "$work/rows" || exit 1

check() {   # check NAME COMMAND...: it succeeds
    name=$1
    shift
    if "$@" > "$work/said" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
n=0
# refused NAME PHRASES ARGUMENTS...: it fails, says each of the first five phrases of a file, and leaves no result
refused() {
    name=$1 phrases=$2
    shift 2
    n=$((n + 1))
    "$FTPIPE" run --quiet --set model="$work/electra" --out "$work/out$n" "$@" > "$work/message" 2>&1
    code=$?
    missing=0
    head -n 5 "$phrases" > "$work/first"
    while IFS= read -r phrase; do grep -qF -- "$phrase" "$work/message" || missing=$((missing + 1)); done < "$work/first"
    if [ $code -eq 2 ] && [ $missing -eq 0 ] && [ ! -e "$work/out$n/metrics.json" ] && [ ! -e "$work/out$n/model" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1)); echo "FAILED $name (exit $code):"; cat "$work/message"
    fi
}
aside() {   # aside NAME ARGUMENTS...: with bad rows put aside the run ends, and has all others
    rows=$1
    shift
    check "$rows: a run with bad rows aside" "$FTPIPE" run --quiet --set model="$work/electra" --set head_epochs=1 --set epochs=1 \
        --set bad=quarantine --out "$work/$rows" "$@"
    check "$rows: each is kept, no other" "$FTPIPE" lua tests/cli/rejected_are.lua "$work/$rows" "$work/rows/$rows.phrases" "$work/rows/$rows.good"
}

for file in conll.txt jsonl.jsonl tokens.jsonl doccano.jsonl prodigy.jsonl labelstudio.json; do
    rows=${file%.*} end=${file##*.} format=${file%.*}
    [ $format = tokens ] && format=jsonl
    f="$work/rows/$rows"
    refused "$rows" "$f.phrases" pipelines/ner.lua --set data="$f.$end" --set format=$format
    aside "$rows" pipelines/ner.lua --set data="$f.$end" --set format=$format
    [ $format = conll ] || refused "$rows that are not closed" "$f-open.phrases" pipelines/ner.lua --set data="$f-open.$end" --set format=$format
    sed 's/LOC/LOCC/' "$f.$end" > "$work/rows/other.$end"
    printf 'no training row has an entity of type '\''LOCC'\''; did you mean '\''LOC'\''\n' > "$work/other.phrases"
    refused "$rows of a type that training has not" "$work/other.phrases" pipelines/ner.lua --set train="$f.$end" --set test="$work/rows/other.$end" \
        --set format=$format --set bad=quarantine
    check "$rows: where it is" grep -q "other.$end:\( item \|\)[0-9][0-9]*: no training" "$work/message"
done
for file in questions.jsonl squad.json; do
    rows=${file%.*} end=${file##*.}
    f="$work/rows/$rows"
    refused "$rows" "$f.phrases" pipelines/qa.lua --set data="$f.$end"
    aside "$rows" pipelines/qa.lua --set data="$f.$end"
    refused "$rows that are not closed" "$f-open.phrases" pipelines/qa.lua --set data="$f-open.$end"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
