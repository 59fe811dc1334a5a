# tests/faults/lib.sh - the small job that the tests of kills and failing calls run, sourced by them.
# shellcheck shell=sh disable=SC2034

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }

"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O1 -shared -fPIC -o "$work/faults.so" tests/faults/faults.c -ldl || exit 1
"$FTPIPE" lua tests/demo/make.lua "$work" 80
export GOMP_SPINCOUNT=5000      # set, so that the program does not start itself again
export OMP_NUM_THREADS=1

# job OUT: the whole job, with a store of its own beside OUT
job() {
    FTPIPE_CACHE="${store:-$1.store}" "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" \
        --set data="$work/reviews.csv" --set head_epochs=1 --set epochs=1 --set lr=2e-3 --checkpoint "${interval:-3600}" --out "$1" \
        > /dev/null 2> "$work/message"
}
same() { # same OUT: its results have the bits of the undisturbed job's
    for f in model/model.safetensors model/config.json predictions.csv metrics.json report.txt; do
        cmp -s "$work/whole/$f" "$1/$f" || return 1
    done
}
whole_or_absent() { # nothing partial at a final path: results, and entries of the store
    { [ ! -e "$1/metrics.json" ] || same "$1"; } || return 1
    for entry in "$1".store/steps/*/*; do
        [ ! -e "$entry" ] || grep -q '^{.*}$' "$entry/record.json" || return 1
    done
}
clean() { [ -z "$(find "$1" "$1.store" -name '*.part*')" ] && [ -z "$(ls -A "$1.store/staging")" ]; }
healthy() { FTPIPE_CACHE="$1" "$FTPIPE" cache verify > /dev/null; }

job "$work/whole"
# faulty VARIABLE=VALUE... -- OUT: the job with such a fault, in whichever of its processes
faulty() {
    rm -f "$work/count"
    (
        export LD_PRELOAD="$work/faults.so" FAULT_COUNT="$work/count"
        while [ "$1" != -- ]; do export "${1?}"; shift; done
        shift
        job "$1"
    )
}
faulty -- "$work/counted"
calls=$(od -A n -t d8 -N 8 "$work/count" | tr -d ' ')

# at_call N: what must hold when the process is killed in call N, and when that call fails for lack of space
at_call() {
    out=$work/at$1
    faulty FAULT_AT="$1" -- "$out"
    check "killed in call $1: nothing partial" whole_or_absent "$out"
    job "$out"
    check "killed in call $1: the same command ends with the same bits" same "$out"
    check "killed in call $1: nothing is left over" clean "$out"
    check "killed in call $1: the store is whole" healthy "$out.store"
    rm -rf "$out" "$out.store"
}
no_space() {
    out=$work/full$1
    faulty FAULT_AT="$1" FAULT_ERROR=28 -- "$out"
    code=$?
    check "no space in call $1: an error or the right results" sh -c "[ $code -ne 0 ] && [ $code -lt 126 ] || [ -s '$out/metrics.json' ]"
    check "no space in call $1: nothing partial" whole_or_absent "$out"
    job "$out"
    check "no space in call $1: the same command ends with the same bits" same "$out"
    check "no space in call $1: the store is whole" healthy "$out.store"
    rm -rf "$out" "$out.store"
}
