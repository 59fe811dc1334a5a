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

for tags in BIOES IO; do
    "$FTPIPE" lua tests/cli/other_tags.lua "$work/run/model" $tags "$work/$tags"
    check "a model tagged $tags goes on" run --set head=keep --set model="$work/$tags" $splits --set epochs=1 --out "$work/on_$tags"
    check "with its own tags" grep -q '"id2label":{"0":"O","1":"\(B-\|\)LOC"' "$work/on_$tags/model/config.json"
    check "and is scored before" grep -q '"before":{.*"f1":0' "$work/on_$tags/metrics.json"
    check "and predicts" "$FTPIPE" predict "$work/on_$tags" --quiet --json "The council met in Porto."
done
sed 's/-PER/-PERS/' $entities/train.txt > "$work/pers.txt"
if run --set head=keep --set model="$work/BIOES" --set data="$work/pers.txt" --out "$work/none" > "$work/said" 2>&1 ||
    ! tr -s ' \n' ' ' < "$work/said" | grep -q "finds LOC, .*, the data have 'PERS' too; did you mean 'PER'?"
then failed=$((failed + 1)); echo "FAILED a type that the model does not know:"; cat "$work/said"
else passed=$((passed + 1)); fi

# ---- an interrupted run goes on ----

begin() { FTPIPE_CACHE="$1.cache" exec "$FTPIPE" run pipelines/ner.lua --quiet --set model="$work/encoder" $splits --set head_epochs=2 \
    --set head_lr=1e-2 --set epochs=2 --set lr=3e-3 --set max_length=24 --checkpoint 0 --out "$1"; }
(begin "$work/whole") > /dev/null 2>&1
begin "$work/killed" > /dev/null 2>&1 &
pid=$!
while [ "$(cat "$work/killed/log.jsonl" 2> /dev/null | wc -l)" -lt 50 ] && kill -0 $pid 2> /dev/null; do sleep 0.005; done
kill -9 $pid 2> /dev/null
wait $pid 2> /dev/null
check "killed: nothing is finished" test ! -e "$work/killed/metrics.json"
(begin "$work/killed") > /dev/null 2>&1
check "gone on: the same weights" cmp "$work/whole/model/model.safetensors" "$work/killed/model/model.safetensors"
check "and the same scores" cmp "$work/whole/metrics.json" "$work/killed/metrics.json"

# ---- predict ----

ask() { "$FTPIPE" predict "$work/run" --quiet "$@" > "$work/out" 2> "$work/message"; }
refused() {   # refused NAME PHRASE [arguments]: a usage error that says the phrase
    name=$1 phrase=$2
    shift 2
    ask "$@"
    if [ $? -eq 2 ] && grep -qF -- "$phrase" "$work/message"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/message"; fi
}
check "one text" ask "The council met in Porto 😀 and in Lisbon."
check "with its entities marked" grep -q "\[[A-Z][a-z]*|[A-Z]*\]" "$work/out"
check "and listed" grep -q "^  [A-Z]*  *0\.[0-9][0-9][0-9]  [0-9]*-[0-9]* " "$work/out"
check "as JSON" ask --json "The council met in Porto 😀 and in Lisbon."
check "its keys" grep -q '^{"text":"The .*","entities":\[{"start":[0-9]*,"end":[0-9]*,"label":"[A-Z]*","text":"[^"]*","score":0\.[0-9]*}' "$work/out"
check "the test rows" ask --input $entities/test.txt --format conll --output "$work/said.jsonl"
"$FTPIPE" score ner --gold $entities/test.txt --predictions "$work/said.jsonl" --json > "$work/scores.json"
check "are predicted as the run did" "$FTPIPE" lua tests/cli/same_scores.lua "$work/scores.json" "$work/run/metrics.json" f1 macro_f1 precision
check "columns get one more" ask --input $entities/test.txt --format conll --output "$work/said.conll"
check "as predictions.conll has it" sh -c "cut -f1,3 '$work/run/predictions.conll' > '$work/a' && cut -f1,3 '$work/said.conll' | cmp - '$work/a'"
{ printf '😀 Porto, '; head -200 $entities/test.txt | cut -f1 | paste -sd' ' | sed 's/  */ /g; s/ \. /.\n👩‍💻 /g'; } > "$work/in.txt"
check "lines of text" ask --input "$work/in.txt" --as jsonl --output "$work/truth.jsonl"
for format in doccano prodigy labelstudio conll; do
    check "pre-annotations for $format" ask --input "$work/in.txt" --as $format --output "$work/pre.$format"
    check "read back" "$FTPIPE" lua tests/cli/same_entities.lua "$work/truth.jsonl" $format "$work/pre.$format"
done
check "a table" sh -c "printf 'text,id\nin Porto,7\n' > '$work/in.csv' && '$FTPIPE' predict '$work/run' --quiet --input '$work/in.csv' --text text | grep -q '^text,id,entities,marked'"
check "a project of Label Studio's" sh -c "printf '[{\"id\":4,\"data\":{\"text\":\"in Porto\",\"who\":1},\"annotations\":[]}]' > '$work/ls.json'"
check "is predicted" ask --input "$work/ls.json" --format labelstudio --as labelstudio
check "keeps what it had" grep -q '"data":{"text":"in Porto","who":1},"id":4,"predictions"' "$work/out"
printf '{"text":"in Porto","entities":1}\n' > "$work/in.jsonl"
check "a name that is taken" sh -c "'$FTPIPE' predict '$work/run' --quiet --input '$work/in.jsonl' --text text | grep -q '^{\"text\":\"in Porto\",\"entities\":1,\"predicted_entities\":\['"
refused "a question" "answers no questions" --question "Who?" --context "x"
refused "no such format" "choose conll, doccano" --input "$work/in.txt" --as conlll
printf 'a\tO\n\nb\n' > "$work/in.conll"
cut -f1 $entities/test.txt > "$work/words.conll"
check "words without tags" ask --input "$work/words.conll"
check "get them" sh -c "cut -f1,3 '$work/said.conll' | cmp - '$work/out'"
if ask --input "$work/in.conll" --output "$work/none.conll" || [ -e "$work/none.conll" ] || ! grep -q "in.conll:3: 1 column" "$work/message"
then failed=$((failed + 1)); echo "FAILED a bad row:"; cat "$work/message"
else passed=$((passed + 1)); fi

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
