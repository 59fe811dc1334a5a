/* ops/rows.c - from tokens to rows of a ragged batch.
 *
 *   row_first (T,H) -> (B,H)   the first token of each row
 *   row_mean, row_sum, row_max (T,C) -> (B,C)   over the tokens of each row
 *   row_softmax (T,C) -> (T,C)   each column over the tokens of each row
 *
 *   in     x (T,C)
 *   attr   rows
 *   saved  row_max: the token that won (B,C) i32, the first of equals, -1 where the row is empty
 *
 * A row without tokens gives zeros. A NaN among a row's tokens makes its maximum NaN.
 */
#include <math.h>
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"
#include "ops/vmath.h"

#define COLUMNS 64 /* handled at once by row_softmax */

static ft_status infer_rows(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape;
    char a[96];

    if (!c->attr.rows) return ft_fail(e, FT_EUSAGE, "%s: the rows of the batch are not given", c->op->name);
    if (x->rank != 2 || x->dim[0] != c->attr.rows->n_tokens)
        return ft_fail(e, FT_ESHAPE, "%s: want x (%d,C), one line for each token, got %s", c->op->name,
                       c->attr.rows->n_tokens, ft_shape_text(x, a));
    s->dtype = FT_F32;
    s->shape = ft_shape_of(2, c->attr.rows->n_rows, x->dim[1], 0, 0);
    s->flops = (double)ft_most(ft_shape_count(x), ft_shape_count(&s->shape));
    s->bytes = 4.0 * (double)(ft_shape_count(x) + ft_shape_count(&s->shape));
    return FT_OK;
}

static ft_status infer_max(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    if (infer_rows(c, s, e)) return e ? e->code : FT_ESHAPE;
    s->saved_dtype[0] = FT_I32;
    s->saved[0] = s->shape;
    return FT_OK;
}

static ft_status infer_softmax(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    if (infer_rows(c, s, e)) return e ? e->code : FT_ESHAPE;
    s->shape = c->in[0]->shape;
    s->flops = 20.0 * (double)ft_shape_count(&s->shape);
    s->bytes = 8.0 * (double)ft_shape_count(&s->shape);
    return FT_OK;
}

static inline void add_scaled(float *restrict to, const float *restrict from, float scale, int64_t n)
{
    /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) to[i] += from[i] * scale;
}

/* ==== first ==== */

static void first_forward(const ft_op_call *c)
{
    const int64_t B = c->out->shape.dim[0], C = c->out->shape.dim[1];
    const int32_t *at = c->attr.rows->offsets;
    const float *x = c->in[0]->data;
    float *y = c->out->data;

    for (int64_t b = 0; b < B; b++) {
        if (at[b + 1] > at[b])
            memcpy(y + b * C, x + at[b] * C, sizeof(float) * (size_t)C);
        else
            memset(y + b * C, 0, sizeof(float) * (size_t)C);
    }
}

static void first_backward(const ft_op_call *c)
{
    const int64_t B = c->d_out->shape.dim[0], C = c->d_out->shape.dim[1];
    const int32_t *at = c->attr.rows->offsets;
    const float *dy = c->d_out->data;

    if (!c->d_in[0]) return;
    float *dx = c->d_in[0]->data;
    if (!c->add[0]) memset(dx, 0, sizeof(float) * (size_t)ft_shape_count(&c->d_in[0]->shape));
    for (int64_t b = 0; b < B; b++)
        if (at[b + 1] > at[b]) add_scaled(dx + at[b] * C, dy + b * C, 1.0f, C);
}

/* ==== sum and mean ==== */

static float weight(const ft_op_call *c, int mean, int64_t b)
{
    const int32_t *at = c->attr.rows->offsets;
    return mean && at[b + 1] > at[b] ? 1.0f / (float)(at[b + 1] - at[b]) : 1.0f;
}

static void sum_rows(const ft_op_call *c, int mean)
{
    const int64_t B = c->out->shape.dim[0], C = c->out->shape.dim[1];
    const int32_t *at = c->attr.rows->offsets;
    const float *x = c->in[0]->data;

#pragma omp parallel for schedule(static) if (ft_shape_count(&c->in[0]->shape) > FT_WORTH)
    for (int64_t b = 0; b < B; b++) {
        float *y = (float *)c->out->data + b * C;
        const float w = weight(c, mean, b);
        memset(y, 0, sizeof(float) * (size_t)C);
        for (int64_t t = at[b]; t < at[b + 1]; t++) add_scaled(y, x + t * C, 1.0f, C);
        if (!mean) continue;
        for (int64_t i = 0; i < C; i++) y[i] *= w;
    }
}

static void spread_rows(const ft_op_call *c, int mean)
{
    const int64_t B = c->d_out->shape.dim[0], C = c->d_out->shape.dim[1];
    const int32_t *at = c->attr.rows->offsets;

    if (!c->d_in[0]) return;
#pragma omp parallel for schedule(static) if (ft_shape_count(&c->d_in[0]->shape) > FT_WORTH)
    for (int64_t b = 0; b < B; b++) {
        for (int64_t t = at[b]; t < at[b + 1]; t++) {
            float *dx = (float *)c->d_in[0]->data + t * C;
            if (!c->add[0]) memset(dx, 0, sizeof(float) * (size_t)C);
            add_scaled(dx, (const float *)c->d_out->data + b * C, weight(c, mean, b), C);
        }
    }
}

static void sum_forward(const ft_op_call *c) { sum_rows(c, 0); }
static void sum_backward(const ft_op_call *c) { spread_rows(c, 0); }
static void mean_forward(const ft_op_call *c) { sum_rows(c, 1); }
static void mean_backward(const ft_op_call *c) { spread_rows(c, 1); }

/* ==== max ==== */

static void max_forward(const ft_op_call *c)
{
    const int64_t B = c->out->shape.dim[0], C = c->out->shape.dim[1];
    const int32_t *at = c->attr.rows->offsets;
    const float *x = c->in[0]->data;

#pragma omp parallel for schedule(static) if (ft_shape_count(&c->in[0]->shape) > FT_WORTH)
    for (int64_t b = 0; b < B; b++) {
        float *y = (float *)c->out->data + b * C;
        int32_t *won = c->saved[0] ? (int32_t *)c->saved[0]->data + b * C : NULL;
        for (int64_t i = 0; i < C; i++) {
            int32_t best = at[b + 1] > at[b] ? at[b] : -1;
            for (int32_t t = at[b] + 1; t < at[b + 1]; t++) {
                const float now = x[t * C + i], old = x[best * C + i];
                if (now > old || (isnan(now) && !isnan(old))) best = t;
            }
            y[i] = best >= 0 ? x[best * C + i] : 0.0f;
            if (won) won[i] = best;
        }
    }
}

static void max_backward(const ft_op_call *c)
{
    const int64_t B = c->d_out->shape.dim[0], C = c->d_out->shape.dim[1];
    const int32_t *won = c->saved[0]->data;
    const float *dy = c->d_out->data;

    if (!c->d_in[0]) return;
    float *dx = c->d_in[0]->data;
    if (!c->add[0]) memset(dx, 0, sizeof(float) * (size_t)ft_shape_count(&c->d_in[0]->shape));
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < C; i++)
            if (won[b * C + i] >= 0) dx[won[b * C + i] * C + i] += dy[b * C + i];
}

/* ==== softmax ==== */

/* n tokens, m columns at most COLUMNS, rows C apart. */
static void softmax_columns(const float *x, float *y, int64_t n, int64_t m, int64_t C)
{
    float most[COLUMNS], sum[COLUMNS] = { 0 };

    for (int64_t i = 0; i < m; i++) most[i] = x[i];
    for (int64_t t = 1; t < n; t++)
        for (int64_t i = 0; i < m; i++) most[i] = x[t * C + i] > most[i] ? x[t * C + i] : most[i];
    for (int64_t t = 0; t < n; t++) {
        for (int64_t i = 0; i < m; i++) {
            y[t * C + i] = ft_expf(x[t * C + i] - most[i]);
            sum[i] += y[t * C + i];
        }
    }
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < m; i++) y[t * C + i] /= sum[i];
}

static void softmax_forward(const ft_op_call *c)
{
    const int64_t B = c->attr.rows->n_rows, C = c->out->shape.dim[1];
    const int32_t *at = c->attr.rows->offsets;
    const float *x = c->in[0]->data;
    float *y = c->out->data;

#pragma omp parallel for schedule(static) if (ft_shape_count(&c->out->shape) > FT_WORTH)
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < C && at[b + 1] > at[b]; i += COLUMNS)
            softmax_columns(x + at[b] * C + i, y + at[b] * C + i, at[b + 1] - at[b], ft_least(COLUMNS, C - i), C);
}

/* dx = y (dy - sum over the row's tokens of dy y) */
static void softmax_columns_backward(const float *y, const float *dy, int add, float *dx, int64_t n, int64_t m,
                                     int64_t C)
{
    float dot[COLUMNS] = { 0 };

    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < m; i++) dot[i] += dy[t * C + i] * y[t * C + i];
    for (int64_t t = 0; t < n; t++) {
        for (int64_t i = 0; i < m; i++) {
            const float g = y[t * C + i] * (dy[t * C + i] - dot[i]);
            dx[t * C + i] = add ? dx[t * C + i] + g : g;
        }
    }
}

static void softmax_backward(const ft_op_call *c)
{
    const int64_t B = c->attr.rows->n_rows, C = c->d_out->shape.dim[1];
    const int32_t *at = c->attr.rows->offsets;

    if (!c->d_in[0]) return;
#pragma omp parallel for schedule(static) if (ft_shape_count(&c->d_out->shape) > FT_WORTH)
    for (int64_t b = 0; b < B; b++) {
        for (int64_t i = 0; i < C; i += COLUMNS) {
            const int64_t first = at[b] * C + i;
            softmax_columns_backward((const float *)c->out->data + first, (const float *)c->d_out->data + first,
                                     c->add[0], (float *)c->d_in[0]->data + first, at[b + 1] - at[b],
                                     ft_least(COLUMNS, C - i), C);
        }
    }
}

const ft_op FT_OP(row_first) = {
    .name = "row_first",
    .min_in = 1,
    .max_in = 1,
    .infer = infer_rows,
    .forward = first_forward,
    .backward = first_backward,
};
const ft_op FT_OP(row_sum) = {
    .name = "row_sum",
    .min_in = 1,
    .max_in = 1,
    .infer = infer_rows,
    .forward = sum_forward,
    .backward = sum_backward,
};
const ft_op FT_OP(row_mean) = {
    .name = "row_mean",
    .min_in = 1,
    .max_in = 1,
    .infer = infer_rows,
    .forward = mean_forward,
    .backward = mean_backward,
};
const ft_op FT_OP(row_max) = {
    .name = "row_max",
    .min_in = 1,
    .max_in = 1,
    .infer = infer_max,
    .forward = max_forward,
    .backward = max_backward,
};
const ft_op FT_OP(row_softmax) = {
    .name = "row_softmax",
    .min_in = 1,
    .max_in = 1,
    .keeps_out = 1,
    .infer = infer_softmax,
    .forward = softmax_forward,
    .backward = softmax_backward,
};
