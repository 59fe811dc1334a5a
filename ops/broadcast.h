/* ops/broadcast.h - elementwise ops of two or three inputs with NumPy's broadcasting.
 *
 * Shapes are aligned at their last axis; an axis of size 1, or one that is missing, is
 * repeated. Neighbouring axes along which every input behaves alike are joined first, so
 * that equal shapes become one long row. An op gives row functions on plain arrays of at
 * most FT_STRIP floats: a repeated value is written out into such an array.
 *
 * The gradient of a repeated input is a sum over what was repeated, taken in double and
 * in the order of the output's elements, by one thread for each element of the input:
 * its bits do not depend on the number of threads.
 */
#ifndef FT_OPS_BROADCAST_H
#define FT_OPS_BROADCAST_H

#include "ops/elementary.h"

#define FT_STRIP 512
#define FT_BROADCAST_IN 3
#define FT_BROADCAST_OUT FT_BROADCAST_IN /* the output's place among strides and offsets */

/* y[0..n) of x[k][0..n). For a gradient dy is given; x[k] that keeps_in does not name is NULL there. */
typedef void ft_broadcast_row(const float *const *x, const float *dy, float *y, int64_t n);

typedef struct ft_broadcast {
    int64_t dim[FT_MAX_RANK];                         /* joined axes, at the right; others are 1 */
    int64_t stride[FT_BROADCAST_IN + 1][FT_MAX_RANK]; /* 0: repeated */
} ft_broadcast;

static inline ft_status ft_broadcast_infer(const char *op, const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    ft_shape out = { .rank = 0, .dim = { 1, 1, 1, 1 } };
    char text[FT_BROADCAST_IN][96] = { "", "", "" };
    double read = 0;

    for (int k = 0; k < c->n_in; k++) {
        const ft_status status = ft_want_dtype(op, c, k, FT_F32, e);
        if (status) return status;
        if (c->in[k]->shape.rank > out.rank) out.rank = c->in[k]->shape.rank;
        ft_shape_text(&c->in[k]->shape, text[k]);
        read += (double)ft_shape_count(&c->in[k]->shape);
    }
    for (int k = 0; k < c->n_in; k++) {
        const ft_shape *x = &c->in[k]->shape;
        for (int i = 0; i < x->rank; i++) {
            int64_t *d = &out.dim[out.rank - x->rank + i];
            if (x->dim[i] != 1 && *d != 1 && *d != x->dim[i])
                return ft_fail(e, FT_ESHAPE, "%s: shapes %s and %s%s%s do not broadcast", op, text[0], text[1],
                               c->n_in > 2 ? " and " : "", text[2]);
            if (x->dim[i] != 1) *d = x->dim[i];
        }
    }
    s->dtype = FT_F32;
    s->shape = out;
    s->flops = (double)ft_shape_count(&out);
    s->bytes = 4.0 * (read + (double)ft_shape_count(&out));
    return FT_OK;
}

/* Strides of one input against the output, both aligned at the right of four axes. */
static inline void ft_broadcast_strides(const ft_shape *x, int64_t stride[FT_MAX_RANK])
{
    int64_t step = 1;

    for (int i = FT_MAX_RANK - 1; i >= 0; i--) {
        const int own = i - (FT_MAX_RANK - x->rank);
        const int64_t d = own >= 0 ? x->dim[own] : 1;
        stride[i] = d == 1 ? 0 : step;
        step *= d;
    }
}

static inline ft_broadcast ft_broadcast_of(const ft_op_call *c, const ft_shape *out)
{
    ft_broadcast full, b = { .dim = { 1, 1, 1, 1 } };
    int last = FT_MAX_RANK; /* the joined axis being built */

    for (int k = 0; k < c->n_in; k++) ft_broadcast_strides(&c->in[k]->shape, full.stride[k]);
    ft_broadcast_strides(out, full.stride[FT_BROADCAST_OUT]);
    for (int i = FT_MAX_RANK - 1; i >= 0; i--) {
        const int own = i - (FT_MAX_RANK - out->rank);
        const int64_t d = own >= 0 ? out->dim[own] : 1;
        if (d == 1) continue;
        int join = last < FT_MAX_RANK;
        for (int k = 0; k <= FT_BROADCAST_OUT && join; k++)
            if (k < c->n_in || k == FT_BROADCAST_OUT) join = full.stride[k][i] == b.stride[k][last] * b.dim[last];
        if (join) {
            b.dim[last] *= d;
            continue;
        }
        last--;
        b.dim[last] = d;
        for (int k = 0; k <= FT_BROADCAST_OUT; k++)
            if (k < c->n_in || k == FT_BROADCAST_OUT) b.stride[k][last] = full.stride[k][i];
    }
    return b;
}

/* Offsets of element `at` of the space that the first three axes marked in `axes` span. */
static inline void ft_broadcast_offsets(const ft_broadcast *b, unsigned axes, int64_t at,
                                        int64_t off[FT_BROADCAST_IN + 1])
{
    for (int k = 0; k <= FT_BROADCAST_OUT; k++) off[k] = 0;
    for (int i = FT_MAX_RANK - 2; i >= 0; i--) {
        if (!(axes & 1u << i)) continue;
        const int64_t digit = at % b->dim[i];
        at /= b->dim[i];
        for (int k = 0; k <= FT_BROADCAST_OUT; k++) off[k] += digit * b->stride[k][i];
    }
}

/* How many elements the marked axes span. */
static inline int64_t ft_broadcast_span(const ft_broadcast *b, unsigned axes)
{
    int64_t n = 1;
    for (int i = 0; i < FT_MAX_RANK - 1; i++)
        if (axes & 1u << i) n *= b->dim[i];
    return n;
}

/* n <= FT_STRIP values of x from an offset, repeated if the stride is 0. */
static inline const float *ft_broadcast_strip(const float *x, int64_t stride, int64_t n, float room[FT_STRIP])
{
    if (!x || stride) return x;
    for (int64_t i = 0; i < n; i++) room[i] = x[0];
    return room;
}

/* One strip of the row that starts at `off`: columns first .. first + n. */
static inline void ft_broadcast_run(const ft_op_call *c, const ft_broadcast *b, unsigned reads, ft_broadcast_row *row,
                                    const int64_t off[FT_BROADCAST_IN + 1], int64_t first, int64_t n, float *y)
{
    float room[FT_BROADCAST_IN][FT_STRIP];
    const float *x[FT_BROADCAST_IN] = { NULL, NULL, NULL };

    for (int k = 0; k < c->n_in; k++) {
        const int64_t step = b->stride[k][FT_MAX_RANK - 1];
        if (reads & 1u << k)
            x[k] = ft_broadcast_strip((const float *)c->in[k]->data + off[k] + first * step, step, n, room[k]);
    }
    row(x, c->d_out ? (const float *)c->d_out->data + off[FT_BROADCAST_OUT] + first : NULL, y, n);
}

static inline void ft_broadcast_forward(const ft_op_call *c, ft_broadcast_row *value)
{
    const ft_broadcast b = ft_broadcast_of(c, &c->out->shape);
    const int64_t inner = b.dim[FT_MAX_RANK - 1], strips = (inner + FT_STRIP - 1) / FT_STRIP;
    const int64_t tasks = ft_broadcast_span(&b, 7u) * strips;
    float *out = c->out->data;

#pragma omp parallel for schedule(static) if (tasks * inner > FT_PARALLEL_FROM * strips)
    for (int64_t t = 0; t < tasks; t++) {
        const int64_t first = t % strips * FT_STRIP, n = inner - first < FT_STRIP ? inner - first : FT_STRIP;
        int64_t off[FT_BROADCAST_IN + 1];
        ft_broadcast_offsets(&b, 7u, t / strips, off);
        ft_broadcast_run(c, &b, ~0u, value, off, first, n, out + off[FT_BROADCAST_OUT] + first);
    }
}

static inline double ft_strip_sum(const float *g, int64_t n)
{
    double lane[8] = { 0 }, total = 0;
    int64_t i = 0;

    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) lane[k] += (double)g[i + k];
    for (; i < n; i++) lane[0] += (double)g[i];
    for (int k = 0; k < 8; k++) total += lane[k];
    return total;
}

/* The last axis is repeated in input k: each of its elements sums whole rows. */
static inline void ft_broadcast_sum_rows(const ft_op_call *c, const ft_broadcast *b, int k, unsigned kept,
                                         ft_broadcast_row *grad)
{
    const int64_t inner = b->dim[FT_MAX_RANK - 1], n_kept = ft_broadcast_span(b, kept);
    const int64_t n_summed = ft_broadcast_span(b, 7u & ~kept);
    float *dx = c->d_in[k]->data;

#pragma omp parallel for schedule(static) if (n_kept * n_summed * inner > FT_PARALLEL_FROM)
    for (int64_t u = 0; u < n_kept; u++) {
        int64_t at[FT_BROADCAST_IN + 1], off[FT_BROADCAST_IN + 1];
        float g[FT_STRIP];
        double total = 0;
        ft_broadcast_offsets(b, kept, u, at);
        for (int64_t v = 0; v < n_summed; v++) {
            ft_broadcast_offsets(b, 7u & ~kept, v, off);
            for (int j = 0; j <= FT_BROADCAST_OUT; j++) off[j] += at[j];
            for (int64_t first = 0; first < inner; first += FT_STRIP) {
                const int64_t n = inner - first < FT_STRIP ? inner - first : FT_STRIP;
                ft_broadcast_run(c, b, c->op->keeps_in, grad, off, first, n, g);
                total += ft_strip_sum(g, n);
            }
        }
        dx[at[k]] = c->add[k] ? dx[at[k]] + (float)total : (float)total;
    }
}

/* The last axis is input k's own: strips of it sum over the repeated axes before it, if there are any. */
static inline void ft_broadcast_sum_columns(const ft_op_call *c, const ft_broadcast *b, int k, unsigned kept,
                                            ft_broadcast_row *grad)
{
    const int64_t inner = b->dim[FT_MAX_RANK - 1], strips = (inner + FT_STRIP - 1) / FT_STRIP;
    const int64_t n_kept = ft_broadcast_span(b, kept), n_summed = ft_broadcast_span(b, 7u & ~kept);

#pragma omp parallel for schedule(static) if (n_kept * n_summed * inner > FT_PARALLEL_FROM)
    for (int64_t t = 0; t < n_kept * strips; t++) {
        const int64_t first = t % strips * FT_STRIP, n = inner - first < FT_STRIP ? inner - first : FT_STRIP;
        int64_t at[FT_BROADCAST_IN + 1], off[FT_BROADCAST_IN + 1];
        float g[FT_STRIP];
        double total[FT_STRIP];
        ft_broadcast_offsets(b, kept, t / strips, at);
        float *dx = (float *)c->d_in[k]->data + at[k] + first;
        for (int64_t i = 0; i < n; i++) total[i] = 0;
        for (int64_t v = 0; v < n_summed; v++) {
            ft_broadcast_offsets(b, 7u & ~kept, v, off);
            for (int j = 0; j <= FT_BROADCAST_OUT; j++) off[j] += at[j];
            ft_broadcast_run(c, b, c->op->keeps_in, grad, off, first, n, g);
            for (int64_t i = 0; i < n; i++) total[i] += (double)g[i];
        }
        for (int64_t i = 0; i < n; i++) dx[i] = c->add[k] ? dx[i] + (float)total[i] : (float)total[i];
    }
}

/* Gradient of input k, if it is wanted; grad gives its summands. */
static inline void ft_broadcast_backward(const ft_op_call *c, int k, ft_broadcast_row *grad)
{
    if (!c->d_in[k]) return;
    const ft_broadcast b = ft_broadcast_of(c, &c->d_out->shape);
    unsigned kept = 0; /* of the first three axes, those that input k has */

    for (int i = 0; i < FT_MAX_RANK - 1; i++)
        if (b.stride[k][i]) kept |= 1u << i;
    if (ft_shape_count(&c->in[k]->shape) == 0) return;
    if (b.stride[k][FT_MAX_RANK - 1])
        ft_broadcast_sum_columns(c, &b, k, kept, grad);
    else
        ft_broadcast_sum_rows(c, &b, k, kept, grad);
}

#endif
