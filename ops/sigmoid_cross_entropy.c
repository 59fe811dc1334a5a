/* ops/sigmoid_cross_entropy.c - loss of a classifier whose labels do not exclude each other, one number per row.
 *
 *   loss[r] = mean_c (log(1 + exp(x)) - t x),   x = x[r,c],   t = (1 - a) y[r,c] + a / 2
 *
 *   in     logits x (R,C)   labels y i32 (R,C), each 0 or 1
 *   attr   f[0] label smoothing a
 *   out    loss (R)
 *
 * It is the binary cross-entropy of each label's probability sigmoid(x), from the logit itself, so that nothing
 * overflows: log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
 */
#include <math.h>

#include "ops/blocks.h"
#include "ops/ops.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape, *y = &c->in[1]->shape;
    const int32_t *label = c->in[1]->data;
    char a[96], b[96];

    if (x->rank != 2 || x->dim[1] < 1 || c->in[1]->dtype != FT_I32 || !ft_shape_equal(x, y))
        return ft_fail(e, FT_ESHAPE, "sigmoid_cross_entropy: want logits (R,C) and i32 labels (R,C), got %s and %s %s",
                       ft_shape_text(x, a), ft_dtype_name(c->in[1]->dtype), ft_shape_text(y, b));
    if (!(c->attr.f[0] >= 0 && c->attr.f[0] <= 1))
        return ft_fail(e, FT_EUSAGE, "sigmoid_cross_entropy: label smoothing must lie between 0 and 1, got %g",
                       c->attr.f[0]);
    for (int64_t i = 0, n = ft_shape_count(y); label && i < n; i++)
        if (label[i] != 0 && label[i] != 1)
            return ft_fail(e, FT_EUSAGE, "sigmoid_cross_entropy: label %d of row %lld is %d, not 0 or 1",
                           (int)(i % x->dim[1]), (long long)(i / x->dim[1]), label[i]);
    s->dtype = FT_F32;
    s->shape = ft_shape_of(1, x->dim[0], 0, 0, 0);
    s->flops = 30.0 * (double)ft_shape_count(x);
    s->bytes = 8.0 * (double)ft_shape_count(x);
    return FT_OK;
}

static float target(int32_t y, float smooth) { return (1.0f - smooth) * (float)y + 0.5f * smooth; }

static void forward(const ft_op_call *c)
{
    const int64_t R = c->in[0]->shape.dim[0], C = c->in[0]->shape.dim[1];
    const float smooth = (float)c->attr.f[0];

#pragma omp parallel for schedule(static) if (R * C > FT_WORTH)
    for (int64_t r = 0; r < R; r++) {
        const float *x = (const float *)c->in[0]->data + r * C;
        const int32_t *y = (const int32_t *)c->in[1]->data + r * C;
        float sum = 0.0f;
        for (int64_t i = 0; i < C; i++)
            sum += (x[i] > 0.0f ? x[i] : 0.0f) + log1pf(expf(-fabsf(x[i]))) - target(y[i], smooth) * x[i];
        ((float *)c->out->data)[r] = sum / (float)C;
    }
}

/* dx = d (sigmoid(x) - t) / C */
static void backward(const ft_op_call *c)
{
    const int64_t R = c->in[0]->shape.dim[0], C = c->in[0]->shape.dim[1];
    const float smooth = (float)c->attr.f[0], *d = c->d_out->data;

    if (!c->d_in[0]) return;
#pragma omp parallel for schedule(static) if (R * C > FT_WORTH)
    for (int64_t r = 0; r < R; r++) {
        const float *x = (const float *)c->in[0]->data + r * C, each = d[r] / (float)C;
        const int32_t *y = (const int32_t *)c->in[1]->data + r * C;
        float *dx = (float *)c->d_in[0]->data + r * C;
        for (int64_t i = 0; i < C; i++) {
            const float g = each * (1.0f / (1.0f + expf(-x[i])) - target(y[i], smooth));
            dx[i] = c->add[0] ? dx[i] + g : g;
        }
    }
}

const ft_op FT_OP(sigmoid_cross_entropy) = {
    .name = "sigmoid_cross_entropy",
    .min_in = 2,
    .max_in = 2,
    .keeps_in = 3,
    .no_grad = 2,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
