/* ops/optim_sgd.c - gradient descent with momentum in one pass, as torch.optim.SGD has it (dampening 0).
 *
 *   d = grad_scale * g + weight_decay * w
 *   m = first ? d : momentum * m + d
 *   w -= lr * (nesterov ? d + momentum * m : m)
 *
 *   hyper   lr, momentum, weight_decay, nesterov (0 or 1), grad_scale, first (1 on the first step, else 0)
 *
 * Weight decay goes through the momentum, unlike AdamW's. With momentum 0, m is neither read nor written.
 */
#include "ops/blocks.h"
#include "ops/ops.h"

#define CHUNK 16384

static void plain_chunk(float *restrict w, const float *restrict g, int64_t n, const float *hyper)
{
    const float lr = hyper[0], decay = hyper[2], scale = hyper[4];

    /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) w[i] -= lr * (g[i] * scale + decay * w[i]);
}

static void momentum_chunk(float *restrict w, const float *restrict g, float *restrict m, int64_t n, const float *hyper)
{
    const float lr = hyper[0], momentum = hyper[1], decay = hyper[2], scale = hyper[4];
    const int nesterov = hyper[3] > 0.5f, first = hyper[5] > 0.5f;
    const float of_d = nesterov ? 1.0f : 0.0f, of_m = nesterov ? momentum : 1.0f;

    if (first)
        for (int64_t i = 0; i < n; i++) m[i] = 0.0f;
            /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float d = g[i] * scale + decay * w[i], speed = momentum * m[i] + d;
        m[i] = speed;
        w[i] -= lr * (of_d * d + of_m * speed);
    }
}

static int64_t update(float *w, const float *g, float *m, float *v, int64_t n, const float *hyper, uint8_t *awake,
                      const uint8_t *touched, ft_lazy *lazy)
{
    (void)v;
    (void)awake;
    (void)touched;
    (void)lazy;
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (int64_t i = 0; i < n; i += CHUNK) {
        if (hyper[1] > 0.0f)
            momentum_chunk(w + i, g + i, m + i, ft_least(CHUNK, n - i), hyper);
        else
            plain_chunk(w + i, g + i, ft_least(CHUNK, n - i), hyper);
    }
    return n * (int64_t)sizeof(float) * (hyper[1] > 0.0f ? 5 : 3);
}

extern const ft_optim_kernel FT_KERNEL(ft_optim_sgd);
const ft_optim_kernel FT_KERNEL(ft_optim_sgd) = { .name = "sgd", .moments = 1, .update = update };
