/* ops/pick.c - one element of every row.
 *
 *   y[r] = x[r, index[r]]
 *
 *   in     x (R,C)   index (R) int32
 *   out    y (R)
 *
 *   dx[r,c] = dy[r] where c = index[r], else 0
 *
 * An index that is out of range is an error wherever infer sees the numbers; a kernel that
 * meets one nevertheless writes NaN and reads nothing.
 */
#include <math.h>

#include "ops/elementary.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    ft_status status = ft_want_dtype("pick", c, 0, FT_F32, e);
    char a[96], b[96];

    if (!status) status = ft_want_dtype("pick", c, 1, FT_I32, e);
    if (status) return status;
    const ft_shape *x = &c->in[0]->shape, *index = &c->in[1]->shape;
    if (x->rank != 2 || index->rank != 1 || index->dim[0] != x->dim[0])
        return ft_fail(e, FT_ESHAPE, "pick: want x (R,C) and index (R), got %s and %s", ft_shape_text(x, a),
                       ft_shape_text(index, b));
    const int32_t *at = c->in[1]->data;
    for (int64_t r = 0; at && r < x->dim[0]; r++)
        if (at[r] < 0 || at[r] >= x->dim[1])
            return ft_fail(e, FT_ESHAPE, "pick: index %d of row %lld is outside the columns of %s", at[r], (long long)r,
                           ft_shape_text(x, a));
    s->dtype = FT_F32;
    s->shape = *index;
    s->flops = (double)x->dim[0];
    s->bytes = 12.0 * (double)x->dim[0];
    return FT_OK;
}

static void forward(const ft_op_call *c)
{
    const int64_t R = c->in[0]->shape.dim[0], C = c->in[0]->shape.dim[1];
    const float *x = c->in[0]->data;
    const int32_t *index = c->in[1]->data;
    float *y = c->out->data;

    for (int64_t r = 0; r < R; r++) y[r] = index[r] >= 0 && index[r] < C ? x[r * C + index[r]] : NAN;
}

static void backward(const ft_op_call *c)
{
    if (!c->d_in[0]) return;
    const int64_t R = c->d_in[0]->shape.dim[0], C = c->d_in[0]->shape.dim[1];
    const float *dy = c->d_out->data;
    const int32_t *index = c->in[1]->data;
    float *dx = c->d_in[0]->data;

    if (!c->add[0]) ft_zero_floats(dx, R * C);
    for (int64_t r = 0; r < R; r++)
        if (index[r] >= 0 && index[r] < C) dx[r * C + index[r]] += dy[r];
}

const ft_op FT_OP(pick) = {
    .name = "pick",
    .min_in = 2,
    .max_in = 2,
    .keeps_in = 2,
    .no_grad = 2,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
