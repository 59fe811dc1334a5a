#!/bin/sh
# tests/cli/test_store.sh - what one run computed is taken over by others: by content, whatever the path, time or wording.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cp pipelines/sentiment.lua pipelines/own_loop.lua "$work"
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
published() { grep '"event":"publish"' store/journal.jsonl 2> /dev/null | sed 's/.*"kind":"\([a-z_]*\)".*/\1/'; }
# ran NAME KINDS... -- COMMAND: the command puts exactly these kinds of steps into the store, in this order
ran() {
    name=$1 want=; shift
    while [ "$1" != -- ]; do want="$want$1 "; shift; done
    shift
    before=$(published | wc -l)
    "$@" > out 2> message || { cat message; check "$name" false; return; }
    got=$(published | tail -n "+$((before + 1))" | tr '\n' ' ')
    [ "$got" = "$want" ] || echo "ran: $got"
    check "$name" test "$got" = "$want"
}
job() { "$FTPIPE" run "${file:-sentiment.lua}" --quiet --set model=encoder --set data="${data:-reviews.csv}" --set head_epochs=2 \
    --set epochs=2 "$@"; }

ran "the first run computes everything" read split tokenize features features finetune finetune evaluate -- job --set lr=2e-3
ran "the same again computes nothing" -- job --set lr=2e-3
check "and names the run it repeats" test "$(cat out)" = runs/sentiment/1
ran "another learning rate of stage two: reading, tokenising and stage one are there" finetune evaluate -- job --set lr=1e-3
check "what was settled in stage one is told all the same" grep -q '"head":{"batch":32,"epochs":2,"lr":0.001}' runs/sentiment/2/metrics.json
check "the report of a run that took things over is whole" grep -q "Verdict" runs/sentiment/2/report.txt
ran "another learning rate of stage one: the frozen features are there" finetune finetune evaluate -- job --set lr=2e-3 --set head_lr=5e-4

ran "results elsewhere are made of what is there" -- job --set lr=2e-3 --out again
for f in model/model.safetensors predictions.csv metrics.json report.txt; do
    check "they have the same bits: $f" cmp -s runs/sentiment/1/$f again/$f
done

sed 's/^/  /; s/$/   -- said/' sentiment.lua > reworded.lua
rm -rf runs
file=reworded.lua ran "comments and spacing change nothing" -- job --set lr=2e-3
mkdir elsewhere && mv reviews.csv elsewhere/renamed.csv && mv encoder elsewhere/encoder2 && ln -s elsewhere/encoder2 encoder
rm -rf runs
data=elsewhere/renamed.csv ran "paths change nothing" -- job --set lr=2e-3
sed 's/$//' elsewhere/renamed.csv > reviews.csv
rm -rf runs
ran "the same bytes in another file change nothing" -- job --set lr=2e-3
sed '2s/superb/superb indeed/; 2s/awful/awful indeed/; 2s/\.$/ indeed./' reviews.csv > changed.csv
printf '"it is all superb",pos\n' >> changed.csv
data=changed.csv ran "one more row changes everything" read split tokenize features features finetune finetune evaluate -- job --set lr=2e-3
ran "another seed leaves only what was read" split tokenize features features finetune finetune evaluate -- job --set lr=2e-3 --seed 8

# Custom steps: tokens of the function, outer variables, required modules.
printf 'return { rate = 1 }\n' > helper.lua
loop() { sed "s/--INNER/${2:-}/; s/local scale = .*/local scale = ${3:-1}/" "$1" > edited.lua; file=edited.lua job; }
sed 's/^local rows/local scale = 1\nlocal rows/; s/lr = p.lr, weight_decay = 0.01/lr = p.lr * scale * (require "helper").rate, weight_decay = 0.01/; s/^   return ctx:best/   --INNER\n   return ctx:best/' \
    own_loop.lua | sed '/^local p = /,/^}/ { s/epochs *= { default = [0-9]*/epochs = { default = 1/; s/^}/   head_epochs = { default = 1 },\n}/ }' > loop.lua
ran "a custom step runs on what was read" lua evaluate -- loop loop.lua
ran "a comment in it changes nothing" -- loop loop.lua "-- said"
ran "a statement in it does; what gives the same weights is evaluated already" lua -- loop loop.lua "local unused = 1; print(unused)"
ran "so does an outer variable" lua evaluate -- loop loop.lua "" 2
printf 'return { rate = 3 }\n' > helper.lua
ran "so does a module that it requires" lua evaluate -- loop loop.lua "" 2
sed 's/^local rows/local bad = coroutine.create(function() end)\nlocal rows/; s/^   return ctx:best/   print(bad)\n   return ctx:best/' \
    own_loop.lua > bad.lua
"$FTPIPE" run bad.lua --set model=encoder --set data=reviews.csv > /dev/null 2> message
check "an outer variable that cannot be told is an error" test $? -eq 2
check "which names it and the place" grep -q "bad.lua:[0-9]*: .*outer variable 'bad', a thread" message

for value in 'setmetatable({}, { __index = function() return 1 end })' 'coroutine.create(print)' '{ { setmetatable({}, {}) } }'; do
    printf 'local ft = require "ftpipe"\nlocal odd = %s\nlocal s = ft.step { name = "x", run = function() return { n = odd.a } end }\n%s\n' "$value" \
        'return ft.pipeline { name = "odd", outputs = { s = s() } }' > odd.lua
    "$FTPIPE" plan odd.lua > /dev/null 2> message
    check "an outer variable that is no plain data: $value" test $? -eq 2
    check "is named" grep -q "odd.lua:4: .*the outer variable 'odd'" message
done

# Damage: an entry that cannot be read is computed again.
rm -rf runs
for f in store/steps/*/*/value.pack; do printf 'x' >> "$f"; done
job --set lr=2e-3 --seed 8 --out damaged > /dev/null 2> message
check "damaged entries are computed again" test -s damaged/metrics.json
ran "and are whole afterwards" -- job --set lr=2e-3 --seed 8
for f in store/steps/*/*/record.json; do echo '{' > "$f"; done
rm -rf runs
ran "records that cannot be read are no records" read split tokenize features features finetune finetune evaluate -- job --set lr=2e-3 --seed 8
check "no staging directory is left" test -z "$(ls -A store/staging)"
check "the store says that it is a cache" grep -q "Signature: 8a477f597d28d172789f06886806bc55" store/CACHEDIR.TAG

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
