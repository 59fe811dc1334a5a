#!/bin/sh
# tests/cli/test_help.sh - help, plan, doctor and version: what they print, and that a mistake names the nearest command.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 60

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
run() { "$FTPIPE" "$@" > "$work/out" 2> "$work/message"; }
says() { grep -qF -- "$1" "$work/out"; }
code() { run "$@"; echo $?; }

check "help" run help
for command in run plan predict help lua doctor bench; do check "help names $command" says "$command"; done
check "help of a command" run help predict
check "names its options" says "--input"
check "--help is the same" sh -c "'$FTPIPE' predict --help | cmp -s - '$work/out'"
check "help of a pipeline" run help pipelines/sentiment.lua
for phrase in max_length "tokens of a row" "quarantine" "default"; do check "help of a pipeline says '$phrase'" says "$phrase"; done
check "help of another pipeline" run help pipelines/adapt.lua
check "says what is required" says "required"
check "version" run version
check "a version number" grep -Eq '[0-9]+\.[0-9]+' "$work/out"
check "no command is a usage error" test "$(code)" = 2
check "an unknown command" test "$(code pedict)" = 2
check "names the nearest" grep -qF "did you mean" "$work/message"
check "doctor" run doctor
for phrase in processor openblas kernels threads; do check "doctor tells $phrase" grep -qi "$phrase" "$work/out"; done

check "plan" run plan pipelines/sentiment.lua --set model="$work/encoder" --set data="$work/reviews.csv"
for step in read split pretrained tokenize replace_head head tuned evaluate; do check "plan names $step" says "  $step"; done
check "plan settles auto" says "auto = "
check "plan names the pipeline's lines" says "pipelines/sentiment.lua:"
check "a choice beside auto can be given" run plan pipelines/sentiment.lua --set model="$work/encoder" --set pool=mean \
    --set data="$work/reviews.csv"
check "and is taken" grep -q "pool  *mean" "$work/out"
check "plan writes nothing" test ! -e "$work/runs"
check "plan of a missing file" test "$(code plan "$work/nowhere.lua")" = 2

check "the bytes of a plan do not depend on locale and time zone" sh -c "
    LC_ALL=C TZ=UTC '$FTPIPE' plan pipelines/sentiment.lua --json --set model='$work/encoder' --set data='$work/reviews.csv' > '$work/a'
    LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo '$FTPIPE' plan pipelines/sentiment.lua --json --set model='$work/encoder' --set data='$work/reviews.csv' > '$work/b'
    cmp -s '$work/a' '$work/b'"
colours() { NO_COLOR=1 "$FTPIPE" run pipelines/sentiment.lua --set model="$work/encoder" --set data="$work/reviews.csv" --set epochs=1 \
    --set head_epochs=1 --out "$work/run" > "$work/out" 2>&1 && ! grep -q "$(printf '\033')" "$work/out"; }
check "no escape sequences where there is no terminal" colours
check "progress is in plain lines there" grep -q "^head: epoch 1/1" "$work/out"
check "the report ends the run" grep -qi "accuracy" "$work/out"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
