#!/bin/sh
# tests/cli/test_rows.sh - pipelines that choose, change, join and share out rows: loops over folds, predictions as a step.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
does() { "$FTPIPE" "$@" > out 2> message; }
published() { grep '"event":"publish"' store/journal.jsonl | sed 's/.*"kind":"\([a-z_]*\)".*/\1/' | sort | uniq -c | tr -s ' \n' ' '; }

cat > folds.lua <<'END'
local ft = require "ftpipe"
local p = ft.params { folds = { default = 3 }, lr = { default = 2e-3 } }
local encoder = ft.pretrained { from = "encoder" }
local rows = ft.dedupe { rows = ft.read { from = "reviews.csv" } }
local outputs = {}
for i = 1, p.folds do
   local part = ft.folds { rows = rows, folds = p.folds, fold = i }
   local data = ft.tokenize { rows = part, with = encoder }
   local model = ft.finetune { model = ft.replace_head { on = encoder, labels = data }, data = data, lr = p.lr, epochs = 1 }
   outputs["fold" .. i] = ft.evaluate { data = data, models = { fold = model } }
end
return ft.pipeline { name = "folds", outputs = outputs }
END
does run folds.lua --quiet
check "a loop over folds runs" test $? -eq 0
check "each fold is a step" test "$(published)" = " 1 dedupe 3 evaluate 3 finetune 3 folds 1 read 3 tokenize "
does plan folds.lua --set folds=4
check "other folds reuse the rows" grep -q "^16 of 23 steps run" out
does plan folds.lua --set lr=1e-3
check "another learning rate reuses the folds" grep -q "^6 of 18 steps run" out

cat > teach.lua <<'END'
local ft = require "ftpipe"
local p = ft.params { least = { default = 0.5 } }
local encoder = ft.pretrained { from = "encoder" }
local all = ft.read { from = "reviews.csv" }
local some = ft.sample { rows = all, share = 0.5, split = "all", name = "half" }
local short = ft.filter { rows = some, keep = function(row) return #row.text < 200 end }
local loud = ft.map { rows = short, with = function(row) row.text = row.text .. "!" return row end }
local parts = ft.split { rows = loud }
local data = ft.tokenize { rows = parts, with = encoder }
local teacher = ft.finetune { model = ft.replace_head { on = encoder, labels = data }, data = data, lr = 2e-3, epochs = 2 }
local said = ft.predict { name = "said", model = teacher, rows = all, least = p.least }
local both = ft.concat { rows = { loud, said } }
local more = ft.tokenize { rows = ft.split { rows = both }, with = encoder }
local student = ft.finetune { model = ft.replace_head { on = encoder, labels = more }, data = more, lr = 2e-3, epochs = 1 }
return ft.pipeline { name = "teach", model = student, report = ft.evaluate { data = more, models = { two = student } } }
END
does run teach.lua --quiet
check "predictions are rows to learn from" test $? -eq 0
check "they are a file too" test "$(head -n 1 runs/teach/1/said.csv)" = "split,line,text,given,predicted,probability"
check "with a line for each row" test "$(wc -l < runs/teach/1/said.csv)" -eq "$(wc -l < reviews.csv)"
sed 's/#row.text < 200/#row.text < 30/' teach.lua > edited.lua
does plan edited.lua
check "another function is another filter" grep -A1 "^  filter" out
check "what came before stays" sh -c "grep -A1 '^  half' out | grep -q hit"
check "and the reason is told" sh -c "grep -A1 '^  filter' out | grep -q 'run: keep function .* -> function '"
does run teach.lua --quiet --set least=1
check "predictions that are all too uncertain" grep -q "no label has a probability of 1" message
sed 's/row.text = row.text .. "!" return row/return { text = row.text }/' teach.lua > edited.lua
does run edited.lua --quiet
check "a map that loses the label is told" grep -q "edited.lua:7: map: the row of reviews.csv:.* has no label any more" message

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
