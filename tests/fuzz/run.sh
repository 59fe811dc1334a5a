#!/bin/sh
# tests/fuzz/run.sh - runs fuzz targets for FUZZ_SECONDS each, one after the other.
#
#   FUZZ_SECONDS=60 tests/fuzz/run.sh build/clang-fuzz/tests/fuzz/fuzz_csv...
#
# Seeds lie in tests/fuzz/corpus/NAME/, words that the format knows in tests/fuzz/NAME.dict. What
# a run adds to the corpus stays in build/fuzz/NAME/, and an input that fails beside it.
set -u
cd "$(dirname "$0")/../.." || exit 2
# where writing costs nothing, for targets with files
[ -w /dev/shm ] && export TMPDIR=/dev/shm
[ $# -gt 0 ] || { echo 'there is no such fuzz target (tests/fuzz/fuzz_NAME.c)'; exit 2; }
failed=0
for program; do
    name=${program##*/fuzz_}
    mkdir -p "build/fuzz/$name"
    set -- -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-"
    # a Lua state grows and shrinks as it likes; looking for leaks after each input would take all the time
    grep -qs '"host.h"' "tests/fuzz/fuzz_$name.c" && set -- "$@" -detect_leaks=0
    [ -e "tests/fuzz/$name.dict" ] && set -- "$@" -dict="tests/fuzz/$name.dict"
    set -- "$@" "build/fuzz/$name"
    [ -d "tests/fuzz/corpus/$name" ] && set -- "$@" "tests/fuzz/corpus/$name"
    if OMP_NUM_THREADS=1 "$program" "$@" > "build/fuzz/$name.log" 2>&1; then
        printf 'ok    %-16s %s runs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log")"
    else
        printf 'FAIL  %s\n' "$name"
        tail -n 30 "build/fuzz/$name.log" | sed 's/^/    | /'
        failed=$((failed + 1))
    fi
done
[ "$failed" = 0 ] || { echo "$failed fuzz targets failed; the inputs are in build/fuzz"; exit 1; }
