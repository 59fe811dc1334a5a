/* ops/optim_adamw.c - AdamW in one pass (Loshchilov and Hutter 2019, arXiv:1711.05101), as torch.optim.AdamW has it.
 *
 *   g = grad_scale * g                   w -= lr * weight_decay * w
 *   m += (1 - beta1) (g - m)             v = beta2 v + (1 - beta2) g^2
 *   w -= lr / bias1 * m / (sqrt(v) / sqrt(bias2) + eps)
 *
 *   hyper   lr, beta1, beta2, eps, weight_decay, bias1 = 1 - beta1^t, bias2 = 1 - beta2^t, grad_scale
 *
 * The factor of gradient clipping comes in grad_scale, so that clipping costs no pass of its own.
 * Weights that never had a gradient (words that no text has) only decay: where m, v and g are zero, w * (1 - lr *
 * weight_decay) is all that is left of the formula, to the bit, and the moments are not read; nor the weights, where that factor
 * can be noted (graph/lazy.h).
 */
#include <math.h>

#include "ops/blocks.h"
#include "ops/ops.h"

#define CHUNK 16384 /* whole blocks that sleep together */

/* g may be NULL: all zeros. */
static inline __attribute__((always_inline)) void update_part(float *restrict w, const float *restrict g,
                                                              float *restrict m, float *restrict v, int64_t n,
                                                              const float *hyper)
{
    const float rise1 = 1.0f - hyper[1], beta2 = hyper[2], rise2 = 1.0f - hyper[2], eps = hyper[3];
    const float keep = 1.0f - hyper[0] * hyper[4], step = hyper[0] / hyper[5], root = 1.0f / sqrtf(hyper[6]);
    const float scale = hyper[7];

    /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float d = g ? g[i] * scale : 0.0f, first = m[i] + rise1 * (d - m[i]),
                    second = beta2 * v[i] + rise2 * d * d;
        m[i] = first;
        v[i] = second;
        w[i] = w[i] * keep - step * first / (sqrtf(second) * root + eps);
    }
}

static void update_chunk(float *w, const float *g, float *m, float *v, int64_t n, const float *hyper)
{
    update_part(w, g, m, v, n, hyper);
}

static void update_still(float *w, float *m, float *v, int64_t n, const float *hyper)
{
    update_part(w, NULL, m, v, n, hyper);
}

static int any(const float *g, int64_t n)
{
    int found = 0;

    /* hot */
#pragma omp simd reduction(| : found)
    for (int64_t i = 0; i < n; i++) found |= g[i] != 0.0f;
    return found;
}

static void decay_only(float *w, int64_t n, float keep)
{
    if (keep == 1.0f) return;
        /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) w[i] *= keep;
}

enum state { ASLEEP, AWAKE, STILL /* awake, but without a gradient this time */ };

static enum state state_of(int64_t block, const uint8_t *awake, const uint8_t *touched)
{
    if (!awake[block]) return ASLEEP;
    return touched && !touched[block] ? STILL : AWAKE;
}

/* Whether one of so many blocks is awake or may have a gradient. */
static int is_marked(const uint8_t *awake, const uint8_t *touched, int64_t blocks)
{
    uint8_t any = 0;

    if (!touched) return 1;
        /* hot */
#pragma omp simd reduction(| : any)
    for (int64_t b = 0; b < blocks; b++) any |= awake[b] | touched[b];
    return any;
}

/* The decay that block `b` of a chunk from weight `at` on was spared so far. */
static void wake(ft_lazy *lazy, float *w, int64_t n, int64_t at, int64_t b)
{
    const int64_t block = at / FT_OPTIM_BLOCK + b;

    FT_KERNEL(ft_settle)(lazy, w - at, at + n, block, block + 1);
    lazy->since[block] = FT_LAZY_NEVER;
}

/* A chunk, weights from `at` on, of which some blocks may sleep: neighbours that do the same go together. Returns how many
 * weights sleep on. */
static int64_t update_awake(float *w, const float *g, float *m, float *v, int64_t n, const float *hyper, uint8_t *awake,
                            const uint8_t *touched, ft_lazy *lazy, int64_t at)
{
    const float keep = 1.0f - hyper[0] * hyper[4];
    int64_t sleep = 0;

    if (lazy && !is_marked(awake, touched, (n + FT_OPTIM_BLOCK - 1) / FT_OPTIM_BLOCK)) return n;
    for (int64_t b = 0; b * FT_OPTIM_BLOCK < n; b++) {
        if (awake[b] || (touched && !touched[b])) continue;
        awake[b] = (uint8_t)any(g + b * FT_OPTIM_BLOCK, ft_least(FT_OPTIM_BLOCK, n - b * FT_OPTIM_BLOCK));
        if (awake[b] && lazy) wake(lazy, w, n, at, b);
    }
    for (int64_t i = 0, end; i < n; i = end) {
        const enum state now = state_of(i / FT_OPTIM_BLOCK, awake, touched);
        for (end = i; end < n && state_of(end / FT_OPTIM_BLOCK, awake, touched) == now;) end += FT_OPTIM_BLOCK;
        end = ft_least(end, n);
        if (now == AWAKE)
            update_chunk(w + i, g + i, m + i, v + i, end - i, hyper);
        else if (now == STILL)
            update_still(w + i, m + i, v + i, end - i, hyper);
        else if (!lazy)
            decay_only(w + i, end - i, keep);
        if (now == ASLEEP) sleep += end - i;
    }
    return sleep;
}

static int64_t update(float *w, const float *g, float *m, float *v, int64_t n, const float *hyper, uint8_t *awake,
                      const uint8_t *touched, ft_lazy *lazy)
{
    const int sleeps = awake && hyper[3] > 0.0f; /* without eps, 0 / 0 is not 0 */
    const float keep = 1.0f - hyper[0] * hyper[4];
    int64_t sleep = 0;

#pragma omp parallel for schedule(static) reduction(+ : sleep) if (n > CHUNK)
    for (int64_t i = 0; i < n; i += CHUNK) {
        const int64_t k = ft_least(CHUNK, n - i);
        if (sleeps)
            sleep += update_awake(w + i, g + i, m + i, v + i, k, hyper, awake + i / FT_OPTIM_BLOCK,
                                  touched ? touched + i / FT_TOUCH : NULL, lazy, i);
        else
            update_chunk(w + i, g + i, m + i, v + i, k, hyper);
    }
    if (lazy && sleep > 0 && keep != 1.0f) lazy->factor[lazy->n++] = keep;
    return (n - sleep) * (int64_t)sizeof(float) * 7; /* those without a gradient this time read one number less */
}

extern const ft_optim_kernel FT_KERNEL(ft_optim_adamw);
const ft_optim_kernel FT_KERNEL(ft_optim_adamw) = { .name = "adamw", .moments = 2, .update = update };
