/* ops/activation.c - the activation functions, each an op, with an optional bias added first.
 *
 *   y = f(x + bias)
 *
 *   in     x (..., C)   bias (C), optional
 *   out    y, shaped like x
 *
 * The functions themselves are in ops/activation.h.
 *
 * gelu, gelu_tanh and silu keep x and the bias for backward, the others their result.
 * Without a bias x is one long row, so that its shape does not matter.
 */
#include <string.h>

#include "ops/activation.h"
#include "ops/blocks.h"
#include "ops/ops.h"

#define PIECE 4096 /* numbers per task where there is no bias */

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape, *bias = c->n_in > 1 && c->in[1] ? &c->in[1]->shape : NULL;
    char a[96], b[96];

    if (bias && (x->rank < 1 || bias->rank != 1 || bias->dim[0] != x->dim[x->rank - 1]))
        return ft_fail(e, FT_ESHAPE, "%s: want a bias as long as the last axis of x, got x %s and bias %s", c->op->name,
                       ft_shape_text(x, a), ft_shape_text(bias, b));
    s->dtype = FT_F32;
    s->shape = *x;
    if (bias && bias->dim[0] > 0)
        s->work_backward = sizeof(float) * (size_t)(ft_block_count(ft_shape_count(x) / bias->dim[0]) * bias->dim[0]);
    s->flops = 16.0 * (double)ft_shape_count(x);
    s->bytes = 8.0 * (double)ft_shape_count(x);
    return FT_OK;
}

typedef void forward_fn(int64_t n, const float *x, const float *bias, float *y);
typedef void backward_fn(int64_t n, const float *from, const float *bias, const float *dy, int add, float *dx,
                         float *d_bias);

static inline __attribute__((always_inline)) void forward_row(const int kind, int64_t n, const float *x,
                                                              const float *bias, float *y)
{
    if (bias) {
        /* hot */
#pragma omp simd
        for (int64_t i = 0; i < n; i++) y[i] = ft_activation_value(kind, x[i] + bias[i]);
    } else {
        /* hot */
#pragma omp simd
        for (int64_t i = 0; i < n; i++) y[i] = ft_activation_value(kind, x[i]);
    }
}

/* from: x, or y. bias, dx and d_bias may be NULL; d_bias is added to. */
static inline __attribute__((always_inline)) void backward_row(const int kind, int64_t n, const float *from,
                                                               const float *bias, const float *dy, int add, float *dx,
                                                               float *d_bias)
{
    float g[FT_SEGMENT];

    for (int64_t first = 0; first < n; first += FT_SEGMENT) {
        const int64_t m = ft_least(FT_SEGMENT, n - first);
        const float *u = from + first, *d = dy + first;
        float *to = dx && !add ? dx + first : g;
        if (bias) {
            const float *b = bias + first;
            /* hot */
#pragma omp simd
            for (int64_t i = 0; i < m; i++) to[i] = d[i] * ft_activation_slope(kind, u[i] + b[i]);
        } else {
            /* hot */
#pragma omp simd
            for (int64_t i = 0; i < m; i++) to[i] = d[i] * ft_activation_slope(kind, u[i]);
        }
        if (dx && add) {
            float *sum = dx + first;
            /* hot */
#pragma omp simd
            for (int64_t i = 0; i < m; i++) sum[i] += g[i];
        }
        if (d_bias) {
            float *sum = d_bias + first;
            /* hot */
#pragma omp simd
            for (int64_t i = 0; i < m; i++) sum[i] += to[i];
        }
    }
}

static void forward(const ft_op_call *c, forward_fn *row)
{
    const int64_t n = ft_shape_count(&c->out->shape);
    const float *bias = c->n_in > 1 && c->in[1] ? c->in[1]->data : NULL, *x = c->in[0]->data;
    const int64_t C = bias ? c->in[1]->shape.dim[0] : PIECE;
    float *y = c->out->data;

#pragma omp parallel for schedule(static) if (n > FT_WORTH)
    for (int64_t i = 0; i < n; i += C) row(ft_least(C, n - i), x + i, bias, y + i);
}

static void backward(const ft_op_call *c, int from_x, backward_fn *row)
{
    const int64_t n = ft_shape_count(&c->d_out->shape);
    const int has_bias = c->n_in > 1 && c->in[1];
    const int64_t C = has_bias ? c->in[1]->shape.dim[0] : PIECE, R = n > 0 ? (n + C - 1) / C : 0;
    const int64_t rows = ft_block_rows(R), blocks = ft_block_count(R);
    const float *from = from_x ? c->in[0]->data : c->out->data, *dy = c->d_out->data;
    const float *bias = has_bias && from_x ? c->in[1]->data : NULL;
    const int into_bias = has_bias && c->d_in[1];
    float *dx = c->d_in[0] ? c->d_in[0]->data : NULL, *part = c->work;

    if (!dx && !into_bias) return;
#pragma omp parallel for schedule(static) if (n > FT_WORTH)
    for (int64_t b = 0; b < blocks; b++) {
        float *d_bias = into_bias ? part + b * C : NULL;
        if (d_bias) memset(d_bias, 0, sizeof(float) * (size_t)C);
        for (int64_t r = b * rows, last = ft_least(R, (b + 1) * rows); r < last; r++)
            row(ft_least(C, n - r * C), from + r * C, bias, dy + r * C, c->add[0], dx ? dx + r * C : NULL, d_bias);
    }
    if (into_bias) ft_block_fold(part, blocks, C, C, c->add[1], c->d_in[1]->data);
}

/* The constant KIND makes every row function straight code; the loops over rows are shared. */
#define ACTIVATION(NAME, KIND)                                                                                         \
    static void NAME##_row(int64_t n, const float *x, const float *bias, float *y)                                     \
    {                                                                                                                  \
        forward_row(KIND, n, x, bias, y);                                                                              \
    }                                                                                                                  \
    static void NAME##_row_backward(int64_t n, const float *from, const float *bias, const float *dy, int add,         \
                                    float *dx, float *d_bias)                                                          \
    {                                                                                                                  \
        backward_row(KIND, n, from, bias, dy, add, dx, d_bias);                                                        \
    }                                                                                                                  \
    static void NAME##_forward(const ft_op_call *c) { forward(c, NAME##_row); }                                        \
    static void NAME##_backward(const ft_op_call *c) { backward(c, KIND < FT_FROM_INPUT, NAME##_row_backward); }       \
    const ft_op FT_OP(NAME) = {                                                                                        \
        .name = #NAME,                                                                                                 \
        .min_in = 1,                                                                                                   \
        .max_in = 2,                                                                                                   \
        .keeps_in = (KIND < FT_FROM_INPUT) ? 3 : 0,                                                                    \
        .keeps_out = !(KIND < FT_FROM_INPUT),                                                                          \
        .cheap = (KIND < FT_FROM_INPUT),                                                                               \
        .infer = infer,                                                                                                \
        .forward = NAME##_forward,                                                                                     \
        .backward = NAME##_backward,                                                                                   \
    }

ACTIVATION(gelu, FT_GELU);
ACTIVATION(gelu_tanh, FT_GELU_TANH);
ACTIVATION(silu, FT_SILU);
ACTIVATION(relu, FT_RELU);
ACTIVATION(tanh, FT_TANH);
ACTIVATION(sigmoid, FT_SIGMOID);
