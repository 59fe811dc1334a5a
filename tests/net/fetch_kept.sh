# tests/net/fetch_kept.sh - what is kept of what was fetched: commits in runs, parts of weights, the care of downloads; and every
# step that reads files reads them from everywhere. Started by tests/net/test_fetch_kept.c with a server at $SERVER that serves $SITE.
# shellcheck shell=sh
. tests/net/fetch_lib.sh
mkdir -p "$SITE/team" "$SITE/texts/more"
mv "$work/encoder" "$SITE/team/small"
cp "$work/reviews.csv" "$SITE/reviews.csv"
first=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa second=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
printf %s $first > "$SITE/team/small/REVISION"
asked() { grep -c "$1" "$SITE/.requests"; }
data="--set data=$SERVER/files/reviews.csv"
sha=$(sha256sum "$SITE/reviews.csv" | cut -d ' ' -f 1)

# ---- revisions ----

# shellcheck disable=SC2086
check "a run of what main means" run $data --set model=hf:team/small --out "$work/a"
check "notes the commit" grep -qF "{\"commit\":\"$first\",\"licence\":\"apache-2.0\",\"name\":\"hf:team/small\",\"step\":\"pretrained\"}" "$work/a/run.json"
check "and what came from the address" grep -qF "\"name\":\"$SERVER/files/reviews.csv\",\"sha256\":\"$sha\"" "$work/a/run.json"
ends "show tells the commit" 0 "commit $first" "$FTPIPE" show "$work/a"
check "and the licence" grep -q "hf:team/small *commit $first *apache-2.0" "$work/said"
check "and the digest of the file" grep -q "reviews.csv *sha256 $sha *not stated" "$work/said"
ends "also as JSON" 0 "\"commit\":\"$first\"" "$FTPIPE" show "$work/a" --json
printf %s $second > "$SITE/team/small/REVISION"
sed 's/"initializer_range": *[0-9.]*/"initializer_range":0.05/' "$SITE/team/small/config.json" > "$work/config.json"
mv "$work/config.json" "$SITE/team/small/config.json"
before=$(asked team/small)
# shellcheck disable=SC2086
ends "main means what it meant" 0 "nothing to do" job run $data --set model=hf:team/small --out "$work/a"
check "and nobody is asked" test "$(asked team/small)" -eq "$before"
# shellcheck disable=SC2086
check "until one asks anew" job fetch --update $data --set model=hf:team/small
# shellcheck disable=SC2086
check "a run with workers" run $data --set model=hf:team/small --jobs 2 --out "$work/b"
check "notes the new one" grep -qF "{\"commit\":\"$second\"" "$work/b/run.json"
ends "compare sets them side by side" 0 "* hf:team/small" "$FTPIPE" compare "$work/a" "$work/b"
check "as they are" grep -q "$first *$second" "$work/said"
# shellcheck disable=SC2086
ends "the former one can be had by name" 0 "nothing to do" job run --offline $data --set model=hf:team/small@$first --out "$work/a"
cat > "$work/twice.lua" << 'LUA'
local fs, hub = require "ftpipe.core.fs", require "ftpipe.hub"
local spec = hub.parse("hf:team/small", "models")
local before = hub.commit(spec)
assert(fs.write(hub.repository(spec) .. "/refs/main", ("c"):rep(40)))
assert(hub.commit(spec) == before and #before == 40, "another commit in the same process")
assert(fs.write(hub.repository(spec) .. "/refs/main", before))
LUA
check "a process sees one commit, whatever another one fetches meanwhile" "$FTPIPE" lua "$work/twice.lua"

# ---- weights in parts: only those that the index names ----

cat > "$work/parts.lua" << 'LUA'
local fs, json, store = require "ftpipe.core.fs", require "ftpipe.core.json", require "ftpipe.core.store"
local from, to = arg[1], arg[2]
assert(fs.mkdirs(to))
for _, name in ipairs { "config.json", "vocab.txt", "tokenizer_config.json" } do
   assert(fs.write(to .. "/" .. name, assert(fs.read(from .. "/" .. name))))
end
local whole, parts, map = store.open_dir(from), { {}, {} }, {}
for i, name in ipairs(whole:names()) do
   parts[1 + i % 2][name] = whole:tensor(name)
   map[name] = ("model-0000%d-of-00002.safetensors"):format(1 + i % 2)
end
for i = 1, 2 do assert(store.write(("%s/model-0000%d-of-00002.safetensors"):format(to, i), parts[i], { format = "pt" })) end
assert(store.write(to .. "/model-00003-of-00003.safetensors", parts[1], { format = "pt" }))      -- left over
assert(fs.write(to .. "/pytorch_model.bin", "never needed"))
assert(fs.write(to .. "/model.safetensors.index.json", json.encode { metadata = {}, weight_map = map }))
LUA
"$FTPIPE" lua "$work/parts.lua" "$SITE/team/small" "$SITE/team/parts" || exit 1
mkdir -p "$SITE/team/pickled"
cp tests/fixtures/torch/shards/* "$SITE/team/pickled"
echo "for another program" > "$SITE/team/pickled/tf_model.h5"
cp "$SITE/team/pickled/pytorch_model-00001-of-00002.bin" "$SITE/team/pickled/pytorch_model-00001-of-00003.bin"
mkdir -p "$SITE/team/broken" && cp "$SITE/team/parts"/*.json "$SITE/team/parts/vocab.txt" "$SITE/team/broken"
mkdir -p "$SITE/team/torn" && cp "$SITE/team/parts"/* "$SITE/team/torn" && rm "$SITE/team/torn/pytorch_model.bin"
echo '{"weight_map":{"a":"../../secret"}}' > "$SITE/team/torn/model.safetensors.index.json"
snapshot() { find "$HF_HOME/hub/models--team--$1/snapshots" -mindepth 2 | sed 's|.*/||' | sort | tr '\n' ' '; }

ends "a plan adds the sizes of the parts" 0 "hf:team/parts: to be fetched, $(cd "$SITE/team/parts" && cat config.json vocab.txt tokenizer_config.json model.safetensors.index.json model-0000?-of-00002.safetensors | wc -c) bytes" \
    job plan --set model=hf:team/parts --set data="$SITE/reviews.csv"
# shellcheck disable=SC2086
check "safetensors in parts" run $data --set model=hf:team/parts --out "$work/parts"
check "with no other file" test "$(snapshot parts)" = "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json tokenizer_config.json vocab.txt "
check "make the model that the whole made" cmp "$work/b/model/model.safetensors" "$work/parts/model/model.safetensors"
check "pickles in parts" job fetch --set model=hf:team/pickled --set data="$SITE/reviews.csv"
check "the same" test "$(snapshot pickled)" = "config.json pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin pytorch_model.bin.index.json tokenizer_config.json vocab.txt "
check "are an encoder" job plan --offline --set model=hf:team/pickled --set data="$SITE/reviews.csv" --allow "$SITE"
rm "$HF_HOME"/hub/models--team--pickled/snapshots/*/pytorch_model-00002-of-00002.bin
ends "one that lacks a part is not here" 4 "--offline was given" job run --offline --set model=hf:team/pickled --set data="$SITE/reviews.csv"
check "and what is missing is fetched" job fetch --set model=hf:team/pickled --set data="$SITE/reviews.csv"
ends "a part that the hub lacks is named" 4 "hf:team/broken model-0000" job fetch --set model=hf:team/broken
ends "an index that leads out is none" 2 "hf:team/torn: model.safetensors.index.json is no index of weights" job fetch --set model=hf:team/torn

# ---- every step that reads files reads them from everywhere ----

sed '1d; s/,[^,]*$//' "$SITE/reviews.csv" > "$SITE/texts/a.txt"
cp "$SITE/texts/a.txt" "$SITE/texts/more/b.txt"
tar -C "$SITE" -czf "$SITE/texts.tar.gz" texts
mkdir -p "$SITE/team/corpus" && cp "$SITE/texts/a.txt" "$SITE/team/corpus/train.txt"
gzip -c "$SITE/texts/a.txt" > "$SITE/a.txt.gz"
cat > "$work/corpus.lua" << 'LUA'
local ft = require "ftpipe"
local p = ft.params { from = { default = { "" } }, model = "" }
local encoder = ft.pretrained { from = p.model }
local words = ft.vocabulary { from = p.from, size = 100 }
local corpus = ft.corpus { from = p.from, with = encoder, length = 16, valid = 0.2 }
return ft.pipeline { name = "corpus", outputs = { words = words },
   model = ft.pretrain { model = ft.replace_head { on = encoder, task = "masked_lm" }, data = corpus, updates = 2, evaluations = 1 } }
LUA
corpus() { "$FTPIPE" run "$work/corpus.lua" --set model=hf:team/small --set from="$1" --out "$2"; }
ends "a corpus from a file" 0 "corpus: " corpus "$SITE/texts/a.txt" "$work/c0"
number=0
for from in "$SERVER/files/texts/a.txt" "$SERVER/files/texts.tar.gz!/texts/a.txt" "$SITE/texts.tar.gz!/texts/a.txt" "$SERVER/files/a.txt.gz" \
    "hf:team/corpus" "hf:datasets/team/corpus/train.txt" "$SITE/texts/*.txt" "file://$SITE/texts/a.txt"; do
    number=$((number + 1))
    check "a corpus from $from" corpus "$from" "$work/c$number"
    check "from $from gives the same bits" cmp "$work/c0/model/model.safetensors" "$work/c$number/model/model.safetensors"
    case $from in
    hf:team/corpus | *\*.txt) ;; # a folder and a pattern are not a file, though they hold only one
    *) check "from $from computes nothing anew" test "$(grep -c '"ran":true' "$work/c$number/run.json")" -eq 0 ;;
    esac
done
ends "a plan can be had before" 0 "texts.tar.gz: to be fetched" "$FTPIPE" plan "$work/corpus.lua" --set model=hf:team/small \
    --set from="$SERVER/files/more/../texts.tar.gz"
ends "a corpus of several" 0 "documents" corpus "$SERVER/files/texts.tar.gz,$SITE/texts/a.txt" "$work/several"
check "has all their documents" grep -q "180 documents\|: 1[0-9][0-9] documents.*held out: [0-9][0-9]* documents" "$work/said"
ends "a pattern that nothing matches" 2 "no file matches $SITE/texts/*.tex" corpus "$SITE/texts/*.tex" "$work/none"

# ---- data sets of which only a part is here, and patterns ----

mkdir -p "$SITE/team/parted" "$SITE/tables"
cp "$work/reviews.csv" "$SITE/team/parted/train.csv"
cp "$work/reviews.csv" "$SITE/team/parted/test.csv"
head -n 31 "$work/reviews.csv" > "$SITE/tables/a.csv"
{ head -n 1 "$work/reviews.csv"; tail -n +32 "$work/reviews.csv"; } > "$SITE/tables/b.csv"
tar -C "$SITE" -czf "$SITE/tables.tar.gz" tables
mkdir -p "$SITE/team/patterns" && cp "$SITE"/tables/*.csv "$SITE/team/patterns"
cat > "$work/rows.lua" << 'LUA'
local ft = require "ftpipe"
local p = ft.params { data = "" }
return ft.pipeline { name = "rows", outputs = { rows = ft.split { rows = ft.read { from = p.data } } } }
LUA
rows() { "$FTPIPE" run "$work/rows.lua" --quiet --set data="$1" --out "$2"; }
read_digest() { grep -o '"digest":"[0-9a-f]*","id":"read"' "$1/run.json"; }
check "one file of a data set" rows hf:datasets/team/parted/test.csv "$work/r0"
ends "is not the data set" 4 "--offline was given" "$FTPIPE" run "$work/rows.lua" --offline --set data=hf:team/parted --out "$work/none"
check "which is fetched when it is wanted" rows hf:team/parted "$work/r1"
check "with all its files" test "$(find "$HF_HOME/hub/datasets--team--parted/snapshots" -name '*.csv' | wc -l)" -eq 2
check "a pattern of files here" rows "$SITE/tables/*.csv" "$work/p0"
number=0
for from in "$SERVER/files/tables.tar.gz!/tables/*.csv" "$SITE/tables.tar.gz!/tables/?.csv" "hf:datasets/team/patterns/*.csv"; do
    number=$((number + 1))
    check "a pattern of $from" rows "$from" "$work/p$number"
    check "are the same rows" grep -q '"ran":false' "$work/p$number/run.json"
    check "by content: $from" test "$(read_digest "$work/p0")" = "$(read_digest "$work/p$number")" -a -n "$(read_digest "$work/p0")"
done
ends "a pattern that fits nothing in an archive" 2 "no file matches" rows "$SITE/tables.tar.gz!/tables/*.tsv" "$work/none"
ends "nor on the hub" 2 "no *.tsv in it" rows "hf:datasets/team/patterns/*.tsv" "$work/none"

# ---- care of what was fetched ----

rm -rf "$work/store"
cp "$work/reviews.csv" "$work/local.csv" && gzip -kf "$work/local.csv"
check "two files are fetched, one is unpacked" job fetch --set model=hf:team/small --set train="$SERVER/files/reviews.csv" --set test="$SERVER/files/texts.tar.gz!/texts/a.txt"
"$FTPIPE" plan pipelines/sentiment.lua --set model=hf:team/small --set train="$SERVER/files/reviews.csv" --set test="$SERVER/files/texts.tar.gz!/texts/a.txt" > /dev/null 2>&1
ends "du tells of them" 0 "fetched" "$FTPIPE" cache du
check "how many" grep -q "^fetched *2 " "$work/said"
check "and what was unpacked" grep -q "^unpacked *1 " "$work/said"
ends "all are whole" 0 "3 entries, 0 damaged" "$FTPIPE" cache verify
file=$(find "$work/store/downloads/sha256" -name reviews.csv)
printf X | dd of="$file" bs=1 seek=20 conv=notrunc 2> /dev/null
unpacked=$(find "$work/store/downloads/unpacked" -name a.txt)
printf X | dd of="$unpacked" bs=1 seek=20 conv=notrunc 2> /dev/null
ends "a changed byte is found" 1 "damaged, removed: fetched:$sha" "$FTPIPE" cache verify
check "also in what was unpacked" grep -q "damaged, removed: unpacked:" "$work/said"
check "nothing else is" grep -q "3 entries, 2 damaged" "$work/said"
check "it is gone" test ! -e "$file" -a ! -e "$unpacked"
check "and fetched again" job fetch --set model=hf:team/small --set data="$SERVER/files/reviews.csv"
ends "what was used lately stays" 0 "removed 0 entries" "$FTPIPE" cache gc --days 1
touch -d "40 days ago" "$file" "$(find "$work/store/downloads/sha256" -name texts.tar.gz)"
# shellcheck disable=SC2086
check "a run uses it" run $data --set model=hf:team/small --out "$work/used"
ends "what was not used for long goes" 0 "removed 1 entries" "$FTPIPE" cache gc
check "which is not what was used" test -e "$file" -a -z "$(find "$work/store/downloads/sha256" -name texts.tar.gz)"
sed -i 's/"done":true/"done":false/' "$work/used/.run/state.json"
printf %s "$work/used" > "$work/store/runs/unfinished"
ends "what an unfinished run needs stays" 0 "removed" "$FTPIPE" cache gc --days 0
check "whatever is asked" test -e "$file"
rm "$work/store/runs/unfinished"
sleep 1
ends "and goes when nobody needs it" 0 "removed" "$FTPIPE" cache gc --days 0
check "the last of it" test ! -e "$file"
echo "more,pos" >> "$SITE/reviews.csv"
# shellcheck disable=SC2086
ends "what the address gave first is still known" 4 "was promised" job fetch $data --set model=hf:team/small
"$FTPIPE" fetch "$work/corpus.lua" --set model=hf:team/small --set from="$SERVER/steady/3000000" > /dev/null 2>&1 &
left=$!
has_part() { [ "$(cat "$work"/store/downloads/partial/*.part 2> /dev/null | wc -c)" -ge 100000 ]; }
check "a download is on its way" within 20 has_part
ends "meanwhile nothing is cleaned" 3 "is in use by a run" "$FTPIPE" cache gc --days 0
kill -KILL $left
wait $left 2> /dev/null
ends "what it left is told" 0 "unfinished" "$FTPIPE" cache du
ends "stays a while" 0 "removed 0 entries" "$FTPIPE" cache gc
sleep 1
check "and goes as all else does" "$FTPIPE" cache gc --days 0
check "with what was noted of it" sh -c "[ -z \"\$(ls '$work/store/downloads/partial')\" ]"

# ---- without any network at all ----

check "all is fetched" job fetch --set model=hf:team/small --set data="$SERVER/files/texts/../reviews.csv"
if unshare -rn true 2> /dev/null; then
    check "a run where there is no network" unshare -rn env -u HF_ENDPOINT "$FTPIPE" run pipelines/sentiment.lua --offline --quiet --set head_epochs=1 \
        --set epochs=1 --set lr=1e-3 --set model=hf:team/small --set data="$SERVER/files/texts/../reviews.csv" --out "$work/alone"
    ends "which cannot fetch" 4 "fetch" unshare -rn env HF_HUB_OFFLINE=1 "$FTPIPE" fetch pipelines/sentiment.lua --set model=hf:team/parts2
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
