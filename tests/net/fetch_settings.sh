# tests/net/fetch_settings.sh - what the environment and options say about downloads: the hub's variables, proxies, logins,
# authorities, speed; progress; several processes; kills. Started by tests/net/test_fetch_settings.c with servers at $SERVER and $SAFE
# (TLS, signed by $CA) that serve the folder $SITE.
# shellcheck shell=sh
. tests/net/fetch_lib.sh
mkdir -p "$SITE/team" "$SITE/gated"
mv "$work/encoder" "$SITE/team/small"
cp -r "$SITE/team/small" "$SITE/gated/small"
cp "$work/reviews.csv" "$SITE/reviews.csv"
cat > "$work/get.lua" << 'LUA'
local ft = require "ftpipe"
local p = ft.params { data = "", more = "" }
local outputs = { o = ft.read { from = p.data } }
if p.more ~= "" then for i = 1, 6 do outputs["o" .. i] = ft.read { from = p.more .. "/" .. i } end end
return ft.pipeline { name = "get", outputs = outputs }
LUA
get() { "$FTPIPE" fetch "$work/get.lua" --set data="$@"; }
anew() { rm -rf "$work/store" "$work/hf" "$work/other" "$work/home"; mkdir -p "$work/home"; }
# who NAME=VALUE... -- COMMAND: with these of the hub's variables alone
who() {
    variables=
    while [ "$1" != -- ]; do variables="$variables $1"; shift; done
    shift
    # shellcheck disable=SC2086
    env -u HF_HOME -u HF_TOKEN -u HF_HUB_CACHE -u HF_TOKEN_PATH -u XDG_CACHE_HOME HOME="$work/home" $variables "$@"
}
small=models--team--small/snapshots/0123456789abcdef0123456789abcdef01234567/config.json
cat > "$work/plain.sh" << 'SH'
exec "$FTPIPE" fetch pipelines/sentiment.lua --set model="$MODEL"
SH
export MODEL=hf:team/small

# ---- where the hub's cache is ----

anew
check "HF_HOME" who HF_HOME="$work/other" -- sh "$work/plain.sh"
check "is where it is" test -L "$work/other/hub/$small"
anew
check "HF_HUB_CACHE" who HF_HUB_CACHE="$work/other/x" HF_HOME="$work/hf" -- sh "$work/plain.sh"
check "stands before it" test -L "$work/other/x/$small" -a ! -e "$work/hf/hub"
anew
check "XDG_CACHE_HOME" who XDG_CACHE_HOME="$work/other" -- sh "$work/plain.sh"
check "is next" test -L "$work/other/huggingface/hub/$small"
anew
check "and HOME the last" who -- sh "$work/plain.sh"
check "of them" test -L "$work/home/.cache/huggingface/hub/$small"
check "HF_HUB_OFFLINE leaves what is here" who HF_HUB_OFFLINE=1 -- sh "$work/plain.sh"
MODEL=hf:team/small@other ends "and asks for nothing" 4 "the network may not be asked" who HF_HUB_OFFLINE=true -- sh "$work/plain.sh"
anew
ends "HF_ENDPOINT is asked" 4 "404" who HF_ENDPOINT="$SERVER/mirror" -- sh "$work/plain.sh"
check "and only that" test "$(tail -n 1 "$SITE/.requests")" = "GET /mirror/api/models/team/small/revision/main -1"

# ---- who may have a gated model ----

MODEL=hf:gated/small
ends "no token" 4 "401: a token is needed (HF_TOKEN for a model hub" who -- sh "$work/plain.sh"
ends "another one" 4 "403: not allowed; a gated model wants its licence accepted" who HF_TOKEN=bad -- sh "$work/plain.sh"
check "which is not shown" sh -c "! grep -q bad '$work/said'"
check "HF_TOKEN" who HF_TOKEN=good -- sh "$work/plain.sh"
anew
printf 'good\n' > "$work/home/mine"
check "HF_TOKEN_PATH" who HF_TOKEN_PATH="$work/home/mine" -- sh "$work/plain.sh"
anew
mkdir "$work/other" && printf 'good\n' > "$work/other/token"
check "the file token in HF_HOME" who HF_HOME="$work/other" -- sh "$work/plain.sh"
anew
mkdir -p "$work/home/.cache/huggingface" && printf 'good\n' > "$work/home/.cache/huggingface/token"
check "where login left it" who -- sh "$work/plain.sh"

# ---- logins, proxies, authorities ----

anew
ends "no login" 4 "401: a token is needed (HF_TOKEN for a model hub, ~/.netrc for others)" get "$SERVER/private/60000"
printf 'machine 127.0.0.1\nlogin someone\npassword topsecret\n' > "$work/home/.netrc"
chmod 600 "$work/home/.netrc"
HOME=$work/home check "~/.netrc" get "$SERVER/private/60000"
port=${SERVER##*:}
http_proxy=$SERVER check "a proxy" get "http://data.example:$port/files/reviews.csv"
ends "a certificate of nobody that is known" 4 "certificate" get "$SAFE/files/reviews.csv"
SSL_CERT_FILE=$CA check "an authority of one's own" get "$SAFE/files/reviews.csv"
for option in insecure=true verify=false tls=false check_certificates=false; do
    printf 'local ft = require "ftpipe"\nreturn ft.pipeline { name = "x", outputs = { o = ft.read { from = ft.download { url = "%s/files/new.csv", %s } } } }\n' \
        "$SAFE" "$option" > "$work/insecure.lua"
    ends "no pipeline switches that off: $option" 2 "has no option '${option%%=*}'" "$FTPIPE" fetch "$work/insecure.lua"
done
sed -i 's/, check_certificates=false//' "$work/insecure.lua"
ends "nor does it leave the option out" 4 "certificate" "$FTPIPE" fetch "$work/insecure.lua"
FTPIPE_UNPROTECTED=environment,access,landlock,seccomp,modules ends "nor one that has all else" 4 "certificate" "$FTPIPE" fetch "$work/insecure.lua"

# ---- size, speed, progress ----

printf 'local ft = require "ftpipe"\nreturn ft.pipeline { name = "x", outputs = { o = ft.read { from = ft.download { url = "%s/files/reviews.csv", max_bytes = 100 } } } }\n' \
    "$SERVER" > "$work/limited.lua"
ends "a limit of size" 4 "bytes, more than the limit of 100" "$FTPIPE" fetch "$work/limited.lua"

begin=$(date +%s)
check "a limit of speed" get "$SERVER/plain/60000" --rate 20K
check "is kept" test $(($(date +%s) - begin)) -ge 1
ends "a limit that is none" 2 "expected a size" get "$SERVER/plain/60001" --rate fast
ends "progress is told in the end" 0 "fetching: 3000 kB in" get "$SERVER/steady/3000000"
if command -v script > /dev/null; then
    rm -rf "$work/store"
    TERM=xterm SHELL=/bin/sh script -qec "stty cols 100; '$FTPIPE' fetch '$work/get.lua' --rate 3M --set data='$SERVER/steady/3000000' --set more='$SERVER/steady/1000000'" \
        "$work/typescript" > /dev/null 2>&1 < /dev/null
    tr '\r' '\n' < "$work/typescript" > "$work/screen"
    check "on a terminal there is a bar" grep -q "fetching  .*\[.*=.*\].* [0-9]*/9000 kB" "$work/screen"
    check "with the time that is left" grep -q "[0-9] s left" "$work/screen"
    check "of all files together" grep -q "fetching: 9000 kB in" "$work/screen"
    check "off a terminal there is none" sh -c "! tr '\r' '\n' < '$work/said' | grep -q '\[='"
fi

# ---- several processes, also where locks are good for nothing; kills ----

rm -rf "$work/store"
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O1 -shared -fPIC -o "$work/faults.so" tests/faults/faults.c -ldl || exit 1
has_part() { [ "$(cat "$work"/store/downloads/partial/*.part 2> /dev/null | wc -c)" -ge "$1" ]; }
asked() { grep -c "^GET /steady/3000000 " "$SITE/.requests"; }
case $FTPIPE in *address* | *undefined*) stub= ;; *) stub=1 ;; esac # a sanitizer wants to be loaded first
for locks in kept ${stub:+stubbed}; do
    rm -rf "$work/store"
    preload=
    [ $locks = kept ] || preload="LD_PRELOAD=$work/faults.so FAULT_FLOCK=1"
    before=$(asked)
    env $preload "$FTPIPE" fetch "$work/get.lua" --set data="$SERVER/steady/3000000" > "$work/first" 2>&1 &
    first=$!
    check "the first has begun ($locks)" within 20 has_part 1
    check "two processes want one file, locks are $locks" env $preload "$FTPIPE" fetch "$work/get.lua" --set data="$SERVER/steady/3000000"
    wait $first
    check "both get it" test $? -eq 0
    check "each by its own request" test "$(asked)" -eq $((before + 2))
    check "it is right" "$FTPIPE" cache verify
    check "nothing is left over" sh -c "[ -z \"\$(find '$work/store' -name '*.part' -o -name '*.about')\" ]"
    check "and it is there once" test "$(find "$work/store/downloads/sha256" -type f | wc -l)" -eq 1
done
rm -rf "$work/store" "$work/hf"
MODEL=hf:team/small
for number in 1 2 3; do sh "$work/plain.sh" > "$work/hub$number" 2>&1 & done
wait
check "three processes fetch one model" who HF_HUB_OFFLINE=1 HF_HOME="$work/hf" -- sh "$work/plain.sh"
check "which all have" sh -c "cat '$work'/hub[123] | grep -c 'hf:team/small: here' | grep -qx 3"
check "and leave nothing over" sh -c "[ -z \"\$(find '$work/hf' -name '*.part' -o -name '*.about')\" ]"
for signal in KILL INT; do
    rm -rf "$work/store"
    "$FTPIPE" fetch "$work/get.lua" --set data="$SERVER/steady/3000000" > "$work/first" 2>&1 &
    first=$!
    check "a download is on its way" within 20 has_part 500000
    kill -s $signal $first
    wait $first
    code=$?
    had=$(cat "$work"/store/downloads/partial/*.part | wc -c)
    [ $signal = KILL ] || check "Ctrl-C ends it as such" test $code -eq 130
    [ $signal = KILL ] || check "and says how to go on" grep -q "type the same command again" "$work/first"
    check "the same command goes on after $signal" get "$SERVER/steady/3000000"
    check "where it stopped" test "$(grep "^GET /steady/3000000 " "$SITE/.requests" | tail -n 1)" = "GET /steady/3000000 $had"
    check "with the right bytes" "$FTPIPE" cache verify
    check "of which none is left over" sh -c "[ -z \"\$(find '$work/store' -name '*.part' -o -name '*.about')\" ]"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
