/* ops/transpose.c - rows and columns of a matrix exchanged: x (R,C) gives y (C,R). */
#include "ops/elementary.h"

#define TILE 32

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_status status = ft_infer_map("transpose", c, 1, s, e);
    char text[96];

    if (status) return status;
    if (s->shape.rank != 2)
        return ft_fail(e, FT_ESHAPE, "transpose: want a matrix (R,C), got %s", ft_shape_text(&s->shape, text));
    s->shape = ft_shape_of(2, s->shape.dim[1], s->shape.dim[0], 0, 0);
    return FT_OK;
}

static void turn(const float *x, int64_t R, int64_t C, int add, float *y)
{
#pragma omp parallel for schedule(static) if (R * C > FT_PARALLEL_FROM)
    for (int64_t first = 0; first < C; first += TILE) {
        const int64_t last = first + TILE < C ? first + TILE : C;
        for (int64_t top = 0; top < R; top += TILE) {
            const int64_t bottom = top + TILE < R ? top + TILE : R;
            for (int64_t j = first; j < last; j++)
                for (int64_t i = top; i < bottom; i++) y[j * R + i] = add ? y[j * R + i] + x[i * C + j] : x[i * C + j];
        }
    }
}

static void forward(const ft_op_call *c)
{
    turn(c->in[0]->data, c->out->shape.dim[1], c->out->shape.dim[0], 0, c->out->data);
}

static void backward(const ft_op_call *c)
{
    if (c->d_in[0]) turn(c->d_out->data, c->d_out->shape.dim[0], c->d_out->shape.dim[1], c->add[0], c->d_in[0]->data);
}

const ft_op FT_OP(transpose) = {
    .name = "transpose",
    .min_in = 1,
    .max_in = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
