#!/bin/sh
# tests/slow/test_levels.sh - every test of numbers on every instruction set that this processor has kernels for, with the
# libraries of products held to the same one.
set -u
passed=0
failed=0

# level ISA ONEDNN'S OPENBLAS'S: the suite under these.
level()
{
    echo "== kernels $1, oneDNN $2, OpenBLAS $3"
    FTPIPE_ISA=$1 DNNL_MAX_CPU_ISA=$2 OPENBLAS_CORETYPE=$3 sh tests/run.sh "$PROGRAMS"/ops/test_* tests/lua/test_nn.lua \
        tests/lua/test_parity.lua tests/lua/test_model.lua tests/lua/test_masked_lm.lua tests/lua/test_last_layer.lua \
        tests/lua/test_precision.lua tests/lua/test_step_versions.lua tests/lua/test_training.lua tests/lua/test_forecast.lua > "$TMPDIR/level" 2>&1
    code=$?
    cat "$TMPDIR/level"
    [ $code -eq 0 ] && passed=$((passed + 1)) || failed=$((failed + 1))
}

flags=$(grep -m 1 '^flags' /proc/cpuinfo)
has() { case " $flags " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

level base SSE41 Nehalem
if has avx2; then level v3 AVX2 Haswell; fi
if has avx512bw; then level v4 AVX512_CORE SkylakeX; fi
if has avx512_bf16; then level v4bf16 AVX512_CORE_BF16 Cooperlake; fi
if has amx_bf16; then level v4amx AVX512_CORE_AMX Cooperlake; fi
if FTPIPE_ISA=v9 "$FTPIPE" version > "$TMPDIR/level" 2>&1; then failed=$((failed + 1)); else passed=$((passed + 1)); fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
