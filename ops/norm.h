/* ops/norm.h - one row of layer normalisation, shared by layer_norm and residual_layer_norm. */
#ifndef FT_OPS_NORM_H
#define FT_OPS_NORM_H

#include <math.h>
#include <stdint.h>

/* Mean and 1 / sqrt(variance + eps) of C numbers; the variance is the biased one, from differences to the mean. */
static inline void ft_norm_moments(const float *x, int64_t C, float eps, float *mean, float *rstd)
{
    float sum = 0.0f, squares = 0.0f;

    /* hot */
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < C; i++) sum += x[i];
    const float m = sum / (float)C;
    /* hot */
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < C; i++) squares += (x[i] - m) * (x[i] - m);
    *mean = m;
    *rstd = 1.0f / sqrtf(squares / (float)C + eps);
}

/* One row's part of the gradient. The normalised row is xhat = (x - mean) * k, and with g = dy * gamma
 *   dz = rstd * (g - mean(g) - xhat * mean(g * xhat)),   d_gamma += dy * xhat,   d_beta += dy
 * dz may be NULL. */
static inline void ft_norm_row_backward(int64_t C, const float *dy, const float *gamma, const float *x, float mean,
                                        float k, float rstd, float *d_gamma, float *d_beta, float *dz)
{
    float sum = 0.0f, dot = 0.0f;

    /* hot */
#pragma omp simd reduction(+ : sum, dot)
    for (int64_t i = 0; i < C; i++) {
        const float xhat = (x[i] - mean) * k, g = dy[i] * gamma[i];
        sum += g;
        dot += g * xhat;
        d_gamma[i] += dy[i] * xhat;
        d_beta[i] += dy[i];
    }
    if (!dz) return;
    sum /= (float)C;
    dot /= (float)C;
    /* hot */
#pragma omp simd
    for (int64_t i = 0; i < C; i++) dz[i] = rstd * (dy[i] * gamma[i] - sum - (x[i] - mean) * k * dot);
}

#endif
