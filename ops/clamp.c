/* ops/clamp.c - limits numbers to a range.
 *
 *   y = min(max(x, low), high)      dx = dy where low <= x <= high, else 0
 *
 *   attr   f[0] low, f[1] high; either may be infinite. NaN stays NaN.
 */
#include "ops/elementary.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    if (!(c->attr.f[0] <= c->attr.f[1]))
        return ft_fail(e, FT_EUSAGE, "clamp: the lower limit %g is not below the upper limit %g", c->attr.f[0],
                       c->attr.f[1]);
    return ft_infer_map("clamp", c, 2, s, e);
}

static void forward(const ft_op_call *c)
{
    const int64_t n = ft_shape_count(&c->out->shape);
    const float low = (float)c->attr.f[0], high = (float)c->attr.f[1];
    const float *x = c->in[0]->data;
    float *y = c->out->data;

#pragma omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

static void backward(const ft_op_call *c)
{
    const int64_t n = ft_shape_count(&c->d_out->shape);
    const float low = (float)c->attr.f[0], high = (float)c->attr.f[1];
    const int add = c->add[0];
    const float *dy = c->d_out->data;

    if (!c->d_in[0]) return;
    const float *x = c->in[0]->data;
    float *dx = c->d_in[0]->data;
#pragma omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) {
        const float g = x[i] < low || x[i] > high ? 0.0f : dy[i];
        dx[i] = add ? dx[i] + g : g;
    }
}

const ft_op FT_OP(clamp) = {
    .name = "clamp",
    .min_in = 1,
    .max_in = 1,
    .keeps_in = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
