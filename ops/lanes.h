/* ops/lanes.h - the widest vector of float32 that the instruction set being compiled has.
 *
 * These are the compiler's own vector types: arithmetic on them is element by element, and no
 * instruction is named. They may be read from and written to any float array at any place.
 */
#ifndef FT_OPS_LANES_H
#define FT_OPS_LANES_H

#include <stdint.h>

#if defined(__AVX512F__)
#define FT_LANES 16
#elif defined(__AVX2__)
#define FT_LANES 8
#else
#define FT_LANES 4
#endif

typedef float ft_vf __attribute__((vector_size(4 * FT_LANES), aligned(4), may_alias));
typedef int32_t ft_vi __attribute__((vector_size(4 * FT_LANES), aligned(4), may_alias));

/* Before a loop of constant length: every copy, so that arrays of vectors become registers. */
#if defined(__clang__)
#define FT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FT_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
