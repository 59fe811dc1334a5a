/* ops/embed_sum.c - rows looked up in up to three tables and added: words, positions, token types.
 *
 *   y[t,h] = sum_n table_n[first_n + ids_n[t],h]
 *
 *   in     ids0 i32 (T)   table0 (V0,H)   and optionally ids1, table1 and ids2, table2; without ids1 or ids2 all are 0
 *   attr   i[n] first_n: the row of table n that id 0 means
 *   out    y (T,H)
 *
 * Forward settles the rows that it reads (graph/lazy.h). Backward adds rows of dy to rows of the tables, and clears only what
 * was added to since it was cleared. Tasks are stripes of channels, each of which walks over all tokens in order: no two threads
 * meet, and bits do not depend on their number.
 */
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"

#define STRIPE 64   /* channels: four cache lines */
#define ZEROS 65536 /* numbers cleared per task */

static ft_status check_ids(const ft_op_call *c, int n, ft_err *e)
{
    const int64_t T = c->in[0]->shape.dim[0], V = c->in[2 * n + 1]->shape.dim[0], first = c->attr.i[n];
    const int32_t *id = c->in[2 * n] ? c->in[2 * n]->data : NULL;

    if (first < 0 || first >= V)
        return ft_fail(e, FT_EUSAGE, "embed_sum: table %d begins at row %lld but has %lld rows", n, (long long)first,
                       (long long)V);
    for (int64_t t = 0; id && t < T; t++)
        if (id[t] < 0 || id[t] >= V - first)
            return ft_fail(e, FT_EUSAGE, "embed_sum: id %d of token %lld is not in table %d, which has %lld rows",
                           id[t], (long long)t, n, (long long)(V - first));
    return FT_OK;
}

static int are_ids(const ft_tensor *ids, int64_t T)
{
    return ids->dtype == FT_I32 && ids->shape.rank == 1 && ids->shape.dim[0] == T;
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const int tables = c->n_in / 2;
    const ft_shape *ids0 = &c->in[0]->shape, *table0 = &c->in[1]->shape;
    char a[96], b[96];

    if (c->n_in % 2 != 0)
        return ft_fail(e, FT_EUSAGE, "embed_sum: want pairs of ids and tables, got %d inputs", c->n_in);
    for (int n = 0; n < tables; n++) {
        const ft_tensor *ids = c->in[2 * n], *table = c->in[2 * n + 1];
        if (!table) return ft_fail(e, FT_EUSAGE, "embed_sum: table %d is missing", n);
        if ((ids && !are_ids(ids, ids0->dim[0])) || table->shape.rank != 2 || table->shape.dim[1] != table0->dim[1])
            return ft_fail(e, FT_ESHAPE,
                           "embed_sum: want i32 ids (T) and a table (V,H) of equal T and H each, got %s %s and %s",
                           ids ? ft_dtype_name(ids->dtype) : "no ids", ids ? ft_shape_text(&ids->shape, a) : "",
                           ft_shape_text(&table->shape, b));
        if (check_ids(c, n, e)) return e ? e->code : FT_EUSAGE;
    }
    s->dtype = FT_F32;
    s->shape = ft_shape_of(2, ids0->dim[0], table0->dim[1], 0, 0);
    s->flops = (double)tables * (double)ft_shape_count(&s->shape);
    s->bytes = 4.0 * (1 + tables) * (double)ft_shape_count(&s->shape);
    return FT_OK;
}

static void add_row(float *restrict to, const float *restrict from, int64_t n)
{
    /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

static const float *row_of(const ft_op_call *c, int n, int64_t t, int64_t H)
{
    const int32_t id = c->in[2 * n] ? ((const int32_t *)c->in[2 * n]->data)[t] : 0;

    return (const float *)c->in[2 * n + 1]->data + (c->attr.i[n] + id) * H;
}

/* Decay that the looked-up rows of table n were spared. */
static void settle_rows(const ft_op_call *c, int n, int64_t T, int64_t H)
{
    const ft_tensor *table = c->in[2 * n + 1];
    const int32_t *id = c->in[2 * n] ? c->in[2 * n]->data : NULL;

    if (!table->lazy || table->lazy->n == 0) return;
    for (int64_t t = 0; t < (id ? T : 1); t++) {
        const int64_t at = (c->attr.i[n] + (id ? id[t] : 0)) * H;
        FT_KERNEL(ft_settle)
        (table->lazy, table->data, ft_shape_count(&table->shape), at / FT_OPTIM_BLOCK,
         (at + H - 1) / FT_OPTIM_BLOCK + 1);
    }
}

static void forward(const ft_op_call *c)
{
    const int64_t T = c->out->shape.dim[0], H = c->out->shape.dim[1];

    for (int n = 0; n < c->n_in / 2 && T > 0; n++) settle_rows(c, n, T, H);
#pragma omp parallel for schedule(static) if (T * H > FT_WORTH)
    for (int64_t t = 0; t < T; t++) {
        float *y = (float *)c->out->data + t * H;
        memcpy(y, row_of(c, 0, t, H), sizeof(float) * (size_t)H);
        for (int n = 1; n < c->n_in / 2; n++) add_row(y, row_of(c, n, t, H), H);
    }
}

/* Numbers whose blocks are not marked are zero already; afterwards none is. */
static void clear_touched(float *x, int64_t n, uint8_t *touched)
{
    for (int64_t i = 0; i < n; i += FT_TOUCH)
        if (touched[i / FT_TOUCH]) memset(x + i, 0, sizeof(float) * (size_t)ft_least(FT_TOUCH, n - i));
    memset(touched, 0, (size_t)((n + FT_TOUCH - 1) / FT_TOUCH));
}

static void clear(float *x, int64_t n, uint8_t *touched)
{
#pragma omp parallel for schedule(static) if (n > ZEROS)
    for (int64_t i = 0; i < n; i += ZEROS) {
        const int64_t k = ft_least(ZEROS, n - i);
        if (touched)
            clear_touched(x + i, k, touched + i / FT_TOUCH);
        else
            memset(x + i, 0, sizeof(float) * (size_t)k);
    }
}

/* Mark the blocks of the rows that get something. */
static void touch(uint8_t *touched, const int32_t *id, int64_t T, int64_t H, int64_t first)
{
    for (int64_t t = 0; t < T; t++) {
        const int64_t at = (first + (id ? id[t] : 0)) * H;
        for (int64_t b = at / FT_TOUCH; b <= (at + H - 1) / FT_TOUCH; b++) touched[b] = 1;
    }
}

static void scatter(const float *dy, const int32_t *id, int64_t T, int64_t H, float *to)
{
#pragma omp parallel for schedule(static) if (T * H > FT_WORTH)
    for (int64_t first = 0; first < H; first += STRIPE) {
        const int64_t n = ft_least(STRIPE, H - first);
        for (int64_t t = 0; t < T; t++) add_row(to + (id ? id[t] : 0) * H + first, dy + t * H + first, n);
    }
}

static void backward(const ft_op_call *c)
{
    const int64_t T = c->d_out->shape.dim[0], H = c->d_out->shape.dim[1];

    for (int i = 1; i < c->n_in; i += 2) {
        if (!c->d_in[i]) continue;
        const int32_t *id = c->in[i - 1] ? c->in[i - 1]->data : NULL;
        uint8_t *touched = c->d_in[i]->touched;
        if (!c->add[i]) clear(c->d_in[i]->data, ft_shape_count(&c->d_in[i]->shape), touched);
        if (touched) touch(touched, id, T, H, c->attr.i[i / 2]);
        scatter(c->d_out->data, id, T, H, (float *)c->d_in[i]->data + c->attr.i[i / 2] * H);
    }
}

const ft_op FT_OP(embed_sum) = {
    .name = "embed_sum",
    .min_in = 2,
    .max_in = 6,
    .keeps_in = 1u | 4u | 16u,
    .no_grad = 1u | 4u | 16u,
    .touches = 2u | 8u | 32u,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
