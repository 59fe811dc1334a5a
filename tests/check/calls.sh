#!/bin/sh
# tests/check/calls.sh DIR - nothing below runtime/cli prints or ends the process, and nobody
# uses the string functions that do not know the size of their target.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$1" || exit 2
files=$(find runtime ops tests -name '*.[ch]' 2> /dev/null | sort)
# shellcheck disable=SC2086
awk -f "$here/strip.awk" $files /dev/null | awk '
# calls(NAME): does the line call, or name, that function itself?
function calls(name) { return code ~ ("(^|[^A-Za-z0-9_.>])" name "[ \t]*[(]") }
function wrong(what) { printf "%s: %s\n", place, what; bad = 1 }
{
    place = $1
    sub(/:$/, "", place)
    code = substr($0, length($1) + 2)
    if (code ~ /^[ \t]*#[ \t]*include/) next
    if (calls("(strcpy|strcat|sprintf|vsprintf|gets)"))
        wrong("unbounded string function; snprintf, memcpy and core/buf.h know the size")
    if (place ~ /^(tests|runtime\/cli)\//) next
    if (calls("(printf|vprintf|puts|putchar|perror)") || code ~ /(^|[^A-Za-z0-9_])(stdout|stderr)([^A-Za-z0-9_]|$)/)
        wrong("only runtime/cli prints; return an ft_err, or write to what the caller gave")
    if (calls("(exit|abort|quick_exit)"))
        wrong("only runtime/cli ends the process; return an ft_err")
}
END { exit bad }' || exit 1
echo "$(echo "$files" | wc -l) files"
