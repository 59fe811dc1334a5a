/* ops/row_cross_entropy.c - which of its own tokens a row points at: one loss for each row and column.
 *
 *   loss[b,c] = (1 - a) (lse[b,c] - x[t,c]) + a (lse[b,c] - mean_u x[u,c]),   lse[b,c] = log sum_u exp(x[u,c])
 *   t = offsets[b] + label[b,c];   u runs over the tokens of row b
 *
 *   in     logits x (T,C)   labels i32 (B,C), counted from the row's first token
 *   attr   rows; f[0] label smoothing a, as in cross_entropy
 *   out    loss (B,C)
 *   saved  lse (B,C)
 *
 * The classes are the tokens, so that rows differ in how many there are: this is the loss of a span's start and end
 * (Devlin et al. 2019, section 4.2). A label of -100 gives loss 0 and no gradient.
 */
#include <math.h>
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"
#include "ops/vmath.h"

#define IGNORED (-100)

static ft_status check_labels(const ft_op_call *c, ft_err *e)
{
    const ft_ragged *rows = c->attr.rows;
    const int32_t *label = c->in[1]->data;
    const int64_t C = c->in[1]->shape.dim[1];

    for (int64_t b = 0; label && b < rows->n_rows; b++) {
        const int32_t n = rows->offsets[b + 1] - rows->offsets[b];
        for (int64_t i = 0; i < C; i++) {
            const int32_t at = label[b * C + i];
            if (at != IGNORED && (at < 0 || at >= n))
                return ft_fail(e, FT_EUSAGE, "row_cross_entropy: label %d of row %lld is none of its %d tokens", at,
                               (long long)b, n);
        }
    }
    return FT_OK;
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape, *labels = &c->in[1]->shape;
    const ft_ragged *rows = c->attr.rows;
    char a[96], b[96];

    if (!rows) return ft_fail(e, FT_EUSAGE, "row_cross_entropy: the rows of the batch are not given");
    if (x->rank != 2 || x->dim[0] != rows->n_tokens || c->in[1]->dtype != FT_I32 || labels->rank != 2 ||
        labels->dim[0] != rows->n_rows || labels->dim[1] != x->dim[1])
        return ft_fail(e, FT_ESHAPE, "row_cross_entropy: want logits (%d,C) and i32 labels (%d,C), got %s and %s %s",
                       rows->n_tokens, rows->n_rows, ft_shape_text(x, a), ft_dtype_name(c->in[1]->dtype),
                       ft_shape_text(labels, b));
    if (!(c->attr.f[0] >= 0 && c->attr.f[0] <= 1))
        return ft_fail(e, FT_EUSAGE, "row_cross_entropy: label smoothing must lie between 0 and 1, got %g",
                       c->attr.f[0]);
    s->dtype = FT_F32;
    s->shape = *labels;
    s->saved_dtype[0] = FT_F32;
    s->saved[0] = *labels;
    s->flops = 20.0 * (double)ft_shape_count(x);
    s->bytes = 4.0 * (double)(ft_shape_count(x) + 2 * ft_shape_count(labels));
    return check_labels(c, e);
}

/* Of n numbers that lie C apart; the largest comes out first, so that nothing overflows. */
static float log_sum_exp(const float *x, int64_t n, int64_t C)
{
    float most = x[0], sum = 0.0f;

    for (int64_t t = 1; t < n; t++) most = x[t * C] > most ? x[t * C] : most;
    if (most == INFINITY || most == -INFINITY) return most == INFINITY ? NAN : most;
    for (int64_t t = 0; t < n; t++) sum += ft_expf(x[t * C] - most);
    return most + logf(sum);
}

static float mean(const float *x, int64_t n, int64_t C)
{
    float sum = 0.0f;

    for (int64_t t = 0; t < n; t++) sum += x[t * C];
    return sum / (float)n;
}

static void forward(const ft_op_call *c)
{
    const int64_t B = c->out->shape.dim[0], C = c->out->shape.dim[1];
    const int32_t *at = c->attr.rows->offsets, *label = c->in[1]->data;
    const float smooth = (float)c->attr.f[0];

#pragma omp parallel for schedule(static) if (ft_shape_count(&c->in[0]->shape) > FT_WORTH)
    for (int64_t b = 0; b < B; b++) {
        const int64_t n = at[b + 1] - at[b];
        for (int64_t i = 0; i < C; i++) {
            const float *x = (const float *)c->in[0]->data + at[b] * C + i;
            const int32_t gold = label[b * C + i];
            float loss = 0.0f, lse = 0.0f;
            if (gold != IGNORED) {
                lse = log_sum_exp(x, n, C);
                loss = (1.0f - smooth) * (lse - x[gold * C]);
                if (smooth > 0.0f) loss += smooth * (lse - mean(x, n, C));
            }
            ((float *)c->out->data)[b * C + i] = loss;
            if (c->saved[0]) ((float *)c->saved[0]->data)[b * C + i] = lse;
        }
    }
}

/* dx[u] = d (softmax(x)[u] - (1 - a) [u = label] - a / n), columns C apart */
static void backward_column(const float *x, float lse, int32_t gold, float smooth, float d, int add, float *dx,
                            int64_t n, int64_t C)
{
    const float even = smooth / (float)n;

    for (int64_t t = 0; t < n; t++) {
        const float g = gold == IGNORED ? 0.0f : d * (ft_expf(x[t * C] - lse) - even);
        dx[t * C] = add ? dx[t * C] + g : g;
    }
    if (gold != IGNORED) dx[gold * C] -= d * (1.0f - smooth);
}

static void backward(const ft_op_call *c)
{
    const int64_t B = c->d_out->shape.dim[0], C = c->d_out->shape.dim[1];
    const int32_t *at = c->attr.rows->offsets, *label = c->in[1]->data;
    const float *lse = c->saved[0]->data, *d = c->d_out->data;

    if (!c->d_in[0]) return;
#pragma omp parallel for schedule(static) if (ft_shape_count(&c->in[0]->shape) > FT_WORTH)
    for (int64_t b = 0; b < B; b++) {
        for (int64_t i = 0; i < C; i++) {
            const int64_t k = b * C + i, first = at[b] * C + i;
            backward_column((const float *)c->in[0]->data + first, lse[k], label[k], (float)c->attr.f[0], d[k],
                            c->add[0], (float *)c->d_in[0]->data + first, at[b + 1] - at[b], C);
        }
    }
}

const ft_op FT_OP(row_cross_entropy) = {
    .name = "row_cross_entropy",
    .min_in = 2,
    .max_in = 2,
    .keeps_in = 3,
    .no_grad = 2,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
