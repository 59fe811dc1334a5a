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
