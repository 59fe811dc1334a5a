#!/bin/sh
# tests/real/test_minilm.sh - all-MiniLM-L6-v2 and SST-2: hidden states, token ids, a loss curve, and the main job's quality.
#
# MODEL is the model's directory, DATA a directory that holds sst2.tar.xz and tokenizers.tar.xz.
set -eu

passed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xf "$DATA/sst2.tar.xz" -C "$work"
tar -xf "$DATA/tokenizers.tar.xz" -C "$work"
sst2=$(find "$work" -name stsa.binary.train)
naughty=$(find "$work" -name blns.txt)
records=tests/fixtures/tokenizer/real

ok() { passed=$((passed + 1)); echo "ok: $1"; }

"$PROGRAMS/text/real_tokenizer" "$MODEL" "$sst2" $records/minilm.sst2.txt
ok "token ids of SST-2 equal tokenizers'"
"$PROGRAMS/text/real_tokenizer" "$MODEL" "$naughty" $records/minilm.naughty.txt
ok "token ids of the naughty strings equal tokenizers'"

"$FTPIPE" lua tests/real/minilm.lua "$MODEL" "$sst2"
ok "hidden states and loss curve"

for split in train dev test; do
    find "$work" -name "stsa.binary.$split" -exec sed 's/ /\t/' {} \; > "$work/$split.tsv"
done
"$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$MODEL" --set train="$work/train.tsv" --set valid="$work/dev.tsv" \
    --set test="$work/test.tsv" --set text=2 --set label=1 --set lr=5e-5 --set epochs=3 --set batch=32 --set max_length=128 \
    --out "$work/run"
"$FTPIPE" lua tests/real/at_least.lua "$work/run/metrics.json" accuracy 0.88
ok "two stages on SST-2 reach 88 points"
echo "$passed passed, 0 failed"
