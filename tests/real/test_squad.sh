#!/bin/sh
# tests/real/test_squad.sh - SQuAD 1.1: five systems' published answers get the official script's scores to twelve digits,
# and the 87,599 questions of the training file are read.
#
# DATA is a directory that holds squad_v1.1.tar.xz.
set -eu

passed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xf "$DATA/squad_v1.1.tar.xz" -C "$work"
dev=$(find "$work" -name 'dev-v1.1*.json')

# scores SYSTEM EXACT F1: in points, as the script printed them
scores() {
    found=$(find "$work" -name "$1*")
    "$FTPIPE" score qa --gold "$dev" --predictions "$found" --json > "$work/scores"
    "$FTPIPE" lua tests/real/scores_are.lua "$work/scores" "$2" "$3"
    passed=$((passed + 1))
    echo "ok: $1 has $2 / $3"
}
scores BERT__ensemble 86.20624408703878 92.19557978351129
scores Logistic_Regression 40.14191106906339 50.98153647324482
scores Match_LSTM 67.63481551561021 76.75556184979696
scores SLQA 81.94891201513718 88.38386312172172
scores r_net 82.46925260170293 88.47785965423243

"$FTPIPE" lua tests/real/count_questions.lua "$(find "$work" -name 'train-v1.1*.json')" 87599
passed=$((passed + 1))
echo "ok: 87,599 questions are read"
echo "$passed passed, 0 failed"
