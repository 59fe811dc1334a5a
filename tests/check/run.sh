#!/bin/sh
# tests/check/run.sh - everything `make check` looks at, one line per check.
#
#   HOT_FLAGS='compiler flags of the widest kernels' tests/check/run.sh
#
# Each check is a script that takes the folder to look at, prints what is wrong and what to
# do, and fails; selftest.sh shows on faulty copies that each of them can.
set -u
cd "$(dirname "$0")/../.." || exit 2
out=$(mktemp) || exit 2
trap 'rm -f "$out"' EXIT
failed=0
for check in format lint floors calls tree hot selftest; do
    if sh "tests/check/$check.sh" . > "$out" 2>&1; then
        printf 'ok    %-9s %s\n' "$check" "$(tail -n 1 "$out")"
    else
        printf 'FAIL  %s\n' "$check"
        sed 's/^/    /' "$out"
        failed=$((failed + 1))
    fi
done
[ "$failed" = 0 ] || { echo "$failed checks failed"; exit 1; }
