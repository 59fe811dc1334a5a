# tests/net/fetch_lib.sh - what the scripts fetch*.sh share: a scratch folder, a tiny encoder and reviews in it, and checks.
# shellcheck shell=sh disable=SC2034
set -u
export GOMP_SPINCOUNT=5000 OMP_NUM_THREADS=1

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store" HF_HOME="$work/hf" HF_ENDPOINT="$SERVER" HF_TOKEN=secret

check() { # check NAME COMMAND...: it succeeds
    name=$1
    shift
    if "$@" > "$work/out" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/out"; fi
}
ends() { # ends NAME CODE PHRASE COMMAND...: it ends so and says the phrase
    name=$1 code=$2 phrase=$3
    shift 3
    "$@" > "$work/said" 2>&1
    is=$?
    if [ $is -eq "$code" ] && grep -qF -- "$phrase" "$work/said"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name ($is):"; cat "$work/said"; fi
}
within() { # within SECONDS COMMAND...: it succeeds sooner or later
    tries=$(($1 * 20))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}
job() { # job COMMAND OPTIONS...
    command=$1
    shift
    "$FTPIPE" "$command" pipelines/sentiment.lua --set head_epochs=1 --set epochs=1 --set lr=1e-3 "$@"
}
run() { job run --quiet "$@"; }

"$FTPIPE" lua tests/demo/make.lua "$work" 60 || exit 1
