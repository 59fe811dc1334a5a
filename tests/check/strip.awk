# tests/check/strip.awk - prints C files as "file:line: code", without comments and without
# what stands between quotes; names in #include lines stay.
FNR == 1 { in_comment = 0 }
{
    if (!in_comment && $0 ~ /^[ \t]*#[ \t]*include/) {
        sub(/[ \t]*\/[\/*].*/, "")
        print FILENAME ":" FNR ": " $0
        next
    }
    rest = $0
    code = ""
    while (rest != "") {
        if (in_comment) {
            if (!(at = index(rest, "*/"))) break
            rest = substr(rest, at + 2)
            in_comment = 0
        } else if (match(rest, /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'|\/\*|\/\//)) {
            code = code substr(rest, 1, RSTART - 1)
            mark = substr(rest, RSTART, 2)
            rest = substr(rest, RSTART + RLENGTH)
            if (mark == "/*") in_comment = 1
            else if (mark == "//") break
            else code = code substr(mark, 1, 1) substr(mark, 1, 1)
        } else {
            code = code rest
            break
        }
    }
    print FILENAME ":" FNR ": " code
}
