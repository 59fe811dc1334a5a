/* ops/mean.c - mean over one axis or over all.
 *
 *   attr   i[0] the axis, -1: all      i[1] 1: keep it with size 1
 *
 *   dx = dy / n, repeated along the axis of n elements; n = 0 is an error.
 */
#include "ops/elementary.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    char text[96];
    const ft_status status = ft_infer_reduction("mean", c, s, e);

    if (!status && ft_axis_of(&c->in[0]->shape, c->attr.i[0]).n == 0)
        return ft_fail(e, FT_ESHAPE, "mean: there is no mean of 0 elements, in %s",
                       ft_shape_text(&c->in[0]->shape, text));
    return status;
}

static void forward(const ft_op_call *c)
{
    const ft_axis a = ft_axis_of(&c->in[0]->shape, c->attr.i[0]);
    FT_KERNEL(ft_axis_sum)(c->in[0]->data, a, 1.0 / (double)a.n, c->out->data);
}

static void backward(const ft_op_call *c)
{
    if (!c->d_in[0]) return;
    const ft_axis a = ft_axis_of(&c->d_in[0]->shape, c->attr.i[0]);
    FT_KERNEL(ft_axis_spread)(c->d_out->data, a, 1.0 / (double)a.n, c->add[0], c->d_in[0]->data);
}

const ft_op FT_OP(mean) = {
    .name = "mean",
    .min_in = 1,
    .max_in = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
