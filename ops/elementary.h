/* ops/elementary.h - what the elementary ops share: checks for infer, and the view of a
 * tensor around one axis.
 *
 * A tensor seen around an axis is (outer, n, inner), whatever its rank.
 */
#ifndef FT_OPS_ELEMENTARY_H
#define FT_OPS_ELEMENTARY_H

#include "ops/ops.h"

#define FT_PARALLEL_FROM 32768 /* elements below which a loop stays on the calling thread */

static inline ft_status ft_want_dtype(const char *op, const ft_op_call *c, int i, ft_dtype want, ft_err *e)
{
    char text[96];

    if (!c->in[i]) return ft_fail(e, FT_EUSAGE, "%s: input %d is missing", op, i + 1);
    if (c->in[i]->dtype == want) return FT_OK;
    return ft_fail(e, FT_ESHAPE, "%s: want input %d as %s, got %s %s", op, i + 1, ft_dtype_name(want),
                   ft_dtype_name(c->in[i]->dtype), ft_shape_text(&c->in[i]->shape, text));
}

/* One float32 input, an output of the same shape, `flops` for each element. */
static inline ft_status ft_infer_map(const char *op, const ft_op_call *c, double flops, ft_op_spec *s, ft_err *e)
{
    const ft_status status = ft_want_dtype(op, c, 0, FT_F32, e);
    if (status) return status;
    s->dtype = FT_F32;
    s->shape = c->in[0]->shape;
    s->flops = flops * (double)ft_shape_count(&s->shape);
    s->bytes = 8.0 * (double)ft_shape_count(&s->shape);
    return FT_OK;
}

typedef struct ft_axis {
    int64_t outer, n, inner;
} ft_axis;

/* Around `axis`; -1 means all axes as one. */
static inline ft_axis ft_axis_of(const ft_shape *s, int64_t axis)
{
    ft_axis a = { 1, 1, 1 };

    for (int i = 0; i < s->rank; i++) {
        int64_t *part = axis < 0 || i == axis ? &a.n : i < axis ? &a.outer : &a.inner;
        *part *= s->dim[i];
    }
    return a;
}

static inline ft_status ft_want_axis(const char *op, const ft_shape *s, int64_t axis, ft_err *e)
{
    char text[96];

    if (axis >= 0 && axis < s->rank) return FT_OK;
    return ft_fail(e, FT_ESHAPE, "%s: there is no axis %lld in %s (axes count from 0)", op, (long long)axis,
                   ft_shape_text(s, text));
}

/* For sum, mean and max: axis i[0] (-1: all), keepdim i[1]. */
static inline ft_status ft_infer_reduction(const char *op, const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const int64_t axis = c->attr.i[0];
    ft_status status = ft_want_dtype(op, c, 0, FT_F32, e);
    const ft_shape *x = status ? NULL : &c->in[0]->shape;

    if (!status && axis != -1) status = ft_want_axis(op, x, axis, e);
    if (status) return status;
    s->dtype = FT_F32;
    s->shape = ft_shape_of(0, 0, 0, 0, 0);
    for (int i = 0; i < x->rank; i++) {
        const int reduced = axis == -1 || i == axis;
        if (!reduced || c->attr.i[1]) s->shape.dim[s->shape.rank++] = reduced ? 1 : x->dim[i];
    }
    s->flops = (double)ft_shape_count(x) + (double)ft_shape_count(&s->shape);
    s->bytes = 4.0 * ((double)ft_shape_count(x) + (double)ft_shape_count(&s->shape));
    return FT_OK;
}

/* y = factor * sum over the axis, in an order fixed by the shape; and its transpose, dx = factor * dy spread out. */
void FT_KERNEL(ft_axis_sum)(const float *x, ft_axis a, double factor, float *y);
void FT_KERNEL(ft_axis_spread)(const float *dy, ft_axis a, double factor, int add, float *dx);

/* n values copied (or added) from x to y. */
static inline void ft_copy_floats(const float *x, int add, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = add ? y[i] + x[i] : x[i];
}

static inline void ft_zero_floats(float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = 0.0f;
}

#endif
