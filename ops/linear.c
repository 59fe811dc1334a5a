/* ops/linear.c - affine map of rows.
 *
 *   y[r,o] = sum_i x[r,i] * W[o,i] + b[o]
 *
 *   in     x (R,I)   W (O,I)   b (O), optional
 *   out    y (R,O)
 *
 *   attr   bf16: operands of the three products are rounded to bf16 (ops/product/bf16.h), if the map is large enough
 *
 *   dx = dy W      dW = dy^T x      db[o] = sum_r dy[r,o]
 */
#include "core/mem.h"
#include "ops/blocks.h"
#include "ops/ops.h"
#include "ops/tile.h"

/* Precision goes by the size of the map alone, never by the number of rows. */
static int uses_bf16(const ft_op_call *c)
{
    return c->attr.bf16 && ft_bf16_fits(c->in[1]->shape.dim[0], c->in[1]->shape.dim[1]);
}

static ft_bf16_map map_of(const ft_op_call *c)
{
    return (ft_bf16_map){ .R = c->in[0]->shape.dim[0],
                          .O = c->in[1]->shape.dim[0],
                          .I = c->in[1]->shape.dim[1],
                          .w = c->in[1]->data,
                          .weight = c->in[1]->weight,
                          .work = c->work };
}

/* ==== Float32 ==== */

#define TURN_FROM 256       /* rows from which on turning the weight once per update costs less than it brings */
#define TURN_SIZE (1 << 15) /* elements of the weights that are worth it */
#define TURN_LINES 32

static void turn(const float *w, int64_t O, int64_t I, float *to)
{
#pragma omp parallel for schedule(static) if (O * I > FT_WORTH)
    for (int64_t o = 0; o < O; o += TURN_LINES)
        FT_KERNEL(ft_layouts).turned(w + o * I, I, ft_least(TURN_LINES, O - o), I, to + o, O);
}

static int turns(const ft_op_call *c)
{
    const ft_shape *w = &c->in[1]->shape;

    return c->in[1]->weight && c->in[0]->shape.dim[0] >= TURN_FROM && ft_shape_count(w) >= TURN_SIZE &&
           w->dim[0] < FT_VOCABULARY;
}

/* The weight (I,O), kept while it does not change: the libraries multiply by it up to a fifth faster than by (O,I). Where
 * there is no room to keep it, it is turned into the workspace, so that the bits are the same. */
static const float *turned(const ft_op_call *c)
{
    const int64_t O = c->in[1]->shape.dim[0], I = c->in[1]->shape.dim[1];
    int fresh = 0;
    float *w = ft_kept(c->in[1]->weight, FT_TURNED, sizeof(float) * (size_t)(O * I), &fresh);

    if (!w) w = c->work;
    if (!fresh) turn(c->in[1]->data, O, I, w);
    return w;
}

#define GRAD_WIDE                                                                                                      \
    1024 /* outputs from which on dy is turned for the weight gradient: each of its rows lies in a page of its own */
#define GRAD_OUTS 192 /* rows of one block of the gradient */
#define GRAD_SUM 512  /* rows of dy that are turned and summed at once: a block of them lies in a second-level cache */
#define GRAD_LINE (GRAD_SUM + 16) /* no power of two, whose lines share sets */

static int turns_grad(const ft_op_call *c) { return c->in[1]->shape.dim[0] >= GRAD_WIDE; }
static size_t grad_slice(void) { return sizeof(float) * GRAD_OUTS * GRAD_LINE; }

/* dW = dy^T x by blocks of its rows, each on one thread, whose turned part of dy stays in cache. */
static void turned_grad(int64_t R, int64_t O, int64_t I, const float *dy, const float *x, int add, float *dw,
                        char *work)
{
#pragma omp parallel for schedule(static) num_threads(ft_workers()) if (R * O * I > FT_PRODUCT_WORTH)
    for (int64_t o = 0; o < O; o += GRAD_OUTS) {
        float *turned_dy = (float *)(void *)(work + (size_t)ft_worker() * grad_slice());
        const int64_t n = ft_least(GRAD_OUTS, O - o);
        for (int64_t r = 0; r == 0 || r < R; r += GRAD_SUM) {
            const int64_t m = ft_least(GRAD_SUM, R - r);
            FT_KERNEL(ft_layouts).turned(dy + r * O + o, O, m, n, turned_dy, GRAD_LINE);
            ft_product_panel(n, I, m, turned_dy, GRAD_LINE, x + r * I, I, add || r > 0, dw + o * I, I);
        }
    }
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape, *w = &c->in[1]->shape;
    char a[96], b[96];

    if (x->rank != 2 || w->rank != 2 || x->dim[1] != w->dim[1])
        return ft_fail(e, FT_ESHAPE, "linear: want x (R,I) and W (O,I), got %s and %s", ft_shape_text(x, a),
                       ft_shape_text(w, b));
    if (c->in[2] && (c->in[2]->shape.rank != 1 || c->in[2]->shape.dim[0] != w->dim[0]))
        return ft_fail(e, FT_ESHAPE, "linear: want a bias (%lld), got %s", (long long)w->dim[0],
                       ft_shape_text(&c->in[2]->shape, a));
    if (!ft_product_active(e)) return e ? e->code : FT_EUSAGE;
    s->dtype = FT_F32;
    s->shape = ft_shape_of(2, x->dim[0], w->dim[0], 0, 0);
    s->flops = 2.0 * (double)x->dim[0] * (double)w->dim[0] * (double)w->dim[1];
    if (uses_bf16(c)) {
        const ft_bf16_map m = map_of(c);
        const ft_status status = ft_bf16_prepare(&m, e);
        if (status) return status;
        s->work_forward = ft_bf16_work(&m, 0);
        s->work_backward = ft_bf16_work(&m, 1);
        s->keeps_forward = ft_bf16_kept(&m, 0);
        s->keeps_backward = ft_bf16_kept(&m, 1);
    } else if (turns_grad(c)) {
        s->work_backward = (size_t)ft_slices() * grad_slice();
    }
    if (!uses_bf16(c) && turns(c)) {
        const size_t bytes = sizeof(float) * (size_t)(w->dim[0] * w->dim[1]);
        s->work_forward = ft_kept_there(c->in[1]->weight, FT_TURNED, bytes) ? 0 : bytes;
        s->keeps_forward = c->in[1]->weight ? ft_block_size(bytes) : 0;
    }
    s->bytes = 4.0 * (double)(x->dim[0] * x->dim[1] + x->dim[0] * w->dim[0] + w->dim[0] * w->dim[1]);
    return FT_OK;
}

static void forward(const ft_op_call *c)
{
    const int64_t R = c->in[0]->shape.dim[0], I = c->in[0]->shape.dim[1], O = c->in[1]->shape.dim[0];

    if (uses_bf16(c)) {
        const ft_bf16_map m = map_of(c);
        ft_bf16_forward(&m, c->in[0]->data, c->in[2] ? c->in[2]->data : NULL, c->out->data);
        return;
    }
    const float *bias = c->in[2] ? c->in[2]->data : NULL;
    if (turns(c))
        ft_product_nn(R, O, I, c->in[0]->data, I, turned(c), O, bias, 0, c->out->data, O);
    else
        ft_product_nt(R, O, I, c->in[0]->data, I, c->in[1]->data, I, bias, 0, c->out->data, O);
}

static void backward(const ft_op_call *c)
{
    const int64_t R = c->in[0]->shape.dim[0], I = c->in[0]->shape.dim[1], O = c->in[1]->shape.dim[0];
    const float *dy = c->d_out->data;

    if (c->d_in[2]) FT_KERNEL(ft_column_sum)(dy, R, O, c->add[2], c->d_in[2]->data);
    if (uses_bf16(c)) {
        const ft_bf16_map m = map_of(c);
        if (c->d_in[0]) ft_bf16_grad_x(&m, dy, c->add[0], c->d_in[0]->data);
        if (c->d_in[1]) ft_bf16_grad_w(&m, dy, c->in[0]->data, c->add[1], c->d_in[1]->data);
        return;
    }
    if (c->d_in[0]) ft_product_nn(R, I, O, dy, O, c->in[1]->data, I, NULL, c->add[0], c->d_in[0]->data, I);
    if (c->d_in[1] && turns_grad(c))
        turned_grad(R, O, I, dy, c->in[0]->data, c->add[1], c->d_in[1]->data, c->work);
    else if (c->d_in[1])
        ft_product_tn(O, I, R, dy, O, c->in[0]->data, I, c->add[1], c->d_in[1]->data, I);
}

const ft_op FT_OP(linear) = {
    .name = "linear",
    .min_in = 2,
    .max_in = 3,
    .keeps_in = 3,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
