#!/bin/sh
# tests/cli/test_long_texts.sh - rows longer than the encoder reads: head, head and tail, windows; what is said of them; a resume.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 60 || exit 1
"$FTPIPE" lua tests/demo/long.lua "$work/long.csv" || exit 1

# check NAME COMMAND...: it succeeds
check() {
    name=$1
    shift
    if "$@" > "$work/said" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
run() {
    "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/long.csv" --set max_length=32 \
        --set pool=mean --set head_epochs=1 --set lr=3e-3 --set epochs=4 "$@"
}

check "the head alone" run --out "$work/head"
check "head and tail" run --set long=head+tail --out "$work/both"
check "windows" run --set long=windows --out "$work/windows"
check "the tail tells more" "$FTPIPE" lua tests/cli/beats.lua "$work/both/metrics.json" "$work/head/metrics.json" accuracy 0.2
check "windows tell more" "$FTPIPE" lua tests/cli/beats.lua "$work/windows/metrics.json" "$work/head/metrics.json" accuracy 0.2
check "the card: cut" grep -q 'cut at 32 tokens  *100.0 %' "$work/head/report.txt"
check "the card: head and tail" grep -q 'head and tail, 32 tokens  *100.0 %' "$work/both/report.txt"
check "the card: windows" grep -q 'windows of 32 tokens  *100.0 %' "$work/windows/report.txt"
check "the verdict: cut" grep -q 'rows were cut at 32 tokens' "$work/head/report.txt"
check "the verdict: the middle" sh -c "tr -s ' \n' ' ' < '$work/both/report.txt' | grep -q 'between their head and their tail is never read'"
check "the verdict: windows" sh -c "! grep -q 'were cut' '$work/windows/report.txt'"
check "predict reads windows too" "$FTPIPE" predict "$work/windows" --input "$work/long.csv" --output "$work/all.csv"
check "and cuts nothing" sh -c "! grep -q 'were cut' '$work/said'"
for form in head both windows; do
    sed 's/^[^,]*,//; s/,[^,]*,[^,]*,[^,]*$//' "$work/$form/predictions.csv" > "$work/texts.csv"
    "$FTPIPE" predict "$work/$form" --quiet --input "$work/texts.csv" --json > "$work/said.jsonl"
    check "predict repeats the run's predictions ($form)" "$FTPIPE" lua tests/cli/same_predictions.lua "$work/$form/predictions.csv" \
        "$work/said.jsonl"
done
"$FTPIPE" predict "$work/head" --input "$work/long.csv" --output "$work/all.csv" 2> "$work/message"
check "a head says what it cuts" grep -q '240 of 240 texts are longer than 32 tokens and were cut' "$work/message"

# ---- an interrupted run goes on ----

begin() { FTPIPE_CACHE="$1.cache" exec "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/long.csv" \
    --set max_length=32 --set long=windows --set head_epochs=2 --set lr=1e-3 --set epochs=2 --checkpoint 0 --out "$1"; }
(begin "$work/whole") > /dev/null 2>&1
begin "$work/killed" > /dev/null 2>&1 &
pid=$!
while [ "$(cat "$work/killed/log.jsonl" 2> /dev/null | wc -l)" -lt 18 ] && kill -0 $pid 2> /dev/null; do sleep 0.005; done
kill -9 $pid 2> /dev/null
wait $pid 2> /dev/null
check "killed: nothing is finished" test ! -e "$work/killed/metrics.json"
(begin "$work/killed") > /dev/null 2>&1
check "gone on: the same weights" cmp "$work/whole/model/model.safetensors" "$work/killed/model/model.safetensors"
check "and the same scores" cmp "$work/whole/metrics.json" "$work/killed/metrics.json"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
