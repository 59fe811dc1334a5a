#!/bin/sh
# tests/check/floors.sh DIR - a file includes its own floor or a lower one, and the headers of
# each library are seen by the one file that wraps it.
#
# A new floor, or a new way down, is one line of "may" below (runtime/README.md says why).
set -u
cd "$1" || exit 2
files=$(find runtime ops -name '*.[ch]' 2> /dev/null | sort)
# shellcheck disable=SC2086
grep -nE '^[ 	]*#[ 	]*include' $files /dev/null | awk '
function wrong(what) { printf "%s: %s\n", place, what; bad = 1 }

function floor_of(path)
{
    if (path ~ /^runtime\//) { split(path, part, "/"); return part[2] }
    if (path ~ /^ops\//) return "ops"
    split(path, part, "/")
    return part[1]
}

BEGIN {
    may["core"] = "core"
    may["tensor"] = "core tensor"
    may["graph"] = "core tensor graph"
    may["ops"] = "core tensor graph ops"
    may["text"] = "core tensor text"
    may["data"] = "core tensor text data"
    may["net"] = "core net"
    may["store"] = "core store"
    may["script"] = "core tensor graph ops text data net store script"
    may["cli"] = "core script cli"

    # Header, as a pattern, and the library that it belongs to.
    library["^(lua|lauxlib|lualib|luaconf)[.]h$"] = "Lua"
    library["^cblas[.]h$"] = "OpenBLAS"
    library["dnnl[a-z_]*[.]h$"] = "oneDNN"
    library["^curl/"] = "libcurl"
    library["^archive(_entry)?[.]h$"] = "libarchive"
    library["^pcre2[.]h$"] = "PCRE2"
    library["^openssl/"] = "libcrypto"
    library["^mpi[.]h$"] = "MPI"
}
{
    split($0, part, ":")
    file = part[1]
    place = file ":" part[2]
    header = $0
    sub(/^[^"<]*["<]/, "", header)
    sub(/[">].*$/, "", header)
    mine = floor_of(file)
    if (!(mine in may)) wrong("floor \"" mine "\" is not known to tests/check/floors.sh")
    if ($0 ~ /include[ \t]*"/ && header ~ /\//) {
        theirs = floor_of(header)
        if (index(" " may[mine] " ", " " theirs " ") == 0)
            wrong("floor " mine " includes \"" header "\" of floor " theirs "; it may include: " may[mine])
    }
    if (header ~ /^[.][.]/ || header ~ /\/[.][.]\//) wrong("write \"" header "\" from the root of the floors, without ..")
    if (header ~ /(mmintrin|x86intrin|cpuid|arm_neon|arm_sve)[.]h$/)
        wrong("<" header "> ties the file to one processor; kernels are plain C, compiled once for each")
    for (pattern in library) {
        if (header !~ pattern) continue
        name = library[pattern]
        if (name == "Lua") {
            if (mine != "script") wrong("<" header "> is seen by runtime/script only")
        } else if (!(name in seen)) {
            seen[name] = file
        } else if (seen[name] != file) {
            wrong("<" header ">: " name " is seen by " seen[name] " already, and one file must do")
        }
    }
}
END { exit bad }' || {
    echo 'move the code to the floor it belongs to, or go through the header that wraps the library'
    exit 1
}
echo "$(echo "$files" | wc -l) files"
