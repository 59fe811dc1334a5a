/* ops/sum.c - sum over one axis or over all.
 *
 *   attr   i[0] the axis, -1: all      i[1] 1: keep it with size 1
 *
 *   dx = dy, repeated along the axis
 *
 * The order of a sum is fixed by the shape: whole chunks in parallel, their results in
 * order. Long sums are gathered in double.
 */
#include "ops/elementary.h"

#define CHUNK 16384 /* elements of one partial sum of a long row */
#define BATCH 256   /* partial sums kept at a time */
#define STRIPE 64   /* columns per task */

static double chunk_sum(const float *x, int64_t n)
{
    double total = 0;

    for (int64_t i = 0; i < n; i += 512) {
        const int64_t m = n - i < 512 ? n - i : 512;
        float lane[16] = { 0 };
        int64_t j = 0;
        for (; j + 16 <= m; j += 16)
            for (int k = 0; k < 16; k++) lane[k] += x[i + j + k];
        for (int k = 0; k < 16; k++) total += (double)lane[k];
        for (; j < m; j++) total += (double)x[i + j];
    }
    return total;
}

static double row_sum(const float *x, int64_t n)
{
    double total = 0;

    for (int64_t first = 0; first < n; first += (int64_t)BATCH * CHUNK) {
        double part[BATCH];
        const int64_t left = n - first, chunks = left > (int64_t)BATCH * CHUNK ? BATCH : (left + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) if (chunks > 2)
        for (int64_t k = 0; k < chunks; k++)
            part[k] = chunk_sum(x + first + k * CHUNK, left - k * CHUNK < CHUNK ? left - k * CHUNK : CHUNK);
        for (int64_t k = 0; k < chunks; k++) total += part[k];
    }
    return total;
}

/* Columns [0, m) of an (n, inner) block. */
static void stripe_sum(const float *x, int64_t n, int64_t inner, int64_t m, double factor, float *y)
{
    double total[STRIPE] = { 0 };

    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < m; i++) total[i] += (double)x[r * inner + i];
    for (int64_t i = 0; i < m; i++) y[i] = (float)(factor * total[i]);
}

void FT_KERNEL(ft_axis_sum)(const float *x, ft_axis a, double factor, float *y)
{
    const int64_t stripes = (a.inner + STRIPE - 1) / STRIPE, total = a.outer * a.n * a.inner;

    if (a.outer == 1 && a.inner == 1) {
        y[0] = (float)(factor * row_sum(x, a.n));
        return;
    }
#pragma omp parallel for schedule(static) if (total > FT_PARALLEL_FROM)
    for (int64_t t = 0; t < a.outer * stripes; t++) {
        const int64_t o = t / stripes, first = t % stripes * STRIPE;
        const int64_t m = a.inner - first < STRIPE ? a.inner - first : STRIPE;
        if (a.inner == 1)
            y[o] = (float)(factor * chunk_sum(x + o * a.n, a.n));
        else
            stripe_sum(x + o * a.n * a.inner + first, a.n, a.inner, m, factor, y + o * a.inner + first);
    }
}

void FT_KERNEL(ft_axis_spread)(const float *dy, ft_axis a, double factor, int add, float *dx)
{
    const float f = (float)factor;
    const int64_t total = a.outer * a.n * a.inner;

#pragma omp parallel for schedule(static) if (total > FT_PARALLEL_FROM)
    for (int64_t t = 0; t < a.outer * a.n; t++) {
        const float *g = dy + t / a.n * a.inner;
        float *d = dx + t * a.inner;
        for (int64_t i = 0; i < a.inner; i++) d[i] = add ? d[i] + f * g[i] : f * g[i];
    }
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e) { return ft_infer_reduction("sum", c, s, e); }

static void forward(const ft_op_call *c)
{
    FT_KERNEL(ft_axis_sum)(c->in[0]->data, ft_axis_of(&c->in[0]->shape, c->attr.i[0]), 1.0, c->out->data);
}

static void backward(const ft_op_call *c)
{
    if (!c->d_in[0]) return;
    FT_KERNEL(ft_axis_spread)
    (c->d_out->data, ft_axis_of(&c->d_in[0]->shape, c->attr.i[0]), 1.0, c->add[0], c->d_in[0]->data);
}

const ft_op FT_OP(sum) = {
    .name = "sum",
    .min_in = 1,
    .max_in = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
