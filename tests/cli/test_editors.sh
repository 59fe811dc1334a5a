#!/bin/sh
# tests/cli/test_editors.sh - completions of shells and definitions for editors name what the commands and step kinds have.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
for shell in bash zsh fish; do
    "$FTPIPE" completions $shell > "$work/$shell"
    missing=
    for command in $("$FTPIPE" help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
        grep -q "\b$command\b" "$work/$shell" || missing="$missing $command"
        for option in $("$FTPIPE" help "$command" | sed -n 's/^  \(-[a-z], \)*--\([a-z-]*\).*/\2/p'); do
            grep -qE -e "(--|-l )$option\b" "$work/$shell" || missing="$missing --$option"
        done
    done
    check "completions for $shell miss nothing:$missing" test -z "$missing"
    check "and tell nothing internal ($shell)" sh -c "! grep -q worker '$work/$shell'"
done
"$FTPIPE" completions bahs > /dev/null 2> "$work/message"
check "a misspelt shell: exit code 2" test $? -eq 2
check "and the nearest" grep -q "did you mean 'bash'" "$work/message"

if command -v bash > /dev/null; then
    # completed WORD...: what bash offers for the last word
    completed() {
        bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ftpipe 2> /dev/null; echo "${COMPREPLY[*]}"' "$work/bash" "$@"
    }
    check "bash: a command" test "$(completed ftpipe pla)" = plan
    check "bash: an option" test "$(completed ftpipe plan --unt)" = --until
    check "bash: a choice" test "$(completed ftpipe graph --format "")" = "text dot mermaid"
    check "bash: an action" test "$(completed ftpipe cache "")" = "du gc verify"
    check "bash: a pipeline file" test "$(completed ftpipe run pipelines/sent)" = pipelines/sentiment.lua
fi

if command -v fish > /dev/null; then
    offered() { fish --no-config -c "source '$work/fish'; complete -C '$1'" 2> /dev/null | cut -f 1 | tr '\n' ' '; }
    check "fish: a command" test "$(offered "ftpipe pla")" = "plan "
    check "fish: an option" test "$(offered "ftpipe plan --unt")" = "--until "
    check "fish: a choice" test "$(offered "ftpipe graph --format ")" = "dot mermaid text "
    check "fish: an action" test "$(offered "ftpipe cache ")" = "du gc verify "
    check "fish: a pipeline file" test "$(offered "ftpipe fetch pipelines/sent")" = "pipelines/sentiment.lua "
fi
! command -v zsh > /dev/null || check "zsh reads its completions" zsh -fc "autoload -U compinit && compinit -D && . '$work/zsh'"

"$FTPIPE" new sentiment "$work/project" > "$work/out" 2> /dev/null
check "new writes the definitions beside the pipeline" cmp -s "$work/project/.ftpipe/ftpipe.lua" - <<END
$("$FTPIPE" definitions)
END
check "and tells the editor" grep -q '"workspace.library":\[".ftpipe"\]' "$work/project/.luarc.json"
echo '{"mine":1}' > "$work/project/.luarc.json"
"$FTPIPE" new qa "$work/project" > /dev/null 2>&1
check "settings that are there stay" grep -q mine "$work/project/.luarc.json"
cat > "$work/look.lua" <<'END'
local fs = require "ftpipe.core.fs"
local text = assert(fs.read(arg[1]))
assert(require("ftpipe.core.host").load(text, "@definitions", {}))
for kind, unit in pairs(require "ftpipe.step") do
   assert(text:find("function ft." .. kind .. "(args) end", 1, true), kind)
   for name in pairs(unit.params) do assert(text:find("---@field " .. name .. "%??%s"), kind .. "." .. name) end
end
END
check "the definitions are Lua and name all steps and options" "$FTPIPE" lua "$work/look.lua" "$work/project/.ftpipe/ftpipe.lua"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
