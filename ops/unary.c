/* ops/unary.c - functions of one number, element by element; one entry of the table each.
 *
 * An entry says what backward reads besides dy: X (the input), Y (the result) or NOTHING.
 * At 0 the gradient of abs is 0, and those of sqrt and log are infinite.
 */
#include <math.h>

#include "ops/elementary.h"

#define READS_NOTHING .keeps_in = 0
#define READS_X .keeps_in = 1
#define READS_Y .keeps_out = 1

#define UNARY(NAME, FLOPS, READS, VALUE, GRADIENT)                                                                     \
    static ft_status NAME##_infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)                                       \
    {                                                                                                                  \
        return ft_infer_map(#NAME, c, FLOPS, s, e);                                                                    \
    }                                                                                                                  \
    static inline float NAME##_value(float x) { return VALUE; }                                                        \
    static inline float NAME##_gradient(float x, float y, float dy)                                                    \
    {                                                                                                                  \
        (void)x;                                                                                                       \
        (void)y;                                                                                                       \
        return GRADIENT;                                                                                               \
    }                                                                                                                  \
    static void NAME##_forward(const ft_op_call *c)                                                                    \
    {                                                                                                                  \
        const int64_t n = ft_shape_count(&c->out->shape);                                                              \
        const float *x = c->in[0]->data;                                                                               \
        float *y = c->out->data;                                                                                       \
                                                                                                                       \
        _Pragma("omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)") for (int64_t i = 0; i < n; i++) y[i] =  \
            NAME##_value(x[i]);                                                                                        \
    }                                                                                                                  \
    static void NAME##_backward(const ft_op_call *c)                                                                   \
    {                                                                                                                  \
        const int64_t n = ft_shape_count(&c->d_out->shape);                                                            \
        const float *dy = c->d_out->data;                                                                              \
        const float *x = c->op->keeps_in ? c->in[0]->data : dy;                                                        \
        const float *y = c->op->keeps_out ? c->out->data : dy;                                                         \
        const int add = c->add[0];                                                                                     \
                                                                                                                       \
        if (!c->d_in[0]) return;                                                                                       \
        float *dx = c->d_in[0]->data;                                                                                  \
        _Pragma("omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)") for (int64_t i = 0; i < n; i++)         \
        {                                                                                                              \
            const float g = NAME##_gradient(x[i], y[i], dy[i]);                                                        \
            dx[i] = add ? dx[i] + g : g;                                                                               \
        }                                                                                                              \
    }                                                                                                                  \
    const ft_op FT_OP(NAME) = {                                                                                        \
        .name = #NAME,                                                                                                 \
        .min_in = 1,                                                                                                   \
        .max_in = 1,                                                                                                   \
        READS_##READS,                                                                                                 \
        .infer = NAME##_infer,                                                                                         \
        .forward = NAME##_forward,                                                                                     \
        .backward = NAME##_backward,                                                                                   \
    }

UNARY(neg, 1, NOTHING, -x, -dy);
UNARY(exp, 20, Y, expf(x), dy *y);
UNARY(log, 20, X, logf(x), dy / x);
UNARY(sqrt, 1, Y, sqrtf(x), 0.5f * dy / y);
UNARY(abs, 1, X, fabsf(x), x > 0 ? dy : x < 0 ? -dy : 0.0f * x);
UNARY(square, 1, X, x *x, 2.0f * x * dy);
UNARY(reciprocal, 1, Y, 1.0f / x, -dy *y *y);
