/* ops/activation.h - activation functions and their slopes, for loops that are made vector code (ops/vmath.h).
 *
 *   gelu       u Phi(u), Phi the normal distribution function (Hendrycks and Gimpel 2016, arXiv:1606.08415)
 *   gelu_tanh  u (1 + tanh(sqrt(2 / pi) (u + 0.044715 u^3))) / 2, the approximation in the same paper
 *   silu       u / (1 + exp(-u))
 *   relu, tanh, sigmoid
 *
 * `kind` is a constant wherever these are called.
 */
#ifndef FT_OPS_ACTIVATION_H
#define FT_OPS_ACTIVATION_H

#include "ops/vmath.h"

/* The first FT_FROM_INPUT know their slope from u, the others from f(u). feed_forward takes these numbers from Lua. */
enum ft_activation { FT_GELU, FT_GELU_TANH, FT_SILU, FT_RELU, FT_TANH, FT_SIGMOID };
#define FT_FROM_INPUT 3

#define FT_ROOT_2_PI 0.79788456f
#define FT_CUBE 0.044715f

/* ==== GELU for results that are rounded to bf16 ====
 *
 * A step of bf16 is 4e-3 of a number. The normal distribution function is 1/2 + z P(z^2) with z = u within +-4.2, at most 2e-5 off,
 * and needs no division; exp needs no limits. P is a minimax fit (Lawson) that meets 1/2 at the end. Checked by tests/ops/test_vmath.c. */

#define FT_GELU_END 4.2f

/* Phi(u) */
static inline float ft_normal_cdf_short(float u)
{
    const float z = ft_clampf(u, FT_GELU_END), t = z * z;
    float p = 7.38531736e-11f;

    p = p * t - 6.70327305e-09f;
    p = p * t + 2.68543431e-07f;
    p = p * t - 6.34449998e-06f;
    p = p * t + 0.000100314297f;
    p = p * t - 0.00114667544f;
    p = p * t + 0.00993033033f;
    p = p * t - 0.0665050372f;
    p = p * t + 0.398974091f;
    return ft_clampf(z * p, 0.5f) + 0.5f;
}

/* Its product with u, and the slope of that, Phi(u) + z phi(z): 2^x for x = -z^2 / (2 ln 2), which is -12.8 at least. */
static inline float ft_gelu_short(float u) { return u * ft_normal_cdf_short(u); }
static inline float ft_gelu_slope_short(float u)
{
    const float z = ft_clampf(u, FT_GELU_END), x = z * z * (-0.5f * FT_LOG2E);
    const float shifted = x + FT_ROUNDER, r = x - (shifted - FT_ROUNDER);
    float p = 0.00133335581f;

    p = p * r + 0.00961812911f;
    p = p * r + 0.0555041087f;
    p = p * r + 0.240226507f;
    p = p * r + 0.693147181f;
    p = p * r + 1.0f;
    return ft_normal_cdf_short(u) + z * 0.39894228f * ft_bits_float(ft_float_bits(p) + (ft_float_bits(shifted) << 23));
}

static inline __attribute__((always_inline)) float ft_activation_value(const int kind, float u)
{
    switch (kind) {
    case FT_GELU: return u * ft_normal_cdf(u);
    case FT_GELU_TANH: return 0.5f * u * (1.0f + ft_tanhf(FT_ROOT_2_PI * (u + FT_CUBE * u * u * u)));
    case FT_SILU: return u * ft_sigmoidf(u);
    case FT_RELU: return u < 0.0f ? 0.0f : u;
    case FT_TANH: return ft_tanhf(u);
    default: return ft_sigmoidf(u);
    }
}

/* df/du, from u for the first three and from y = f(u) for the others. */
static inline __attribute__((always_inline)) float ft_activation_slope(const int kind, float u)
{
    switch (kind) {
    case FT_GELU: return ft_normal_cdf(u) + u * ft_normal_pdf(u);
    case FT_GELU_TANH: {
        const float t = ft_tanhf(FT_ROOT_2_PI * (u + FT_CUBE * u * u * u));
        return 0.5f * (1.0f + t) + 0.5f * u * (1.0f - t * t) * (FT_ROOT_2_PI * (1.0f + 3.0f * FT_CUBE * u * u));
    }
    case FT_SILU: {
        const float s = ft_sigmoidf(u);
        return s + u * s * (1.0f - s);
    }
    case FT_RELU: return u > 0.0f ? 1.0f : 0.0f;
    case FT_TANH: return 1.0f - u * u;
    default: return u * (1.0f - u);
    }
}

#endif
