/* ops/dropout.c - sets a random share of the numbers to zero and scales up the rest.
 *
 *   y[r,c] = kept[r,c] ? x[r,c] / keep : 0,   keep = 1 - round(p * 65536) / 65536
 *
 *   in     x (R,C)
 *   attr   f[0] p   rows, key, update   training: 0 copies
 *   out    y (R,C)
 *
 * No mask is kept: backward draws the same numbers again (philox.h).
 */
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"
#include "ops/philox.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape;
    char a[96];

    if (x->rank != 2) return ft_fail(e, FT_ESHAPE, "dropout: want x (R,C), got %s", ft_shape_text(x, a));
    if (ft_dropout_check("dropout", &c->attr, c->attr.f[0], x->dim[0], e)) return e ? e->code : FT_EUSAGE;
    s->dtype = FT_F32;
    s->shape = *x;
    s->work_backward = sizeof(float) * (size_t)(ft_slices() * x->dim[1]);
    s->flops = (double)ft_shape_count(x);
    s->bytes = 8.0 * (double)ft_shape_count(x);
    return FT_OK;
}

static void forward(const ft_op_call *c)
{
    const int64_t R = c->out->shape.dim[0], C = c->out->shape.dim[1];
    const ft_dropout p = ft_dropout_of(&c->attr, c->attr.f[0]);

#pragma omp parallel for schedule(static) if (R * C > FT_WORTH)
    for (int64_t r = 0; r < R; r++) {
        float *y = (float *)c->out->data + r * C;
        memcpy(y, (const float *)c->in[0]->data + r * C, sizeof(float) * (size_t)C);
        if (p.threshold) ft_dropout_row(&p, c->attr.rows, R, r, C, y);
    }
}

static void backward(const ft_op_call *c)
{
    const int64_t R = c->d_out->shape.dim[0], C = c->d_out->shape.dim[1];
    const ft_dropout p = ft_dropout_of(&c->attr, c->attr.f[0]);

    if (!c->d_in[0]) return;
#pragma omp parallel for schedule(static) num_threads(ft_workers()) if (R * C > FT_WORTH)
    for (int64_t r = 0; r < R; r++) {
        float *dx = (float *)c->d_in[0]->data + r * C;
        float *g = c->add[0] ? (float *)c->work + ft_worker() * C : dx;
        memcpy(g, (const float *)c->d_out->data + r * C, sizeof(float) * (size_t)C);
        if (p.threshold) ft_dropout_row(&p, c->attr.rows, R, r, C, g);
        if (!c->add[0]) continue;
            /* hot */
#pragma omp simd
        for (int64_t i = 0; i < C; i++) dx[i] += g[i];
    }
}

const ft_op FT_OP(dropout) = {
    .name = "dropout",
    .min_in = 1,
    .max_in = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
