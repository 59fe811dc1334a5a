/* ops/div.c - quotient with broadcasting.
 *
 *   y = a / b      da = dy / b      db = -dy * a / b^2, each summed over what was repeated
 */
#include "ops/broadcast.h"

static void value(const float *const *x, const float *dy, float *y, int64_t n)
{
    const float *a = x[0], *b = x[1];

    (void)dy;
    for (int64_t i = 0; i < n; i++) y[i] = a[i] / b[i];
}

static void grad_a(const float *const *x, const float *dy, float *y, int64_t n)
{
    const float *b = x[1];

    for (int64_t i = 0; i < n; i++) y[i] = dy[i] / b[i];
}

static void grad_b(const float *const *x, const float *dy, float *y, int64_t n)
{
    const float *a = x[0], *b = x[1];

    for (int64_t i = 0; i < n; i++) y[i] = -dy[i] * a[i] / (b[i] * b[i]);
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e) { return ft_broadcast_infer("div", c, s, e); }

static void forward(const ft_op_call *c) { ft_broadcast_forward(c, value); }

static void backward(const ft_op_call *c)
{
    ft_broadcast_backward(c, 0, grad_a);
    ft_broadcast_backward(c, 1, grad_b);
}

const ft_op FT_OP(div) = {
    .name = "div",
    .min_in = 2,
    .max_in = 2,
    .keeps_in = 3,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
