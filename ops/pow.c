/* ops/pow.c - a power with a constant exponent, element by element.
 *
 *   y = x ^ p      dx = dy * p * x ^ (p - 1)
 *
 *   attr   f[0] the exponent p
 *
 * A negative x has a power for a whole p; for any other p the result is NaN. With p = 0
 * the result is 1 and the gradient 0 everywhere, also at x = 0.
 */
#include <math.h>

#include "ops/elementary.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e) { return ft_infer_map("pow", c, 40, s, e); }

static void forward(const ft_op_call *c)
{
    const int64_t n = ft_shape_count(&c->out->shape);
    const float p = (float)c->attr.f[0];
    const float *x = c->in[0]->data;
    float *y = c->out->data;

#pragma omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) y[i] = powf(x[i], p);
}

static void backward(const ft_op_call *c)
{
    const int64_t n = ft_shape_count(&c->d_out->shape);
    const float p = (float)c->attr.f[0];
    const int add = c->add[0];
    const float *dy = c->d_out->data;

    if (!c->d_in[0]) return;
    const float *x = c->in[0]->data;
    float *dx = c->d_in[0]->data;
#pragma omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) {
        const float g = p == 0 ? 0.0f : dy[i] * p * powf(x[i], p - 1.0f);
        dx[i] = add ? dx[i] + g : g;
    }
}

const ft_op FT_OP(pow) = {
    .name = "pow",
    .min_in = 1,
    .max_in = 1,
    .keeps_in = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
