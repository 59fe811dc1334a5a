/* ops/attention.c - multi-head attention of every row over its own tokens (Vaswani et al. 2017, arXiv:1706.03762).
 *
 *   S = scale * Q K^T     P = softmax(S)     ctx = dropout(P) V          for each row and head
 *
 *   in     qkv (T,3H): queries, keys and values side by side, each heads x d
 *          places (M) i32, optional: the tokens that ask, ascending; without it all do
 *   attr   i[0] heads   f[0] scale, 0 means 1 / sqrt(d)   f[1] dropout on P   rows
 *          i[1] how far to each side a token sees, 0 means everywhere
 *   out    ctx (T,H), or (M,H) with places
 *   saved  lse (T,heads) or (M,heads): log of the sum of exp(S) over each query's keys
 *
 * S and P never leave the cache: they exist for a few queries of one head at a time, in a workspace per thread.
 * Backward makes P again from lse, and needs the sum over keys of P dP only as delta = sum_c d_ctx * ctx
 * (Dao 2023, arXiv:2307.08691, without its split of the softmax over keys, since a row of S fits the cache).
 * One task is one head of one row, so nothing is shared between threads and all sums have a fixed order. With places,
 * queries share a tile of backward only if they would without: the sums over queries then have the same bits as where
 * everything is computed and what nobody asked for has a gradient of zero.
 */
#include "ops/attention.h"

#define SHORT 192 /* tokens up to which forward takes MANY queries at once */
#define FEW 24

static int64_t tile_numbers(int64_t L) { return ft_most(MANY * distance(ft_least(L, SHORT)), FEW * distance(L)); }

static size_t carve_forward(head *h, char *base, int64_t L)
{
    const int64_t w = h->width;
    size_t used = 0;

    h->q = carve(base, &used, L * w);
    h->k = carve(base, &used, pad(L) * w);
    h->kt = carve(base, &used, w * distance(L));
    h->v = carve(base, &used, L * w);
    h->s = carve(base, &used, tile_numbers(L));
    h->dq = carve(base, &used, MANY * w);
    h->draw = (ft_draw *)(void *)carve(base, &used, draw_numbers(tile_numbers(L)));
    return used;
}

static size_t carve_backward(head *h, char *base, int64_t L)
{
    const int64_t w = h->width;
    size_t used = 0;

    h->q = carve(base, &used, L * w);
    h->k = carve(base, &used, pad(L) * w);
    h->kt = carve(base, &used, w * distance(L));
    h->vt = carve(base, &used, w * distance(L));
    h->g = carve(base, &used, L * w);
    h->dq = carve(base, &used, L * w);
    h->dk = carve(base, &used, L * w);
    h->dv = carve(base, &used, pad(L) * w);
    h->s = carve(base, &used, MANY * distance(KEYS));
    h->ds = carve(base, &used, MANY * distance(KEYS));
    h->delta = carve(base, &used, L);
    h->draw = (ft_draw *)(void *)carve(base, &used, draw_numbers(MANY * KEYS));
    return used;
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape;
    const ft_ragged *rows = c->attr.rows;
    const int64_t heads = c->attr.i[0];
    char a[96];

    if (!rows) return ft_fail(e, FT_EUSAGE, "attention: the rows of the batch are not given");
    if (x->rank != 2 || x->dim[0] != rows->n_tokens)
        return ft_fail(e, FT_ESHAPE, "attention: want qkv (%d,3H), got %s", rows->n_tokens, ft_shape_text(x, a));
    if (heads < 1 || x->dim[1] < 3 * heads || x->dim[1] % (3 * heads) != 0)
        return ft_fail(e, FT_ESHAPE, "attention: the last axis of qkv %s is not 3 x %lld heads x a whole number",
                       ft_shape_text(x, a), (long long)heads);
    if (c->attr.i[1] < 0) return ft_fail(e, FT_EUSAGE, "attention: a window of %lld tokens", (long long)c->attr.i[1]);
    if (ft_dropout_check("attention", &c->attr, c->attr.f[1], x->dim[0], e)) return e ? e->code : FT_EUSAGE;

    const ft_tensor *places = c->n_in > 1 ? c->in[1] : NULL;
    if (places && check_places("attention", places, x->dim[0], e)) return e ? e->code : FT_ESHAPE;

    const int64_t H = x->dim[1] / 3, M = places ? places->shape.dim[0] : x->dim[0];
    head h = { .width = ft_round_up(H / heads, FT_LANES) };
    s->dtype = FT_F32;
    s->shape = ft_shape_of(2, M, H, 0, 0);
    s->saved_dtype[0] = FT_F32;
    s->saved[0] = ft_shape_of(2, M, heads, 0, 0);
    s->work_forward = (size_t)ft_slices() * carve_forward(&h, NULL, rows->max_len);
    s->work_backward = (size_t)ft_slices() * carve_backward(&h, NULL, rows->max_len);
    for (int32_t b = 0; b < rows->n_rows; b++) {
        const double L = rows->offsets[b + 1] - rows->offsets[b];
        s->flops += 4.0 * L * L * (double)H;
    }
    /* as if every row had its share of the queries: the same from shapes alone */
    if (M < x->dim[0]) s->flops *= (double)M / (double)x->dim[0];
    s->bytes = 16.0 * (double)(x->dim[0] * H);
    return FT_OK;
}

/* ==== Packing ==== */

/* to (n,width) = scale * from (n,d); columns from d and rows from n to `rows` become zero.
 * What lies next to it belongs to the next head, most often this thread's next task: it is asked for in passing. */
static void pack(const head *h, const float *from, int64_t ld, int64_t n, int64_t rows, float scale, float *to)
{
    const int64_t d = h->d, w = h->width;

    for (int64_t i = 0; i < n; i++, from += ld, to += w) {
        int64_t c = 0;
        for (; c + FT_LANES <= d; c += FT_LANES) {
            *(ft_vf *)(to + c) = *(const ft_vf *)(from + c) * scale;
            __builtin_prefetch(from + d + c);
        }
        for (; c < d; c++) to[c] = from[c] * scale;
        for (; c < w; c++) to[c] = 0.0f;
    }
    if (rows > n) memset(to, 0, sizeof(float) * (size_t)((rows - n) * w));
}

/* to (width,ld) = transpose of from (padded,width) */
static void turn(const head *h, const float *from, float *to)
{
    for (int64_t i = 0; i < h->padded; i += FT_LANES)
        for (int64_t c = 0; c < h->width; c += FT_LANES)
            ft_tile_transpose(from + i * h->width + c, h->width, to + c * h->ld + i, h->ld);
}

static void pack_inputs(const head *h, const float *qkv, float *v)
{
    const float *x = qkv + h->first * 3 * h->H + h->index * h->d;

    if (!h->places) pack(h, x, 3 * h->H, h->L, h->L, h->scale, h->q);
    for (int64_t i = 0; h->places && i < h->n; i++)
        pack(h, x + place(h, i) * 3 * h->H, 3 * h->H, 1, 1, h->scale, h->q + i * h->width);
    pack(h, x + h->H, 3 * h->H, h->L, h->padded, 1.0f, h->k);
    pack(h, x + 2 * h->H, 3 * h->H, h->L, v == h->v ? h->L : h->padded, 1.0f, v);
    turn(h, h->k, h->kt);
}

/* ==== One head of one row ==== */

static void drop_row(int64_t n, const ft_draw *draw, int32_t threshold, float *s)
{
    for (int64_t j = 0; j < n; j += FT_LANES) *(ft_vi *)(s + j) = kept(draw + j, threshold) & *(const ft_vi *)(s + j);
}

static inline __attribute__((always_inline)) void gradient_part(const int drop, const ft_dropout *p, int64_t n,
                                                                const ft_draw *draw, float lse, float delta, float *s,
                                                                float *ds)
{
    for (int64_t j = 0; j < n; j += FT_LANES)
        gradient_vector(drop, p, draw + j, lse, delta, (ft_vf *)(s + j), (ft_vf *)(ds + j));
}

static void gradient_row(const ft_dropout *p, int64_t n, const ft_draw *draw, float lse, float delta, float *s,
                         float *ds)
{
    if (p->threshold)
        gradient_part(1, p, n, draw, lse, delta, s, ds);
    else
        gradient_part(0, p, n, draw, lse, delta, s, ds);
}

static void forward_tile(const head *h, int64_t q0, int64_t n, float *ctx, float *lse)
{
    float largest[MANY], sum[MANY];

    ft_tile_product(0, n, h->padded, h->d, h->q + q0 * h->width, h->width, h->kt, h->ld, 0, h->s, h->ld);
    softmax_tile(h, q0, n, largest, sum);
    for (int64_t i = 0; i < n && h->p.threshold; i++)
        drop_row(h->padded, h->draw + i * h->padded, (int32_t)h->p.threshold, h->s + i * h->ld);
    ft_tile_product(0, n, h->width, h->L, h->s, h->ld, h->v, h->width, 0, h->dq, h->width);
    for (int64_t i = 0; i < n; i++) unpack(h, h->dq + i * h->width, 1, h->p.scale / sum[i], 0, ctx + i * h->H, h->H);
    if (!lse) return;
        /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) sum[i] = largest[i] + ft_logf(sum[i]);
    for (int64_t i = 0; i < n; i++) lse[i * h->heads] = sum[i];
}

static void forward_head(const head *h, const float *qkv, float *out, float *lse)
{
    const int64_t step = h->L <= SHORT ? MANY : FEW;

    pack_inputs(h, qkv, h->v);
    for (int64_t q = 0; q < h->n; q += step) {
        const int64_t t = h->asked + q;
        forward_tile(h, q, ft_least(step, h->n - q), out + t * h->H + h->index * h->d,
                     lse ? lse + t * h->heads + h->index : NULL);
    }
}

/* Queries q0 .. q0+m with keys k0 .. k0+n. */
static void backward_tile(const head *h, int64_t q0, int64_t m, int64_t k0, int64_t n, const float *lse)
{
    const int64_t w = h->width, wide = pad(n), ld = distance(n);
    const uint32_t block = (uint32_t)h->index << 16 | (uint32_t)(k0 / 8);

    ft_tile_product(0, m, wide, h->d, h->q + q0 * w, w, h->kt + k0, h->ld, 0, h->s, ld);
    ft_tile_product(0, m, wide, h->d, h->g + q0 * w, w, h->vt + k0, h->ld, 0, h->ds, ld);
    if (h->p.threshold) draw_queries(h, block, wide / 8, q0, m);
    for (int64_t i = 0; i < m; i++) {
        hide(h, place(h, q0 + i), k0, n, h->s + i * ld);
        gradient_row(&h->p, wide, h->draw + i * wide, lse[(q0 + i) * h->heads], h->delta[q0 + i], h->s + i * ld,
                     h->ds + i * ld);
    }
    ft_tile_product(1, n, w, m, h->s, ld, h->g + q0 * w, w, q0 > 0, h->dv + k0 * w, w);
    ft_tile_product(1, n, w, m, h->ds, ld, h->q + q0 * w, w, q0 > 0, h->dk + k0 * w, w);
    ft_tile_product(0, m, w, n, h->ds, ld, h->k + k0 * w, w, k0 > 0, h->dq + q0 * w, w);
}

/* Where the tile of query q ends: with the last query of the same MANY places. */
static int64_t tile_end(const head *h, int64_t q)
{
    const int64_t block = place(h, q) / MANY;

    if (!h->places) return ft_least(q + MANY, h->n);
    while (q < h->n && place(h, q) / MANY == block) q++;
    return q;
}

/* What nobody asked for: zero to the n lines of one head, where nothing is to be added. */
static void clear_lines(const head *h, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++) memset(to + i * 3 * h->H, 0, sizeof(float) * (size_t)h->d);
}

static void give_queries(const head *h, int add, float *to)
{
    if (!h->places) {
        unpack(h, h->dq, h->L, h->scale, add, to, 3 * h->H);
        return;
    }
    if (!add) clear_lines(h, h->L, to);
    for (int64_t i = 0; i < h->n; i++)
        unpack(h, h->dq + i * h->width, 1, h->scale, add, to + place(h, i) * 3 * h->H, 3 * h->H);
}

static void gradients(const head *h, const ft_op_call *c)
{
    const int64_t at = h->asked * h->H + h->index * h->d;
    const float *d_out = (const float *)c->d_out->data + at, *out = (const float *)c->out->data + at;
    const float *lse = (const float *)c->saved[0]->data + h->asked * h->heads + h->index;

    pack_inputs(h, c->in[0]->data, h->dv);
    turn(h, h->dv, h->vt);
    pack(h, d_out, h->H, h->n, h->n, 1.0f, h->g);
    make_delta(h, d_out, out);
    for (int64_t k = 0; k < h->L; k += KEYS)
        for (int64_t q = 0, end; q < h->n; q = end) {
            end = tile_end(h, q);
            backward_tile(h, q, end - q, k, ft_least(KEYS, h->L - k), lse);
        }
}

static void backward_head(const head *h, const ft_op_call *c)
{
    float *d_in = (float *)c->d_in[0]->data + h->first * 3 * h->H + h->index * h->d;

    if (h->n == 0) {
        for (int k = 0; k < 3 && !c->add[0]; k++) clear_lines(h, h->L, d_in + k * h->H);
        return;
    }
    gradients(h, c);
    give_queries(h, c->add[0], d_in);
    unpack(h, h->dk, h->L, 1.0f, c->add[0], d_in + h->H, 3 * h->H);
    unpack(h, h->dv, h->L, 1.0f, c->add[0], d_in + 2 * h->H, 3 * h->H);
}

/* ==== All ==== */

static head head_of(const ft_op_call *c, int64_t columns)
{
    const int64_t heads = c->attr.i[0], H = columns, d = H / heads;

    return (head){ .heads = heads,
                   .H = H,
                   .d = d,
                   .places = c->n_in > 1 && c->in[1] ? c->in[1]->data : NULL,
                   .width = ft_round_up(d, FT_LANES),
                   .reach = c->attr.i[1],
                   .scale = c->attr.f[0] > 0 ? (float)c->attr.f[0] : 1.0f / sqrtf((float)d),
                   .p = ft_dropout_of(&c->attr, c->attr.f[1]) };
}

static void forward(const ft_op_call *c)
{
    const ft_ragged *rows = c->attr.rows;
    const int64_t tasks = rows->n_rows * c->attr.i[0];
    const int chunk = together(tasks, c->attr.i[0]);

#pragma omp parallel num_threads(ft_workers()) if (tasks > 1)
    {
        head h = head_of(c, c->out->shape.dim[1]);
        const size_t slice = carve_forward(&h, NULL, rows->max_len);
        if (tasks) carve_forward(&h, (char *)c->work + slice * (size_t)ft_worker(), rows->max_len);
#pragma omp for schedule(dynamic, chunk)
        for (int64_t k = 0; k < tasks; k++)
            if (head_at(&h, rows, c->out->shape.dim[0], k) && h.n)
                forward_head(&h, c->in[0]->data, c->out->data, c->saved[0] ? c->saved[0]->data : NULL);
    }
}

static void backward(const ft_op_call *c)
{
    const ft_ragged *rows = c->attr.rows;
    const int64_t tasks = rows->n_rows * c->attr.i[0];
    const int chunk = together(tasks, c->attr.i[0]);

    if (!c->d_in[0]) return;
#pragma omp parallel num_threads(ft_workers()) if (tasks > 1)
    {
        head h = head_of(c, c->d_out->shape.dim[1]);
        const size_t slice = carve_backward(&h, NULL, rows->max_len);
        if (tasks) carve_backward(&h, (char *)c->work + slice * (size_t)ft_worker(), rows->max_len);
#pragma omp for schedule(dynamic, chunk)
        for (int64_t k = 0; k < tasks; k++)
            if (head_at(&h, rows, c->d_out->shape.dim[0], k)) backward_head(&h, c);
    }
}

const ft_op FT_OP(attention) = {
    .name = "attention",
    .min_in = 1,
    .max_in = 2,
    .keeps_in = 3,
    .keeps_out = 1,
    .no_grad = 2,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
