/* ops/log_softmax.c - logarithm of the softmax over the last axis, without overflow.
 *
 *   y[r,c] = x[r,c] - max_c x[r,c] - log sum_c exp(x[r,c] - max_c x[r,c])
 *
 *   dx[r,c] = dy[r,c] - exp(y[r,c]) * sum_c dy[r,c]
 */
#include <math.h>

#include "ops/elementary.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_status status = ft_infer_map("log_softmax", c, 25, s, e);
    char text[96];

    if (!status && (s->shape.rank == 0 || s->shape.dim[s->shape.rank - 1] == 0))
        return ft_fail(e, FT_ESHAPE, "log_softmax: want a last axis of at least one element, got %s",
                       ft_shape_text(&s->shape, text));
    return status;
}

static void forward(const ft_op_call *c)
{
    const int64_t C = c->out->shape.dim[c->out->shape.rank - 1], R = ft_shape_count(&c->out->shape) / C;

#pragma omp parallel for schedule(static) if (R * C > 4096)
    for (int64_t r = 0; r < R; r++) {
        const float *x = (const float *)c->in[0]->data + r * C;
        float *y = (float *)c->out->data + r * C, top = x[0];
        double sum = 0;
        for (int64_t i = 1; i < C; i++) top = x[i] > top ? x[i] : top;
        for (int64_t i = 0; i < C; i++) sum += (double)expf(x[i] - top);
        const float log_sum = (float)log(sum);
        for (int64_t i = 0; i < C; i++) y[i] = x[i] - top - log_sum;
    }
}

static void backward(const ft_op_call *c)
{
    const int64_t C = c->out->shape.dim[c->out->shape.rank - 1], R = ft_shape_count(&c->out->shape) / C;
    const int add = c->add[0];

    if (!c->d_in[0]) return;
#pragma omp parallel for schedule(static) if (R * C > 4096)
    for (int64_t r = 0; r < R; r++) {
        const float *y = (const float *)c->out->data + r * C, *dy = (const float *)c->d_out->data + r * C;
        float *dx = (float *)c->d_in[0]->data + r * C;
        double sum = 0;
        for (int64_t i = 0; i < C; i++) sum += (double)dy[i];
        const float total = (float)sum;
        for (int64_t i = 0; i < C; i++) dx[i] = (add ? dx[i] : 0.0f) + (dy[i] - expf(y[i]) * total);
    }
}

const ft_op FT_OP(log_softmax) = {
    .name = "log_softmax",
    .min_in = 1,
    .max_in = 1,
    .keeps_out = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
