/* ops/gather.c - chosen rows, in any order, repeated if asked for.
 *
 *   y[n,...] = x[index[n],...]
 *
 *   in     x (R,...)   index (N) int32
 *   out    y (N,...)
 *
 *   dx[r,...] = sum of dy[n,...] over all n with index[n] = r, in the order of n
 *
 * An index that is out of range is an error wherever infer sees the numbers; a kernel that
 * meets one nevertheless writes NaN and reads nothing.
 */
#include <math.h>

#include "ops/elementary.h"

#define STRIPE 64 /* columns per task of backward */

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    ft_status status = ft_want_dtype("gather", c, 0, FT_F32, e);
    char a[96], b[96];

    if (!status) status = ft_want_dtype("gather", c, 1, FT_I32, e);
    if (status) return status;
    const ft_shape *x = &c->in[0]->shape, *index = &c->in[1]->shape;
    if (x->rank < 1 || index->rank != 1)
        return ft_fail(e, FT_ESHAPE, "gather: want x (R,...) and index (N), got %s and %s", ft_shape_text(x, a),
                       ft_shape_text(index, b));
    const int32_t *at = c->in[1]->data;
    for (int64_t n = 0; at && n < index->dim[0]; n++)
        if (at[n] < 0 || at[n] >= x->dim[0])
            return ft_fail(e, FT_ESHAPE, "gather: index %d at %lld is outside the rows of %s", at[n], (long long)n,
                           ft_shape_text(x, a));
    s->dtype = FT_F32;
    s->shape = *x;
    s->shape.dim[0] = index->dim[0];
    s->flops = (double)ft_shape_count(&s->shape);
    s->bytes = 8.0 * s->flops + 4.0 * (double)index->dim[0];
    return FT_OK;
}

static void forward(const ft_op_call *c)
{
    const ft_axis a = ft_axis_of(&c->in[0]->shape, 0);
    const int64_t N = c->out->shape.dim[0];
    const float *x = c->in[0]->data;
    const int32_t *index = c->in[1]->data;
    float *y = c->out->data;

#pragma omp parallel for schedule(static) if (N * a.inner > FT_PARALLEL_FROM)
    for (int64_t n = 0; n < N; n++) {
        float *row = y + n * a.inner;
        if (index[n] >= 0 && index[n] < a.n) {
            ft_copy_floats(x + index[n] * a.inner, 0, row, a.inner);
        } else {
            for (int64_t i = 0; i < a.inner; i++) row[i] = NAN;
        }
    }
}

/* Tasks are stripes of columns, so that rows that meet in one row of dx are added by one thread. */
static void backward(const ft_op_call *c)
{
    if (!c->d_in[0]) return;
    const ft_axis a = ft_axis_of(&c->d_in[0]->shape, 0);
    const int64_t N = c->d_out->shape.dim[0];
    const float *dy = c->d_out->data;
    const int32_t *index = c->in[1]->data;
    float *dx = c->d_in[0]->data;

    if (!c->add[0]) ft_zero_floats(dx, a.n * a.inner);
#pragma omp parallel for schedule(static) if (N * a.inner > FT_PARALLEL_FROM)
    for (int64_t first = 0; first < a.inner; first += STRIPE) {
        const int64_t m = a.inner - first < STRIPE ? a.inner - first : STRIPE;
        for (int64_t n = 0; n < N; n++)
            if (index[n] >= 0 && index[n] < a.n)
                ft_copy_floats(dy + n * a.inner + first, 1, dx + index[n] * a.inner + first, m);
    }
}

const ft_op FT_OP(gather) = {
    .name = "gather",
    .min_in = 2,
    .max_in = 2,
    .keeps_in = 2,
    .no_grad = 2,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
