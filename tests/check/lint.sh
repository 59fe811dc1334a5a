#!/bin/sh
# tests/check/lint.sh DIR - luacheck has nothing to say of Lua files, and the shell reads all scripts.
set -u
cd "$1" || exit 2
dirs=
for dir in lua pipelines tests; do
    [ -n "$(find "$dir" -name '*.lua' 2> /dev/null)" ] && dirs="$dirs $dir"
done
# shellcheck disable=SC2086
if [ -n "$dirs" ] && ! luacheck --no-color -q --no-cache $dirs; then
    echo 'luacheck: change what it names (rules: .luacheckrc)'
    exit 1
fi
for script in $(find runtime lua tests vendor -name '*.sh' 2> /dev/null); do
    sh -n "$script" || { echo "$script: the shell cannot read it"; exit 1; }
done
# shellcheck disable=SC2086
echo "$([ -z "$dirs" ] || find $dirs -name '*.lua' | wc -l) Lua files"
