#!/bin/sh
# tests/cli/test_check.sh - ftpipe check: planted defects are found, each with its place, and a clean pipeline has none.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 40
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
finds() { # finds CODE PATTERN: exactly one finding of that kind, which says that
    check "$1" test "$(grep -c "\[$1\]$" out)" = 1
    check "$1 says what and where" grep -q "$2.*\[$1\]$" out
}

# Rows that share no words: 30 of each label and split.
rows() { awk -v from="$1" -v n="$2" 'BEGIN { srand(from); print "text,label"
    for (i = 1; i <= n; i++) { s = ""; for (w = 0; w < 8; w++) { t = ""; for (k = 0; k < 6; k++) t = t sprintf("%c", 97 + int(rand() * 26)); s = s " " t }
        print substr(s, 2) "," (i % 2 ? "positive" : "negative") } }'; }
rows 1 120 > train.csv
rows 2 30 > valid.csv
rows 3 30 > test.csv
cat > clean.lua <<'END'
local ft = require "ftpipe"
local p = ft.params { dir = { default = "." }, length = { default = 128 }, lr = { default = 1e-3 } }
local function weigh(row) local n = #row.text return { text = row.text, label = row.label, n = n } end
local encoder = ft.pretrained { from = "encoder" }
local rows = ft.read { train = p.dir .. "/train.csv", valid = p.dir .. "/valid.csv", test = p.dir .. "/test.csv" }
local data = ft.tokenize { rows = ft.map { rows = rows, with = weigh }, with = encoder, max_length = p.length }
local model = ft.finetune { model = ft.replace_head { on = encoder, labels = data }, data = data, lr = p.lr }
return ft.pipeline { name = "clean", model = model, report = ft.evaluate { data = data, models = { model = model } } }
END
"$FTPIPE" check clean.lua > out 2> message
check "a clean pipeline: exit code 0" test $? -eq 0
check "a clean pipeline: nothing found" test ! -s out
check "no weight is read and nothing is stored" test ! -e store

mkdir bad
{
    cat train.csv
    sed -n 2p train.csv                                    # a repetition
    sed -n 3p train.csv | sed 's/ [a-z]*,/ other,/'        # a near one
    sed -n 4p train.csv | sed 's/positive/negative/; t; s/negative/positive/'      # another label for the same text
    sed -n 5p test.csv                                     # a leak
    sed -n 6p test.csv | sed 's/ [a-z]*,/ other,/'         # a near leak
    echo "quite another thing entirely here,positve"       # a label misspelt
    echo "   ,positive"                                    # an empty text
    printf 'broken \377 bytes,positive\n'                   # not UTF-8
    awk 'BEGIN { srand(9); for (w = 0; w < 6000; w++) { t = ""; for (k = 0; k < 5; k++) t = t sprintf("%c", 97 + int(rand() * 26)); printf "%s%s", (w ? " " : ""), t } print ",positive" }'
} > bad/train.csv
cp valid.csv test.csv bad
sed 's/name = "clean"/name = "bad"/; s/default = 128/default = 10/; s/lr = p.lr }/lr = 1e-3, loss = function(logits) return logtis end }/
s/^return/local spare = ft.split { rows = rows }\nreturn/' clean.lua > bad.lua
"$FTPIPE" check bad.lua --set dir=bad > out 2> message
check "defects: exit code 1" test $? -eq 1
finds undefined_variable "bad.lua:7: undefined variable 'logtis'; did you mean 'logits'"
finds unused_parameter "bad.lua:2: parameter 'lr' is never used"
finds unused_step "bad.lua:8: step 'split' leads to nothing"
finds encoding "bad/train.csv:129: .*UTF-8"
finds empty_text "bad/train.csv:128: the text is empty"
finds label_typo "bad/train.csv:127: label 'positve' (1 rows) looks like 'positive'"
finds conflicting_labels "bad/train.csv:4 '[a-z]*' and bad/train.csv:124 '[a-z]*'"
finds duplicates "2 texts .*bad/train.csv:2 and bad/train.csv:122"
finds near_duplicates "bad/train.csv:3 and bad/train.csv:123"
finds duplicates_across_splits "1 texts .*bad/test.csv:5 and bad/train.csv:125"
finds near_duplicates_across_splits "bad/test.csv:6 and bad/train.csv:126"
finds enormous_text "bad/train.csv:130 (35999 bytes)"
check "and nothing else but rows that are cut" test "$(grep -vc '\[truncated\]$' out)" = 12

cp -r bad cut && cp train.csv cut
"$FTPIPE" check clean.lua --set dir=cut --set length=5 > out 2> message
check "rows that would be cut are found in each split" test "$(grep -c '30 of 30 rows are longer than 5 tokens.*\[truncated\]$' out)" = 2

cat > one.lua <<'END'
local ft = require "ftpipe"
local encoder = ft.pretrained { from = "encoder" }
local data = ft.tokenize { rows = ft.split { rows = ft.read { from = "one.csv" } }, with = encoder }
local model = ft.finetune { model = ft.replace_head { on = encoder, labels = data }, data = data }
return ft.pipeline { name = "one", model = model }
END
{ cat train.csv; echo "nothing like the others is here,neutral"; } > one.csv
"$FTPIPE" check one.lua > out 2> message
finds rare_label "one.csv:122: label 'neutral' has 1 rows"
sed 's/,/;/' train.csv > one.csv
"$FTPIPE" check one.lua > out 2> message
finds delimiter "one.csv: its columns seem to be separated by semicolons"
check "and nothing else" test "$(wc -l < out)" -eq 1
"$FTPIPE" check one.lua --json > out 2> message
check "as JSON" grep -q '"code":"delimiter","step":"read","text":' out
"$FTPIPE" check > out 2> message
check "without a file" test $? -eq 2

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
