# tests/net/fetch.sh - sources from elsewhere, through the command line; started by tests/net/test_fetch.c with a server at
# $SERVER that serves the folder $SITE.
# shellcheck shell=sh
. tests/net/fetch_lib.sh
mkdir -p "$SITE/team"
mv "$work/encoder" "$SITE/team/small"
echo "not needed" > "$SITE/team/small/README.md"
mkdir -p "$SITE/team/rows"
cp "$work/reviews.csv" "$SITE/team/rows/train.csv"
cp "$work/reviews.csv" "$SITE/team/rows/test.csv"
mkdir "$work/pack"
cp "$work/reviews.csv" "$work/pack/train.csv"
tar -C "$work" -czf "$SITE/reviews.tar.gz" pack
cp "$work/reviews.csv" "$SITE/reviews.csv"
sha=$(sha256sum "$SITE/reviews.csv" | cut -d ' ' -f 1)

# ---- plan and fetch ----

ends "a plan tells sizes and licences" 0 "licence apache-2.0" job plan --set model=hf:team/small --set data="$SERVER/files/reviews.csv"
check "of what is to be fetched" grep -q "files/reviews.csv: to be fetched, $(wc -c < "$SITE/reviews.csv") bytes" "$work/said"
ends "nothing is asked when offline" 4 "--offline was given" run --offline --set model=hf:team/small --out "$work/none"
ends "fetch" 0 "here" job fetch --set model=hf:team/small --set data="$SERVER/files/reviews.csv#sha256=$sha"
check "tells what it has" grep -q "hf:team/small: here, .*MB, licence apache-2.0, commit 0123456789ab\|hf:team/small: here, [0-9]* bytes, licence apache-2.0, commit 0123456789ab" "$work/said"
check "the hub's cache is laid out" test -L "$HF_HOME/hub/models--team--small/snapshots/0123456789abcdef0123456789abcdef01234567/config.json"
check "with its reference" grep -q 0123456789abcdef0123456789abcdef01234567 "$HF_HOME/hub/models--team--small/refs/main"
check "only what is needed" test ! -e "$HF_HOME/hub/models--team--small/snapshots/0123456789abcdef0123456789abcdef01234567/README.md"
check "nothing is left over" sh -c "[ -z \"\$(find '$work/store' '$work/hf' -name '*.part')\" ]"
check "a run without network" run --offline --set model=hf:team/small --set data="$SERVER/files/reviews.csv#sha256=$sha" --out "$work/a"
check "and with a server that is gone" env HF_ENDPOINT=http://127.0.0.1:1 "$FTPIPE" run pipelines/sentiment.lua --quiet --set head_epochs=1 --set epochs=1 \
    --set lr=1e-3 --set model=hf:team/small --set data="$SERVER/files/reviews.csv#sha256=$sha" --out "$work/a"

# ---- content decides, not where it came from ----

ends "the same bytes from a folder are the same run" 0 "nothing to run" job plan --set model="$SITE/team/small" --set data="$SITE/reviews.csv"
ends "and by another address" 0 "nothing to do" job run --set model=hf:team/small@main --set data="$SERVER/files/reviews.csv" --out "$work/a"

# ---- archives, compressed files, data sets ----

ends "a member of a remote archive" 0 "nothing to run" sh -c "'$FTPIPE' fetch pipelines/sentiment.lua --set model=hf:team/small --set data='$SERVER/files/reviews.tar.gz!/pack/train.csv' &&
    '$FTPIPE' plan pipelines/sentiment.lua --set head_epochs=1 --set epochs=1 --set lr=1e-3 --set model=hf:team/small --set data='$SERVER/files/reviews.tar.gz!/pack/train.csv'"
gzip -c "$SITE/reviews.csv" > "$work/reviews.csv.gz"
ends "a compressed file" 0 "nothing to run" job plan --set model=hf:team/small --set data="$work/reviews.csv.gz"
tar -C "$SITE/team" -czf "$SITE/small.tar.gz" small
check "an encoder in a remote archive" job fetch --set model="$SERVER/files/small.tar.gz" --set data="$SITE/reviews.csv"
ends "is the same encoder" 0 "nothing to run" job plan --set model="$SERVER/files/small.tar.gz" --set data="$SITE/reviews.csv"
ends "also as a member" 0 "nothing to run" job plan --set model="$SITE/small.tar.gz!/small" --set data="$SITE/reviews.csv"
ends "an address of a file" 0 "nothing to run" job plan --set model=hf:team/small --set data="file://$work/reviews.csv"
ends "no such member" 2 "there is no pack/none.csv in it" job plan --set model=hf:team/small --set data="$SITE/reviews.tar.gz!/pack/none.csv"
check "a data set of the hub" run --set model=hf:team/small --set data=hf:team/rows --out "$work/b"
check "one file of it" job fetch --set model=hf:team/small --set data=hf:datasets/team/rows/test.csv

# ---- as steps: mirrors, digests, members ----

sed -e "s|^local rows .*= ft.read *{ from = p.data,|local pack = ft.download { url = { '$SERVER/files/none.tar.gz', '$SERVER/files/reviews.tar.gz' }, sha256 = '$(sha256sum "$SITE/reviews.tar.gz" | cut -d ' ' -f 1)' }\\
local rows = ft.read { from = ft.extract { from = pack, member = 'pack/train.csv' },|" pipelines/sentiment.lua > "$work/steps.lua"
check "download and extract as steps" grep -q ft.extract "$work/steps.lua"
check "run" "$FTPIPE" run "$work/steps.lua" --quiet --set head_epochs=1 --set epochs=1 --set lr=1e-3 --set model=hf:team/small --out "$work/c"
check "the same rows, the same model" cmp "$work/a/model/model.safetensors" "$work/c/model/model.safetensors"
check "a run in processes" "$FTPIPE" run "$work/steps.lua" --quiet --offline --jobs 2 --set head_epochs=1 --set epochs=1 --set lr=1e-3 \
    --set model=hf:team/small --seed 2 --out "$work/d"
sed "s|member = |max_bytes = 100, member = |" "$work/steps.lua" > "$work/small.lua"
rm -rf "$work/store/downloads/unpacked"
ends "a budget" 2 "more than 100 bytes" "$FTPIPE" run "$work/small.lua" --quiet --set model=hf:team/small --out "$work/none"

# ---- what goes wrong ----

ends "another digest" 4 "but $(printf '0%.0s' $(seq 64)) was promised" run --set model=hf:team/small \
    --set data="$SERVER/files/reviews.csv#sha256=$(printf '0%.0s' $(seq 64))" --out "$work/none"
ends "a digest that is none" 2 "sha256= and 64 hex digits" run --set model=hf:team/small --set data="$SERVER/files/reviews.csv#sha256=12" --out "$work/none"
ends "no such file" 4 "404: not found" run --set model=hf:team/small --set data="$SERVER/files/none.csv" --out "$work/none"
ends "no such model" 4 "Repository not found" run --set model=hf:team/none --out "$work/none"
ends "no such file of a model" 2 "no none.csv in it" run --set model=hf:team/small --set data=hf:team/rows/none.csv --out "$work/none"
ends "a name that is none" 2 "hf:OWNER/NAME" run --set model=hf:small --out "$work/none"
ends "a name that leads out" 2 "hf:OWNER/NAME" run --set model=hf:team/small/../../x --out "$work/none"
ends "the hub is offline" 4 "the network may not be asked" env HF_HUB_OFFLINE=1 "$FTPIPE" fetch pipelines/sentiment.lua --set model=hf:team/other
cp "$SITE/reviews.csv" "$SITE/changing.csv"
check "what an address gave first" job fetch --set model=hf:team/small --set data="$SERVER/files/changing.csv"
echo "more,pos" >> "$SITE/changing.csv"
rm -rf "$work/store/downloads/sha256"
ends "is what it must give from then on" 4 "was promised" job fetch --set model=hf:team/small --set data="$SERVER/files/changing.csv"
check "unless one says so" job fetch --update --set model=hf:team/small --set data="$SERVER/files/changing.csv"

# ---- as JSON ----

cat > "$work/three.lua" << 'LUA'
local ft = require "ftpipe"
local p = ft.params { a = "", b = "", c = "" }
local function rows(from) return ft.read { from = from } end
return ft.pipeline { name = "three", outputs = { a = rows(p.a), b = rows(p.b), c = rows(p.c) } }
LUA
mkdir -p "$SITE/team/more" && cp "$SITE/reviews.csv" "$SITE/team/more/train.csv"
three() { "$FTPIPE" "$1" "$work/three.lua" --set a="$SERVER/files/team/../reviews.csv" --set b="$2" --set c="$3" $4 2> "$work/message"; }
lines() { wc -l < "$work/said"; }
# shape KEYS TEXT: the object of the thing with that text has just these keys
cat > "$work/shape.lua" << 'LUA'
local fs, json = require "ftpipe.core.fs", require "ftpipe.core.json"
for line in assert(fs.read(arg[1])):gmatch "[^\n]+" do
   local one, keys = assert(json.decode(line)), {}
   for k in pairs(one) do keys[#keys + 1] = k end
   table.sort(keys)
   if one.name:find(arg[3], 1, true) then
      assert(table.concat(keys, " ") == arg[2], line)
      assert(not one.path or fs.stat(one.path), line)
      return 0
   end
end
return 1
LUA
shape() { "$FTPIPE" lua "$work/shape.lua" "$work/said" "$1" "$2"; }
ends "something fails: fetch ends with the code of the network" 4 "problem" three fetch "$SERVER/files/none.csv" hf:team/more --json
check "and the cause" grep -q "^ftpipe: $SERVER/files/none.csv: .*404: not found" "$work/message"
check "one object for each thing" test "$(lines)" -eq 3
check "the one that failed tells why" shape "name problem" none.csv
check "one that was not asked for tells neither" shape name hf:team/more
three run "$SERVER/files/none.csv" hf:team/more --quiet
check "so does run" test $? -eq 4
ends "a repository that is not there" 4 "problem" three fetch "$SITE/reviews.csv" hf:team/none "--json --allow $SITE"
check "tells why" shape "name problem" hf:team/none
check "what came before it is here" shape "bytes name path" files/team/../reviews.csv
before=$(grep -c "^GET /files/team/../reviews.csv " "$SITE/.requests")
ends "something to fetch" 0 "commit" three fetch "$SERVER/files/reviews.csv" hf:team/more --json
check "is told with its path" shape "bytes name path" files/reviews.csv
check "and what a hub says of it" shape "bytes commit licence name path" hf:team/more
check "what came before the failure is not fetched again" test "$(grep -c "^GET /files/team/../reviews.csv " "$SITE/.requests")" -eq "$before"
ends "nothing to fetch" 0 "path" three fetch "$SERVER/files/reviews.csv" hf:team/more "--json --offline"
check "the same is told" shape "bytes commit licence name path" hf:team/more
ends "offline" 4 "problem" three fetch "$SERVER/files/more.csv" hf:team/more "--json --offline"
check "tells what is missing" shape "name problem" more.csv

# ---- a cache that the Python client filled: its layout as recorded (tests/record/record_hub.py) ----

theirs=$work/theirs/hub/models--team--recorded
while read -r kind path rest; do
    mkdir -p "$theirs/$(dirname "$path")"
    case $kind in
    text) printf %s "$rest" > "$theirs/$path" ;;
    link)
        ln -s "$rest" "$theirs/$path"
        mkdir -p "$theirs/blobs"
        cp "$SITE/team/small/${path##*/}" "$theirs/blobs/${rest##*/}" ;;
    esac
done < tests/fixtures/hub_layout.txt
ends "is used in place" 0 "bytes, commit 0123456789ab" env HF_HOME="$work/theirs" "$FTPIPE" plan pipelines/sentiment.lua \
    --offline --set model=hf:team/recorded
check "by a run" env HF_HOME="$work/theirs" "$FTPIPE" run pipelines/sentiment.lua --offline --quiet --set head_epochs=1 --set epochs=1 --set lr=1e-3 \
    --set model=hf:team/recorded --set data="$SITE/reviews.csv" --allow "$SITE" --out "$work/a"
check "and is left as it was" sh -c "[ -z \"\$(find '$theirs' -newer tests/fixtures/hub_layout.txt -name '*.part*')\" ] && [ ! -e '$theirs/.partial' ]"

# ---- a cache whose blobs lie on another disk ----

disk=$(mktemp -d -p /dev/shm 2> /dev/null) || disk=$(mktemp -d)
trap 'rm -rf "$work" "$disk"' EXIT
mkdir -p "$work/moved/hub/models--team--small" "$disk/blobs"
ln -s "$disk/blobs" "$work/moved/hub/models--team--small/blobs"
moved() { env HF_HOME="$work/moved" "$FTPIPE" "$@" --set head_epochs=1 --set epochs=1 --set lr=1e-3 --set data="$SITE/reviews.csv"; }
check "is filled there" moved fetch pipelines/sentiment.lua --set model=hf:team/small
check "with all files" test "$(find "$disk/blobs" -type f | wc -l)" -eq "$(find "$work/moved/hub" -type l -path '*/snapshots/*' | wc -l)" -a \
    "$(find "$disk/blobs" -type f | wc -l)" -ge 3
check "and nothing left over" test -z "$(find "$disk" "$work/moved" -name '*.part*' -type f)"
check "is read by a run" moved run pipelines/sentiment.lua --offline --quiet --set model=hf:team/small --seed 11 --out "$work/m"
snapshots=$work/moved/hub/models--team--small/snapshots
check "also where its folder is named" moved run pipelines/sentiment.lua --offline --quiet --set model="$(echo "$snapshots"/*)" --seed 11 --out "$work/m2"
check "it is the same encoder" cmp "$work/m/model/model.safetensors" "$work/m2/model/model.safetensors"
check "and by a step with functions of a file" moved run pipelines/attention.lua --offline --quiet --set model=hf:team/small --out "$work/m3"
echo secret > "$disk/secret" && ln -sf "$disk/secret" "$(find "$snapshots" -name vocab.txt)"
ends "a link to anywhere else is none of the cache" 3 "may not read vocab.txt of hf:team/small: in the hub's cache it is a link to $disk/secret" \
    moved run pipelines/sentiment.lua --offline --set model=hf:team/small --seed 12 --out "$work/none"
cp "$disk"/blobs/* "$work"
rm "$work/moved/hub/models--team--small/blobs" && ln -s "$work" "$work/moved/hub/models--team--small/blobs"
ends "nor is one to a folder above the cache" 3 "in the hub's cache it is a link to $work/" \
    moved run pipelines/sentiment.lua --offline --set model=hf:team/small --seed 12 --out "$work/none"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
