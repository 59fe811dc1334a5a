#!/bin/sh
# tests/cli/test_vanished.sh - a step's entry of the store is removed or replaced by another process between its worker's end and
# the moment the leader looks for it: the run goes on or ends with a message, and never waits for ever.
set -u
export GOMP_SPINCOUNT=5000
LIMIT=60      # seconds after which something waits for ever

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; cat message; fi; }
says() { grep -q -- "$1" message; }

# Steps that wait until a module of that name lies beside the file; its name is not in their tokens.
cat > steps.lua << 'END'
local ft = require "ftpipe"
local function waits(name)
   local text = name .. " waits"
   return function(_, ...)
      print(text)
      repeat until pcall(require, "go_" .. name)
      return { of = name, n = select("#", ...) }
   end
end
local a = ft.step { name = "a", run = waits "a" } ()
local c = ft.step { name = "c", run = waits "c" } ()
local b = ft.step { name = "b", run = waits "b" } (a, c)
return ft.pipeline { name = "steps", outputs = { a = a, c = c, b = b } }
END
let_go() { echo "return true" > "go_$1.lua"; }
let_go b
begin() { # begin OUT [options]: the run, with a store of its own, and with an end if it has none
    out=$1; shift
    rm -f message
    (FTPIPE_CACHE=$work/$out.store exec timeout -k 1 $LIMIT "$FTPIPE" run steps.lua --out "$out" "$@" > /dev/null 2> message) &
    pid=$!
}
waits() { grep -qs "^$1 waits" message "$out/.run/$1.messages"; }
until_it() { while ! "$@" && kill -0 $pid 2> /dev/null; do sleep 0.01; done; }
ended() { wait $pid; code=$?; }
job() { begin "$@"; ended; }
field() { sed -n "s/^$2:.\([A-Z0-9]*\).*/\1/p" "/proc/$1/status" 2> /dev/null; }
children() { # children PID: the processes that it started
    for status in /proc/[0-9]*/status; do
        grep -qsx "PPid:.$1" "$status" && status=${status%/status} && echo "${status#/proc/}"
    done
}
is() { [ "$(field "$1" State)" = "$2" ]; }
has_ended_child() { for child in $(children "$1"); do is "$child" Z && return 0; done; return 1; }
entry() { # entry OUT STEP
    dirname "$(grep -l "\"text\":\"$2 waits\"" "$1".store/steps/*/*/record.json)"
}
# held OUT [options]: step a has ended, and the process that leads the run has not looked for what it left
held() {
    rm -f go_a.lua
    begin "$@"
    until_it waits a
    leader=$(children $pid)
    kill -STOP "$leader"
    until_it is "$leader" T
    let_go a
    until_it has_ended_child "$leader"
}

for n in 1 2; do
    held "vanished$n" --jobs $n
    check "$n at a time: the step left its entry" test -s "$(entry "vanished$n" a)/value.pack"
    rm -rf "$(entry "vanished$n" a)"
    kill -CONT "$leader"
    ended
    check "$n at a time: what vanished ends the run" test $code -eq 1
    check "with the step" says "^ftpipe: what step 'a' left was removed from the store by another process"
    check "and how to go on" says "hint: type the same command again to go on: ftpipe run steps.lua --out vanished$n"
    let_go c
    job "vanished$n" --jobs $n
    check "which helps" test $code -eq 0
    rm -f go_c.lua
done
let_go c

held replaced
before=$(stat -c %i "$(entry replaced a)")
kill -STOP $pid      # its time stands still too
FTPIPE_CACHE=$work/replaced.store "$FTPIPE" run steps.lua --out second --force=a > /dev/null 2> message
check "another run replaces the entry" test $? -eq 0 -a "$before" != "$(stat -c %i "$(entry replaced a)")"
FTPIPE_CACHE=$work/replaced.store "$FTPIPE" cache gc --days 0 > /dev/null 2> message
check "nobody cleans meanwhile" test $? -eq 3 -a -s "$(entry replaced a)/value.pack"
kill -CONT $pid "$leader"
ended
check "the first one takes what is there" test $code -eq 0
check "and ends with the other's result" cmp -s replaced/plan.json second/plan.json

rm -f go_c.lua
begin inputs
until_it waits c
rm -rf "$(entry inputs a)"
let_go c
ended
check "what a step to come needs has vanished: the run ends" test $code -eq 1
check "with the step that needs it" says "^ftpipe: the inputs of step 'b' were removed from the store by another process"
check "and how to go on there too" says "hint: type the same command again"
job inputs
check "which helps as well" test $code -eq 0

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
