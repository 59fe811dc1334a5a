#!/bin/sh
# tests/slow/test_kills.sh - the main job killed at 200 random instants, up to three times in a run: always the same bits.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 240
begin() {
    export FTPIPE_CACHE="$1.cache"
    exec "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/reviews.csv" \
        --set head_epochs=3 --set epochs=3 --set lr=2e-3 --checkpoint 0 --out "$1" > /dev/null 2> "$work/message"
}
same() { cmp -s "$work/whole/model/model.safetensors" "$1/model/model.safetensors" &&
    cmp -s "$work/whole/predictions.csv" "$1/predictions.csv" && cmp -s "$work/whole/metrics.json" "$1/metrics.json" &&
    [ -z "$(find "$1" -name '*.part*')" ]; }

over() { grep -q '"done":true' "$1/.run/state.json" 2> /dev/null; }
# orphans OUT: processes of that run that are still there, some time after the one that led them was killed
orphans() {
    echo "$1.cache" > "$work/place"      # in a file, so that the search does not find itself
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        grep -lsF -f "$work/place" /proc/[0-9]*/environ > "$work/orphans" || return 1
        sleep 0.05
    done
}

start=$(date +%s%N)
(begin "$work/whole")
took=$((($(date +%s%N) - start) / 1000000))
kills=0 n=0
while [ $kills -lt 200 ]; do
    n=$((n + 1)) out=$work/run$n
    for again in $(seq $((n % 3 + 1))); do
        (begin "$out") &
        pid=$!
        # any instant of the job: a linear congruence of the run's number spreads them evenly
        ms=$(((n * 7919 + again * 104729) % took))
        sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
        kill -KILL $pid 2> /dev/null
        wait $pid 2> /dev/null
        if [ $? -eq 137 ]; then kills=$((kills + 1)); fi
        if orphans "$out"; then failed=$((failed + 1)); echo "FAILED run $n: a process is left over"; fi
        ! over "$out" || break
    done
    over "$out" || (begin "$out")
    if same "$out"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED run $n:"; cat "$work/message"
        find "$out" -type f | sed "s|.*/run|run|" | tr "\n" " "; for x in model/model.safetensors predictions.csv metrics.json log.jsonl; do cmp "$work/whole/$x" "$out/$x"; done; fi
    rm -rf "$out" "$out.cache"
done
echo "$kills kills"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
