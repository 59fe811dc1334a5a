#!/bin/sh
# tests/cli/test_predict.sh - ftpipe predict: texts, files of every format, pipes, and what it says to bad input.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 160
"$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/reviews.csv" --set head_epochs=2 \
    --set epochs=2 --out "$work/run" > /dev/null 2>&1
model=$work/run/model

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
ask() { "$FTPIPE" predict "$model" --quiet "$@" > "$work/out" 2> "$work/message"; }
says() { grep -qF -- "$1" "$work/out"; }
rows() { test "$(wc -l < "${2:-$work/out}")" -eq "$1"; }

# ---- Texts ----

check "texts" ask "superb kettle" "dreadful, it broke"
check "a line for each text below the heading" rows 3
check "the text is shown" says "dreadful, it broke"
check "texts as JSON" ask --json "superb kettle" "dreadful"
check "one object a line" rows 2
check "the keys" sh -c "grep -q '\"label\":' '$work/out' && grep -q '\"score\":' '$work/out' && grep -q '\"probabilities\":{' '$work/out'"
check "no texts is a usage error" test "$(ask; echo $?)" = 2
check "a text that is not UTF-8" test "$(ask "$(printf 'b\377d')"; echo $?)" = 2

# ---- Files ----

printf 'id,text,stars\n7,"superb, really",5\n8,"broke\nat once",1\n' > "$work/in.csv"
check "CSV" ask --input "$work/in.csv"
check "its columns are kept and the new ones follow" sh -c "head -1 '$work/out' | grep -q '^id,text,stars,label,score,prob_'"
check "quoted line breaks survive" says 'at once",1,'
printf 'id\ttext\n7\tsuperb\n8\tbroke\n' > "$work/in.tsv"
check "TSV" ask --input "$work/in.tsv"
check "tabs stay tabs" sh -c "head -1 '$work/out' | grep -q 'id	text	label	score'"
printf '{"id":7,"text":"superb","more":[1,2]}\n{"id":8,"text":"broke"}\n' > "$work/in.jsonl"
check "JSON Lines" ask --input "$work/in.jsonl"
check "other keys are kept" says '"more":[1,2]'
check "an object for each" rows 2
printf 'superb\nbroke\n' > "$work/in.txt"
check "lines of text" ask --input "$work/in.txt"
check "become CSV" rows 3
from_pipe() { printf 'superb\nbroke\n' | ask --input - "$@"; }
check "standard input" from_pipe
check "answers the lines" rows 3
check "standard input of JSON" sh -c "cat '$work/in.jsonl' | '$FTPIPE' predict '$model' --quiet --input - > '$work/out'"
check "is answered in JSON" says '"probabilities":{'
check "another column" sh -c "printf 'review\nsuperb\n' > '$work/other.csv'; '$FTPIPE' predict '$model' --quiet --input '$work/other.csv' --text review > '$work/out'"
check "by --text" rows 2

awk 'BEGIN { print "n,text"; for (i = 1; i <= 500; i++) { printf "%d,", i; for (k = 0; k < (i * 7) % 23; k++) printf "fine "; print "thing" } }' \
    > "$work/many.csv"
check "rows of many lengths" ask --input "$work/many.csv" --batch-rows 64 --output "$work/many.out.csv"
check "all of them" rows 501 "$work/many.out.csv"
check "in the order of the input" sh -c "cut -d, -f1,2 '$work/many.out.csv' | cmp -s - '$work/many.csv'"
check "the same on one thread" ask --threads 1 --input "$work/many.csv" --batch-rows 64 --output "$work/one.csv"
check "with the same bits" cmp -s "$work/one.csv" "$work/many.out.csv"
check "memory does not grow with the rows" "$FTPIPE" lua tests/cli/predict_memory.lua "$model" "$work"
closed_pipe() { "$FTPIPE" predict "$model" --quiet --input "$work/rows40000.txt" 2> "$work/message" | head -1 > "$work/out"; }
closed_pipe
check "a reader that goes away is no crash" test ! -s "$work/message" -o "$(grep -c -i 'segmentation\|traceback' "$work/message")" = 0
check "and got its line" rows 1

# ---- Mistakes: exit 2 or 1, the phrase, and no output file ----

refuses() { # refuses NAME PHRASE MODEL [options]
    name=$1 phrase=$2 at=$3
    shift 3
    rm -f "$work/never.csv"
    "$FTPIPE" predict "$at" --quiet "$@" > "$work/out" 2> "$work/message"
    code=$?
    if { [ $code -eq 1 ] || [ $code -eq 2 ]; } && grep -qF -- "$phrase" "$work/message" && [ ! -e "$work/never.csv" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name (exit $code):"
        cat "$work/message"
    fi
}
file() { name=$1 phrase=$2; refuses "$name" "$phrase" "$model" --input "$work/$3" --output "$work/never.csv"; }

refuses "no such model" "there is no directory" "$work/nowhere" x
mkdir "$work/empty"
refuses "a directory that is no model" "config.json" "$work/empty" x
refuses "an encoder without a head" "encoder without a tuned head" "$work/encoder" x
refuses "no such input" "nowhere.csv" "$model" --input "$work/nowhere.csv" --output "$work/never.csv"
refuses "texts and a file" "not both" "$model" x --input "$work/in.csv"
refuses "unknown option" "did you mean --input?" "$model" --inputt "$work/in.csv"
printf 'id,txt\n7,superb\n' > "$work/bad.csv"
file "missing column" 'did you mean "txt"?' bad.csv
printf 'text\nfine\nb\377d\n' > "$work/bad.csv"
file "broken UTF-8" "bad.csv:3: not UTF-8: byte 0xFF" bad.csv
printf 'text\nfine\nb\000d\n' > "$work/bad.csv"
file "NUL byte" "bad.csv:3: a NUL byte" bad.csv
printf 'text\nfine\n"never closed\nmore\n' > "$work/bad.csv"
file "unterminated quote" "bad.csv:3: quote is never closed" bad.csv
printf '{"text":"fine"}\n{"text":\n' > "$work/bad.jsonl"
file "unclosed JSON" "bad.jsonl:2" bad.jsonl
: > "$work/file"
refuses "an output below a file" "file" "$model" --input "$work/in.csv" --output "$work/file/never.csv"
spoilt() { # spoilt NAME PHRASE COMMANDS: with a copy of the model in which the commands were run
    rm -rf "$work/spoilt"; cp -r "$model" "$work/spoilt"
    (cd "$work/spoilt" && sh -c "$3")
    refuses "$1" "$2" "$work/spoilt" x
}
spoilt "truncated weights" "model.safetensors" 'head -c 1000 model.safetensors > t; mv t model.safetensors'
spoilt "a header longer than the file" "model.safetensors" 'printf "\377\377\377\377\377\377\377\177" | dd of=model.safetensors conv=notrunc status=none'
spoilt "a type that does not fit its bytes" "model.safetensors" 'sed "s/\"F32\"/\"F64\"/" model.safetensors > t; mv t model.safetensors'
spoilt "no weights" "model.safetensors" 'rm model.safetensors'
spoilt "broken config.json" "config.json" 'echo "{" > config.json'

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
