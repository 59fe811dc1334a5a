/* ops/optim_adamw.c - AdamW in one pass (Loshchilov and Hutter 2019, arXiv:1711.05101), as torch.optim.AdamW has it.
 *
 *   g = grad_scale * g                   w -= lr * weight_decay * w
 *   m += (1 - beta1) (g - m)             v = beta2 v + (1 - beta2) g^2
 *   w -= lr / bias1 * m / (sqrt(v) / sqrt(bias2) + eps)
 *
 *   hyper   lr, beta1, beta2, eps, weight_decay, bias1 = 1 - beta1^t, bias2 = 1 - beta2^t, grad_scale
 *
 * The factor of gradient clipping comes in grad_scale, so that clipping costs no pass of its own.
 */
#include <math.h>

#include "ops/blocks.h"
#include "ops/ops.h"

#define CHUNK 16384

static void update_chunk(float *restrict w, const float *restrict g, float *restrict m, float *restrict v, int64_t n,
                         const float *hyper)
{
    const float rise1 = 1.0f - hyper[1], beta2 = hyper[2], rise2 = 1.0f - hyper[2], eps = hyper[3];
    const float keep = 1.0f - hyper[0] * hyper[4], step = hyper[0] / hyper[5], root = 1.0f / sqrtf(hyper[6]);
    const float scale = hyper[7];

    /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float d = g[i] * scale, first = m[i] + rise1 * (d - m[i]), second = beta2 * v[i] + rise2 * d * d;
        m[i] = first;
        v[i] = second;
        w[i] = w[i] * keep - step * first / (sqrtf(second) * root + eps);
    }
}

static void update(float *w, const float *g, float *m, float *v, int64_t n, const float *hyper)
{
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (int64_t i = 0; i < n; i += CHUNK) update_chunk(w + i, g + i, m + i, v + i, ft_least(CHUNK, n - i), hyper);
}

extern const ft_optim_kernel FT_KERNEL(ft_optim_adamw);
const ft_optim_kernel FT_KERNEL(ft_optim_adamw) = { .name = "adamw", .moments = 2, .update = update };
