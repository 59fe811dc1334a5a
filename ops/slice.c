/* ops/slice.c - a range along one axis.
 *
 *   attr   i[0] the axis      i[1] the first element      i[2] how many
 *
 *   dx = dy inside the range, 0 outside
 */
#include "ops/elementary.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const int64_t axis = c->attr.i[0], first = c->attr.i[1], length = c->attr.i[2];
    ft_status status = ft_want_dtype("slice", c, 0, FT_F32, e);
    char text[96];

    if (!status) status = ft_want_axis("slice", &c->in[0]->shape, axis, e);
    if (status) return status;
    const ft_shape *x = &c->in[0]->shape;
    if (first < 0 || length < 0 || first > x->dim[axis] || length > x->dim[axis] - first)
        return ft_fail(e, FT_ESHAPE, "slice: %lld elements from %lld leave axis %lld of %s", (long long)length,
                       (long long)first, (long long)axis, ft_shape_text(x, text));
    s->dtype = FT_F32;
    s->shape = *x;
    s->shape.dim[axis] = length;
    s->flops = (double)ft_shape_count(&s->shape);
    s->bytes = 8.0 * s->flops;
    return FT_OK;
}

static void forward(const ft_op_call *c)
{
    const ft_axis a = ft_axis_of(&c->in[0]->shape, c->attr.i[0]);
    const int64_t skip = c->attr.i[1] * a.inner, take = c->attr.i[2] * a.inner;
    const float *x = c->in[0]->data;
    float *y = c->out->data;

    for (int64_t o = 0; o < a.outer; o++) ft_copy_floats(x + o * a.n * a.inner + skip, 0, y + o * take, take);
}

static void backward(const ft_op_call *c)
{
    if (!c->d_in[0]) return;
    const ft_axis a = ft_axis_of(&c->d_in[0]->shape, c->attr.i[0]);
    const int64_t row = a.n * a.inner, skip = c->attr.i[1] * a.inner, take = c->attr.i[2] * a.inner;
    const float *dy = c->d_out->data;
    float *dx = c->d_in[0]->data;

    for (int64_t o = 0; o < a.outer; o++) {
        ft_copy_floats(dy + o * take, c->add[0], dx + o * row + skip, take);
        if (c->add[0]) continue;
        ft_zero_floats(dx + o * row, skip);
        ft_zero_floats(dx + o * row + skip + take, row - skip - take);
    }
}

const ft_op FT_OP(slice) = {
    .name = "slice",
    .min_in = 1,
    .max_in = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
