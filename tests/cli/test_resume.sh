#!/bin/sh
# tests/cli/test_resume.sh - an interrupted run goes on by the same command and ends with the same bits.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 240

check() {      # check NAME COMMAND...: one test
    name=$1; shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi
}
begin() {      # begin OUT [options]: become the whole job, with a checkpoint after each update
    out=$1; shift
    # a store of its own, so that nothing is taken over from the job that it is compared with
    export FTPIPE_CACHE="$out.cache"
    exec "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/reviews.csv" \
        --set head_epochs=3 --set epochs=3 --set lr=2e-3 --checkpoint 0 --out "$out" "$@"
}
job() { (begin "$@"); }
lines() { if [ -f "$1" ]; then wc -l < "$1"; else echo 0; fi; }
kill_after() { # kill_after OUT LINES SIGNAL [options]: end the job when its log has that many lines; gives its exit code
    at_out=$1 at_lines=$2 signal=$3
    shift 3
    for try in 1 2 3 4 5; do   # a busy machine may look at the log too late: the job is over, and begins again
        begin "$at_out" "$@" 2> "$work/message" > /dev/null &
        pid=$!
        while [ "$(lines "$at_out/log.jsonl")" -lt "$at_lines" ] && kill -0 $pid 2>/dev/null; do sleep 0.005; done
        kill "-$signal" $pid 2>/dev/null
        wait $pid
        code=$?
        [ $code -eq 0 ] && [ $try -lt 5 ] || return $code
        rm -rf "$at_out" "$at_out.cache"
    done
}
same() { cmp -s "$work/whole/model/model.safetensors" "$1/model/model.safetensors" &&
    cmp -s "$work/whole/predictions.csv" "$1/predictions.csv" && cmp -s "$work/whole/metrics.json" "$1/metrics.json" &&
    [ "$(lines "$work/whole/log.jsonl")" = "$(lines "$1/log.jsonl")" ]; }
no_parts() { [ -z "$(find "$1" -name '*.part*')" ]; }

job "$work/whole" > /dev/null
for at in 1 7 20 26 40 50; do
    kill_after "$work/killed$at" $at KILL
    check "killed at line $at: no finished result" test ! -e "$work/killed$at/metrics.json"
    job "$work/killed$at" > /dev/null 2>&1
    check "killed at line $at: same bits after going on" same "$work/killed$at"
    check "killed at line $at: no partial file left" no_parts "$work/killed$at"
done

# Killed while the scores are computed and the results written: what stands at a final path is whole.
last=$(lines "$work/whole/log.jsonl")
whole_or_absent() { [ ! -e "$1/metrics.json" ] || same "$1"; }
for pause in 0 0.02 0.05 0.08 0.11 0.14; do
    begin "$work/late$pause" > /dev/null 2>&1 &
    pid=$!
    while [ "$(lines "$work/late$pause/log.jsonl")" -lt "$last" ] && kill -0 $pid 2> /dev/null; do sleep 0.005; done
    sleep $pause
    kill -KILL $pid 2> /dev/null
    wait $pid 2> /dev/null
    check "killed $pause s after the last update: results are whole or absent" whole_or_absent "$work/late$pause"
    job "$work/late$pause" > /dev/null 2>&1
    check "killed $pause s after the last update: same bits after going on" same "$work/late$pause"
done

# Two at once: the second is refused, and the first is not disturbed.
begin "$work/busy" > /dev/null 2>&1 &
pid=$!
while [ "$(lines "$work/busy/log.jsonl")" -lt 3 ] && kill -0 $pid 2> /dev/null; do sleep 0.005; done
kill -STOP $pid
job "$work/busy" > /dev/null 2> "$work/message"
check "a second process ends with the exit code of locks" test $? -eq 3
check "a second process is refused" grep -q "another ftpipe is working in" "$work/message"
kill -CONT $pid
wait $pid
check "and the first ends as if alone" same "$work/busy"

kill_after "$work/stopped" 30 INT
code=$?
check "Ctrl-C ends with 130" test $code -eq 130
check "Ctrl-C names the command to go on" grep -q "same command again" "$work/message"
job "$work/stopped" > /dev/null 2>&1
check "Ctrl-C: same bits after going on" same "$work/stopped"

for n in 1 2 3; do
    job "$work/threads$n" --threads $n > /dev/null
    check "same bits on $n threads" same "$work/threads$n"
done
job "$work/seed" --seed 2 > /dev/null
check "another seed gives other bits" test ! "$(cksum < "$work/seed/model/model.safetensors")" = "$(cksum < "$work/whole/model/model.safetensors")"

# No checkpoint yet: it begins again, and the log with it.
kill_after "$work/early" 1 KILL --checkpoint 3600
check "killed before the first checkpoint: there was none" test ! -e "$work/early/.run/head/checkpoint.safetensors"
job "$work/early" > /dev/null 2>&1
check "killed before the first checkpoint: same bits after going on" same "$work/early"
unique() { [ -z "$(sed 's/.*"stage":"\([a-z]*\)","step":\([0-9]*\),.*/\1 \2/' "$1" | sort | uniq -d)" ]; }
check "no update is twice in the log" unique "$work/early/log.jsonl"
check "no update is twice in the log of a run killed in stage two" unique "$work/killed40/log.jsonl"
mkdir -p "$work/bare/.run" && : > "$work/bare/.run/lock"
job "$work/bare" > /dev/null 2>&1
check "killed before it could say what it is: begins anew" same "$work/bare"

# Killed in stage one and in stage two by the other library: neither a checkpoint nor a finished step is taken over.
if "$FTPIPE" doctor 2> /dev/null | grep -q '^onednn .*its results are right'; then
    for at in 7 30; do
        kill_after "$work/library$at" $at KILL --blas openblas
        job "$work/library$at" --blas onednn > /dev/null 2> "$work/message"
        check "killed at line $at: another library is refused" test $? -eq 2
        check "killed at line $at: with a hint" grep -q -- "--blas" "$work/message"
        rm -f "$work/library$at/.run/tuned/checkpoint.safetensors"
        job "$work/library$at" --blas onednn > /dev/null 2>&1
        check "killed at line $at: also between two checkpoints" test $? -eq 2
    done
else
    echo "skipped: resuming with another library (there is only one)"
fi

refused() { "$@" > /dev/null 2> "$work/message"; test $? -eq 2; }
digest() { (cd "$1" && find . -type f ! -name lock | sort | xargs cksum); }
before=$(digest "$work/whole")
check "a finished run is not run again" test "$(job "$work/whole")" = "$work/whole"
check "a finished run of another plan is not overwritten" refused job "$work/whole" --set batch=8
check "and it is as it was" test "$(digest "$work/whole")" = "$before"
mkdir "$work/foreign" && echo x > "$work/foreign/file"
check "a foreign directory is not touched" refused job "$work/foreign"
kill_after "$work/other" 5 KILL
before=$(digest "$work/other")
check "an unfinished run of another plan is not overwritten" refused job "$work/other" --set batch=8
check "and that is as it was" test "$(digest "$work/other")" = "$before"

cd "$work" || exit 1
root=$OLDPWD
begin_here() {
    exec "$FTPIPE" run "$root/pipelines/sentiment.lua" --quiet --set model=encoder --set data=reviews.csv --set head_epochs=1 \
        --set epochs=3 --checkpoint 0 "$@"
}
here() { (begin_here "$@"); }
begin_here > /dev/null 2>&1 &
pid=$!
while [ "$(lines runs/sentiment/1/log.jsonl)" -lt 8 ] && kill -0 $pid 2> /dev/null; do sleep 0.005; done
kill -KILL $pid 2> /dev/null
wait $pid
check "the first run is killed" test ! -e runs/sentiment/1/metrics.json
check "an unfinished run does not become latest" test ! -e runs/sentiment/latest
check "the same command goes on with runs/sentiment/1" test "$(here 2> /dev/null)" = runs/sentiment/1
check "the same command again names that run" test "$(here 2> /dev/null)" = runs/sentiment/1
check "and makes no other" test ! -e runs/sentiment/2
check "another plan is runs/sentiment/2" test "$(here --set lr=1e-3 2> /dev/null)" = runs/sentiment/2
check "latest links to the newest" test "$(readlink runs/sentiment/latest)" = 2
rm -rf runs/sentiment/1
check "what a deleted run left is in the store" test "$(here 2> /dev/null)" = runs/sentiment/3
check "with nothing to train" test ! -s runs/sentiment/3/log.jsonl
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
