#!/bin/sh
# tests/bench/run.sh - speed of training and evaluation on this machine, as a table: make bench
set -eu

unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE || true
"$FTPIPE" doctor | grep -E '^(processor|kernels|threads|products)'
sh tests/bench/runner.sh
for args in '--shape minilm-l6 --lengths 128' '--shape minilm-l6 --lengths sst2' '--shape minilm-l6 --lengths 384 --batch 12' \
    '--shape bert-base --lengths 128 --updates 4'; do
    # shellcheck disable=SC2086
    "$FTPIPE" bench $args
done
"$FTPIPE" bench --profile
# shellcheck disable=SC2153
[ -z "${TOKENIZERS:-}" ] || sh tests/bench/tokenizers.sh "$TOKENIZERS" "${TEXT:?a text of one sentence a line}"
