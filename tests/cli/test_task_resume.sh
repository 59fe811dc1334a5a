#!/bin/sh
# tests/cli/test_task_resume.sh - questions, several labels and numbers: a run that was killed in either stage or the control ends with
# the same bits. (Labels: test_resume.sh; entities: test_ner.sh; windows of long texts: test_long_texts.sh.)
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 60 || exit 1
"$FTPIPE" lua tests/demo/topics.lua "$work" || exit 1
"$FTPIPE" lua tests/demo/pairs.lua "$work/pairs.csv" || exit 1
"$FTPIPE" lua tests/demo/questions.lua "$work/reader" || exit 1

check() {   # check NAME COMMAND...: it succeeds
    name=$1
    shift
    if "$@" > "$work/said" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
begin() { out=$1; shift; FTPIPE_CACHE="$out.cache" exec "$FTPIPE" run --quiet --checkpoint 0 --out "$out" "$@"; }

# interrupted NAME UPDATES ARGUMENTS...: killed twice, after so many updates in all and after three times as many
interrupted() {
    task=$1 updates=$2
    shift 2
    (begin "$work/$task" "$@") > "$work/said" 2>&1
    for after in "$updates" $((3 * updates)); do
        begin "$work/$task.killed" "$@" > /dev/null 2>&1 &
        pid=$!
        while [ "$(cat "$work/$task.killed/log.jsonl" 2> /dev/null | wc -l)" -lt "$after" ] && kill -0 $pid 2> /dev/null; do sleep 0.005; done
        kill -9 $pid 2> /dev/null
        wait $pid 2> /dev/null
        check "$task: killed" test ! -e "$work/$task.killed/metrics.json"
    done
    (begin "$work/$task.killed" "$@") > "$work/said" 2>&1
    for file in model/model.safetensors model/ftpipe.json metrics.json predictions.csv; do
        check "$task: the same $file" cmp "$work/$task/$file" "$work/$task.killed/$file"
    done
    check "$task: each update once" test "$(wc -l < "$work/$task/log.jsonl")" = "$(wc -l < "$work/$task.killed/log.jsonl")"
}
stages="--set head_epochs=2 --set epochs=2 --set lr=1e-3 --set control=true"
# shellcheck disable=SC2086
interrupted several 15 pipelines/multilabel.lua --set model="$work/encoder" --set data="$work/topics.csv" --set thresholds=each $stages
# shellcheck disable=SC2086
interrupted numbers 15 pipelines/similarity.lua --set model="$work/encoder" --set data="$work/pairs.csv" --set text=premise \
    --set pair=hypothesis $stages
q=pipelines/builtin/questions
# shellcheck disable=SC2086
interrupted questions 15 pipelines/qa.lua --set model="$work/reader" --set data=$q/test.json --set max_length=96 --set batch=8 $stages
echo "$passed passed, $failed failed"
[ $failed = 0 ]
