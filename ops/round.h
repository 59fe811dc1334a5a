/* ops/round.h - float32 rounded to bf16, to nearest even; NaN stays NaN.
 *
 * Where the instruction set being compiled has an instruction for it (AVX-512-bf16) that is named here, one of the few places where
 * kernels name any (runtime/README.md). It makes zeros of numbers below 1.2e-38, which the products that read them would take for zeros
 * anyway; elsewhere they are rounded like all others.
 */
#ifndef FT_OPS_ROUND_H
#define FT_OPS_ROUND_H

#include <stdint.h>
#include <string.h>

#include "ops/lanes.h"

typedef uint32_t ft_vu __attribute__((vector_size(4 * FT_LANES), aligned(4), may_alias));
typedef uint16_t ft_vs __attribute__((vector_size(2 * FT_LANES), aligned(2), may_alias));
typedef uint16_t ft_vboth __attribute__((vector_size(4 * FT_LANES), aligned(2), may_alias));

static inline uint16_t ft_round_one(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
#ifdef __AVX512BF16__
    if ((u & 0x7f800000u) == 0) u &= 0x80000000u;
#endif
    return (uint16_t)((x != x ? u | 0x400000u : u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

#ifdef __AVX512BF16__

static inline ft_vs ft_round_vector(ft_vf x)
{
    ft_vs y;

    __asm__("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(x));
    return y;
}

/* a, then b */
static inline ft_vboth ft_round_both(ft_vf a, ft_vf b)
{
    ft_vboth y;

    __asm__("vcvtne2ps2bf16 %2, %1, %0" : "=v"(y) : "v"(b), "v"(a));
    return y;
}

/* Lane i: a[i] in the low half, b[i] in the high one. */
static inline ft_vu ft_round_pairs(ft_vf a, ft_vf b)
{
    const ft_vboth y = ft_round_both(a, b);

    return (ft_vu)__builtin_shufflevector(y, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25,
                                          10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

#else

/* Upper half of each lane: the rounded number; the lower half is rubbish. */
static inline ft_vu ft_round_upper(ft_vf x)
{
    const ft_vu u = (ft_vu)x, up = u + 0x7fffu + (u >> 16 & 1u);
    const ft_vu nan = (ft_vu)(x != x);

    return (nan & (u | 0x400000u)) | (~nan & up);
}

static inline ft_vs ft_round_vector(ft_vf x) { return __builtin_convertvector(ft_round_upper(x) >> 16, ft_vs); }

/* a, then b */
static inline ft_vboth ft_round_both(ft_vf a, ft_vf b)
{
    union {
        ft_vs half[2];
        ft_vboth whole;
    } y = { { ft_round_vector(a), ft_round_vector(b) } };

    return y.whole;
}

/* Lane i: a[i] in the low half, b[i] in the high one. */
static inline ft_vu ft_round_pairs(ft_vf a, ft_vf b)
{
    return ft_round_upper(a) >> 16 | (ft_round_upper(b) & 0xffff0000u);
}

#endif

/* Lane i: a[i] in the low half, b[i] in the high one. */
static inline ft_vu ft_pair_vectors(ft_vs a, ft_vs b)
{
    return __builtin_convertvector(a, ft_vu) | __builtin_convertvector(b, ft_vu) << 16;
}

/* to (n) = x (n) times scale */
static inline void ft_round_scaled(const float *x, int64_t n, float scale, uint16_t *to)
{
    int64_t i = 0;

    for (; i + FT_LANES <= n; i += FT_LANES) *(ft_vs *)(to + i) = ft_round_vector(*(const ft_vf *)(x + i) * scale);
    for (; i < n; i++) to[i] = ft_round_one(x[i] * scale);
}

/* to (n) = x (n) */
static inline void ft_round_row(const float *x, int64_t n, uint16_t *to) { ft_round_scaled(x, n, 1.0f, to); }

/* to (n) = x (n) */
static inline void ft_widen_row(const uint16_t *x, int64_t n, float *to)
{
    int64_t i = 0;

    for (; i + FT_LANES <= n; i += FT_LANES)
        *(ft_vu *)(to + i) = __builtin_convertvector(*(const ft_vs *)(x + i), ft_vu) << 16;
    for (; i < n; i++) {
        const uint32_t u = (uint32_t)x[i] << 16;
        memcpy(to + i, &u, sizeof u);
    }
}

/* to (n) += x (n) */
static inline void ft_add_row(const uint16_t *x, int64_t n, float *to)
{
    int64_t i = 0;

    for (; i + FT_LANES <= n; i += FT_LANES)
        *(ft_vf *)(to + i) += (ft_vf)(__builtin_convertvector(*(const ft_vs *)(x + i), ft_vu) << 16);
    for (; i < n; i++) {
        const uint32_t u = (uint32_t)x[i] << 16;
        float f;
        memcpy(&f, &u, sizeof f);
        to[i] += f;
    }
}

#endif
