#!/bin/sh
# tests/cli/test_dialects.sh - rows in other forms from the command line: folders of texts, patterns, semicolons, UTF-16, Latin-1.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 120

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
does() { "$FTPIPE" "$@" > "$work/out" 2> "$work/message"; }

# The demo's reviews: each in a file of its label's folder, and as two tables with semicolons.
mkdir -p "$work/texts/pos" "$work/texts/neg" "$work/tables"
awk -F, -v dir="$work/texts/" 'NR > 1 { label = $NF; sub(/,[^,]*$/, ""); gsub(/^"|"$/, ""); print > (dir label "/" NR ".txt") }' "$work/reviews.csv"
awk -F, -v dir="$work/tables/" 'NR > 1 { label = $NF; sub(/,[^,]*$/, ""); gsub(/^"|"$/, "")
    file = dir (NR % 2 ? "b" : "a") ".csv"
    if (!(file in seen)) print "text;label" > file
    seen[file] = 1
    print "\"" $0 "\";" label > file }' "$work/reviews.csv"

given="--quiet --set model=$work/encoder --set epochs=1 --set head_epochs=1"
# shellcheck disable=SC2086
check "a folder of texts is learnt from" does run pipelines/sentiment.lua $given --set data="$work/texts" --out "$work/folder"
check "with all its files" grep -q '"rows":' "$work/folder/metrics.json"
# shellcheck disable=SC2086
check "a pattern of tables with semicolons too" does run pipelines/sentiment.lua $given --set "data=$work/tables/*.csv" \
    --set "delimiter=;" --out "$work/pattern"
# shellcheck disable=SC2086
does plan pipelines/sentiment.lua $given --set "data=$work/tables/*.csv" --set "delimiter=;" --out "$work/other"
check "the files of a pattern count by content" grep -q "^nothing to run" "$work/out"
cp -r "$work/tables" "$work/moved"
# shellcheck disable=SC2086
does plan pipelines/sentiment.lua $given --set "data=$work/moved/*.csv" --set "delimiter=;" --out "$work/other"
check "wherever they lie" grep -q "^nothing to run" "$work/out"
does check pipelines/sentiment.lua --set model="$work/encoder" --set "data=$work/tables/*.csv"
check "check names the delimiter" grep -q 'say delimiter = ";"' "$work/out"
does run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/tables/a.csv" --set encoding=utf-61
check "a wrong encoding has a nearest one" grep -q "did you mean 'utf-16" "$work/message"

model="$work/folder/model"
does predict "$model" --input "$work/texts" --output "$work/texts.csv"
check "texts of a folder become rows with their file" test "$(head -n 1 "$work/texts.csv" | cut -d , -f 1-4)" = "file,text,label,score"
check "each of them" test "$(wc -l < "$work/texts.csv")" -eq 121
does predict "$model" --input "$work/tables/*.csv" --delimiter ";" --output "$work/tables.csv"
check "files of a pattern are predicted one after the other" test "$(wc -l < "$work/tables.csv")" -eq 121
printf 'text;note\ncaf\351 is superb;x\n' > "$work/latin.csv"
does predict "$model" --input "$work/latin.csv" --delimiter ";" --encoding latin-1
check "Latin-1 comes out as UTF-8" grep -q "café is superb" "$work/out"
printf '\377\376t\000e\000x\000t\000\n\000o\000k\000\n\000' > "$work/wide.csv"
does predict "$model" --input "$work/wide.csv"
check "UTF-16 is known by its mark" grep -q "^ok," "$work/out"
printf '{"review":{"body":"superb"}}\n' > "$work/nested.jsonl"
check "nested fields" does predict "$model" --input "$work/nested.jsonl" --text review.body
does predict "$model" --input "$work/nested.jsonl" --text review.bdy
check "a missing one is named with its line and the nearest" grep -q "nested.jsonl:1: .*review.bdy.*did you mean .review.body" "$work/message"
does predict "$model" --input "$work/nested.jsonl" --text review
check "an object is no text, and a field of it is named" grep -q 'nested.jsonl:1: "review" is an object, no text; name a field of it, as in "review.body"' "$work/message"
# refused NAME PHRASE OPTIONS...: rows that cannot be read are told so
refused() {
    name=$1 phrase=$2
    shift 2
    does run pipelines/sentiment.lua --quiet --set model="$work/encoder" --out "$work/none" "$@"
    check "$name" grep -qF -- "$phrase" "$work/message" || cat "$work/message"
}
refused "columns parted by something else" "a.csv:1: there is no column \"text\"" --set data="$work/tables/a.csv"
check "with what to say" grep -q 'say delimiter = ";"' "$work/message"
printf 't\000e\000x\000t\000,\000l\000\n\000' > "$work/unmarked.csv"
refused "UTF-16 without a mark" "unmarked.csv:1: a NUL byte" --set data="$work/unmarked.csv"
check "with what it may be" grep -q 'encoding = "utf-16le"' "$work/message"
printf 'text,label\ncaf\351,pos\n' > "$work/unsaid.csv"
refused "Latin-1 that nobody declared" "unsaid.csv:2: not UTF-8: byte 0xE9" --set data="$work/unsaid.csv"
check "with how to declare it" grep -q 'encoding = "latin-1"' "$work/message"
printf '[{"text":"a","label":"pos"},\n {"text":"b","label":"neg"}' > "$work/open.json"
refused "an array without its end" "open.json:2: the file ends inside the array" --set data="$work/open.json"
printf 'text,label\n"a\nb,pos\n' > "$work/unclosed.csv"
refused "a quote that is never closed" "unclosed.csv:2: quote is never closed (the quote was opened on line 2)" --set data="$work/unclosed.csv"
mkdir -p "$work/odd/pos" "$work/odd/neg"
echo good > "$work/odd/pos/a.txt"
printf 'caf\351\n' > "$work/odd/neg/b.txt"
: > "$work/odd/neg/c.txt"
refused "texts in another encoding" "neg/b.txt:1: not text in its encoding: byte 0xE9" --set data="$work/odd"
check "and empty ones, each by its file" grep -q "neg/c.txt:1: the text is empty" "$work/message"
rm "$work/odd/neg/c.txt"
for split in train test; do for label in pos neg; do mkdir -p "$work/parts/$split/$label"; cp "$work/texts/$label"/*.txt "$work/parts/$split/$label"; done; done
# shellcheck disable=SC2086
check "folders of texts by split" does run pipelines/sentiment.lua $given --set data="$work/parts" --out "$work/by_split"
does predict "$model" --input "$work/tables/*.cvs"
check "a pattern that nothing matches" grep -q "no file matches" "$work/message"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
