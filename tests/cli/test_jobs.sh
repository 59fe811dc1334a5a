#!/bin/sh
# tests/cli/test_jobs.sh - steps side by side in processes of their own: the same bits, no orphans, failures that name the cause.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cp pipelines/sentiment.lua "$work"
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
begin() { # begin OUT [options]: become the job, with a store of its own
    out=$1; shift
    export FTPIPE_CACHE="$work/$out.store"
    exec "$FTPIPE" run sentiment.lua --quiet --set model=encoder --set data=reviews.csv --set head_epochs=2 --set epochs=12 --set lr=2e-3 \
        --set control=true --checkpoint 0 --out "$out" "$@"
}
job() { (begin "$@") > /dev/null 2> message; }
same() { for f in model/model.safetensors metrics.json predictions.csv; do cmp -s "whole/$f" "$1/$f" || return 1; done; }
updates() { sed 's/.*"stage":"\([a-z]*\)","step":\([0-9]*\),.*/\1 \2/' "$1/log.jsonl" | sort; }
# pids OUT [STEP]: the workers of that run here, or the one of that step, by the system's own table (a bare machine has no ps)
pids() {
    grep -lsF -e --worker /proc/[0-9]*/cmdline | while read -r file; do
        [ "$(readlink "${file%/cmdline}/cwd")" = "$(pwd -P)" ] || continue
        case " $(cat "$file" 2> /dev/null | tr '\0' ' ')" in
        *" --worker ${2:-}"*" --out $1 "*) file=${file#/proc/} && echo "${file%/cmdline}" ;;
        esac
    done
}
workers() { pids "$1" | wc -l; }
until_updates() { # until_updates OUT PID: wait until two workers have written to their logs
    while [ "$(cat "$1"/.run/control.log "$1"/.run/tuned.log 2> /dev/null | wc -l)" -lt 4 ] && kill -0 "$2" 2> /dev/null; do sleep 0.005; done
}

job whole
job two --jobs 2
check "two at a time end well" test $? -eq 0
check "with the same bits" same two
check "and the same log, in another order" test "$(updates two)" = "$(updates whole)"
check "nothing of the workers is left" test "$(ls -A two/.run)" = "lock
state.json"
job two --jobs 2
check "with nothing to do" test $? -eq 0

(begin killed --jobs 2 > /dev/null 2>&1) &
pid=$!
until_updates killed $pid
check "workers are at it" test "$(workers killed)" -ge 1
kill -KILL $pid
wait $pid 2> /dev/null
for k in 1 2 3 4 5 6 7 8 9 10; do [ "$(workers killed)" -eq 0 ] || sleep 0.05; done
check "workers die with the process that leads them" test "$(workers killed)" -eq 0
job killed --jobs 2
check "and the same command ends with the same bits" same killed
check "its log holds each update once" test "$(updates killed)" = "$(updates whole)"

(begin stopped --jobs 2 > /dev/null 2> message) &
pid=$!
until_updates stopped $pid
kill -INT $pid
wait $pid
check "Ctrl-C ends with 130" test $? -eq 130
check "and tells how to go on" grep -q "type the same command again" message
check "no worker is left" test "$(workers stopped)" -eq 0
job stopped
check "one at a time goes on with what two had begun" same stopped

(begin crashed --jobs 2 > /dev/null 2> message) &
pid=$!
while kill -0 $pid 2> /dev/null; do
    worker=$(pids crashed control | head -n 1)
    [ -z "$worker" ] || ! kill -KILL "$worker" 2> /dev/null || break
done
wait $pid
check "a worker that is killed ends the run with 1" test $? -eq 1
check "the step and its line are named" grep -q "^ftpipe: sentiment.lua:[0-9]*: the worker of step 'control' was killed by SIGKILL" message
check "with the command to go on" grep -q "hint: type the same command again to go on: ftpipe run sentiment.lua" message
check "no other worker is left" test "$(workers crashed)" -eq 0
job crashed --jobs 2
check "the same command ends with the same bits" same crashed

cat > fails.lua <<'END'
local ft = require "ftpipe"
local rows = ft.split { rows = ft.map { rows = ft.read { from = "reviews.csv" }, with = function(row) return row.label.x.y end } }
return ft.pipeline { name = "fails", outputs = { rows = rows } }
END
FTPIPE_CACHE=$work/fails.store "$FTPIPE" run fails.lua --jobs 2 --out fails > /dev/null 2> message
code=$?
check "a step that fails ends the run" test $code -eq 2
check "the cause comes last, with its line" sh -c "tail -n 1 message | grep -q 'fails.lua:2:.*attempt to index a nil value'"
job forced --jobs 2
job forced2 --jobs 2 --force
check "forced steps run once" same forced2
"$FTPIPE" help run > out
check "what is internal is not in the help" sh -c "! grep -q -- --worker out"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
