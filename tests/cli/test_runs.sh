#!/bin/sh
# tests/cli/test_runs.sh - runs, show, compare and the care of the store.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cp pipelines/sentiment.lua "$work"
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
says() { grep -q -- "$1" out; }
does() { "$FTPIPE" "$@" > out 2> message; }
job() { does run sentiment.lua --quiet --set model=encoder --set data="${data:-reviews.csv}" --set head_epochs=2 --set epochs=2 "$@"; }
field() { "$FTPIPE" "$@" | grep -q "$want"; }

does runs
check "no runs" grep -q "there are no runs" message
job --set lr=2e-3
job --set lr=1e-3
sed 1,4d reviews.csv > fewer.csv && sed -n 1p reviews.csv | cat - fewer.csv > other.csv
data=other.csv job --set lr=2e-3
does runs
check "runs lists all" test "$(grep -c '^runs/sentiment/[123] .* done' out)" = 3
check "and what ran" sh -c "grep '^runs/sentiment/2 ' out | grep -q '2 of 8'"
does runs --json
check "as JSON, one on each line" test "$(grep -c '"done":true.*"metric":"accuracy"' out)" = 3

for dir in runs/ runs/sentiment .; do
    does runs $dir
    check "those in and below $dir" test "$(grep -c '^runs/sentiment/[123] .* done' out) $(wc -l < out)" = "3 4"
done
does runs runs/sentiment/2
check "one by its folder" test "$(sed 1d out | cut -d ' ' -f 1)" = runs/sentiment/2

does show 2
check "show: the command to repeat it" says "command: ftpipe run sentiment.lua --quiet --set model=encoder"
check "show: parameters" says "^lr  *0.001$"
check "show: steps" says "^tuned  *finetune  *ran"
check "show: what was taken over" says "^tokenize  *tokenize  *taken over"
check "show: the report" says "Verdict"
does show sentiment/1 --json
check "show as JSON" says '"metrics":{"accuracy":'
does show sentiment
check "the latest by its name" says "^runs/sentiment/3: "
does show 4
check "a run that is not there" test $? -eq 2
does show sentimnt/1
check "names the nearest" grep -q "did you mean 'sentiment/1'" message

does compare 1 2
check "what differs comes first" test "$(sed -n '/^settings/ { n; p; }' out | cut -c 1-4)" = "* lr"
check "a difference on the same rows, with its interval" says "runs/sentiment/2 less runs/sentiment/1 on the same 12 rows: accuracy .* interval .* to "
does compare 1 3
check "none on other rows" says "no difference is told, because their test rows are not the same"
does compare 1 2 3 --json
check "compare as JSON" says '"reason":"their test rows are not the same"'
does compare 1
check "one run is too few" test $? -eq 2

does cache du
check "du tells kinds" says "^finetune  *5 "
does cache du --json
check "du as JSON" says '"kinds":{"evaluate":{"bytes":'
does cache verify
check "verify finds no fault" says "^18 entries, 0 damaged"
printf x >> "$(find store/steps -name weights.safetensors | head -n 1)"
does cache verify
check "verify finds damage" test $? -eq 1
check "and removes it" says "^18 entries, 1 damaged"
does cache verify
check "nothing is wrong then" says "^17 entries, 0 damaged"
does cache gc
check "gc leaves what was used" says "removed 0 entries"
mkdir store/staging/999999999-1-1
does cache gc --days 0 --keep 1K
check "gc frees what it is told to" says "left: 0 B"
check "and what killed processes left" test -z "$(ls -A store/staging)"
check "the journal tells no more of it" test ! -s store/journal.jsonl
does cache gk
check "a misspelt action" grep -q "did you mean 'gc'" message

# Cleaning while a run is interrupted, and while one is at work.
"$FTPIPE" run sentiment.lua --quiet --set model=encoder --set data=reviews.csv --set head_epochs=2 --set epochs=30 --checkpoint 0 \
    --out stopped > /dev/null 2>&1 &
pid=$!
while [ ! -f stopped/log.jsonl ] || [ "$(wc -l < stopped/log.jsonl)" -lt 14 ]; do kill -0 $pid 2> /dev/null || break; sleep 0.005; done
kill -STOP $pid
does cache gc --keep 1K
check "a store in use is not cleaned" test $? -eq 3
kill -KILL $pid
wait $pid 2> /dev/null
kept() { find store/steps -name record.json -exec grep -l '"step":' {} + | wc -l; }      # features can be computed again
entries=$(kept)
does cache gc --days 0 --keep 1K
check "what an unfinished run needs stays" test "$(kept)" = "$entries"
"$FTPIPE" run sentiment.lua --set model=encoder --set data=reviews.csv --set head_epochs=2 --set epochs=30 --checkpoint 0 --out stopped \
    > /dev/null 2> message
check "and it goes on" grep -q "tuned: goes on after update" message
check "to its end" test -s stopped/metrics.json

cat > rows.lua << 'END'
local ft = require "ftpipe"
local rows = ft.map { rows = ft.read { from = "reviews.csv" }, with = function(row) return row end }
return ft.pipeline { name = "rows", outputs = { rows = ft.split { rows = rows } } }
END
does run rows.lua --quiet
does run rows.lua --quiet --force=map
does show rows/2
check "what was forced ran" says "^map  *map  *ran"
check "what follows did not, for it was given the same" says "^split  *split  *taken over"
printf 'local ft = require "ftpipe"\nlocal rows = ft.map { rows = ft.read { from = "reviews.csv" }, with = function(row) return #row.none end }\n%s\n' \
    'return ft.pipeline { name = "bad", outputs = { rows = rows } }' > bad.lua
does run bad.lua
check "the line of an error is told once" grep -qx "ftpipe: bad.lua:2: attempt to get length of a nil value (field 'none')" message

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
