#!/bin/sh
# tests/check/tree.sh DIR - what lies at the top level, how long files are, and which words
# no file may hold.
set -u
cd "$1" || exit 2
limit=600
if [ -d .git ]; then
    files=$(git ls-files --cached --others --exclude-standard | while read -r f; do [ -f "$f" ] && echo "$f"; done | sort)
else
    files=$(find . -type f | sed 's|^\./||' | grep -Ev '^(build|runs)/' | sort)
fi
bad=0
wrong()
{
    echo "$1"
    bad=1
}

for top in $(echo "$files" | cut -d / -f 1 | sort -u); do
    case $top in
    runtime | ops | pipelines | lua | tests | vendor | Makefile | README.md | LICENSE | CHANGELOG.md | .*) ;;
    *) wrong "$top: not one of the top level's; move or ignore it" ;;
    esac
done

source=$(echo "$files" | grep -E '\.(c|h|lua|sh|awk|py|md)$|^Makefile$|^vendor/' | grep -v '^tests/fixtures/')
for file in $source; do
    lines=$(wc -l < "$file")
    case $file in *.c | *.h | *.lua | *.sh) [ "$lines" -le $limit ] || wrong "$file: $lines lines, more than $limit: split it by what it does" ;; esac
done

# find_words PATTERN ADVICE. Patterns are written so that this file does not match them.
find_words()
{
    # shellcheck disable=SC2086
    found=$(grep -nE -- "$1" $source /dev/null) || return 0
    wrong "$found"
    echo "    $2"
}
find_words '(^|[^A-Za-z0-9_.])/wor[k]/' 'a path of one machine: write it relative to the repository, or take it as an argument'
find_words 'https?://[^/ ]*(pypi|pythonhosted|artifactory|nexus|proxy\.golang|(deb|registry|mirror)[a-z0-9-]*\.)' 'a package registry: its client knows where it is'
find_words '(^|[^A-Za-z])(TOD[O]|FIXM[E]|XX[X])([^A-Za-z]|$)' 'unfinished: finish it, or say in prose what is not there'

[ $bad = 0 ] || exit 1
echo "$(echo "$files" | wc -l) files"
