#!/bin/sh
# tests/cli/test_pretrain.sh - pre-training from scratch and adaptation from the command line: what they leave, kills in the
# middle, and the way on to the two stages.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 300

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }

# the texts of the rows without their labels, and a folder with another form of text
mkdir "$work/texts"
"$FTPIPE" lua tests/cli/unlabelled_texts.lua "$work/reviews.csv" "$work/texts/a.txt" "$work/texts/b"

scratch() {
    "$FTPIPE" run pipelines/pretrain.lua --set from="$work/texts" --set vocabulary=300 --set hidden=32 --set layers=2 \
        --set length=32 --set batch=8 --set epochs=4 --set lr=1e-2 --set valid=0.1 --set evaluations=4 --checkpoint 0 "$@" \
        > /dev/null 2> "$work/message"
}
scratch --out "$work/plain"
check "a run from scratch ends" test -s "$work/plain/metrics.json"
check "it names held-out loss and perplexity" grep -q '"perplexity":[0-9]' "$work/plain/metrics.json"
check "held-out loss fell by half a nat" "$FTPIPE" lua tests/cli/loss_fell.lua "$work/plain/metrics.json" 0.5
check "the model is a masked language model for others" grep -q BertForMaskedLM "$work/plain/model/config.json"
check "the vocabulary is beside it" test -s "$work/plain/model/tokenizer.json" -a -s "$work/plain/model/vocab.txt"
check "nothing of the packed text is left" test ! -e "$work/plain/.run/corpus"
check "it says how to go on" grep -q "to fine-tune it: ftpipe run" "$work/message"

total=$(wc -l < "$work/plain/log.jsonl")
store=${FTPIPE_CACHE:-}
export FTPIPE_CACHE="$work/killed.cache"      # nothing is taken over from the undisturbed run
(exec "$FTPIPE" run pipelines/pretrain.lua --quiet --set from="$work/texts" --set vocabulary=300 --set hidden=32 --set layers=2 \
    --set length=32 --set batch=8 --set epochs=4 --set lr=1e-2 --set valid=0.1 --set evaluations=4 --checkpoint 0 \
    --out "$work/killed" > /dev/null 2>&1) &
pid=$!
while [ ! -s "$work/killed/log.jsonl" ] || [ "$(wc -l < "$work/killed/log.jsonl")" -lt 10 ]; do
    kill -0 $pid 2> /dev/null || break
    sleep 0.005
done
kill -9 $pid 2> /dev/null
wait $pid 2> /dev/null
check "it was killed in the middle" test ! -e "$work/killed/metrics.json"
scratch --out "$work/killed"
check "it goes on where it was" grep -q "pretrain: goes on after update [0-9]* of $total" "$work/message"
check "and ends with the same bits" cmp -s "$work/plain/model/model.safetensors" "$work/killed/model/model.safetensors"
check "its log holds each update once" test "$(wc -l < "$work/killed/log.jsonl")" -eq "$total"
export FTPIPE_CACHE="$store"

"$FTPIPE" run pipelines/adapt.lua --set model="$work/plain/model" --set from="$work/texts/a.txt" --set adapt_lr=1e-3 \
    --set adapt_epochs=1 --set length=32 --set data="$work/reviews.csv" --set lr=2e-3 --set epochs=2 --set head_epochs=2 \
    --set compare=true --out "$work/adapted" > "$work/report" 2> "$work/message"
check "adaptation and two stages end" test -s "$work/adapted/metrics.json"
check "adaptation goes on with the checkpoint's head" grep -q "adapt: .* 0 new" "$work/message"
check "it is compared with the encoder as it was" grep -q plain "$work/report"
check "the tuned model predicts" sh -c '"$FTPIPE" predict "$1/adapted/model" "a fine lamp" > /dev/null 2>&1' sh "$work"

# A text is read, packed and learnt from once for all steps and runs.
cat > "$work/twice.lua" << 'END'
local ft = require "ftpipe"
local p = ft.params { from = { type = "list", required = true }, lr = { default = 1e-3 } }
local words   = ft.vocabulary { from = p.from, size = 200 }
local encoder = ft.new_encoder { vocabulary = words, hidden = 16, layers = 1, heads = 2 }
local corpus  = ft.corpus { from = p.from, with = encoder, length = 16, valid = 0.2 }
local function trained(name, seed)
   return ft.pretrain { name = name, model = ft.replace_head { on = encoder, task = "masked_lm" }, data = corpus, lr = p.lr,
      mask = seed / 10, updates = 4, evaluations = 1 }
end
return ft.pipeline { name = "twice", model = trained("a", 1), outputs = { b = trained("b", 2) } }
END
export FTPIPE_CACHE="$work/once.cache"
published() { grep -c "\"event\":\"publish\".*\"kind\":\"$1\"" "$FTPIPE_CACHE/journal.jsonl"; }
said() { cat "$work/message" "$1"/.run/*.messages 2> /dev/null | grep -c "$2"; }
once() { "$FTPIPE" run "$work/twice.lua" --set from="$work/texts" "$@" > /dev/null 2> "$work/message"; }
once --out "$work/one"
check "two steps train on one text" test $? -eq 0
check "which is packed once" test "$(published corpus)" -eq 1 -a "$(said "$work/one" "^corpus: [0-9]* documents")" -eq 1
check "and its words are learnt once" test "$(published vocabulary)" -eq 1 -a "$(said "$work/one" "^vocabulary: [0-9]* tokens from")" -eq 1
once --set lr=2e-3 --jobs 2 --out "$work/two"
check "another training, side by side with another" test $? -eq 0 -a "$(published pretrain)" -eq 4
check "packs and learns nothing" test "$(published corpus) $(published vocabulary)" = "1 1"
once --set lr=2e-3 --jobs 2 --seed 5 --out "$work/three"
check "another seed shares out the documents anew, the words are the same" test "$(published corpus) $(published vocabulary)" = "2 1"
once --force=corpus --set lr=2e-3 --out "$work/forced"
check "what is packed again is the same" test "$(published corpus) $(published pretrain)" = "3 6"
for file in "$FTPIPE_CACHE"/steps/*/*/train.i32; do printf 'xyz' >> "$file"; done
once --set lr=3e-3 --out "$work/damaged"
check "what cannot be read is packed again" test $? -eq 0 -a "$(published corpus)" -ge 4
memory() { "$FTPIPE" plan "$work/twice.lua" --set lr=5e-3 --set from="$1" | sed -n 's/^[0-9]* of .* steps run:.* \([0-9]*\) MiB of memory.*/\1/p'; }
for n in $(seq 400); do cat "$work/texts/a.txt"; done > "$work/large.txt"
check "what a training takes does not grow with the text, which stays in its file" test "$(memory "$work/texts/a.txt")" -gt 0 -a \
    "$(memory "$work/large.txt")" -le "$(memory "$work/texts/a.txt")"
"$FTPIPE" cache du > "$work/report"
check "cache du tells of it" grep -q "^corpus *[1-9]" "$work/report"
sleep 1
"$FTPIPE" cache gc --days 0 > /dev/null
check "cache gc removes it" test -z "$(find "$FTPIPE_CACHE/steps" -name "*.i32")"
check "no staging directory is left" test -z "$(ls -A "$FTPIPE_CACHE/staging")"
export FTPIPE_CACHE="$store"

"$FTPIPE" run pipelines/pretrain.lua --set from="$work/nowhere" --out "$work/none" > /dev/null 2> "$work/message"
check "text that is not there is named" grep -q "there is no file or folder .*nowhere" "$work/message"
"$FTPIPE" run pipelines/adapt.lua --set model="$work/encoder" --set from="$work/texts" --set length=4000 --out "$work/long" \
    > /dev/null 2> "$work/message"
check "windows longer than the encoder reads are refused" grep -q "more than the encoder's .* positions" "$work/message"
"$FTPIPE" predict "$work/plain/model" "a fine lamp" > /dev/null 2> "$work/message"
check "a masked language model does not pretend to label" grep -q "without a tuned head" "$work/message"

small() {
    "$FTPIPE" run pipelines/distill.lua --set teacher="$work/encoder" --set from="$work/texts/a.txt" --set vocabulary=120 \
        --set hidden=16 --set layers=1 --set heads=2 --set length=32 --set distill_batch=8 --set distill_epochs=6 --set distill_lr=1e-2 \
        --set valid=0.1 \
        --set evaluations=6 --checkpoint 0 "$@" > /dev/null 2> "$work/message"
}
small --out "$work/small"
check "a student of another vocabulary learns from a teacher" "$FTPIPE" lua tests/cli/loss_fell.lua "$work/small/metrics.json" 0.05
check "its map to the teacher's width is not saved" sh -c '! grep -q head.out "$1/small/model/model.safetensors"' sh "$work"
small --set weights=f16 --out "$work/half"
check "weights stored in 16 bits take half the room" "$FTPIPE" lua tests/cli/half_as_large.lua \
    "$work/half/model/model.safetensors" "$work/small/model/model.safetensors"
check "and config.json says so" grep -q '"dtype":"float16"' "$work/half/model/config.json"
small --set keep=1 --set inner=8 --set vocabulary=300 --set updates=3 --set weights=f16 --out "$work/cut"
check "a student can be cut from its teacher" grep -q "student: 1 layers of " "$work/message"
check "and knows what it was given" grep -q "distill: .* 2 new (head.out.bias, head.out.weight)" "$work/message"
small --set keep=1 --set embedding=10 --set vocabulary=300 --set updates=3 --out "$work/narrow"
check "with narrower embeddings it is an ELECTRA" grep -q '"model_type":"electra"' "$work/narrow/model/config.json"
small --set keep=99 --out "$work/none"
check "a layer that is not there is told" grep -q "there is no layer 99; the encoder has " "$work/message"
small --set student="$work/plain/model" --set updates=3 --out "$work/again"
check "a student can be an encoder there is" grep -q "distill: .* 2 new (head.out.bias, head.out.weight)" "$work/message"
"$FTPIPE" run pipelines/sentiment.lua --set model="$work/small/model" --set data="$work/reviews.csv" --set epochs=1 \
    --set head_epochs=1 --out "$work/of_small" > /dev/null 2> "$work/message"
check "the student is an encoder like any other" test -s "$work/of_small/metrics.json"

"$FTPIPE" run pipelines/distill.lua --set teacher="$work/encoder" --set student="$work/small/model" --set lr=2e-3 \
    --set data="$work/reviews.csv" --set epochs=2 --set head_epochs=2 --out "$work/pupil" > "$work/report" 2> "$work/message"
check "a student of the task is compared with its teacher" grep -q "tudent.* teacher" "$work/report"
check "and what they cost is told" grep -q "rows/s" "$work/report"
"$FTPIPE" run pipelines/distill.lua --set teacher="$work/encoder" --out "$work/none" > /dev/null 2> "$work/message"
check "a student from nothing needs text" grep -q "a new student needs unlabelled text" "$work/message"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
