/* ops/scale.c - y = f[0] * x + f[1], element by element.
 *
 *   attr   f[0] factor, f[1] shift
 *
 *   dx = f[0] * dy
 */
#include "ops/elementary.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e) { return ft_infer_map("scale", c, 2, s, e); }

static void forward(const ft_op_call *c)
{
    const int64_t n = ft_shape_count(&c->out->shape);
    const float factor = (float)c->attr.f[0], shift = (float)c->attr.f[1];
    const float *x = c->in[0]->data;
    float *y = c->out->data;

#pragma omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) y[i] = factor * x[i] + shift;
}

static void backward(const ft_op_call *c)
{
    const int64_t n = ft_shape_count(&c->d_out->shape);
    const float factor = (float)c->attr.f[0];
    const int add = c->add[0];
    const float *dy = c->d_out->data;

    if (!c->d_in[0]) return;
    float *dx = c->d_in[0]->data;
#pragma omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) {
        const float g = factor * dy[i];
        dx[i] = add ? dx[i] + g : g;
    }
}

const ft_op FT_OP(scale) = {
    .name = "scale",
    .min_in = 1,
    .max_in = 1,
    .keeps_in = 0,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
