#!/bin/sh
# tests/cli/test_custom.sh - heads, losses and loops written in pipeline files: trained, exported, predicted with, resumed.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 300

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
given="--quiet --set model=$work/encoder --set data=$work/reviews.csv"

# shellcheck disable=SC2086
"$FTPIPE" run pipelines/attention.lua $given --set head_lr=1e-2 --set lr=2e-3 --set epochs=6 --out "$work/attention" > /dev/null
check "a pipeline with its own head and loss learns" "$FTPIPE" lua tests/real/at_least.lua "$work/attention/metrics.json" accuracy 0.9
check "the head's source is in the model" grep -q row_softmax "$work/attention/model/ftpipe.json"
"$FTPIPE" predict "$work/attention/model" --input "$work/attention/predictions.csv" --json > "$work/again.jsonl" 2> /dev/null
check "predict compiles the head again and gives the same" "$FTPIPE" lua tests/cli/same_predictions.lua "$work/attention/predictions.csv" \
    "$work/again.jsonl"

loop() { "$FTPIPE" run pipelines/own_loop.lua $given --set lr=2e-3 --set epochs=12 --checkpoint 0 "$@" > /dev/null 2> "$work/message"; }
loop --out "$work/loop"
loop --set written_out=false --out "$work/finetune"
check "a loop written out gives ft.finetune's weights bit for bit" cmp -s "$work/loop/model/model.safetensors" \
    "$work/finetune/model/model.safetensors"
export FTPIPE_CACHE="$work/killed.cache"      # nothing is taken over from the undisturbed run
# shellcheck disable=SC2086
(exec "$FTPIPE" run pipelines/own_loop.lua $given --set lr=2e-3 --set epochs=12 --checkpoint 0 --out "$work/killed" > /dev/null 2>&1) &
pid=$!
while [ ! -s "$work/killed/log.jsonl" ] || [ "$(wc -l < "$work/killed/log.jsonl")" -lt 20 ]; do
    kill -0 $pid 2> /dev/null || break
    sleep 0.005
done
kill -9 $pid 2> /dev/null
wait $pid 2> /dev/null
check "it was killed in the middle" test ! -e "$work/killed/metrics.json"
loop --out "$work/killed" --set lr=1e-3
check "other parameters are another plan, because the loop sees them" grep -q "unfinished run of another plan" "$work/message"
given=${given#--quiet }
loop --out "$work/killed"
check "it does not begin again" grep -q "train: goes on after update [0-9]* of 180" "$work/message"
check "the log holds each update once" test "$(wc -l < "$work/killed/log.jsonl")" -eq 180
check "the loop goes on where it was and ends with the same bits" cmp -s "$work/loop/model/model.safetensors" \
    "$work/killed/model/model.safetensors"

# Stopped while it scores: the update before is not lost, though no checkpoint was due.
cat > "$work/scores.lua" << 'END'
local ft = require "ftpipe"
local rows = ft.split { rows = ft.read { from = "reviews.csv" } }
local encoder = ft.pretrained { from = "encoder" }
local data = ft.tokenize { rows = rows, with = encoder }
local train = ft.step { name = "train", run = function(ctx, model, set)
   local opt = ft.nn.adamw(model, { lr = 1e-3 })
   for update in ctx:updates(set.train, { batch = 16, epochs = 1 }) do
      for batch in update:batches() do update:backward(ft.nn.cross_entropy(model(batch), batch.labels)) end
      opt:step(update)
      print("update " .. update.index)
      while update.index == 3 do ft.score(model, set.valid) end
   end
   return model
end }
return ft.pipeline { name = "scores", model = train(ft.replace_head { on = encoder, labels = data }, data) }
END
# stopped COUNT: it runs until it has scored, and is stopped
stopped() {
    rm -f "$work/message"
    (cd "$work" && exec "$FTPIPE" run scores.lua --checkpoint 3600 --out scores > /dev/null 2> "$work/message") &
    pid=$!
    while ! grep -qs "$1" "$work/message" && kill -0 $pid 2> /dev/null; do sleep 0.01; done
    kill -INT $pid
    wait $pid
}
stopped "update 3"
check "stopped while scoring: exit code 130" test $? -eq 130
check "which is said" grep -q "^ftpipe: scores.lua:[0-9]*: stopped while scoring in step train" "$work/message"
check "what was computed is saved" test -s "$work/scores/.run/train/checkpoint.safetensors"
stopped "goes on\|update 3"
check "and taken up" grep -q "train: goes on after update 2 of" "$work/message"
check "without the weights' update a second time" sh -c '! grep -q "^update [12]" "$1"' - "$work/message"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
