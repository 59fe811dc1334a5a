/* ops/vmath.h - exp, erf, tanh and their kin, written so that a loop over them becomes vector code.
 *
 * No branches and no calls into libm: a compiler turns `omp simd` loops around these into straight vector code.
 * Coefficients are minimax fits (weighted least squares with Lawson's iteration) made for this file.
 *
 *   ft_expf    at most 1e-7 relative (1.5 ulp) where the result is normal; smaller results become 0
 *   ft_logf    at most 3e-7 relative to the larger of the result and 1; positive normal numbers only
 *   ft_erff    at most 5e-7 relative
 *   ft_tanhf   at most 4e-7 relative
 *
 * NaN stays NaN and infinities give the limits. Bounds are checked by tests/ops/test_vmath.c.
 */
#ifndef FT_OPS_VMATH_H
#define FT_OPS_VMATH_H

#include <stdint.h>
#include <string.h>

#include "ops/lanes.h"

#define FT_EXP_LOW -87.33654f /* exp of less is not a normal number */
#define FT_EXP_HIGH 88.72284f /* exp of more is infinite */
#define FT_LOG2E 1.44269504f
#define FT_LN2_HIGH 0.693359375f /* few bits, so that its product with an exponent is exact without FMA */
#define FT_LN2_LOW -2.12194440e-4f
#define FT_ROUNDER 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer kept in the low bits */

#define FT_EXP_C2 0.499999935f
#define FT_EXP_C3 0.166665207f
#define FT_EXP_C4 0.0416683875f
#define FT_EXP_C5 0.00836871114f
#define FT_EXP_C6 0.00138146104f

static inline float ft_bits_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t ft_float_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* Without a branch: left as ?: the compiler may branch, and then a loop of several is no longer vectorised. */
static inline float ft_selectf(int choice, float yes, float no)
{
    const uint32_t mask = 0u - (uint32_t)choice;
    return ft_bits_float((mask & ft_float_bits(yes)) | (~mask & ft_float_bits(no)));
}

/* x = n ln 2 + r, exp(x) = 2^n exp(r); 2^n is added to the exponent bits of a polynomial in r. */
static inline float ft_expf(float x)
{
    const float shifted = x * FT_LOG2E + FT_ROUNDER, n = shifted - FT_ROUNDER;
    const float r = (x - n * FT_LN2_HIGH) - n * FT_LN2_LOW;
    float p = FT_EXP_C6;

    p = p * r + FT_EXP_C5;
    p = p * r + FT_EXP_C4;
    p = p * r + FT_EXP_C3;
    p = p * r + FT_EXP_C2;
    p = (p * r) * r + r;
    const float y = ft_bits_float(ft_float_bits(1.0f + p) + (ft_float_bits(shifted) << 23));
    const float low = ft_selectf(x < FT_EXP_LOW, 0.0f, y);
    return ft_selectf(x <= FT_EXP_HIGH, low, x + __builtin_inff());
}

/* Natural logarithm of a positive normal number: x = 2^n m with m about 1, log m = 2 artanh((m - 1) / (m + 1)). */
static inline float ft_logf(float x)
{
    const uint32_t from_root = ft_float_bits(x) - 0x3f3504f3u; /* bits of sqrt(1/2), so that m lies around 1 */
    const float n = (float)((int32_t)from_root >> 23), m = ft_bits_float((from_root & 0x007fffffu) + 0x3f3504f3u);
    const float s = (m - 1.0f) / (m + 1.0f), t = s * s;
    const float p = t * (0.666666667f + t * (0.4f + t * (0.285714286f + t * 0.222222222f)));
    const float y = n * FT_LN2_HIGH + (s * (2.0f + p) + n * FT_LN2_LOW);

    return ft_selectf(x <= 3.4028235e38f, y, x);
}

static inline float ft_clampf(float x, float limit)
{
    const float y = ft_selectf(x > limit, limit, x);
    return ft_selectf(y < -limit, -limit, y);
}

/* x P(x^2) / Q(x^2) */
static inline float ft_erff(float x)
{
    const float z = ft_clampf(x, 3.92f), t = z * z;
    float p = 2.05008368e-06f, q = 3.8091728e-05f;

    p = p * t + 0.000284883679f;
    p = p * t + 0.0037656512f;
    p = p * t + 0.0527488303f;
    p = p * t + 0.190407236f;
    p = p * t + 1.12837915f;
    q = q * t + 0.00116254415f;
    q = q * t + 0.0149692854f;
    q = q * t + 0.114109434f;
    q = q * t + 0.50207676f;
    q = q * t + 1.0f;
    return ft_clampf(z * p / q, 1.0f);
}

static inline float ft_tanhf(float x)
{
    const float z = ft_clampf(x, 9.02f), t = z * z;
    float p = 1.33190798e-08f, q = 7.76202286e-07f;

    p = p * t + 2.05834876e-05f;
    p = p * t + 0.00349403496f;
    p = p * t + 0.133797183f;
    p = p * t + 0.999999979f;
    q = q * t + 0.000328309349f;
    q = q * t + 0.0258710748f;
    q = q * t + 0.467130335f;
    q = q * t + 1.0f;
    return ft_clampf(z * p / q, 1.0f);
}

static inline float ft_sigmoidf(float x) { return 1.0f / (1.0f + ft_expf(-x)); }

/* Cumulative distribution and density of the standard normal law. */
static inline float ft_normal_cdf(float x) { return 0.5f + 0.5f * ft_erff(x * 0.70710678f); }
static inline float ft_normal_pdf(float x) { return 0.39894228f * ft_expf(-0.5f * x * x); }

/* ==== One vector of numbers ==== */

static inline ft_vf ft_vsplat(float x) { return (ft_vf){ 0 } + x; }

/* yes where mask is set (all ones), else no. */
static inline ft_vf ft_vselect(ft_vi mask, ft_vf yes, ft_vf no)
{
    return (ft_vf)((mask & (ft_vi)yes) | (~mask & (ft_vi)no));
}

static inline ft_vf ft_vmax(ft_vf a, ft_vf b) { return ft_vselect((ft_vi)(a > b), a, b); }

/* exp(x) for x not above FT_EXP_HIGH (softmax subtracts the largest first); NaN stays NaN. */
static inline ft_vf ft_vexp_bounded(ft_vf x)
{
    const ft_vf shifted = x * FT_LOG2E + FT_ROUNDER, n = shifted - FT_ROUNDER;
    const ft_vf r = (x - n * FT_LN2_HIGH) - n * FT_LN2_LOW;
    ft_vf p = r * FT_EXP_C6 + FT_EXP_C5;

    p = p * r + FT_EXP_C4;
    p = p * r + FT_EXP_C3;
    p = p * r + FT_EXP_C2;
    p = (p * r) * r + r;
    const ft_vf y = (ft_vf)((ft_vi)(1.0f + p) + ((ft_vi)shifted << 23));
    return (ft_vf)(~(ft_vi)(x < FT_EXP_LOW) & (ft_vi)y);
}

/* Sum and maximum over the lanes, in every lane of the result: halves are swapped and met, then quarters, ... */
#if FT_LANES == 16
#define FT_VFOLD(x, OP)                                                                                                \
    x = OP(x, __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));                    \
    x = OP(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));                    \
    x = OP(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));                    \
    x = OP(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14))
#elif FT_LANES == 8
#define FT_VFOLD(x, OP)                                                                                                \
    x = OP(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3));                                                  \
    x = OP(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5));                                                  \
    x = OP(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6))
#else
#define FT_VFOLD(x, OP)                                                                                                \
    x = OP(x, __builtin_shufflevector(x, x, 2, 3, 0, 1));                                                              \
    x = OP(x, __builtin_shufflevector(x, x, 1, 0, 3, 2))
#endif
#define FT_VPLUS(a, b) ((a) + (b))

static inline ft_vf ft_vsum(ft_vf x)
{
    FT_VFOLD(x, FT_VPLUS);
    return x;
}

static inline ft_vf ft_vlargest(ft_vf x)
{
    FT_VFOLD(x, ft_vmax);
    return x;
}

#endif
