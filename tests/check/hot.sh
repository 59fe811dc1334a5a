#!/bin/sh
# tests/check/hot.sh DIR - gcc vectorises every loop under a line that holds only "/* hot */".
#
# HOT_FLAGS holds the flags of the widest instruction set. A loop of ops/*.c or ops/*.h counts as
# vectorised when gcc's report says so of its first line: what it missed is also said of left-over
# iterations and of second copies, so that is no measure. Where several files include a header,
# or gcc inlines a loop at several places, any of them counts.
set -u
cd "$1" || exit 2
: "${HOT_FLAGS:?}"
command -v gcc > /dev/null || { echo 'gcc is not here: its report of loops is what this reads'; exit 1; }
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

marked=$(grep -lF '/* hot */' ops/*.[ch] 2> /dev/null)
[ -n "$marked" ] || { echo 'no loop is marked "/* hot */": mark those that the time goes into'; exit 1; }

# report PREFIX FILE: the loops that gcc vectorised there.
cat > "$work/report" << 'END'
gcc $HOT_FLAGS -w -fopt-info-vec-optimized="$1.$$" -c -o /dev/null "$2" || { echo "$2" >> "$1.broken"; }
END
# shellcheck disable=SC2086
ls ops/*.c | xargs -n 1 -P 2 sh "$work/report" "$work/vec" || exit 1
[ ! -e "$work/vec.broken" ] || { echo "gcc could not compile: $(cat "$work/vec.broken")"; exit 1; }
cat "$work"/vec.* 2> /dev/null | grep 'optimized: *loop vectorized' | sort -u > "$work/all"

# shellcheck disable=SC2086
awk '
function wrong(line, what) { printf "%s:%d: %s\n", file, line, what; bad = 1 }

# First the report.
FILENAME ~ /\/all$/ {
    split($0, part, ":")
    sub(/^\.\//, "", part[1])
    vectorised[part[1] ":" part[2]] = 1
    next
}
FNR == 1 {
    if (mark) wrong(mark, "\"hot\" stands over nothing")
    mark = 0
    file = FILENAME
}
/\/\* hot \*\// {
    if ($0 !~ /^[ \t]*\/\* hot \*\/[ \t]*$/) wrong(FNR, "\"hot\" stands on a line of its own, not in a macro")
    else mark = FNR
    next
}

# Between the mark and its loop only a pragma may be.
mark && !/^[ \t]*(#[ \t]*pragma|$)/ {
    loops++
    if ($0 !~ /^[ \t]*(for|while|do)([^A-Za-z0-9_]|$)/) wrong(mark, "\"hot\" stands over something that is no loop")
    else if (!((FILENAME ":" FNR) in vectorised) && !((FILENAME ":" FNR + 1) in vectorised)) wrong(FNR, "a hot loop that gcc did not vectorise")
    mark = 0
}
END {
    if (mark) wrong(mark, "\"hot\" stands over nothing")
    if (!bad) printf "%d hot loops vectorised\n", loops
    exit bad
}' "$work/all" $marked || {
    echo 'gcc -O3 -fopt-info-vec-missed says why: often an accumulator that needs fixed-width lanes, a possible'
    echo 'alias (restrict), or a call. If the loop is not hot, take the mark away.'
    exit 1
}
