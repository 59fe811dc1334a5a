/* ops/minmax.c - the smaller and the larger of two, with broadcasting.
 *
 *   minimum: y = min(a, b)      maximum: y = max(a, b)      NaN if either is NaN
 *
 * The gradient goes to the one that was chosen; at a tie each gets half of it.
 */
#include "ops/broadcast.h"

static void smaller(const float *const *x, const float *dy, float *y, int64_t n)
{
    const float *a = x[0], *b = x[1];

    (void)dy;
    for (int64_t i = 0; i < n; i++) y[i] = a[i] < b[i] || a[i] != a[i] ? a[i] : b[i];
}

static void larger(const float *const *x, const float *dy, float *y, int64_t n)
{
    const float *a = x[0], *b = x[1];

    (void)dy;
    for (int64_t i = 0; i < n; i++) y[i] = a[i] > b[i] || a[i] != a[i] ? a[i] : b[i];
}

/* Share of dy that goes to a where a < b, and where a > b; b's share is the other way round. */
static void share(const float *a, const float *b, const float *dy, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = a[i] < b[i] ? dy[i] : a[i] > b[i] ? 0.0f : 0.5f * dy[i];
}

static void grad_if_a_smaller(const float *const *x, const float *dy, float *y, int64_t n)
{
    share(x[0], x[1], dy, y, n);
}
static void grad_if_b_smaller(const float *const *x, const float *dy, float *y, int64_t n)
{
    share(x[1], x[0], dy, y, n);
}

static ft_status minimum_infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    return ft_broadcast_infer("minimum", c, s, e);
}

static ft_status maximum_infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    return ft_broadcast_infer("maximum", c, s, e);
}

static void minimum_forward(const ft_op_call *c) { ft_broadcast_forward(c, smaller); }
static void maximum_forward(const ft_op_call *c) { ft_broadcast_forward(c, larger); }

static void minimum_backward(const ft_op_call *c)
{
    ft_broadcast_backward(c, 0, grad_if_a_smaller);
    ft_broadcast_backward(c, 1, grad_if_b_smaller);
}

static void maximum_backward(const ft_op_call *c)
{
    ft_broadcast_backward(c, 0, grad_if_b_smaller);
    ft_broadcast_backward(c, 1, grad_if_a_smaller);
}

const ft_op FT_OP(minimum) = {
    .name = "minimum",
    .min_in = 2,
    .max_in = 2,
    .keeps_in = 3,
    .infer = minimum_infer,
    .forward = minimum_forward,
    .backward = minimum_backward,
};

const ft_op FT_OP(maximum) = {
    .name = "maximum",
    .min_in = 2,
    .max_in = 2,
    .keeps_in = 3,
    .infer = maximum_infer,
    .forward = maximum_forward,
    .backward = maximum_backward,
};
