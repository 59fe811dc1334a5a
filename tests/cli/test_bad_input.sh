#!/bin/sh
# tests/cli/test_bad_input.sh - every mistake of a user's gets a message that names it, and leaves nothing that looks finished.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 60
n=0

# refuses NAME PHRASE [run's options]: it fails, says the phrase, and writes no result
refuses() {
    name=$1 phrase=$2
    shift 2
    n=$((n + 1))
    "$FTPIPE" run pipelines/sentiment.lua --quiet --out "$work/out$n" "$@" > /dev/null 2> "$work/message"
    code=$?
    if [ $code -ne 0 ] && [ $code -lt 100 ] && grep -qF -- "$phrase" "$work/message" && [ ! -e "$work/out$n/metrics.json" ] &&
        [ ! -e "$work/out$n/model" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name (exit $code):"
        cat "$work/message"
    fi
}
bad_rows() {   # bad_rows NAME PHRASE: with bad.csv
    refuses "$1" "$2" --set model="$work/encoder" --set data="$work/bad.csv"
}
with() { refuses "$1" "$2" --set model="$work/encoder" --set data="$work/reviews.csv" "$3" "$4"; }

printf 'txt,label\na,pos\n' > "$work/bad.csv"
bad_rows "missing column" 'there is no column "text" (did you mean "txt"?)'
printf '' > "$work/bad.csv"
bad_rows "empty file" "bad.csv:1: the file is empty"
printf 'text,label\n' > "$work/bad.csv"
bad_rows "no rows" "has no rows"
printf 'text,label\ngood,pos\nfine,pos\n' > "$work/bad.csv"
bad_rows "one class" "all training rows have the label 'pos'"
printf 'text,label\ngood,pos\n   ,neg\n' > "$work/bad.csv"
bad_rows "empty text" "bad.csv:3: the text is empty"
printf 'text,label\ngood,pos\nbad,\n' > "$work/bad.csv"
bad_rows "empty label" "bad.csv:3: the label is empty"
printf 'text,label\ngood,pos\nb\377d,neg\n' > "$work/bad.csv"
bad_rows "broken UTF-8" "bad.csv:3: not UTF-8: byte 0xFF"
printf 'text,label\ngood,pos\nb\000d,neg\n' > "$work/bad.csv"
bad_rows "NUL byte" "bad.csv:3: a NUL byte"
printf 'text,label\ngood,pos\n"never closed,neg\nmore,pos\n' > "$work/bad.csv"
bad_rows "unterminated quote" "bad.csv:3: quote is never closed (the quote was opened on line 3)"
printf 'text,label\ngood,pos\nbad,neg,extra\n' > "$work/bad.csv"
bad_rows "wrong number of fields" "bad.csv:3: expected 2 fields, got 3"

printf 'text,label\nsuperb,poss\n' > "$work/other.csv"
refuses "unknown label in the test file" "other.csv:2: label 'poss' does not occur in the training rows; did you mean 'pos'?" --set model="$work/encoder" --set train="$work/reviews.csv" \
    --set test="$work/other.csv"
with "unknown parameter" "did you mean 'epochs'" --set epoch=3
with "out of range" "epochs = 0 is out of range: at least 1" --set epochs=0
with "not one of the choices" "did you mean 'quarantine'" --set bad=quarantin
with "not a number" "expected a number" --set lr=fast
with "unknown option" "unknown option --thread; did you mean --threads?" --thread 2
with "too long for the encoder" "64 positions" --set max_length=65
with "a label map that leaves nothing" "none of its 60 labels is in map" --set map=1:a
refuses "no such data" "nowhere.csv" --set model="$work/encoder" --set data="$work/nowhere.csv"
refuses "no such model" "nowhere" --set model="$work/nowhere" --set data="$work/reviews.csv"

broken() { rm -rf "$work/broken"; cp -r "$work/encoder" "$work/broken"; }
model_refused() { refuses "$1" "$2" --set model="$work/broken" --set data="$work/reviews.csv"; }
broken; head -c 5000 "$work/encoder/model.safetensors" > "$work/broken/model.safetensors"
model_refused "truncated checkpoint" "model.safetensors"
# A header of 2^63 - 1 bytes, and one whose offsets do not fit the shape (same length, so nothing else moves).
broken; printf '\377\377\377\377\377\377\377\177{}' > "$work/broken/model.safetensors"
model_refused "a header longer than its file" "its header would have 9223372036854775807 bytes"
broken; "$FTPIPE" lua tests/cli/spoil_weights.lua offsets "$work/encoder" "$work/broken"
model_refused "a header whose shapes do not fit" "data_offsets span"
broken; "$FTPIPE" lua tests/cli/spoil_weights.lua missing "$work/encoder" "$work/broken"
model_refused "a missing weight" "encoder.layer.1.output.dense.weight"
broken; "$FTPIPE" lua tests/cli/spoil_weights.lua misshapen "$work/encoder" "$work/broken"
model_refused "a weight of another shape" "encoder.layer.1.output.dense.weight is (64,32), expected (32,64)"
broken; sed 's/"model_type":"bert"/"model_type":"gpt9"/' "$work/encoder/config.json" > "$work/broken/config.json"
model_refused "unknown architecture" "model_type 'gpt9' is not supported"
broken; sed 's/"intermediate_size":64/"intermediate_size":65/' "$work/encoder/config.json" > "$work/broken/config.json"
model_refused "misshapen weights" "wrong shape: encoder.layer.0.intermediate.dense.weight is (64,32), expected (65,32)"
broken; sed 's/"num_hidden_layers":2/"num_hidden_layers":3/' "$work/encoder/config.json" > "$work/broken/config.json"
model_refused "missing weights" "missing: encoder.layer.2."

with "a learning rate that breaks stage two" "all parameters are finite, the largest value is 3." --set lr=1e30
with "a learning rate that breaks stage one" "the loss is not finite because parameter 'head." --set head_lr=1e30
echo x > "$work/file"
below_a_file() {   # also root cannot write there
    "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/reviews.csv" \
        --out "$1" > /dev/null 2> "$work/message"
    code=$?
    if [ $code -ne 0 ] && [ $code -lt 100 ] && grep -q "cannot make directory .*/file.*: Not a directory" "$work/message" &&
        [ "$(cat "$work/file")" = x ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED unwritable output:"; cat "$work/message"; fi
}
below_a_file "$work/file/out"
below_a_file "$work/file"

# A disk that fills up: files may not grow beyond 40 blocks, and the signal for it is ignored.
n=$((n + 1))
if (trap '' XFSZ; ulimit -f 40; "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" \
    --set data="$work/reviews.csv" --out "$work/full") > /dev/null 2> "$work/message" || [ -e "$work/full/metrics.json" ] ||
    [ -e "$work/full/model" ] || ! grep -q "cannot write .*File too large" "$work/message" ||
    [ -n "$(find "$work/full" -name '*.part*')" ]; then
    failed=$((failed + 1)); echo "FAILED full disk:"; cat "$work/message"
else passed=$((passed + 1)); fi
# With room again the same command goes on.
if "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/reviews.csv" --out "$work/full" \
    > /dev/null 2> "$work/message" && [ -e "$work/full/metrics.json" ]; then passed=$((passed + 1))
else failed=$((failed + 1)); echo "FAILED going on after a full disk:"; cat "$work/message"; fi

# Bad rows put aside: line, reason and row of each, and the run ends.
{
    printf 'text,label\nsuperb lamp,pos\n,neg\nb\377d,neg\nb\000d,neg\na,neg,extra\nno label,\n'
    tail -n +2 "$work/reviews.csv"
    printf '"never closed,neg\n'
} > "$work/mixed.csv"
"$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/mixed.csv" --set bad=quarantine \
    --set head_epochs=1 --set epochs=1 --out "$work/mixed" > /dev/null 2> "$work/message"
rejected() {   # rejected NAME REGEX
    if grep -q -- "$2" "$work/mixed/rejected.csv"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED quarantine, $1:"; cat "$work/message" "$work/mixed/rejected.csv"; fi
}
rejected "empty text" 'mixed.csv,3,.*the text is empty'
rejected "broken UTF-8" 'mixed.csv,4,.*not UTF-8.*"b\\xFFd,neg"'
rejected "NUL byte" 'mixed.csv,5,.*a NUL byte.*"b\\x00d,neg"'
rejected "wrong number of fields" 'mixed.csv,6,.*expected 2 fields, got 3","a,neg,extra"'
rejected "empty label" 'mixed.csv,7,.*the label is empty'
rejected "unterminated quote" 'mixed.csv,68,.*quote is never closed'
if [ -e "$work/mixed/metrics.json" ] && [ "$(wc -l < "$work/mixed/rejected.csv")" = 7 ]; then passed=$((passed + 1))
else failed=$((failed + 1)); echo "FAILED quarantine: the run goes on, with all other rows"; fi

pipeline() {   # pipeline NAME PHRASE: with p.lua
    "$FTPIPE" plan "$work/p.lua" > /dev/null 2> "$work/message"
    if [ $? -eq 2 ] && grep -qF -- "$2" "$work/message"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $1:"; cat "$work/message"; fi
}
echo 'local x = = 1' > "$work/p.lua"
pipeline "syntax error" "p.lua:1"
printf 'local ft = require "ftpipe"\nreturn foo\n' > "$work/p.lua"
pipeline "undefined variable" "p.lua:2: undefined variable 'foo'"
echo 'io.open("x")' > "$work/p.lua"
pipeline "no io" "undefined variable 'io'"
echo 'os.execute("x")' > "$work/p.lua"
pipeline "no os" "undefined variable 'os'"
echo 'require("os").exit(0)' > "$work/p.lua"
pipeline "no os through require" "no module 'os'"
echo 'string.dump(print)' > "$work/p.lua"
pipeline "no string.dump" "p.lua:1: attempt to call a nil value (field 'dump')"
echo '(""):dump()' > "$work/p.lua"
pipeline "no dump of a text" "p.lua:1: attempt to call a nil value (method 'dump')"
echo 'dofile("x")' > "$work/p.lua"
pipeline "no dofile" "undefined variable 'dofile'"
echo 'debug.getinfo(1)' > "$work/p.lua"
pipeline "no debug" "undefined variable 'debug'"
echo 'x = 1' > "$work/p.lua"
pipeline "assignment to a global" "p.lua:1: assignment to undeclared variable 'x'"
echo 'load("x")' > "$work/p.lua"
pipeline "no load" "undefined variable 'load'"
echo 'return require "ftpipe.core.fs"' > "$work/p.lua"
pipeline "no internal modules" "is internal"
printf 'local ft = require "ftpipe"\nft.read { form = "x" }\n' > "$work/p.lua"
pipeline "option of a step" "p.lua:2: read has no option 'form'; did you mean 'from'?"
printf 'local ft = require "ftpipe"\nft.raed { from = "x" }\n' > "$work/p.lua"
pipeline "misspelt step" "p.lua:2: ft.raed does not exist; did you mean ft.read?"
echo 'return 1' > "$work/p.lua"
pipeline "no pipeline" "must end with"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
