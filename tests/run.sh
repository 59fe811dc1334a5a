#!/bin/sh
# tests/run.sh - runs test programs, Lua tests and shell tests, and counts their cases.
#
#   FTPIPE=build/gcc/ftpipe tests/run.sh FILE...
#
# RUNNER is what runs programs of another architecture. Runs from the repository root, two at a time (TEST_JOBS), each with a fresh TMPDIR, HOME
# and XDG folders, and stopped after TEST_TIMEOUT seconds. One line per file; the output of
# those that fail in full; last "N passed, N failed". A file that crashes, or that reports
# no test case at all, counts as one failure: silence is not success.
set -u
cd "$(dirname "$0")/.." || exit 2

# launch FILE: run it the way its kind wants.
launch()
{
    case $1 in
    # shellcheck disable=SC2086
    *.lua) timeout -k 5 "${TEST_TIMEOUT:-300}" ${RUNNER:-} "$FTPIPE" lua "$1" ;;
    *.sh) timeout -k 5 "${TEST_TIMEOUT:-300}" sh "$1" ;;
    # shellcheck disable=SC2086
    *) timeout -k 5 "${TEST_TIMEOUT:-300}" ${RUNNER:-} "$1" ;;
    esac
}

# count: "passed failed" of a test's output; cmocka's summary lines, or "N passed, N failed" at the end of a line.
count()
{
    awk '
        /^\[  PASSED  \] [0-9]+ test\(s\)/ { passed += $4 }
        /^\[  FAILED  \] [0-9]+ test\(s\)/ { failed += $4 }
        /(^|: )[0-9]+ passed, [0-9]+ failed$/ { passed += $(NF - 3); failed += $(NF - 1) }
        END { print passed + 0, failed + 0 }' "$1"
}

# one FILE: run it, print its line, leave its counts in $RESULTS.
one()
{
    work=$(mktemp -d) || exit 1
    out=$work.out
    trap 'rm -rf "$work" "$out"' EXIT
    mkdir "$work/tmp" "$work/home"
    start=$(date +%s%N)
    (
        export TMPDIR="$work/tmp" HOME="$work/home"
        export XDG_CACHE_HOME="$HOME/.cache" XDG_DATA_HOME="$HOME/.local/share"
        export XDG_CONFIG_HOME="$HOME/.config" XDG_STATE_HOME="$HOME/.local/state"
        # LeakSanitizer crashes on the thread-local storage of a library that compiles at run time (oneDNN)
        export LSAN_OPTIONS="use_tls=0:suppressions=$PWD/tests/check/lsan.txt:print_suppressions=0"
        launch "$1"
    ) > "$out" 2>&1 < /dev/null
    status=$?
    ms=$((($(date +%s%N) - start) / 1000000))
    # shellcheck disable=SC2046
    set -- "$1" $(count "$out")
    passed=$2 failed=$3 why=
    case $status in
    0) [ $((passed + failed)) -gt 0 ] || { failed=1 why=' (ran no test)'; } ;;
    124 | 137) failed=$((failed + 1)) why=' (stopped: it ran too long)' ;;
    *) [ "$failed" -gt 0 ] && [ "$status" -lt 126 ] || { failed=$((failed + 1)) why=" (ended with status $status)"; } ;;
    esac
    echo "$passed $failed" >> "$RESULTS"
    name=tests/${1##*tests/}
    if [ "$failed" = 0 ]; then
        printf 'ok    %4d.%03d s  %4d  %s\n' $((ms / 1000)) $((ms % 1000)) "$passed" "$name"
    else
        # One write, so that the output of two failures does not interleave.
        printf '%s\n' "$(
            printf 'FAIL  %4d.%03d s  %4d  %s: %d failed%s\n' $((ms / 1000)) $((ms % 1000)) "$passed" "$name" "$failed" "$why"
            sed 's/^/    | /' "$out"
        )"
    fi
}

if [ "${1:-}" = --one ]; then
    one "$2"
    exit 0
fi

FTPIPE=$(realpath -m "${FTPIPE:-build/ftpipe}")
RESULTS=$(mktemp) || exit 1
trap 'rm -f "$RESULTS"' EXIT
export FTPIPE RESULTS CMOCKA_MESSAGE_OUTPUT=STDOUT
# Waiting threads sleep, so that programs side by side do not hold each other up.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}"
# What a user has set must not change what is tested; a test's own server is reached directly.
unset HF_HOME HF_HUB_CACHE HF_TOKEN HF_TOKEN_PATH HF_ENDPOINT HF_HUB_OFFLINE CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR \
    REQUESTS_CA_BUNDLE NETRC FTPIPE_OFFLINE CMOCKA_XML_FILE CMOCKA_TEST_ABORT LUA_PATH LUA_INIT
export NO_PROXY="${NO_PROXY:+$NO_PROXY,}localhost,127.0.0.0/8,127.0.0.1,127.0.0.2" no_proxy="${no_proxy:+$no_proxy,}localhost,127.0.0.0/8,127.0.0.1,127.0.0.2"

[ $# -eq 0 ] || printf '%s\0' "$@" | xargs -0 -n 1 -P "${TEST_JOBS:-2}" sh tests/run.sh --one
awk '{ passed += $1; failed += $2 }
     END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$RESULTS"
