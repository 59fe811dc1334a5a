/* ops/layer_norm.c - normalisation of every row to mean 0 and variance 1 (Ba, Kiros, Hinton 2016, arXiv:1607.06450).
 *
 *   y[r,c] = (x[r,c] - mean[r]) * rstd[r] * gamma[c] + beta[c],   rstd[r] = 1 / sqrt(var[r] + eps), biased variance
 *
 *   in     x (R,C)   gamma (C)   beta (C)
 *   attr   f[0] eps
 *   out    y (R,C)
 *   saved  mean (R)   rstd (R)
 */
#include <string.h>

#include "ops/blocks.h"
#include "ops/norm.h"
#include "ops/ops.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape;
    char a[96], b[96];

    if (x->rank != 2 || x->dim[1] < 1)
        return ft_fail(e, FT_ESHAPE, "layer_norm: want x (R,C), got %s", ft_shape_text(x, a));
    for (int i = 1; i < 3; i++)
        if (c->in[i]->shape.rank != 1 || c->in[i]->shape.dim[0] != x->dim[1])
            return ft_fail(e, FT_ESHAPE, "layer_norm: want gamma and beta (%lld) for x %s, got %s",
                           (long long)x->dim[1], ft_shape_text(x, a), ft_shape_text(&c->in[i]->shape, b));
    if (!(c->attr.f[0] > 0)) return ft_fail(e, FT_EUSAGE, "layer_norm: eps must be above 0, got %g", c->attr.f[0]);
    s->dtype = FT_F32;
    s->shape = *x;
    for (int i = 0; i < 2; i++) {
        s->saved_dtype[i] = FT_F32;
        s->saved[i] = ft_shape_of(1, x->dim[0], 0, 0, 0);
    }
    s->work_backward = sizeof(float) * (size_t)(ft_block_count(x->dim[0]) * 3 * x->dim[1]);
    s->flops = 8.0 * (double)ft_shape_count(x);
    s->bytes = 8.0 * (double)ft_shape_count(x);
    return FT_OK;
}

static void forward(const ft_op_call *c)
{
    const int64_t R = c->out->shape.dim[0], C = c->out->shape.dim[1];
    const float *gamma = c->in[1]->data, *beta = c->in[2]->data;
    const float eps = (float)c->attr.f[0];

#pragma omp parallel for schedule(static) if (R * C > FT_WORTH)
    for (int64_t r = 0; r < R; r++) {
        const float *x = (const float *)c->in[0]->data + r * C;
        float *y = (float *)c->out->data + r * C, mean, rstd;
        ft_norm_moments(x, C, eps, &mean, &rstd);
        /* hot */
#pragma omp simd
        for (int64_t i = 0; i < C; i++) y[i] = (x[i] - mean) * rstd * gamma[i] + beta[i];
        if (c->saved[0]) ((float *)c->saved[0]->data)[r] = mean;
        if (c->saved[1]) ((float *)c->saved[1]->data)[r] = rstd;
    }
}

/* Rows [first, last) into the block's partial sums: d_gamma, d_beta, and one row of scratch. */
static void backward_block(const ft_op_call *c, int64_t first, int64_t last, int64_t C, float *part)
{
    const float *mean = c->saved[0]->data, *rstd = c->saved[1]->data;
    float *dz = part + 2 * C;

    memset(part, 0, sizeof(float) * (size_t)(2 * C));
    for (int64_t r = first; r < last; r++) {
        const float *x = (const float *)c->in[0]->data + r * C, *dy = (const float *)c->d_out->data + r * C;
        float *dx = c->d_in[0] ? (float *)c->d_in[0]->data + r * C : NULL;
        ft_norm_row_backward(C, dy, c->in[1]->data, x, mean[r], rstd[r], rstd[r], part, part + C,
                             dx && c->add[0] ? dz : dx);
        if (!dx || !c->add[0]) continue;
            /* hot */
#pragma omp simd
        for (int64_t i = 0; i < C; i++) dx[i] += dz[i];
    }
}

static void backward(const ft_op_call *c)
{
    const int64_t R = c->d_out->shape.dim[0], C = c->d_out->shape.dim[1];
    const int64_t rows = ft_block_rows(R), blocks = ft_block_count(R);
    float *part = c->work;

#pragma omp parallel for schedule(static) if (R * C > FT_WORTH)
    for (int64_t b = 0; b < blocks; b++) backward_block(c, b * rows, ft_least(R, (b + 1) * rows), C, part + b * 3 * C);
    for (int i = 1; i < 3; i++)
        if (c->d_in[i]) ft_block_fold(part + (i - 1) * C, blocks, 3 * C, C, c->add[i], c->d_in[i]->data);
}

const ft_op FT_OP(layer_norm) = {
    .name = "layer_norm",
    .min_in = 3,
    .max_in = 3,
    .keeps_in = 3,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
