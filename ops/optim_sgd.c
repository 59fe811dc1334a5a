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

static int64_t update_one(const ft_optim_job *j)
{
    const int moves = j->hyper[1] > 0.0f;

#pragma omp parallel for schedule(static) if (j->n > CHUNK)
    for (int64_t i = 0; i < j->n; i += CHUNK) {
        const int64_t k = ft_least(CHUNK, j->n - i);
        if (moves)
            momentum_chunk(j->w + i, j->g + i, j->m + i, k, j->hyper);
        else
            plain_chunk(j->w + i, j->g + i, k, j->hyper);
    }
    return j->n * (int64_t)sizeof(float) * (moves ? 5 : 3);
}

static int64_t update(ft_optim_job *jobs, size_t n)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < n; i++) bytes += update_one(&jobs[i]);
    return bytes;
}

extern const ft_optim_kernel FT_KERNEL(ft_optim_sgd);
const ft_optim_kernel FT_KERNEL(ft_optim_sgd) = { .name = "sgd", .moments = 1, .update = update };
