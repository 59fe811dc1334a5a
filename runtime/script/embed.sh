#!/bin/sh
# runtime/script/embed.sh - prints C source that holds Lua files as bytes (embedded.h).
#
#   embed.sh LUA-DIR PIPELINE-DIR > embedded.c
#
# DIR/ftpipe/nn.lua becomes module "ftpipe.nn", and DIR/ftpipe/init.lua module "ftpipe".
set -eu
export LC_ALL=C

# modules DIR and pipelines DIR: lines "name<TAB>file", sorted by name.
modules()
{
    find "$1" -name '*.lua' | while read -r file; do
        name=${file#"$1"/}
        name=${name%.lua}
        printf '%s\t%s\n' "$(echo "${name%/init}" | tr / .)" "$file"
    done | sort
}

pipelines()
{
    find "$1" -maxdepth 1 -name '*.lua' | while read -r file; do
        printf '%s\t%s\n' "${file##*/}" "$file"
    done | sort
}

# table SYMBOL COUNT-SYMBOL, its lines on standard input: the bytes, then the table.
# A last, empty entry keeps the array legal where there are no files.
table()
{
    tab=$(printf '\t')
    n=0
    rows=
    while IFS=$tab read -r name file; do
        printf '\nstatic const unsigned char %s_%d[] = {\n' "$1" "$n"
        od -An -v -tu1 "$file" | sed 's/  */ /g; s/\([0-9]\)\( \|$\)/\1,\2/g'
        printf ' 0 };\n'
        rows="$rows    { \"$name\", \"@$file\", $1_$n, sizeof $1_$n - 1 },
"
        n=$((n + 1))
    done
    printf '\nconst ft_embedded %s[] = {\n%s    { NULL, NULL, NULL, 0 },\n};\nconst size_t %s = %d;\n' "$1" "$rows" "$2" "$n"
}

printf '/* Made by runtime/script/embed.sh. */\n#include "script/embedded.h"\n'
modules "$1" | table ft_embedded_lua ft_embedded_count
pipelines "$2" | table ft_embedded_pipelines ft_embedded_pipeline_count
