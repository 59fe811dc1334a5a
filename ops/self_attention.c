/* ops/self_attention.c - the map to queries, keys and values and their attention (ops/attention.c) in one op, in bf16.
 *
 *   qkv = bf16(x W^T + b), the queries times scale      S = Q K^T      P = softmax(S)      ctx = bf16(dropout(P)) V
 *
 *   in     x (T,H)   W (3H,H)   b (3H)   places (M) i32, optional, as for attention
 *   attr   heads, scale, dropout, reach, rows, ... as for attention; bf16 must be set
 *   out    ctx (T,H), or (M,H) with places
 *   saved  qkv (T,3H) bf16, each row to a whole number of 32   lse (T,heads) or (M,heads)
 *
 * For processors with matrix instructions (ops/tile_bf16.h): there the products of attention take little time, and what remains
 * is memory, of which queries, keys, values and their gradients are most. In bf16 they are half of it, and lie as the products
 * that follow read them. Sums, softmax and all else are float32.
 *
 * The five products of a head are those of attention.c. Operands lie as rows, as rows of pairs, or turned (pairs of channels
 * turned are K^T as rows of pairs). Queries are taken 32 at a time, padded with zeros where they are summed over: so sums over some
 * queries may differ in their last bits from those over all.
 */
#include "ops/attention.h"
#include "ops/operands.h"

#ifdef __AVX512BF16__

#include "core/mem.h"
#include "ops/tile_bf16.h"

#define QUERIES 32
#define OUTPUTS 128 /* of the map, at once: whole blocks of 64 */

/* One head of one row: rows of queries, keys, values and the context's gradient (whole(L), K); turned (K/2, L, 2); as pairs of
 * rows (L/2, width, 2); tiles of dropped P and dS, and those turned. */
typedef struct operands {
    head h;
    uint16_t *q, *k, *v, *g, *kt, *vt, *qp, *kp, *vp, *gp, *p, *ds, *pt, *dst;
} operands;

static int64_t whole(int64_t n) { return ft_round_up(n, FT_TILE16_K); }
/* A power of two would send all rows to the same sets of the cache. */
static int64_t row_of_keys(int64_t L) { return whole(L) + FT_TILE16_K; }

static uint16_t *carve_bf16(char *base, size_t *used, int64_t n)
{
    return (uint16_t *)(void *)carve(base, used, (n + 1) / 2);
}

static size_t carve_head(operands *o, char *base, int64_t L, int backward)
{
    head *h = &o->h;
    const int64_t w = h->width, K = whole(h->d), rows = whole(L), keys = backward ? KEYS : L;
    size_t used = 0;

    o->q = carve_bf16(base, &used, rows * K);
    o->k = carve_bf16(base, &used, rows * K);
    o->v = carve_bf16(base, &used, rows * K);
    o->kt = carve_bf16(base, &used, rows * K);
    o->p = carve_bf16(base, &used, QUERIES * row_of_keys(keys));
    h->s = carve(base, &used, QUERIES * distance(keys));
    h->dq = carve(base, &used, (backward ? rows : QUERIES) * w);
    h->draw = (ft_draw *)(void *)carve(base, &used, draw_numbers(QUERIES * pad(keys)));
    if (!backward) {
        o->vp = carve_bf16(base, &used, rows * w);
        return used;
    }
    o->g = carve_bf16(base, &used, rows * K);
    o->vt = carve_bf16(base, &used, rows * K);
    o->qp = carve_bf16(base, &used, rows * w);
    o->kp = carve_bf16(base, &used, rows * w);
    o->gp = carve_bf16(base, &used, rows * w);
    o->ds = carve_bf16(base, &used, QUERIES * row_of_keys(KEYS));
    o->pt = carve_bf16(base, &used, KEYS * QUERIES);
    o->dst = carve_bf16(base, &used, KEYS * QUERIES);
    h->ds = carve(base, &used, QUERIES * distance(KEYS));
    h->dk = carve(base, &used, rows * w);
    h->dv = carve(base, &used, rows * w);
    h->delta = carve(base, &used, L);
    return used;
}

/* ==== A head's operands ==== */

/* to (whole(n), K) = n rows of d channels, ld apart, and zeros. What lies next to them is most often this thread's next task. */
static void take(const head *h, const uint16_t *from, int64_t ld, int64_t n, uint16_t *to)
{
    const int64_t d = h->d, K = whole(d);

    for (int64_t i = 0; i < n; i++, from += ld, to += K) {
        __builtin_prefetch(from + d);
        memcpy(to, from, sizeof *to * (size_t)d);
        memset(to + d, 0, sizeof *to * (size_t)(K - d));
    }
    memset(to, 0, sizeof *to * (size_t)((whole(n) - n) * K));
}

/* The same of float32. */
static void narrow(const head *h, const float *from, int64_t ld, int64_t n, uint16_t *to)
{
    const int64_t d = h->d, K = whole(d);

    for (int64_t i = 0; i < n; i++, from += ld, to += K) {
        bring(from + d, d);
        ft_round_row(from, d, to);
        memset(to + d, 0, sizeof *to * (size_t)(K - d));
    }
    memset(to, 0, sizeof *to * (size_t)((whole(n) - n) * K));
}

/* to (K/2, padded, 2): pairs of channels of the rows of from (padded,K), turned. */
static void turn_channels(const head *h, const uint16_t *from, uint16_t *to)
{
    const int64_t K = whole(h->d);

    for (int64_t i = 0; i < h->padded; i += FT_LANES)
        for (int64_t c = 0; c < K; c += 2 * FT_LANES)
            ft_tile_transpose((const float *)(const void *)(from + i * K + c), K / 2,
                              (float *)(void *)(to + c * h->padded + 2 * i), h->padded);
}

/* to (n/2, width, 2): pairs of rows of from (n,K); n is even. */
static void pair_rows(const head *h, const uint16_t *from, int64_t n, uint16_t *to)
{
    const int64_t K = whole(h->d), w = h->width;

    for (int64_t i = 0; i < n; i += 2)
        for (int64_t c = 0; c < w; c += FT_LANES)
            *(ft_vu *)(to + i * w + 2 * c) =
                ft_pair_vectors(*(const ft_vs *)(from + i * K + c), *(const ft_vs *)(from + (i + 1) * K + c));
}

/* qkv: rows of the batch, ld apart. */
static void take_inputs(const operands *o, const uint16_t *qkv, int64_t ld)
{
    const head *h = &o->h;
    const uint16_t *x = qkv + h->first * ld + h->index * h->d;
    const int64_t K = whole(h->d);

    if (!h->places) take(h, x, ld, h->L, o->q);
    for (int64_t i = 0; h->places && i < h->n; i++) {
        memcpy(o->q + i * K, x + place(h, i) * ld, sizeof *x * (size_t)h->d);
        memset(o->q + i * K + h->d, 0, sizeof *x * (size_t)(K - h->d));
    }
    memset(o->q + h->n * K, 0, sizeof *o->q * (size_t)((whole(h->n) - h->n) * K));
    take(h, x + h->H, ld, h->L, o->k);
    take(h, x + 2 * h->H, ld, h->L, o->v);
    turn_channels(h, o->k, o->kt);
}

/* to (whole(n)) = what is kept of s (n), n whole vectors, rounded; and zeros. */
static void narrow_row(const ft_dropout *p, int64_t n, const ft_draw *draw, const float *s, uint16_t *to)
{
    for (int64_t j = 0; j < n && !p->threshold; j += FT_LANES)
        *(ft_vs *)(to + j) = ft_round_vector(*(const ft_vf *)(s + j));
    for (int64_t j = 0; j < n && p->threshold; j += FT_LANES)
        *(ft_vs *)(to + j) = ft_round_vector((ft_vf)(kept(draw + j, (int32_t)p->threshold) & *(const ft_vi *)(s + j)));
    memset(to + n, 0, sizeof *to * (size_t)(whole(n) - n));
}

/* From S and d(dropped P) of one query and n keys: dropped P and dS, rounded, each (whole(n)) with zeros. */
static inline __attribute__((always_inline)) void gradient_part(const int drop, const ft_dropout *p, int64_t n,
                                                                const ft_draw *draw, float lse, float delta,
                                                                const float *s, const float *ds, uint16_t *to_p,
                                                                uint16_t *to_ds)
{
    for (int64_t j = 0; j < n; j += FT_LANES) {
        ft_vf x = *(const ft_vf *)(s + j), dx = *(const ft_vf *)(ds + j);
        gradient_vector(drop, p, draw + j, lse, delta, &x, &dx);
        *(ft_vs *)(to_p + j) = ft_round_vector(x);
        *(ft_vs *)(to_ds + j) = ft_round_vector(dx);
    }
    memset(to_p + n, 0, sizeof *to_p * (size_t)(whole(n) - n));
    memset(to_ds + n, 0, sizeof *to_ds * (size_t)(whole(n) - n));
}

static void gradient_row(const ft_dropout *p, int64_t n, const ft_draw *draw, float lse, float delta, const float *s,
                         const float *ds, uint16_t *to_p, uint16_t *to_ds)
{
    if (p->threshold)
        gradient_part(1, p, n, draw, lse, delta, s, ds, to_p, to_ds);
    else
        gradient_part(0, p, n, draw, lse, delta, s, ds, to_p, to_ds);
}

/* Rows of A and of C reach to whole tiles; what lies there is of no consequence. */
static void product(int64_t M, int64_t N, int64_t K, const uint16_t *a, int64_t lda, const uint16_t *b, int64_t ldb,
                    int add, float *c, int64_t ldc)
{
    ft_tile16_product(ft_round_up(M, FT_TILE16_M), N, K, a, lda, b, ldb, add, c, ldc);
}

/* ==== One head of one row ==== */

static void forward_tile(const operands *o, int64_t q0, int64_t n, float *ctx, float *lse)
{
    const head *h = &o->h;
    const int64_t K = whole(h->d), ld = row_of_keys(h->L);
    float largest[QUERIES], sum[QUERIES];

    product(n, h->padded, K, o->q + q0 * K, K, o->kt, h->padded, 0, h->s, h->ld);
    softmax_tile(h, q0, n, largest, sum);
    for (int64_t i = 0; i < n; i++)
        narrow_row(&h->p, h->padded, h->draw + i * h->padded, h->s + i * h->ld, o->p + i * ld);
    product(n, h->width, whole(h->L), o->p, ld, o->vp, h->width, 0, h->dq, h->width);
    for (int64_t i = 0; i < n; i++) unpack(h, h->dq + i * h->width, 1, h->p.scale / sum[i], 0, ctx + i * h->H, h->H);
    if (!lse) return;
        /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) sum[i] = largest[i] + ft_logf(sum[i]);
    for (int64_t i = 0; i < n; i++) lse[i * h->heads] = sum[i];
}

static void forward_head(const operands *o, const uint16_t *qkv, int64_t ld, float *out, float *lse)
{
    const head *h = &o->h;

    ft_tile16_begin();
    take_inputs(o, qkv, ld);
    pair_rows(h, o->v, whole(h->L), o->vp);
    for (int64_t q = 0; q < h->n; q += QUERIES) {
        const int64_t t = h->asked + q;
        forward_tile(o, q, ft_least(QUERIES, h->n - q), out + t * h->H + h->index * h->d,
                     lse ? lse + t * h->heads + h->index : NULL);
    }
    ft_tile16_end();
}

/* Queries q0 .. q0+m with keys k0 .. k0+n. */
static void backward_tile(const operands *o, int64_t q0, int64_t m, int64_t k0, int64_t n, const float *lse)
{
    const head *h = &o->h;
    const int64_t w = h->width, K = whole(h->d), wide = pad(n), ld = distance(n), narrow_ld = row_of_keys(n);
    const uint32_t block = (uint32_t)h->index << 16 | (uint32_t)(k0 / 8);

    product(m, wide, K, o->q + q0 * K, K, o->kt + 2 * k0, h->padded, 0, h->s, ld);
    product(m, wide, K, o->g + q0 * K, K, o->vt + 2 * k0, h->padded, 0, h->ds, ld);
    if (h->p.threshold) draw_queries(h, block, wide / 8, q0, m);
    for (int64_t i = 0; i < m; i++) {
        hide(h, place(h, q0 + i), k0, n, h->s + i * ld);
        gradient_row(&h->p, n, h->draw + i * wide, lse[(q0 + i) * h->heads], h->delta[q0 + i], h->s + i * ld,
                     h->ds + i * ld, o->p + i * narrow_ld, o->ds + i * narrow_ld);
    }
    ft_turned_operand(o->p, narrow_ld, m, wide, QUERIES, o->pt); /* zeros beyond n */
    ft_turned_operand(o->ds, narrow_ld, m, wide, QUERIES, o->dst);
    product(n, w, QUERIES, o->pt, QUERIES, o->gp + q0 * w, w, q0 > 0, h->dv + k0 * w, w);
    product(n, w, QUERIES, o->dst, QUERIES, o->qp + q0 * w, w, q0 > 0, h->dk + k0 * w, w);
    product(m, w, whole(n), o->ds, narrow_ld, o->kp + k0 * w, w, k0 > 0, h->dq + q0 * w, w);
}

/* to (n,d), rows ld apart = scale * from (n,width) */
static void give(const head *h, const float *from, int64_t n, float scale, uint16_t *to, int64_t ld)
{
    const int64_t d = h->d;

    for (int64_t i = 0; i < n; i++, from += h->width, to += ld) {
        int64_t c = 0;
        __builtin_prefetch(to + d, 1);
        for (; c + FT_LANES <= d; c += FT_LANES)
            *(ft_vs *)(to + c) = ft_round_vector(*(const ft_vf *)(from + c) * scale);
        const ft_vs last = c < d ? ft_round_vector(*(const ft_vf *)(from + c) * scale) : (ft_vs){ 0 };
        memcpy(to + c, &last, sizeof *to * (size_t)(d - c));
    }
}

static void clear(const head *h, uint16_t *to, int64_t ld)
{
    for (int64_t i = 0; i < h->L; i++) memset(to + i * ld, 0, sizeof *to * (size_t)h->d);
}

/* The gradients of one head's queries (before they were scaled), keys and values, into rows ld apart. */
static void backward_head(const operands *o, const ft_op_call *c, const uint16_t *qkv, uint16_t *d_qkv, int64_t ld)
{
    const head *h = &o->h;
    const int64_t at = h->asked * h->H + h->index * h->d;
    const float *d_out = (const float *)c->d_out->data + at, *out = (const float *)c->out->data + at;
    const float *lse = (const float *)c->saved[1]->data + h->asked * h->heads + h->index;
    uint16_t *to = d_qkv + h->first * ld + h->index * h->d;

    if (h->places || h->n == 0) clear(h, to, ld);
    if (h->n == 0) {
        clear(h, to + h->H, ld);
        clear(h, to + 2 * h->H, ld);
        return;
    }
    ft_tile16_begin();
    take_inputs(o, qkv, ld);
    narrow(h, d_out, h->H, h->n, o->g);
    turn_channels(h, o->v, o->vt);
    pair_rows(h, o->q, whole(h->n), o->qp);
    pair_rows(h, o->g, whole(h->n), o->gp);
    pair_rows(h, o->k, whole(h->L), o->kp);
    make_delta(h, d_out, out);
    for (int64_t k = 0; k < h->L; k += KEYS)
        for (int64_t q = 0; q < h->n; q += QUERIES)
            backward_tile(o, q, ft_least(QUERIES, h->n - q), k, ft_least(KEYS, h->L - k), lse);
    ft_tile16_end();
    if (!h->places) give(h, h->dq, h->L, h->scale, to, ld);
    for (int64_t i = 0; h->places && i < h->n; i++)
        give(h, h->dq + i * h->width, 1, h->scale, to + place(h, i) * ld, ld);
    give(h, h->dk, h->L, 1.0f, to + h->H, ld);
    give(h, h->dv, h->L, 1.0f, to + 2 * h->H, ld);
}

/* ==== The workspace ==== */

/* Sizes, the map, and where things lie: slices for each thread, which panels and heads use in turn, then what is shared. */
typedef struct job {
    const ft_op_call *c;
    int64_t T, H, O, ld; /* ld: numbers of a row of qkv */
    ft_bf16_map m;
    const ft_bf16_plan *p;
    size_t panel, inner, slice, weight, rows, dy, x, sums, all;
} job;

static operands operands_of(const ft_op_call *c)
{
    const int64_t heads = c->attr.i[0], H = c->in[0]->shape.dim[1], d = H / heads;

    return (operands){ .h = { .heads = heads,
                              .H = H,
                              .d = d,
                              .places = c->n_in > 3 && c->in[3] ? c->in[3]->data : NULL,
                              .width = ft_round_up(d, FT_LANES),
                              .reach = c->attr.i[1],
                              .scale = c->attr.f[0] > 0 ? (float)c->attr.f[0] : 1.0f / sqrtf((float)d),
                              .p = ft_dropout_of(&c->attr, c->attr.f[1]) } };
}

static job job_of(const ft_op_call *c, int backward)
{
    const int64_t T = c->in[0]->shape.dim[0], H = c->in[0]->shape.dim[1], O = c->in[1]->shape.dim[0],
                  some = ft_least(ft_bf16_even(T), FT_BF16_GROUP), room = FT_BF16_ROWS;
    job j = { .c = c, .T = T, .H = H, .O = O, .ld = ft_bf16_even(O) };
    operands o = operands_of(c);
    size_t used = 0;

    j.m = (ft_bf16_map){ .R = T, .O = O, .I = H, .w = c->in[1]->data, .weight = c->in[1]->weight };
    j.p = ft_bf16_plan_of(&j.m);
    j.panel = ft_carve(&used, backward ? 0 : 2 * FT_BF16_TALL * ft_bf16_even(H));
    j.inner = ft_carve(&used, backward ? 0 : 4 * FT_BF16_TALL * OUTPUTS);
    used = (size_t)ft_most((int64_t)used, (int64_t)carve_head(&o, NULL, c->attr.rows->max_len, backward));
    j.slice = (size_t)ft_round_up((int64_t)used, 64);
    used = j.slice * (size_t)ft_slices();
    j.weight = ft_carve(&used, (int64_t)ft_bf16_packed(&j.m, backward));
    j.rows = ft_carve(&used, 2 * (T + room) * j.ld); /* forward where qkv is not saved; the gradient of qkv */
    if (backward) {
        j.dy = ft_carve(&used, 2 * O * some);
        j.x = ft_carve(&used, 2 * ft_round_up(H, 64) * some);
        j.sums = ft_carve(&used, 4 * O * FT_BF16_PANELS);
    }
    j.all = used;
    return j;
}

static void *shared(const job *j, size_t at) { return (char *)j->c->work + at; }
static void *own(const job *j, int seat, size_t at) { return (char *)j->c->work + (size_t)seat * j->slice + at; }

static ft_status check(const ft_op_call *c, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape, *w = &c->in[1]->shape, *b = &c->in[2]->shape;
    const int64_t heads = c->attr.i[0];
    char t[2][96];

    if (!c->attr.rows) return ft_fail(e, FT_EUSAGE, "self_attention: the rows of the batch are not given");
    if (x->rank != 2 || x->dim[0] != c->attr.rows->n_tokens)
        return ft_fail(e, FT_ESHAPE, "self_attention: want x (%d,H), got %s", c->attr.rows->n_tokens,
                       ft_shape_text(x, t[0]));
    if (w->rank != 2 || w->dim[1] != x->dim[1] || w->dim[0] != 3 * x->dim[1] || b->rank != 1 || b->dim[0] != w->dim[0])
        return ft_fail(e, FT_ESHAPE, "self_attention: want W (3H,H) and a bias (3H) for x %s, got %s and %s",
                       ft_shape_text(x, (char[96]){ 0 }), ft_shape_text(w, t[0]), ft_shape_text(b, t[1]));
    if (heads < 1 || x->dim[1] % heads != 0 || x->dim[1] < heads)
        return ft_fail(e, FT_ESHAPE, "self_attention: x %s is not %lld heads x a whole number", ft_shape_text(x, t[0]),
                       (long long)heads);
    if (c->attr.i[1] < 0)
        return ft_fail(e, FT_EUSAGE, "self_attention: a window of %lld tokens", (long long)c->attr.i[1]);
    if (!c->attr.bf16 || !ft_op_active()->tiles || !ft_bf16_fits(w->dim[0], w->dim[1]))
        return ft_fail(e, FT_EUSAGE, "self_attention: %s is not multiplied in bf16 tiles", ft_shape_text(w, t[0]));
    if (c->n_in > 3 && c->in[3] && check_places("self_attention", c->in[3], x->dim[0], e))
        return e ? e->code : FT_ESHAPE;
    return ft_dropout_check("self_attention", &c->attr, c->attr.f[1], x->dim[0], e);
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_status status = check(c, e);

    if (status) return status;
    const ft_ragged *rows = c->attr.rows;
    const int64_t T = c->in[0]->shape.dim[0], H = c->in[0]->shape.dim[1];
    const int64_t M = c->n_in > 3 && c->in[3] ? c->in[3]->shape.dim[0] : T;
    const ft_bf16_map map = { .O = 3 * H, .I = H };
    if (ft_bf16_prepare(&map, e)) return e ? e->code : FT_EUSAGE;
    const job f = job_of(c, 0), b = job_of(c, 1);
    s->dtype = FT_F32;
    s->shape = ft_shape_of(2, M, H, 0, 0);
    s->saved_dtype[0] = FT_BF16;
    s->saved[0] = ft_shape_of(2, T, f.ld, 0, 0);
    s->saved_dtype[1] = FT_F32;
    s->saved[1] = ft_shape_of(2, M, c->attr.i[0], 0, 0);
    s->work_forward = f.all;
    s->work_backward = b.all;
    s->keeps_forward = ft_bf16_kept(&f.m, 0);
    s->keeps_backward = ft_bf16_kept(&f.m, 1);
    for (int32_t r = 0; r < rows->n_rows; r++) {
        const double L = rows->offsets[r + 1] - rows->offsets[r];
        s->flops += 4.0 * L * L * (double)H;
    }
    /* as if every row had its share of the queries: the same from shapes alone */
    if (M < T) s->flops *= (double)M / (double)T;
    s->flops += 6.0 * (double)T * (double)H * (double)H;
    s->bytes = 20.0 * (double)(T * H) + 12.0 * (double)(H * H);
    return FT_OK;
}

/* ==== Forward ==== */

/* Rows [at, at + n) of qkv, OUTPUTS at a time: they are rounded while they are in the first cache. */
static void project(const job *j, int64_t at, int64_t n, const uint16_t *w, float scale, uint16_t *qkv)
{
    const int64_t K = ft_bf16_even(j->H), rows = ft_round_up(n, FT_TILE16_M);
    const float *bias = j->c->in[2]->data;
    uint16_t *a = own(j, ft_worker(), j->panel), *to = qkv + at * j->ld;
    float *y = own(j, ft_worker(), j->inner);

    FT_KERNEL(ft_layouts).rows((const float *)j->c->in[0]->data + at * j->H, j->H, n, j->H, rows, K, a);
    for (int64_t o = 0; o < j->O; o += OUTPUTS) {
        const int64_t N = ft_least(OUTPUTS, j->O - o), queries = ft_least(N, ft_most(j->H - o, 0));
        const ft_panel p = { .M = rows, .N = N, .K = K, .lda = K, .ldc = OUTPUTS, .bias = 1 };
        FT_KERNEL(ft_tile_panel)(&p, a, w + o * K, bias + o, y);
        for (int64_t r = 0; r < n; r++) {
            ft_round_scaled(y + r * OUTPUTS, queries, scale, to + r * j->ld + o);
            ft_round_row(y + r * OUTPUTS + queries, N - queries, to + r * j->ld + o + queries);
        }
    }
    for (int64_t r = 0; r < n; r++) memset(to + r * j->ld + j->O, 0, sizeof *to * (size_t)(j->ld - j->O));
}

static void forward(const ft_op_call *c)
{
    const job j = job_of(c, 0);
    const ft_ragged *rows = c->attr.rows;
    const int64_t each = ft_bf16_tall(j.T), tasks = rows->n_rows * c->attr.i[0], M = c->out->shape.dim[0];
    const int chunk = together(tasks, c->attr.i[0]);
    const uint16_t *w = ft_bf16_weight(&j.m, 0, shared(&j, j.weight));
    uint16_t *qkv = c->saved[0] ? c->saved[0]->data : shared(&j, j.rows);

#pragma omp parallel num_threads(ft_workers()) if (j.T > each && j.T * j.O * j.H > FT_PRODUCT_WORTH)
    {
        operands o = operands_of(c);
        if (tasks) carve_head(&o, own(&j, ft_worker(), 0), rows->max_len, 0);
#pragma omp for schedule(dynamic)
        for (int64_t at = 0; at < j.T; at += each) project(&j, at, ft_least(each, j.T - at), w, o.h.scale, qkv);
#pragma omp for schedule(dynamic, chunk)
        for (int64_t k = 0; k < tasks; k++)
            if (head_at(&o.h, rows, M, k) && o.h.n)
                forward_head(&o, qkv, j.ld, c->out->data, c->saved[1] ? c->saved[1]->data : NULL);
    }
}

/* ==== Backward ==== */

/* Rows [at, at + n) of the group that begins at row `from`: their part of all that is asked for. */
static void backward_panel(const job *j, int64_t from, int64_t at, int64_t n, const uint16_t *w, float *sums)
{
    const ft_op_call *c = j->c;
    const int64_t T = ft_bf16_even(j->T);
    uint16_t *dy = (uint16_t *)shared(j, j->rows) + at * j->ld;

    for (int64_t r = 0; r < n && j->ld > j->O; r++)
        memset(dy + r * j->ld + j->O, 0, sizeof *dy * (size_t)(j->ld - j->O));
    memset(sums, 0, sizeof *sums * (size_t)j->O);
    for (int64_t r = 0; r < n && c->d_in[2]; r++) ft_add_row(dy + r * j->ld, j->O, sums);
    for (int64_t r = 0; r < n && c->d_in[1]; r += 32) {
        const float *x = (const float *)c->in[0]->data + (at + r) * j->H;
        int64_t size;
        const int64_t part = ft_bf16_part(T, at + r, &size), in_part = at + r - part, m = ft_least(32, n - r);
        ft_turned_operand(dy + r * j->ld, j->ld, m, j->O, size,
                          (uint16_t *)shared(j, j->dy) + (part - from) * j->O + in_part);
        for (int64_t k = 0; k < j->H; k += 64)
            FT_KERNEL(ft_layouts)
                .pairs(x + k, j->H, m, ft_least(64, j->H - k), 32,
                       (uint16_t *)shared(j, j->x) + (part - from) * ft_round_up(j->H, 64) + k * size + in_part * 64);
    }
    if (!c->d_in[0]) return;
    const ft_panel p = { .M = n, .N = j->H, .K = j->ld, .lda = j->ld, .ldc = j->H, .add = c->add[0] };
    FT_KERNEL(ft_tile_panel)(&p, dy, w, NULL, (float *)c->d_in[0]->data + at * j->H);
}

/* A group of rows at a time: the gradient of x, and both factors of the weight's, which are multiplied while they are in cache. */
static void map_backward(const job *j, const uint16_t *w)
{
    const ft_op_call *c = j->c;
    const int64_t T = ft_bf16_even(j->T), each = ft_bf16_tall(j->T);
    float *sums = shared(j, j->sums);

#pragma omp parallel num_threads(ft_workers()) if (j->T > each && j->T * j->O * j->H > FT_PRODUCT_WORTH)
    for (int64_t from = 0; from < j->T; from += FT_BF16_GROUP) {
        const int64_t to = ft_least(from + FT_BF16_GROUP, j->T);
#pragma omp for schedule(dynamic)
        for (int64_t at = from; at < to; at += each)
            backward_panel(j, from, at, ft_least(each, to - at), w, sums + (at - from) / each * j->O);
#pragma omp single nowait
        if (c->d_in[2])
            ft_block_fold(sums, (to - from + each - 1) / each, j->O, j->O, from > 0 || c->add[2], c->d_in[2]->data);
#pragma omp for schedule(dynamic)
        for (int64_t o = 0; o < (c->d_in[1] ? j->O : 0); o += FT_BF16_OUTS)
            ft_bf16_block_grad_w(j->p, ft_worker(), T, from, ft_least(from + FT_BF16_GROUP, T), o, shared(j, j->dy),
                                 shared(j, j->x), c->add[1], c->d_in[1]->data, NULL);
    }
}

static void backward(const ft_op_call *c)
{
    const job j = job_of(c, 1);
    const ft_ragged *rows = c->attr.rows;
    const int64_t tasks = rows->n_rows * c->attr.i[0], M = c->d_out->shape.dim[0];
    const int chunk = together(tasks, c->attr.i[0]);
    const uint16_t *w = c->d_in[0] ? ft_bf16_weight(&j.m, 1, shared(&j, j.weight)) : NULL;

#pragma omp parallel num_threads(ft_workers()) if (tasks > 1)
    {
        operands o = operands_of(c);
        if (tasks) carve_head(&o, own(&j, ft_worker(), 0), rows->max_len, 1);
#pragma omp for schedule(dynamic, chunk)
        for (int64_t k = 0; k < tasks; k++)
            if (head_at(&o.h, rows, M, k)) backward_head(&o, c, c->saved[0]->data, shared(&j, j.rows), j.ld);
    }
    for (int k = 1; k < 3 && j.T == 0; k++)
        if (c->d_in[k] && !c->add[k])
            memset(c->d_in[k]->data, 0, sizeof(float) * (size_t)ft_shape_count(&c->d_in[k]->shape));
    map_backward(&j, w);
}

#else

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    (void)c, (void)s;
    return ft_fail(e, FT_EUSAGE, "self_attention: these kernels multiply no bf16 tiles");
}

static void forward(const ft_op_call *c) { (void)c; }
static void backward(const ft_op_call *c) { (void)c; }

#endif

const ft_op FT_OP(self_attention) = {
    .name = "self_attention",
    .min_in = 3,
    .max_in = 4,
    .keeps_in = 1u << 0 | 1u << 1 | 1u << 3,
    .keeps_out = 1,
    .no_grad = 1u << 3,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
