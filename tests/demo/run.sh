#!/bin/sh
# tests/demo/run.sh - the whole main job on a tiny model and data made on the spot; fails unless both stages learn.
set -eu

ftpipe=${FTPIPE:-build/ftpipe}
echo "Demo: a tiny random encoder and made-up sentences, written on the spot; the scores mean nothing beyond that."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$ftpipe" lua tests/demo/make.lua "$dir"
"$ftpipe" run pipelines/sentiment.lua --set model="$dir/encoder" --set data="$dir/reviews.csv" --set control=true \
    --set head_lr=1e-2 --set lr=2e-3 --set epochs=8 --out "$dir/run"
"$ftpipe" predict "$dir/run/model" "the handle of this kettle is superb." "my lamp was broken, the cable is faulty and noisy."
"$ftpipe" lua tests/demo/learnt.lua "$dir/run/log.jsonl"

echo "Questions: the built-in ones, with a tiny random encoder of their words; it learns little but where answers may lie."
"$ftpipe" lua tests/demo/questions.lua "$dir/words"
"$ftpipe" run pipelines/qa.lua --set model="$dir/words" --set train=pipelines/builtin/questions/train.json \
    --set valid=pipelines/builtin/questions/valid.json --set test=pipelines/builtin/questions/test.json \
    --set head_epochs=2 --set lr=1e-3 --set epochs=3 --out "$dir/answers"
"$ftpipe" predict "$dir/answers/model" --question "Who keeps the lamp?" --context "Odile keeps the lamp in the tower."
"$ftpipe" lua tests/demo/learnt.lua "$dir/answers/log.jsonl"
