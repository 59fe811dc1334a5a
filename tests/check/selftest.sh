#!/bin/sh
# tests/check/selftest.sh DIR - each check passes on a small sound tree and fails on each faulty
# copy of it: a check that cannot fail checks nothing.
set -u
cd "$1" || exit 2
root=$(pwd)
checks=$root/tests/check
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
HOT_FLAGS='-std=c11 -O3 -mavx2 -fopenmp-simd -I.'
[ "$(uname -m)" = x86_64 ] || HOT_FLAGS='-std=c11 -O3 -fopenmp-simd -I.'
export HOT_FLAGS
cases=0 bad=0

# sound: a tree that every check accepts, in $work/tree.
sound()
{
    rm -rf "$work/tree"
    mkdir -p "$work/tree/runtime/core" "$work/tree/runtime/cli" "$work/tree/runtime/text" "$work/tree/ops" "$work/tree/lua" "$work/tree/tests"
    cd "$work/tree" || exit 2
    cp "$root/.clang-format" "$root/.luacheckrc" .
    printf '#include "core/a.h"\n\n#include <stdio.h>\n\nint ft_a(char *out)\n{\n    return snprintf(out, 8, "printf(");\n}\n' > runtime/core/a.c
    printf 'int ft_a(char *out); /* as abort() or stderr would be */\n' > runtime/core/a.h
    printf '#include "core/a.h"\n\n#include <stdio.h>\n\nint main(void)\n{\n    puts("done");\n    return 0;\n}\n' > runtime/cli/main.c
    printf 'void ft_add(float *restrict y, const float *restrict x, int n);\n' > ops/a.h
    printf '#include "ops/a.h"\n\nvoid ft_add(float *restrict y, const float *restrict x, int n)\n{\n    /* hot */\n    for (int i = 0; i < n; i++) y[i] += x[i];\n}\n' > ops/a.c
    printf 'local function twice(x) return 2 * x end\n\nreturn { twice = twice }\n' > lua/a.lua
    clang-format -i runtime/*/*.[ch] ops/*.[ch]
}

for check in format lint floors calls tree hot; do
    sound
    sh "$checks/$check.sh" . > "$work/out" 2>&1 || { echo "$check fails on a sound tree:"; cat "$work/out"; bad=1; }
    cases=$((cases + 1))
done

# fault CHECK WORDS COMMANDS: after COMMANDS the check must fail, and say WORDS.
fault()
{
    cases=$((cases + 1))
    sound
    eval "$3"
    if sh "$checks/$1.sh" . > "$work/out" 2>&1; then
        echo "$1 accepts: $3"
        bad=1
    elif ! grep -q -- "$2" "$work/out"; then
        echo "$1 fails without saying \"$2\" on: $3"
        cat "$work/out"
        bad=1
    fi
}

fault format 'make format' 'echo "int  ft_b( void );" >> runtime/core/a.h'
fault lint 'a.lua:1' 'echo "x = 1" > lua/a.lua'
fault lint 'a.lua:1' 'echo "local unused = 1" > lua/a.lua'
fault lint 'cannot read' 'echo "if true" > tests/a.sh'
fault floors 'floor core includes' 'echo "#include \"text/b.h\"" >> runtime/core/a.c'
fault floors 'floor text includes' 'echo "#include \"ops/a.h\"" > runtime/text/b.h'
fault floors 'floor ops includes' 'echo "#include \"data/b.h\"" >> ops/a.c'
fault floors 'floor cli includes' 'echo "#include \"text/b.h\"" >> runtime/cli/main.c'
fault floors 'runtime/script only' 'echo "#include <lauxlib.h>" >> runtime/cli/main.c'
fault floors 'OpenBLAS is seen by' 'echo "#include <cblas.h>" | tee -a ops/a.c >> ops/b.c'
fault floors 'libcrypto is seen by' 'echo "#include <openssl/evp.h>" >> runtime/core/a.c; echo "#include <openssl/sha.h>" >> runtime/core/b.c'
fault floors 'one processor' 'echo "#include <immintrin.h>" >> ops/a.c'
fault floors 'without \.\.' 'echo "#include \"../core/a.h\"" >> runtime/text/b.h'
fault floors 'not known' 'mkdir runtime/attic; echo "#include <stdio.h>" >> runtime/attic/a.c'
fault calls 'only runtime/cli prints' 'echo "void f(void) { printf(\"x\"); }" >> runtime/core/a.c'
fault calls 'only runtime/cli prints' 'echo "void f(void) { fputs(\"x\", stderr); }" >> ops/a.c'
fault calls 'ends the process' 'echo "void f(void) { /* bye */ exit(1); }" >> runtime/core/a.c'
fault calls 'ends the process' 'echo "void f(void) { abort(); }" >> ops/a.c'
fault calls 'unbounded' 'echo "void f(char *a) { strcpy(a, \"x\"); }" > tests/a.c'
fault calls 'unbounded' 'echo "void f(char *a) { sprintf(a, \"x\"); }" >> runtime/cli/main.c'
fault tree 'top level' 'mkdir notes; echo x > notes/a'
fault tree 'more than 600' 'yes "int ft_x;" | head -601 > runtime/core/long.h'
fault tree 'path of one machine' 'echo "-- /wor""k/main" >> lua/a.lua'
fault tree 'package registry' 'echo "-- https://py""pi.org/simple" >> lua/a.lua'
fault tree 'unfinished' 'echo "-- TO""DO: the rest" >> lua/a.lua'
fault hot 'a.c:6: a hot loop' 'sed -i "s/y\[i\] += x\[i\]/{ if (x[i] > y[i - 1]) y[i] = y[i - 1] * x[i]; }/" ops/a.c'
fault hot 'no loop' 'sed -i "s/for .*/(void)n; y[0] = x[0];/" ops/a.c'
fault hot 'a.c:6: a hot loop' 'sed -i "s|^ *for .*|for (int j = 0; j < 9; j++)\n    for (int i = 0; i < n; i += x[i] > 0) y[i] += x[i];|" ops/a.c'
fault hot 'line of its own' 'sed -i "s|/\* hot \*/|& int k = 0;|" ops/a.c'
fault hot 'over nothing' 'sed -i "s|/\* hot \*/||; \$ a /* hot */" ops/a.c'
fault hot 'no loop is marked' 'sed -i "/hot/d" ops/a.c'
fault hot 'could not compile' 'echo "x" >> ops/a.c'

[ $bad = 0 ] || { echo 'a check does not find what it is there to find'; exit 1; }
echo "$cases cases"
