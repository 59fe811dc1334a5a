/* ops/concat.c - up to eight tensors joined along one axis; their other axes are equal.
 *
 *   attr   i[0] the axis
 */
#include "ops/elementary.h"

static int fits(const ft_shape *a, const ft_shape *b, int64_t axis)
{
    if (a->rank != b->rank) return 0;
    for (int i = 0; i < a->rank; i++)
        if (i != axis && a->dim[i] != b->dim[i]) return 0;
    return 1;
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const int64_t axis = c->attr.i[0];
    char a[96], b[96];

    for (int k = 0; k < c->n_in; k++) {
        ft_status status = ft_want_dtype("concat", c, k, FT_F32, e);
        if (!status && k == 0) status = ft_want_axis("concat", &c->in[0]->shape, axis, e);
        if (status) return status;
        if (k == 0) {
            s->shape = c->in[0]->shape;
            continue;
        }
        if (!fits(&c->in[0]->shape, &c->in[k]->shape, axis))
            return ft_fail(e, FT_ESHAPE, "concat: %s (input %d) does not join %s along axis %lld",
                           ft_shape_text(&c->in[k]->shape, b), k + 1, ft_shape_text(&c->in[0]->shape, a),
                           (long long)axis);
        s->shape.dim[axis] += c->in[k]->shape.dim[axis];
    }
    s->dtype = FT_F32;
    s->flops = (double)ft_shape_count(&s->shape);
    s->bytes = 8.0 * s->flops;
    return FT_OK;
}

static void forward(const ft_op_call *c)
{
    const ft_axis whole = ft_axis_of(&c->out->shape, c->attr.i[0]);
    float *y = c->out->data;

    for (int k = 0; k < c->n_in; k++) {
        const int64_t take = ft_axis_of(&c->in[k]->shape, c->attr.i[0]).n * whole.inner;
        const float *x = c->in[k]->data;
        for (int64_t o = 0; o < whole.outer; o++) ft_copy_floats(x + o * take, 0, y + o * whole.n * whole.inner, take);
        y += take;
    }
}

static void backward(const ft_op_call *c)
{
    const ft_axis whole = ft_axis_of(&c->d_out->shape, c->attr.i[0]);
    const float *dy = c->d_out->data;

    for (int k = 0; k < c->n_in; k++) {
        const int64_t take = ft_axis_of(&c->in[k]->shape, c->attr.i[0]).n * whole.inner;
        for (int64_t o = 0; c->d_in[k] && o < whole.outer; o++)
            ft_copy_floats(dy + o * whole.n * whole.inner, c->add[k], (float *)c->d_in[k]->data + o * take, take);
        dy += take;
    }
}

const ft_op FT_OP(concat) = {
    .name = "concat",
    .min_in = 1,
    .max_in = FT_OP_IN,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
