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
