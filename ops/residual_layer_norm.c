/* ops/residual_layer_norm.c - what follows both halves of an encoder layer, in one pass over each row.
 *
 *   z = dropout(x + bias) + residual        y[r,c] = xhat[r,c] * gamma[c] + beta[c]
 *   xhat[r,c] = (z[r,c] - mean[r]) * rstd[r],   rstd[r] = 1 / sqrt(var[r] + eps), biased variance
 *
 *   in     x (R,C)   residual (R,C)   gamma (C)   beta (C)   bias (C), optional
 *          places (R) i32, optional: which tokens of the batch the rows are (dropout is drawn by them)
 *   attr   f[0] eps   f[1] dropout   rows, key, update, training as for dropout (philox.h)
 *   out    y (R,C)
 *   saved  xhat (R,C)   rstd (R)
 *
 * Backward needs neither x nor the residual: xhat says all about both, and dropout is drawn again.
 */
#include <string.h>

#include "ops/blocks.h"
#include "ops/norm.h"
#include "ops/ops.h"
#include "ops/philox.h"

static ft_status check_places(const ft_op_call *c, ft_err *e)
{
    const ft_tensor *places = c->in[5];
    const int32_t *at = places->data;
    char a[96];

    if (!c->attr.rows) return ft_fail(e, FT_EUSAGE, "residual_layer_norm: places without the rows of a batch");
    if (places->dtype != FT_I32 || places->shape.rank != 1 || places->shape.dim[0] != c->in[0]->shape.dim[0])
        return ft_fail(e, FT_ESHAPE, "residual_layer_norm: want places (%lld) of int32, got %s",
                       (long long)c->in[0]->shape.dim[0], ft_shape_text(&places->shape, a));
    for (int64_t r = 0; at && r < places->shape.dim[0]; r++)
        if (at[r] < 0 || at[r] >= c->attr.rows->n_tokens)
            return ft_fail(e, FT_ESHAPE, "residual_layer_norm: place %d is outside the batch's %d tokens", at[r],
                           c->attr.rows->n_tokens);
    return FT_OK;
}

/* The number that row r is drawn by among as many as *R becomes: of places, that of the token in the batch. */
static inline int64_t drawn_as(const ft_op_call *c, int64_t *R, int64_t r)
{
    if (c->n_in < 6 || !c->in[5]) return r;
    *R = c->attr.rows->n_tokens;
    return ((const int32_t *)c->in[5]->data)[r];
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape;
    char a[96], b[96];

    if (x->rank != 2 || x->dim[1] < 1 || !ft_shape_equal(x, &c->in[1]->shape))
        return ft_fail(e, FT_ESHAPE, "residual_layer_norm: want x and residual (R,C), got %s and %s",
                       ft_shape_text(x, a), ft_shape_text(&c->in[1]->shape, b));
    for (int i = 2; i < c->n_in && i < 5; i++)
        if (c->in[i] && (c->in[i]->shape.rank != 1 || c->in[i]->shape.dim[0] != x->dim[1]))
            return ft_fail(e, FT_ESHAPE, "residual_layer_norm: want gamma, beta and bias (%lld) for x %s, got %s",
                           (long long)x->dim[1], ft_shape_text(x, a), ft_shape_text(&c->in[i]->shape, b));
    if (!(c->attr.f[0] > 0))
        return ft_fail(e, FT_EUSAGE, "residual_layer_norm: eps must be above 0, got %g", c->attr.f[0]);
    const int scattered = c->n_in > 5 && c->in[5];
    if (scattered && check_places(c, e)) return e ? e->code : FT_ESHAPE;
    if (ft_dropout_check("residual_layer_norm", &c->attr, c->attr.f[1], scattered ? c->attr.rows->n_tokens : x->dim[0],
                         e))
        return e ? e->code : FT_EUSAGE;
    s->dtype = FT_F32;
    s->shape = *x;
    s->saved_dtype[0] = s->saved_dtype[1] = FT_F32;
    s->saved[0] = *x;
    s->saved[1] = ft_shape_of(1, x->dim[0], 0, 0, 0);
    s->work_backward = sizeof(float) * (size_t)(ft_block_count(x->dim[0]) * 4 * x->dim[1]);
    s->flops = 10.0 * (double)ft_shape_count(x);
    s->bytes = 16.0 * (double)ft_shape_count(x);
    return FT_OK;
}

/* z = dropout(x + bias) + residual for one row. */
static void add_row(const ft_op_call *c, const ft_dropout *p, int64_t R, int64_t r, int64_t C, float *z)
{
    const float *x = (const float *)c->in[0]->data + r * C, *residual = (const float *)c->in[1]->data + r * C;
    const float *bias = c->n_in > 4 && c->in[4] ? c->in[4]->data : NULL;
    int64_t of = R;
    const int64_t as = drawn_as(c, &of, r);

    if (bias) {
        /* hot */
#pragma omp simd
        for (int64_t i = 0; i < C; i++) z[i] = x[i] + bias[i];
    } else {
        memcpy(z, x, sizeof(float) * (size_t)C);
    }
    if (p->threshold) ft_dropout_row(p, c->attr.rows, of, as, C, z);
        /* hot */
#pragma omp simd
    for (int64_t i = 0; i < C; i++) z[i] += residual[i];
}

static void forward(const ft_op_call *c)
{
    const int64_t R = c->out->shape.dim[0], C = c->out->shape.dim[1];
    const float *gamma = c->in[2]->data, *beta = c->in[3]->data;
    const ft_dropout p = ft_dropout_of(&c->attr, c->attr.f[1]);
    const float eps = (float)c->attr.f[0];

#pragma omp parallel for schedule(static) if (R * C > FT_WORTH)
    for (int64_t r = 0; r < R; r++) {
        float *y = (float *)c->out->data + r * C, mean, rstd;
        float *z = c->saved[0] ? (float *)c->saved[0]->data + r * C : y;
        add_row(c, &p, R, r, C, z);
        ft_norm_moments(z, C, eps, &mean, &rstd);
        /* hot */
#pragma omp simd
        for (int64_t i = 0; i < C; i++) {
            const float xhat = (z[i] - mean) * rstd;
            z[i] = xhat;
            y[i] = xhat * gamma[i] + beta[i];
        }
        if (c->saved[1]) ((float *)c->saved[1]->data)[r] = rstd;
    }
}

static void put_row(const ft_op_call *c, int input, int64_t r, int64_t C, const float *from)
{
    float *to = (float *)c->d_in[input]->data + r * C;

    if (!c->add[input]) {
        memcpy(to, from, sizeof(float) * (size_t)C);
        return;
    }
    /* hot */
#pragma omp simd
    for (int64_t i = 0; i < C; i++) to[i] += from[i];
}

/* Rows [first, last) into the block's partial sums: d_gamma, d_beta, d_bias, and one row of scratch. */
static void backward_block(const ft_op_call *c, const ft_dropout *p, int64_t first, int64_t last, float *part)
{
    const int64_t R = c->d_out->shape.dim[0], C = c->d_out->shape.dim[1];
    const float *rstd = c->saved[1]->data;
    const int into_x = c->d_in[0] != NULL, into_bias = c->d_in[4] != NULL, any = into_x || into_bias || c->d_in[1];
    float *d_bias = part + 2 * C, *dz = part + 3 * C;

    memset(part, 0, sizeof(float) * (size_t)(3 * C));
    for (int64_t r = first; r < last; r++) {
        const float *dy = (const float *)c->d_out->data + r * C, *xhat = (const float *)c->saved[0]->data + r * C;
        ft_norm_row_backward(C, dy, c->in[2]->data, xhat, 0.0f, 1.0f, rstd[r], part, part + C, any ? dz : NULL);
        if (c->d_in[1]) put_row(c, 1, r, C, dz);
        if (!into_x && !into_bias) continue;
        int64_t of = R;
        const int64_t as = drawn_as(c, &of, r);
        if (p->threshold) ft_dropout_row(p, c->attr.rows, of, as, C, dz);
        if (into_x) put_row(c, 0, r, C, dz);
        if (!into_bias) continue;
            /* hot */
#pragma omp simd
        for (int64_t i = 0; i < C; i++) d_bias[i] += dz[i];
    }
}

static void backward(const ft_op_call *c)
{
    const int64_t R = c->d_out->shape.dim[0], C = c->d_out->shape.dim[1];
    const int64_t rows = ft_block_rows(R), blocks = ft_block_count(R);
    const ft_dropout p = ft_dropout_of(&c->attr, c->attr.f[1]);
    float *part = c->work;

#pragma omp parallel for schedule(static) if (R * C > FT_WORTH)
    for (int64_t b = 0; b < blocks; b++) backward_block(c, &p, b * rows, ft_least(R, (b + 1) * rows), part + b * 4 * C);
    for (int i = 2; i < 5; i++)
        if (c->d_in[i]) ft_block_fold(part + (i - 2) * C, blocks, 4 * C, C, c->add[i], c->d_in[i]->data);
}

const ft_op FT_OP(residual_layer_norm) = {
    .name = "residual_layer_norm",
    .min_in = 4,
    .max_in = 6,
    .keeps_in = 1u << 2 | 1u << 5,
    .no_grad = 1u << 5,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
