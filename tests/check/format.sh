#!/bin/sh
# tests/check/format.sh DIR - C files are as clang-format and .clang-format have them.
set -u
cd "$1" || exit 2
files=$(find runtime ops tests -name '*.[ch]' 2> /dev/null | sort)
wrong=$(for file in $files; do clang-format --dry-run -Werror "$file" > /dev/null 2>&1 || echo "$file"; done)
if [ -n "$wrong" ]; then
    echo "$wrong"
    echo 'these are not in the house format: make format'
    exit 1
fi
echo "$(echo "$files" | wc -l) C files"
