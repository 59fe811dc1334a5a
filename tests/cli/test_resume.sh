#!/bin/sh
# tests/cli/test_resume.sh - an interrupted run goes on by the same command and ends with the same bits.
set -u

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
    exec "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/reviews.csv" \
        --set head_epochs=3 --set epochs=3 --set lr=2e-3 --checkpoint 0 --out "$out" "$@"
}
job() { (begin "$@"); }
lines() { if [ -f "$1" ]; then wc -l < "$1"; else echo 0; fi; }
kill_after() { # kill_after OUT LINES SIGNAL: end the job when its log has that many lines; gives its exit code
    begin "$1" 2> "$work/message" > /dev/null &
    pid=$!
    while [ "$(lines "$1/log.jsonl")" -lt "$2" ] && kill -0 $pid 2>/dev/null; do sleep 0.005; done
    kill "-$3" $pid 2>/dev/null
    wait $pid
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

kill_after "$work/stopped" 30 INT
code=$?
check "Ctrl-C ends with 130" test $code -eq 130
check "Ctrl-C names the command to go on" grep -q "same command again" "$work/message"
job "$work/stopped" > /dev/null 2>&1
check "Ctrl-C: same bits after going on" same "$work/stopped"

for n in 1 3; do
    job "$work/threads$n" --threads $n > /dev/null
    check "same bits on $n threads" same "$work/threads$n"
done
job "$work/seed" --seed 2 > /dev/null
check "another seed gives other bits" test ! "$(cksum < "$work/seed/model/model.safetensors")" = "$(cksum < "$work/whole/model/model.safetensors")"

refused() { "$@" > /dev/null 2> "$work/message"; test $? -eq 2; }
check "a finished run is not overwritten" refused job "$work/whole"
mkdir "$work/foreign" && echo x > "$work/foreign/file"
check "a foreign directory is not touched" refused job "$work/foreign"
kill_after "$work/other" 5 KILL
check "an unfinished run of another plan is not overwritten" refused job "$work/other" --set batch=8

cd "$work" || exit 1
root=$OLDPWD
here() { "$FTPIPE" run "$root/pipelines/sentiment.lua" --quiet --set model=encoder --set data=reviews.csv --set head_epochs=1 --set epochs=1; }
check "the first run is runs/sentiment/1" test "$(here 2> /dev/null)" = runs/sentiment/1
check "the next one is runs/sentiment/2" test "$(here 2> /dev/null)" = runs/sentiment/2
check "latest links to the newest" test "$(readlink runs/sentiment/latest)" = 2
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
