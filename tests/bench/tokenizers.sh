#!/bin/sh
# tests/bench/tokenizers.sh TOKENIZERS TEXT - MB/s of each tokenizer of a folder of folders on a text of one sentence a line.
#
# With PYTHON (that has tokenizers), its speed on one thread beside ours.
set -eu

for folder in "$1"/*/; do
    name=$(basename "$folder")
    printf '%-20s' "$name"
    ours=$("$PROGRAMS/text/bench_tokenizer" "$folder" "$2")
    theirs=
    [ -z "${PYTHON:-}" ] || theirs=$("$PYTHON" "$(dirname "$0")/tokenizers_reference.py" "$folder" "$2")
    echo "$ours$theirs"
done
