/* ops/unary.c - functions of one number, element by element; one entry of the table each.
 *
 * An entry says what backward reads besides dy: X (the input), Y (the result) or NOTHING;
 * whatever is not read arrives there as dy, so that the loops need no case for it.
 * At 0 the gradient of abs is 0, and those of sqrt and log are infinite.
 */
#include <math.h>

#include "ops/elementary.h"

#define CHUNK 4096

typedef void value_row(const float *x, float *y, int64_t n);
typedef void gradient_row(const float *x, const float *y, const float *dy, int add, float *dx, int64_t n);

static void map(const ft_op_call *c, value_row *row)
{
    const int64_t n = ft_shape_count(&c->out->shape);
    const float *x = c->in[0]->data;
    float *y = c->out->data;

#pragma omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)
    for (int64_t first = 0; first < n; first += CHUNK) row(x + first, y + first, n - first < CHUNK ? n - first : CHUNK);
}

static void map_back(const ft_op_call *c, gradient_row *row)
{
    const int64_t n = ft_shape_count(&c->d_out->shape);
    const float *dy = c->d_out->data;
    const float *x = c->op->keeps_in ? c->in[0]->data : dy, *y = c->op->keeps_out ? c->out->data : dy;

    if (!c->d_in[0]) return;
    float *dx = c->d_in[0]->data;
#pragma omp parallel for schedule(static) if (n > FT_PARALLEL_FROM)
    for (int64_t first = 0; first < n; first += CHUNK)
        row(x + first, y + first, dy + first, c->add[0], dx + first, n - first < CHUNK ? n - first : CHUNK);
}

#define READS_NOTHING .keeps_in = 0
#define READS_X .keeps_in = 1
#define READS_Y .keeps_out = 1

#define UNARY(NAME, FLOPS, READS, VALUE, GRADIENT)                                                                     \
    static float NAME##_value(float x) { return VALUE; }                                                               \
    static float NAME##_gradient(float x, float y, float dy)                                                           \
    {                                                                                                                  \
        (void)x;                                                                                                       \
        (void)y;                                                                                                       \
        return GRADIENT;                                                                                               \
    }                                                                                                                  \
    static void NAME##_row(const float *x, float *y, int64_t n)                                                        \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++) y[i] = NAME##_value(x[i]);                                                     \
    }                                                                                                                  \
    static void NAME##_row_back(const float *x, const float *y, const float *dy, int add, float *dx, int64_t n)        \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            dx[i] = add ? dx[i] + NAME##_gradient(x[i], y[i], dy[i]) : NAME##_gradient(x[i], y[i], dy[i]);             \
    }                                                                                                                  \
    static ft_status NAME##_infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)                                       \
    {                                                                                                                  \
        return ft_infer_map(#NAME, c, FLOPS, s, e);                                                                    \
    }                                                                                                                  \
    static void NAME##_forward(const ft_op_call *c) { map(c, NAME##_row); }                                            \
    static void NAME##_backward(const ft_op_call *c) { map_back(c, NAME##_row_back); }                                 \
    const ft_op FT_OP(NAME) = {                                                                                        \
        .name = #NAME,                                                                                                 \
        .min_in = 1,                                                                                                   \
        .max_in = 1,                                                                                                   \
        READS_##READS,                                                                                                 \
        .infer = NAME##_infer,                                                                                         \
        .forward = NAME##_forward,                                                                                     \
        .backward = NAME##_backward,                                                                                   \
    }

/* clang-format off */
UNARY(neg,        1,  NOTHING, -x,       -dy);
UNARY(exp,        20, Y,       expf(x),  dy * y);
UNARY(log,        20, X,       logf(x),  dy / x);
UNARY(sqrt,       1,  Y,       sqrtf(x), 0.5f * dy / y);
UNARY(abs,        1,  X,       fabsf(x), x > 0 ? dy : x < 0 ? -dy : 0.0f * x);
UNARY(square,     1,  X,       x * x,    2.0f * x * dy);
UNARY(reciprocal, 1,  Y,       1.0f / x, -dy * y * y);
/* clang-format on */
