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
 *
 * Weights that products read in other layouts are laid out anew here, a few lines at a time, while they are in the cache
 * (ops/product/layouts.h).
 */
#include <math.h>
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"

_Static_assert(sizeof((ft_optim_job *)0)->own.layouts / sizeof(void *) == FT_LAYOUT_KINDS, "one place for each layout");

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

/* ==== Jobs, cut into tasks ==== */

/* Weights of which products read other layouts go by whole lines, laid out while they are in the cache; others by chunks. */
#define LINES 16         /* or a multiple of it: whole cache lines of every layout */
#define TILE (48 * 1024) /* weights of a task that has more lines than that, at most */

static int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

static int sleeps(const ft_optim_job *j) { return j->awake && j->hyper[3] > 0.0f; } /* without eps, 0 / 0 is not 0 */

/* Whether some weights may be left as they are until somebody settles them: not to be laid out. */
static int may_lag(const ft_optim_job *j)
{
    return sleeps(j) && j->lazy && memchr(j->awake, 0, (size_t)pieces(j->n, FT_OPTIM_BLOCK));
}

/* Returns the number of tasks. */
static int64_t cut(ft_optim_job *j)
{
    j->own.slept = j->own.lines = j->own.laid = 0;
    if (j->lines == 0 || j->n == 0 || may_lag(j)) return pieces(j->n, CHUNK);

    const int64_t columns = j->n / j->lines;
    j->own.laid = (int64_t)ft_layouts_renew(j->weight, j->lines, columns, j->own.layouts);
    if (j->own.laid == 0) return pieces(j->n, CHUNK);
    const int64_t least = LINES * columns % FT_OPTIM_BLOCK ? FT_OPTIM_BLOCK : LINES; /* blocks that sleep are not cut */
    j->own.lines = ft_most(ft_least(TILE / columns, 4 * LINES) / least, 1) * least;
    return pieces(j->lines, j->own.lines);
}

/* Returns how many weights sleep on. */
static int64_t update_range(const ft_optim_job *j, int64_t at, int64_t n)
{
    if (sleeps(j))
        return update_awake(j->w + at, j->g + at, j->m + at, j->v + at, n, j->hyper, j->awake + at / FT_OPTIM_BLOCK,
                            j->touched ? j->touched + at / FT_TOUCH : NULL, j->lazy, at);
    update_chunk(j->w + at, j->g + at, j->m + at, j->v + at, n, j->hyper);
    return 0;
}

static int64_t update_lines(const ft_optim_job *j, int64_t first)
{
    const int64_t columns = j->n / j->lines, lines = ft_least(j->own.lines, j->lines - first);
    const int64_t sleep = update_range(j, first * columns, lines * columns);

    ft_layouts_fill(j->own.layouts, j->w, j->lines, columns, first, lines);
    return sleep;
}

static void run_task(ft_optim_job *j, int64_t k)
{
    const int64_t sleep = j->own.lines ? update_lines(j, k * j->own.lines)
                                       : update_range(j, k * CHUNK, ft_least(CHUNK, j->n - k * CHUNK));

    if (sleep)
#pragma omp atomic
        j->own.slept += sleep;
}

/* The job that task k is part of. */
static ft_optim_job *job_of(ft_optim_job *jobs, size_t n, int64_t k)
{
    size_t low = 0;

    for (size_t high = n; high - low > 1;) {
        const size_t middle = low + (high - low) / 2;
        *(jobs[middle].own.first <= k ? &low : &high) = middle;
    }
    return &jobs[low];
}

static int64_t update(ft_optim_job *jobs, size_t n)
{
    int64_t tasks = 0, bytes = 0;

    for (size_t i = 0; i < n; i++) {
        jobs[i].own.first = tasks;
        tasks += cut(&jobs[i]);
    }
#pragma omp parallel for schedule(dynamic) if (tasks > 1)
    for (int64_t k = 0; k < tasks; k++) {
        ft_optim_job *j = job_of(jobs, n, k);
        run_task(j, k - j->own.first);
    }
    for (size_t i = 0; i < n; i++) {
        const float keep = 1.0f - jobs[i].hyper[0] * jobs[i].hyper[4];
        if (jobs[i].lazy && jobs[i].own.slept > 0 && keep != 1.0f) jobs[i].lazy->factor[jobs[i].lazy->n++] = keep;
        /* those without a gradient this time read one number less */
        bytes += (jobs[i].n - jobs[i].own.slept) * (int64_t)sizeof(float) * 7 + jobs[i].own.laid;
    }
    return bytes;
}

extern const ft_optim_kernel FT_KERNEL(ft_optim_adamw);
const ft_optim_kernel FT_KERNEL(ft_optim_adamw) = { .name = "adamw", .moments = 2, .update = update };
