#!/bin/sh
# tests/real/test_tokenizers.sh - ids, types and offsets of published tokenizers equal those of Hugging Face `tokenizers`, by
# recorded digests: whole texts and pairs, truncated, and in windows.
#
# DATA is a directory that holds tokenizers.tar.xz and sst2.tar.xz. With PYTHON (that has tokenizers 0.23.3), TEXTS (files of
# one sentence a line) and random strings are compared as well: tests/record/compare_tokenizers.py.
set -eu

passed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xf "$DATA/sst2.tar.xz" -C "$work"
tar -xf "$DATA/tokenizers.tar.xz" -C "$work"
sst2=$(find "$work" -name stsa.binary.train)
naughty=$(find "$work" -name blns.txt)
folder() { find "$work" -type d -name "$1"; }

# same FOLDER NAME-OF-THE-RECORD
same()
{
    for text in sst2 naughty; do
        [ $text = sst2 ] && file=$sst2 || file=$naughty
        "$PROGRAMS/text/real_tokenizer" "$(folder "$1")" "$file" "tests/fixtures/tokenizer/real/$2.$text.txt" > /dev/null
        passed=$((passed + 1))
        echo "ok: $1 on $text"
    done
}
same bert-base-uncased lower
same roberta-base roberta
same gpt2 gpt2
same t5-small t5
same phi-3-mini phi3
cp tests/fixtures/tokenizer/cased/tokenizer_config.json "$(folder bert-base-cased)"
same bert-base-cased cased

if [ -n "${PYTHON:-}" ]; then
    rm "$(folder bert-base-cased)/tokenizer_config.json"
    # shellcheck disable=SC2086
    "$PYTHON" tests/record/compare_tokenizers.py "$PROGRAMS/text/real_tokenizer" "$(dirname "$(folder gpt2)")" "$work" "$naughty" \
        ${TEXTS:-} random
    passed=$((passed + 1))
fi
echo "$passed passed, 0 failed"
