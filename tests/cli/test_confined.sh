#!/bin/sh
# tests/cli/test_confined.sh - functions of a pipeline, and heads that come with a model, run in a process that gave up the rest:
# each attempt fails there, and succeeds where its one protection is off. FTPIPE_UNPROTECTED=environment stands for an
# interpreter that was broken into.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$PWD
"$FTPIPE" lua tests/demo/make.lua "$work" 120
export FTPIPE_CACHE="$work/store"
mkdir -p "$work/project" "$work/outside"
cd "$work/project" || exit 1
cp ../reviews.csv .
printf 'secret\n' > ../outside/secret

check()
{
    name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; return 1; fi
}
does() { "$FTPIPE" "$@" > ../out 2> ../message; }
said() { grep -q -- "$1" ../message; }

cat > attack.lua << END
local ft = require "ftpipe"
local p = ft.params { again = { default = 0 } }
local again, told = p.again, false
local rows = ft.map { rows = ft.read { from = "reviews.csv" }, with = function(row)
   if told or again < 0 then return row end
   told = true
   local fs, process, sys = host_require "ftpipe.core.fs", host_require "ftpipe.core.process", host_require "ftpipe.core.sys"
   local store = sys.getenv "FTPIPE_CACHE"
   local function try(name, f, ...) print(name, f(...) and "DONE" or "refused") end
   try("reads", fs.read, "$work/outside/secret")
   try("lists", fs.list, "$work/outside")
   try("reads variables", fs.read, "/proc/self/environ")
   try("writes", fs.write, "$work/outside/written", "x")
   try("writes home", fs.write, "$HOME/.profile", "x")
   try("writes into the project", fs.write, "written", "x")
   try("writes into the store", fs.write, store .. "/steps/written", "x")
   local entry = store .. "/steps/" .. fs.list(store .. "/steps")[1]
   entry = entry .. "/" .. fs.list(entry)[1]
   try("changes an entry", fs.append, entry .. "/record.json")
   try("removes an entry", fs.rename, entry, store .. "/staging/gone")
   try("runs a program", process.ask, "/bin/true", { "true" }, {}, "", 5, 100)
   try("reads its data", fs.read, "reviews.csv")
   return row
end }
return ft.pipeline { name = "attack", outputs = { rows = rows } }
END
printf 'local ft = require "ftpipe"\nreturn ft.pipeline { name = "first", outputs = { rows = ft.read { from = "reviews.csv" } } }\n' > first.lua
does run first.lua --out first      # so that the store holds an entry

attack() { FTPIPE_UNPROTECTED="environment$1" does run attack.lua --set again="$2" --out "$3"; }
attack "" 1 one
check "the pipeline runs" test $? = 0
for what in reads lists "reads variables" writes "writes home" "writes into the project" "writes into the store" "changes an entry" \
    "removes an entry" "runs a program"; do
    check "confined, it does not: $what" said "^$what.refused"
done
check "what it declares it may read" said "^reads its data.DONE"
check "nothing was written" test ! -e ../outside/written -a ! -e written -a ! -e "$HOME/.profile"
does cache verify
check "the store is whole" test $? = 0
FTPIPE_UNPROTECTED=environment does run attack.lua --set again=2 --out two --jobs 2
check "with steps side by side it runs too" test $? = 0
check "and its results are there" test -s two/run.json

attack ,landlock 3 three
for what in reads lists "reads variables" writes "writes home" "writes into the project" "writes into the store" "changes an entry"; do
    check "without Landlock it would: $what" said "^$what.DONE"
done
check "without Landlock programs are refused still" said "^runs a program.refused"
check "a kernel without Landlock is told of" said "^! without Landlock .* run only pipelines that you trust"
rm -rf ../outside/written "$HOME/.profile" written "$FTPIPE_CACHE"
does run first.lua --out second
attack ,landlock,seccomp 4 four
check "without both it would: runs a program" said "^runs a program.DONE"
rm -rf "$FTPIPE_CACHE"

# What a run of foreign code leaves.
does run attack.lua --set again=5
check "an environment without what the attack needs" said "undefined variable 'host_require'"
sed 's/local told/local/; /local fs, process/,/reads its data/d' attack.lua > harmless.lua
does run harmless.lua
check "a confined run ends well" test $? = 0
check "its link leads to it" test "$(readlink runs/attack/latest)" = "$(ls runs/attack | grep -v latest | sort -n | tail -n 1)"
does run harmless.lua
check "again there is nothing to do" said "nothing to do"
cat > changing.lua << 'END'
local ft = require "ftpipe"
local address = tostring({})
local rows = ft.map { rows = ft.read { from = "reviews.csv" }, with = function(row) row.text = address return row end }
return ft.pipeline { name = "changing", outputs = { rows = rows } }
END
does run changing.lua
check "a file that gives another plan each time is refused" said "evaluated again it gives another plan"
cat > endless.lua << 'END'
local ft = require "ftpipe"
local rows = ft.read { from = "reviews.csv" }
local spin = ft.step { name = "spin", seconds = 0.3, run = function() while true do pcall(function() while true do end end) end end }
return ft.pipeline { name = "endless", outputs = { spun = spin(rows) } }
END
does run endless.lua
check "a step with a limit ends there" said "endless.lua:4: endless.lua:3: still not done after 0.3 seconds"
sed 's/while true.*end end }/return { 1 } end }/' endless.lua > done.lua
does run done.lua
check "or is done before" test $? = 0
cat > greedy.lua << 'END'
local ft = require "ftpipe"
local rows = ft.map { rows = ft.read { from = "reviews.csv" }, with = function(row) row.text = ("x"):rep(2000000000) return row end }
return ft.pipeline { name = "greedy", outputs = { rows = rows } }
END
does run greedy.lua --memory 300M
check "memory of functions is counted" test $? != 0
check "and told" said "memory"

# A file that becomes a link to another place after it was looked at, in a run of trusted steps alone.
case $FTPIPE in *address* | *undefined*) stub= ;; *) stub=1 ;; esac # a sanitizer wants to be loaded first
if [ $stub ]; then
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O1 -shared -fPIC -o "$work/faults.so" "$root/tests/faults/faults.c" -ldl || exit 1
    printf 'text,label\nSECRET one,pos\nSECRET two,neg\n' > "$work/outside/rows.csv"
    printf 'local ft = require "ftpipe"\nreturn ft.pipeline { name = "swap", outputs = { rows = ft.split { rows = ft.read { from = "rows.csv" } } } }\n' > swap.lua
    # swapped N NAME: a run of it with rows.csv swapped before it is opened the Nth time (to be hashed, then to be read)
    swapped() {
        rm -rf rows.csv rows.csv.swapped "$2" ../store ../count
        head -n 40 reviews.csv > rows.csv
        ln -s ../outside/rows.csv rows.csv.swapped
        env GOMP_SPINCOUNT=5000 LD_PRELOAD="$work/faults.so" FAULT_COUNT=../count FAULT_SWAP=rows.csv FAULT_SWAP_AT="$1" "$FTPIPE" run swap.lua --out "$2" > ../out 2> ../message
    }
    swapped 9 whole
    check "a run that is left in peace ends well" test $? = 0
    swapped 2 swapped
    check "a link that is made meanwhile leads nowhere" test $? = 2
    check "and the file is named" said "rows.csv: Permission denied"
    check "nothing of it is in the store" sh -c "! grep -rq SECRET ../store"
    FTPIPE_UNPROTECTED=landlock swapped 2 unheld
    check "without Landlock it would be followed" grep -rq SECRET ../store
fi

# A head that came with a model.
cd "$root" || exit 1
out=$work/model
"$FTPIPE" run pipelines/attention.lua --quiet --set model="$work/encoder" --set data="$work/reviews.csv" --set epochs=1 \
    --set head_epochs=1 --out "$out" > /dev/null 2>&1
check "a head of one's own is trained" test -s "$out/model/ftpipe.json"
"$FTPIPE" predict "$out/model" "a text" > "$work/clean" 2> /dev/null
check "and predicts" grep -q "a text" "$work/clean"
cat > "$work/spoil.lua" << 'END'
local fs, json = require "ftpipe.core.fs", require "ftpipe.core.json"
local path, action = arg[1], arg[2]
local own = json.decode(fs.read(path))
own.head_source.forward.text = ("function() local fs, process = host_require 'ftpipe.core.fs', host_require 'ftpipe.core.process' "
   .. "error('SAYS ' .. tostring((%s)) .. '.', 0) end"):format(action)
own.head_source.forward.outer = {}
fs.write(path, json.encode(own))
END
spoiled() { "$FTPIPE" lua "$work/spoil.lua" "$out/model/ftpipe.json" "$1"; }
predicts() { FTPIPE_UNPROTECTED="$1" "$FTPIPE" predict "$out/model" "a text" > "$work/out" 2> "$work/message"; }
cd "$work/project" || exit 1
spoiled "fs.read('$work/outside/secret')"
predicts ""
check "such a head has no way to ftpipe's own functions" said "host_require"
predicts environment
check "and confined it reads nothing outside" said "SAYS nil"
predicts environment,landlock
check "which it would without Landlock" said "SAYS secret"
spoiled "fs.write('$work/outside/written', 'x')"
predicts environment
check "nor does it write" said "SAYS nil"
spoiled "process.ask('/bin/true', { 'true' }, {}, '', 5, 100)"
predicts environment,landlock
check "nor run a program" said "SAYS nil"
predicts environment,landlock,seccomp
check "which it would without seccomp" said "SAYS \."
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
