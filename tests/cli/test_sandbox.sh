#!/bin/sh
# tests/cli/test_sandbox.sh - pipelines of strangers: each script of tests/cli/escapes.txt is held back, and is not where its
# one protection is switched off; what is granted, and with which words a refusal is told; bytecode; limits.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store" SECRET_TOKEN=SECRET
check()
{
    name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; return 1; fi
}
case $FTPIPE in *address* | *undefined*) sanitized=1 ;; *) sanitized= ;; esac

# A project, and what lies outside of it.
mkdir -p "$work/project/texts/pos" "$work/project/texts/neg" "$work/outside"
cd "$work/project" || exit 1
printf 'text,label\ngood,pos\nbad,neg\n' | tee rows.csv ../secret.csv > ../outside/secret.csv
cp rows.csv ../outside/removable
printf 'return {}\n' > ../outside/outside.lua
printf 'while true do end\n' > endless.lua
printf 'return {}\n' > harmless.lua
printf 'bad\n' > texts/neg/a.txt
printf 'good\n' > ../outside/good.txt
ln -s ../../../outside/good.txt texts/pos/a.txt
ln -s ../outside elsewhere
ln -s ../outside/outside.lua linked.lua
ln -s ../secret.csv linked.csv
# `return ft.pipeline { name = "x", outputs = { o = ft.read { from = "rows.csv" } } }`, compiled by Lua 5.4
base64 -d > compiled.lua << 'END'
G0x1YVQAGZMNChoKBAgIeFYAAAAAAAAAAAAAACh3QAGAgIAAAQaUUQAAAAsAAACDgAAARAACAo4AAAITAQIAUgAAABKBAwSTAQEAUgAAAA4CAAeTAgEAUgAA
AJKCCAlEAgICkgEGBBIBBQPFAAIBxgAAAcYAAQGKBIhyZXF1aXJlBIdmdHBpcGUEiXBpcGVsaW5lBIVuYW1lBIJ4BIhvdXRwdXRzBIJvBIVyZWFkBIVmcm9t
BIlyb3dzLmNzdoEBAACAgICAgA==
END

awk -v outside="$work/outside" '
    /^## / { name = $2; sub(/:$/, "", name); file = name ".lua"; print name, $3, $4 > "list"
             print "local ft, rows = require \"ftpipe\";" > file; next }
    file == "" { next }
    { gsub(/OUTSIDE/, outside); print > file }' "$OLDPWD/tests/cli/escapes.txt"
while read -r script _; do
    printf 'return ft.pipeline { name = "escape", outputs = { o = rows or ft.read { from = "rows.csv" } } }\n' >> "$script.lua"
done < list

# attempt NAME COMMAND: its exit code; 124 where it does not end
attempt()
{
    limit=${limit_of_row:-60} command=graph      # on a busy machine also what ends may take seconds
    [ "$2" = hangs ] && limit=0.2
    [ "$2" = plan ] && command=plan
    set -- "$1.lua"
    grep -q ft.params "$1" && set -- "$1" --set data=texts
    timeout -k 1 "${patience:-90}" "$FTPIPE" $command "$@" --limit $limit > "$work/out" 2> "$work/message"
}

row()
{
    script=$1 protection=$2 kind=$3 broken=
    [ "$kind" = escaped ] && broken=environment,
    # so that what ends it is the limit of memory, on a machine that is busy too
    limit_of_row=
    [ "$protection" = memory ] && limit_of_row=120 patience=150
    for _ in 1 2 3; do # a busy machine may be late once
        begin=$(date +%s%N)
        FTPIPE_UNPROTECTED=$broken attempt "$script" "$kind"
        code=$?
        spent=$((($(date +%s%N) - begin) / 1000000))
        [ "$kind" = hangs ] && [ $spent -ge 1200 ] || break
    done
    check "$script is held back (exit code $code)" test $code = 3 -o "$kind" != plan -a $code = 2
    [ "$protection" != memory ] || check "$script ends by its memory" grep -q "memory" "$work/message"
    check "$script is no fault of ftpipe's" sh -c '! grep -q "internal error" "$1"' - "$work/message"
    [ "$kind" != hangs ] || check "$script ends in time ($spent ms)" test $spent -lt ${sanitized:+3}1200
    check "$script left nothing behind" test ! -e "$work/outside/written" -a ! -e written -a -e "$work/outside/removable"
    [ "$kind" != hangs ] || patience=0.5
    FTPIPE_UNPROTECTED=$broken$protection attempt "$script" "$kind"
    code=$?
    patience=90 limit_of_row=
    rm -f "$work/outside/written" written
    touch "$work/outside/removable"
    case $kind in
    hangs) check "$script would not end without $protection (exit code $code)" test $code = 124 ;;
    plan) check "$script would be read without $protection (exit code $code)" test $code != 3 ;;
    *) check "$script would escape without $protection (exit code $code)" test $code = 0 || cat "$work/message" ;;
    esac
}

while read -r script protection kind; do
    [ "$sanitized" ] && [ "$protection" = memory ] && continue
    row "$script" "$protection" "$kind"
done < list
check "there are more than eighty" test "$(wc -l < list)" -gt 80

# The file itself as bytecode, whole and with every tenth byte changed.
attempt compiled graph
check "bytecode is refused" test $? = 2
check "as what it is" grep -qE "no text|binary chunk" "$work/message"
FTPIPE_UNPROTECTED=bytecode attempt compiled graph
check "it would be run without bytecode" test $? = 0
size=$(wc -c < compiled.lua)
at=1
while [ $at -lt "$size" ]; do
    { head -c $at compiled.lua; printf 'A'; tail -c +$((at + 2)) compiled.lua; } > flipped.lua
    attempt flipped graph
    code=$?
    [ $code = 2 ] || check "bytecode with byte $at changed is refused" false
    at=$((at + 40))
done

# Names that would be paths.
for what in 'ft.read { name = "../../x", from = "rows.csv" }' 'ft.read { name = "a/b", from = "rows.csv" }' 'ft.read { name = "..", from = "rows.csv" }'; do
    printf 'local ft = require "ftpipe"\nreturn ft.pipeline { name = "x", outputs = { o = %s } }\n' "$what" > names.lua
    attempt names graph
    check "a step's name is no path: $what" test $? = 2
    FTPIPE_UNPROTECTED=names attempt names graph
    check "it would be one: $what" test $? = 0
done
printf 'local ft = require "ftpipe"\nreturn ft.pipeline { name = "../x", outputs = { o = ft.read { from = "rows.csv" } } }\n' > names.lua
attempt names graph
check "nor is the pipeline's" grep -q "a name has no" "$work/message"
FTPIPE_UNPROTECTED=names attempt names graph
check "which would be one, too" test $? = 0

# What took too long is told with its place.
printf 'local ft = require "ftpipe"\nwhile true do pcall(function() while true do end end) end\n' > slow.lua
for _ in 1 2 3 4 5 6; do # where the machine is busy, the kill from outside may come before the line is told
    timeout 10 "$FTPIPE" graph slow.lua --limit 0.2 > /dev/null 2> "$work/message"
    grep -q "slow.lua:2:" "$work/message" && break
done
check "the line that does not end is named" grep -q "^ftpipe: slow.lua:2: still not done after 0.2 seconds" "$work/message"
check "and what gives it more" grep -q "hint: more time: --limit SECONDS" "$work/message"
check "and nothing else is said" test "$(wc -l < "$work/message")" = 2

# Refusals and grants.
"$FTPIPE" plan absolute_path.lua > /dev/null 2> "$work/message"
check "a refusal names file and line" grep -q "^ftpipe: absolute_path.lua:2: step 'read' may not read $work/outside/secret.csv: " "$work/message"
check "and what would grant it" grep -q "hint: to allow it: --allow $work/outside/secret.csv" "$work/message"
check "--allow grants a file" "$FTPIPE" plan absolute_path.lua --allow "$work/outside/secret.csv" > /dev/null
check "or a folder" "$FTPIPE" plan absolute_path.lua --allow "$work/outside" > /dev/null
check "--allow of a link's target grants the link" "$FTPIPE" plan linked_file.lua --allow linked.csv > /dev/null
cat > given.lua << 'END'
local ft = require "ftpipe"
local p = ft.params { data = { type = "path" } }
return ft.pipeline { name = "given", outputs = { o = ft.read { from = p.data } } }
END
check "a path on the command line is a grant" "$FTPIPE" plan given.lua --set data="$work/outside/secret.csv" > /dev/null
check "also above the project" "$FTPIPE" plan given.lua --set data=../secret.csv > /dev/null
check "also a link" "$FTPIPE" plan given.lua --set data=linked.csv > /dev/null
check "also a pattern" "$FTPIPE" plan given.lua --set "data=../*.csv" > /dev/null
(cd .. && "$FTPIPE" plan project/given.lua --set data=secret.csv) > /dev/null
check "from another folder" test $? = 0
mkdir -p "$work/hub/models--a--b/blobs" "$work/hub/models--a--b/snapshots/1/pos" "$work/hub/models--a--b/snapshots/1/neg"
printf 'good\n' > "$work/hub/models--a--b/blobs/x"
printf 'bad\n' > "$work/hub/models--a--b/snapshots/1/neg/b.txt"
ln -s ../../../blobs/x "$work/hub/models--a--b/snapshots/1/pos/a.txt"
check "a snapshot of the hub's cache with its links" "$FTPIPE" plan given.lua --set data="$work/hub/models--a--b/snapshots/1" > /dev/null

# The same plan every time.
cat > orders.lua << 'END'
local ft = require "ftpipe"
local list, outputs = { a = 1, b = 2, c = 3, d = 4, e = 5, f = 6 }, {}
for name, n in pairs(list) do
   outputs[name] = ft.sample { rows = ft.read { from = "rows.csv" }, share = math.random() / n, split = "all" }
end
return ft.pipeline { name = "orders", outputs = outputs }
END
for k in 1 2 3; do "$FTPIPE" plan orders.lua --json > "$work/plan$k"; done
check "pairs and random numbers are the same in every evaluation" cmp -s "$work/plan1" "$work/plan2"
check "and the next one" cmp -s "$work/plan1" "$work/plan3"
printf 'print("\\27[31mred\\7")\nlocal ft = require "ftpipe"\nreturn ft.pipeline { name = "x", outputs = { o = ft.read { from = "rows.csv" } } }\n' > colour.lua
attempt colour graph
check "what is printed cannot steer the terminal" grep -q '^?\[31mred?$' "$work/message"
FTPIPE_UNPROTECTED=output attempt colour graph
check "which it would" grep -q "$(printf '\33')" "$work/message"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
