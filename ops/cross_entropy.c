/* ops/cross_entropy.c - loss of a classifier, one number per row.
 *
 *   loss[r] = (1 - a) (lse[r] - x[r,label]) + a (lse[r] - mean_c x[r,c]),   lse[r] = log sum_c exp(x[r,c])
 *
 *   in     logits x (R,C)   labels i32 (R)
 *   attr   f[0] label smoothing a (Szegedy et al. 2016, arXiv:1512.00567)
 *   out    loss (R)
 *   saved  lse (R)
 *
 * The gradient may take the place of the logits, which over a vocabulary are the largest numbers of a training step.
 * A row whose label is -100 has loss 0 and no gradient. The caller sums and divides: only it knows by what.
 */
#include <math.h>
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"
#include "ops/vmath.h"

#define IGNORED (-100)

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape, *labels = &c->in[1]->shape;
    const int32_t *label = c->in[1]->data;
    char a[96], b[96];

    if (x->rank != 2 || x->dim[1] < 1 || c->in[1]->dtype != FT_I32 || labels->rank != 1 || labels->dim[0] != x->dim[0])
        return ft_fail(e, FT_ESHAPE, "cross_entropy: want logits (R,C) and i32 labels (R), got %s and %s %s",
                       ft_shape_text(x, a), ft_dtype_name(c->in[1]->dtype), ft_shape_text(labels, b));
    if (!(c->attr.f[0] >= 0 && c->attr.f[0] <= 1))
        return ft_fail(e, FT_EUSAGE, "cross_entropy: label smoothing must lie between 0 and 1, got %g", c->attr.f[0]);
    for (int64_t r = 0; label && r < x->dim[0]; r++)
        if (label[r] != IGNORED && (label[r] < 0 || label[r] >= x->dim[1]))
            return ft_fail(e, FT_EUSAGE, "cross_entropy: label %d of row %lld is none of %lld classes", label[r],
                           (long long)r, (long long)x->dim[1]);
    s->dtype = FT_F32;
    s->shape = *labels;
    s->saved_dtype[0] = FT_F32;
    s->saved[0] = *labels;
    s->flops = 20.0 * (double)ft_shape_count(x);
    s->bytes = 4.0 * (double)(ft_shape_count(x) + 2 * x->dim[0]);
    return FT_OK;
}

/* Logarithm of the sum of exponentials; the largest comes out first, so that nothing overflows. */
static float log_sum_exp(const float *x, int64_t C)
{
    float most = x[0], sum = 0.0f;

    /* hot */
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < C; i++) most = x[i] > most ? x[i] : most;
    if (most == INFINITY || most == -INFINITY) return most == INFINITY ? NAN : most;
        /* hot */
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < C; i++) sum += ft_expf(x[i] - most);
    return most + logf(sum);
}

static float mean(const float *x, int64_t C)
{
    float sum = 0.0f;

    /* hot */
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < C; i++) sum += x[i];
    return sum / (float)C;
}

static void forward(const ft_op_call *c)
{
    const int64_t R = c->in[0]->shape.dim[0], C = c->in[0]->shape.dim[1];
    const float smooth = (float)c->attr.f[0];
    const int32_t *label = c->in[1]->data;

#pragma omp parallel for schedule(static) if (R * C > FT_WORTH)
    for (int64_t r = 0; r < R; r++) {
        const float *x = (const float *)c->in[0]->data + r * C;
        float *loss = (float *)c->out->data + r, lse = 0.0f;
        *loss = 0.0f;
        if (label[r] != IGNORED) {
            lse = log_sum_exp(x, C);
            *loss = (1.0f - smooth) * (lse - x[label[r]]);
            if (smooth > 0.0f) *loss += smooth * (lse - mean(x, C));
        }
        if (c->saved[0]) ((float *)c->saved[0]->data)[r] = lse;
    }
}

/* dx = d (softmax(x) - (1 - a) [c = label] - a / C) */
static void backward_row(int64_t C, const float *x, float lse, int32_t label, float smooth, float d, int add, float *dx)
{
    const float even = smooth / (float)C;

    if (add) {
        /* hot */
#pragma omp simd
        for (int64_t i = 0; i < C; i++) dx[i] += d * (ft_expf(x[i] - lse) - even);
    } else {
        /* hot */
#pragma omp simd
        for (int64_t i = 0; i < C; i++) dx[i] = d * (ft_expf(x[i] - lse) - even);
    }
    dx[label] -= d * (1.0f - smooth);
}

static void backward(const ft_op_call *c)
{
    const int64_t R = c->in[0]->shape.dim[0], C = c->in[0]->shape.dim[1];
    const float *lse = c->saved[0]->data, *d = c->d_out->data;
    const int32_t *label = c->in[1]->data;

    if (!c->d_in[0]) return;
#pragma omp parallel for schedule(static) if (R * C > FT_WORTH)
    for (int64_t r = 0; r < R; r++) {
        float *dx = (float *)c->d_in[0]->data + r * C;
        if (label[r] != IGNORED)
            backward_row(C, (const float *)c->in[0]->data + r * C, lse[r], label[r], (float)c->attr.f[0], d[r],
                         c->add[0], dx);
        else if (!c->add[0])
            memset(dx, 0, sizeof(float) * (size_t)C);
    }
}

const ft_op FT_OP(cross_entropy) = {
    .name = "cross_entropy",
    .min_in = 2,
    .max_in = 2,
    .keeps_in = 3,
    .no_grad = 2,
    .in_place = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
