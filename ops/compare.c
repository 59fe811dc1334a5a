/* ops/compare.c - comparisons with broadcasting; 1.0 where true, 0.0 where not.
 *
 *   greater: a > b      less: a < b      equal: a == b      (NaN compares false)
 *
 * Steps have no useful gradient, so none flows.
 */
#include "ops/broadcast.h"

#define COMPARE(NAME, CONDITION)                                                                                       \
    static void NAME##_value(const float *const *x, const float *dy, float *y, int64_t n)                              \
    {                                                                                                                  \
        const float *a = x[0], *b = x[1];                                                                              \
                                                                                                                       \
        (void)dy;                                                                                                      \
        for (int64_t i = 0; i < n; i++) y[i] = (CONDITION) ? 1.0f : 0.0f;                                              \
    }                                                                                                                  \
    static ft_status NAME##_infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)                                       \
    {                                                                                                                  \
        return ft_broadcast_infer(#NAME, c, s, e);                                                                     \
    }                                                                                                                  \
    static void NAME##_forward(const ft_op_call *c) { ft_broadcast_forward(c, NAME##_value); }                         \
    const ft_op FT_OP(NAME) = {                                                                                        \
        .name = #NAME,                                                                                                 \
        .min_in = 2,                                                                                                   \
        .max_in = 2,                                                                                                   \
        .no_grad = 3,                                                                                                  \
        .infer = NAME##_infer,                                                                                         \
        .forward = NAME##_forward,                                                                                     \
    }

COMPARE(greater, a[i] > b[i]);
COMPARE(less, a[i] < b[i]);
COMPARE(equal, a[i] == b[i]);
