#!/bin/sh
# tests/bench/runner.sh - what it costs to find out that there is nothing to do (at most 50 ms and 30 MiB wanted), and to plan
# 10,000 steps (at most 1 s).
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cp pipelines/sentiment.lua "$work"
FTPIPE=$(realpath "$FTPIPE") once=$(realpath "$PROGRAMS/bench/bench_command")
cd "$work"
job() { "$@" run sentiment.lua --quiet --set model=encoder --set data=reviews.csv --set head_epochs=1 --set epochs=1; }
job "$FTPIPE" > /dev/null
echo "a run with nothing to do: $(job "$once" "$FTPIPE")"
cat > many.lua <<'END'
local ft = require "ftpipe"
local rows, outputs = ft.read { from = "reviews.csv" }, {}
for i = 1, 9999 do outputs["s" .. i] = ft.sample { rows = rows, share = i / 10000 } end
return ft.pipeline { name = "many", outputs = outputs }
END
echo "a plan of 10,000 steps: $("$once" "$FTPIPE" plan many.lua --json)"
echo "where each of them stands: $("$once" "$FTPIPE" plan many.lua)"
