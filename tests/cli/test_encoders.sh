#!/bin/sh
# tests/cli/test_encoders.sh - encoders other than BERT with tokenisers of their families through whole pipelines: what the table of
# weights says of another task's head, both stages, a kill and going on, and predictions of what is left.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/encoders.lua "$work" || exit 1

check() {   # check NAME COMMAND...: it succeeds
    name=$1
    shift
    if "$@" > "$work/said" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
begin() { out=$1; shift; FTPIPE_CACHE="$out.cache" exec "$FTPIPE" run --checkpoint 0 --out "$out" "$@" \
    --set head_lr=1e-2; }

# tuned ENCODER DROPPED UPDATES PIPELINE ARGUMENTS...: run, and killed after so many updates and gone on: the same; the table
# tells what is new and that so many tensors are dropped.
tuned() {
    encoder=$1 dropped=$2 updates=$3
    shift 3
    set -- "$@" --set model="$work/$encoder"
    (begin "$work/$encoder.run" "$@") > "$work/log" 2>&1
    check "$encoder: a head's name is told as new" grep -q "head: .*tensors loaded, [24] new (.*head.out.weight" "$work/log"
    check "$encoder: what was dropped is told" grep -q "; of the checkpoint $dropped dropped (" "$work/log"
    check "$encoder: also in the report" grep -q "^  dropped  *$dropped\$" "$work/$encoder.run/report.txt"
    check "$encoder: it learns" "$FTPIPE" lua tests/demo/learnt.lua "$work/$encoder.run/log.jsonl"
    begin "$work/$encoder.killed" "$@" > /dev/null 2>&1 &
    pid=$!
    while [ "$(cat "$work/$encoder.killed/log.jsonl" 2> /dev/null | wc -l)" -lt "$updates" ] && kill -0 $pid 2> /dev/null; do sleep 0.005; done
    kill -9 $pid 2> /dev/null
    wait $pid 2> /dev/null
    check "$encoder: killed" test ! -e "$work/$encoder.killed/metrics.json"
    (begin "$work/$encoder.killed" "$@") > "$work/log" 2>&1
    for file in model/model.safetensors model/ftpipe.json metrics.json; do
        check "$encoder: the same $file" cmp "$work/$encoder.run/$file" "$work/$encoder.killed/$file"
    done
}
ask() { model=$1; shift; "$FTPIPE" predict "$work/$model.run" --quiet "$@" > "$work/out" 2> "$work/message"; }

# ---- labels, by Unigram ----

"$FTPIPE" lua tests/demo/make.lua "$work" 120 || exit 1
tuned xlm_roberta 5 30 pipelines/sentiment.lua --set data="$work/reviews.csv" --set batch=8 --set head_epochs=2 --set epochs=6 --set lr=3e-3
check "config.json" grep -q '"architectures":\["XLMRobertaForSequenceClassification"\]' "$work/xlm_roberta.run/model/config.json"
check "the rows of the run" ask xlm_roberta --input "$work/xlm_roberta.run/predictions.csv" --text text --output "$work/out.jsonl"
check "are predicted alike" "$FTPIPE" lua tests/cli/same_predictions.lua "$work/xlm_roberta.run/predictions.csv" "$work/out.jsonl"

# ---- entities, by byte-level BPE ----

e=pipelines/builtin/entities
tuned roberta 5 12 pipelines/ner.lua --set train=$e/valid.txt --set valid=$e/test.txt --set test=$e/test.txt \
    --set head_epochs=1 --set epochs=2 --set lr=1e-3
check "config.json" grep -q '"architectures":\["RobertaForTokenClassification"\]' "$work/roberta.run/model/config.json"
check "the test rows" ask roberta --input $e/test.txt --format conll --as conll
check "are predicted as the run did" sh -c "cut -f1,3 '$work/roberta.run/predictions.conll' > '$work/a' && cut -f1,3 '$work/out' | cmp - '$work/a'"

# ---- questions, by byte-level BPE and WordPiece ----

q=pipelines/builtin/questions
few="--set data=$q/test.json --set max_length=96 --set batch=8 --set head_epochs=1 --set epochs=2 --set lr=1e-3"
# shellcheck disable=SC2086
tuned distilbert 2 8 pipelines/qa.lua $few
check "config.json" grep -q '"architectures":\["DistilBertForQuestionAnswering"\]' "$work/distilbert.run/model/config.json"
check "a question" ask distilbert --json --question "Who keeps the lamp?" --context "Odile keeps the lamp in the tower."
# shellcheck disable=SC2086
tuned electra 5 8 pipelines/qa.lua $few
check "config.json" grep -q '"architectures":\["ElectraForQuestionAnswering"\]' "$work/electra.run/model/config.json"
"$FTPIPE" run pipelines/qa.lua --quiet --set model="$work/roberta" --set data=$q/test.json --set max_length=96 --set epochs=1 \
    --set head_epochs=1 --out "$work/answers" > "$work/log" 2>&1
printf '{"question":"Who?","context":"Zo\303\253 \360\237\230\200 met  Ana Beli\304\207\302\240."}\n' > "$work/in.jsonl"
check "characters of several bytes" "$FTPIPE" predict "$work/answers" --quiet --input "$work/in.jsonl" --output "$work/out.jsonl"
check "answers are places of the context" "$FTPIPE" lua tests/cli/places_hold.lua "$work/out.jsonl"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
