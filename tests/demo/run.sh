#!/bin/sh
# tests/demo/run.sh - the main job on what comes with ftpipe: the built-in encoder tuned on the built-in reviews in two stages and
# in one, and what it makes of new reviews; fails unless both stages learn.
set -eu

ftpipe=${FTPIPE:-build/ftpipe}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
FTPIPE_CACHE=$dir/cache
export FTPIPE_CACHE

echo "Demo: the built-in encoder (builtin:mini) learns to tell good product reviews (builtin:reviews) from bad ones."
"$ftpipe" run pipelines/sentiment.lua --set control=true --out "$dir/run"
echo
echo "New reviews:"
"$ftpipe" predict "$dir/run/model" \
    "I wanted to love this lamp. I returned it." \
    "Quieter than the old one, and it has not let me down once." \
    "The handle broke on day two and nobody answers my letters." \
    "My mother liked mine so much that I had to buy a second one."
"$ftpipe" lua tests/demo/learnt.lua "$dir/run/log.jsonl" > /dev/null
echo
echo "With a larger encoder (a directory in Hugging Face layout does as well):"
echo "    build/ftpipe run pipelines/sentiment.lua --set control=true --set model=hf:sentence-transformers/all-MiniLM-L6-v2"
