/* ops/where.c - a choice for each element, with broadcasting of all three inputs.
 *
 *   y = a where cond is not 0, else b
 *
 *   in     cond (no gradient)   a   b
 *
 * The other branch may be NaN or infinite: it does not leak into y or into a gradient of
 * this op. (What made the NaN may still spoil its own gradient with 0 * inf.)
 */
#include "ops/broadcast.h"

static void value(const float *const *x, const float *dy, float *y, int64_t n)
{
    const float *cond = x[0], *a = x[1], *b = x[2];

    (void)dy;
    for (int64_t i = 0; i < n; i++) y[i] = cond[i] != 0.0f ? a[i] : b[i];
}

static void grad_a(const float *const *x, const float *dy, float *y, int64_t n)
{
    const float *cond = x[0];

    for (int64_t i = 0; i < n; i++) y[i] = cond[i] != 0.0f ? dy[i] : 0.0f;
}

static void grad_b(const float *const *x, const float *dy, float *y, int64_t n)
{
    const float *cond = x[0];

    for (int64_t i = 0; i < n; i++) y[i] = cond[i] != 0.0f ? 0.0f : dy[i];
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e) { return ft_broadcast_infer("where", c, s, e); }

static void forward(const ft_op_call *c) { ft_broadcast_forward(c, value); }

static void backward(const ft_op_call *c)
{
    ft_broadcast_backward(c, 1, grad_a);
    ft_broadcast_backward(c, 2, grad_b);
}

const ft_op FT_OP(where) = {
    .name = "where",
    .min_in = 3,
    .max_in = 3,
    .keeps_in = 1,
    .no_grad = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
