/* ops/max.c - largest element along one axis or of all.
 *
 *   attr   i[0] the axis, -1: all      i[1] 1: keep it with size 1
 *   saved  where along the axis it is (int64, shape of the output)
 *
 * The gradient goes to the first of equal elements. NaN is larger than everything.
 */
#include "ops/elementary.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    char text[96];
    const ft_status status = ft_infer_reduction("max", c, s, e);

    if (status) return status;
    if (ft_axis_of(&c->in[0]->shape, c->attr.i[0]).n == 0)
        return ft_fail(e, FT_ESHAPE, "max: there is no largest of 0 elements, in %s",
                       ft_shape_text(&c->in[0]->shape, text));
    s->saved_dtype[0] = FT_I64;
    s->saved[0] = s->shape;
    return FT_OK;
}

static void forward(const ft_op_call *c)
{
    const ft_axis a = ft_axis_of(&c->in[0]->shape, c->attr.i[0]);
    const float *x = c->in[0]->data;
    float *y = c->out->data;
    int64_t *at = c->saved[0] ? c->saved[0]->data : NULL;

#pragma omp parallel for schedule(static) if (a.outer * a.n * a.inner > FT_PARALLEL_FROM)
    for (int64_t t = 0; t < a.outer * a.inner; t++) {
        const float *p = x + t / a.inner * a.n * a.inner + t % a.inner;
        float best = p[0];
        int64_t where = 0;
        for (int64_t k = 1; k < a.n; k++) {
            const float v = p[k * a.inner];
            if (v > best || (v != v && best == best)) {
                best = v;
                where = k;
            }
        }
        y[t] = best;
        if (at) at[t] = where;
    }
}

static void backward(const ft_op_call *c)
{
    if (!c->d_in[0]) return;
    const ft_axis a = ft_axis_of(&c->d_in[0]->shape, c->attr.i[0]);
    const float *dy = c->d_out->data;
    const int64_t *at = c->saved[0]->data;
    float *dx = c->d_in[0]->data;

    if (!c->add[0]) ft_zero_floats(dx, a.outer * a.n * a.inner);
    for (int64_t t = 0; t < a.outer * a.inner; t++) dx[(t / a.inner * a.n + at[t]) * a.inner + t % a.inner] += dy[t];
}

const ft_op FT_OP(max) = {
    .name = "max",
    .min_in = 1,
    .max_in = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
