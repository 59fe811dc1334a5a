/* ops/attention_bf16.c - attention (attention.h) whose products have their operands rounded to bf16: queries, keys, values, the
 * gradient of the context, dropped P and dS. Sums, softmax and everything that is kept are float32.
 *
 * The five products of a head are those of attention.c. Operands lie as ops/tile_bf16.h reads them: as rows, as rows of pairs,
 * or turned (pairs of channels turned are K^T as rows of pairs). Queries are taken 32 at a time, padded with zeros where they
 * are summed over; unlike in float32, the sums over some queries may differ in their last bits from those over all.
 */
#include "ops/attention.h"

#ifdef __AVX512BF16__

#include "ops/round.h"
#include "ops/tile_bf16.h"

#define QUERIES 32

static int64_t whole(int64_t n) { return ft_round_up(n, FT_TILE16_K); }
/* A power of two would send all rows to the same sets of the cache. */
static int64_t row_of_keys(int64_t L) { return whole(L) + FT_TILE16_K; }

static uint16_t *carve_bf16(char *base, size_t *used, int64_t n)
{
    return (uint16_t *)(void *)carve(base, used, (n + 1) / 2);
}

int FT_KERNEL(ft_attention_narrow)(void) { return ft_op_active()->tiles; }

size_t FT_KERNEL(ft_attention_carve_narrow)(head *h, char *base, int64_t L, int backward)
{
    const int64_t w = h->width, K = whole(h->d), rows = whole(L), keys = backward ? KEYS : L;
    ft_attention_operands *o = &h->bf16;
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

/* ==== Packing ==== */

/* One row of d channels, K with zeros. What lies next to it in memory is most often this thread's next task. */
static void narrow_row(const head *h, const float *from, float scale, uint16_t *to)
{
    const int64_t d = h->d, K = whole(d);
    int64_t c = 0;

    for (; c + FT_LANES <= d; c += FT_LANES) {
        *(ft_vs *)(to + c) = ft_round_vector(*(const ft_vf *)(from + c) * scale);
        __builtin_prefetch(from + d + c);
    }
    for (; c < d; c++) to[c] = ft_round_one(from[c] * scale);
    for (; c < K; c++) to[c] = 0;
}

/* to (whole(n), K): n rows, ld apart, and zeros. */
static void narrow(const head *h, const float *from, int64_t ld, int64_t n, float scale, uint16_t *to)
{
    const int64_t K = whole(h->d);

    for (int64_t i = 0; i < n; i++) narrow_row(h, from + i * ld, scale, to + i * K);
    memset(to + n * K, 0, sizeof *to * (size_t)((whole(n) - n) * K));
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

static void pack_inputs(const head *h, const float *qkv)
{
    const ft_attention_operands *o = &h->bf16;
    const float *x = qkv + h->first * 3 * h->H + h->index * h->d;
    const int64_t K = whole(h->d);

    if (!h->places) narrow(h, x, 3 * h->H, h->L, h->scale, o->q);
    for (int64_t i = 0; h->places && i < h->n; i++) narrow_row(h, x + place(h, i) * 3 * h->H, h->scale, o->q + i * K);
    memset(o->q + h->n * K, 0, sizeof *o->q * (size_t)((whole(h->n) - h->n) * K));
    narrow(h, x + h->H, 3 * h->H, h->L, 1.0f, o->k);
    narrow(h, x + 2 * h->H, 3 * h->H, h->L, 1.0f, o->v);
    turn_channels(h, o->k, o->kt);
}

/* to (m, whole(n)) of lines `ld` apart = s (m,n), rounded, and zeros. */
static void narrow_tile(const float *s, int64_t ld_s, int64_t m, int64_t n, uint16_t *to, int64_t ld)
{
    for (int64_t i = 0; i < m; i++) {
        ft_round_row(s + i * ld_s, n, to + i * ld);
        memset(to + i * ld + n, 0, sizeof *to * (size_t)(whole(n) - n));
    }
}

/* to (n rounded up to 16, QUERIES) = from (m,n) turned, zeros for what is beyond m; from has zeros beyond n. */
static void turn_tile(const uint16_t *from, int64_t ld, int64_t m, int64_t n, uint16_t *to)
{
    static const ft_vs zero;

    for (int64_t c = 0; c < n; c += FT_LANES) {
        ft_vu both[FT_LANES] __attribute__((aligned(64)));
        for (int64_t i = 0; i < FT_LANES; i++) {
            const uint16_t *a = from + 2 * i * ld + c;
            both[i] =
                ft_pair_vectors(2 * i < m ? *(const ft_vs *)a : zero, 2 * i + 1 < m ? *(const ft_vs *)(a + ld) : zero);
        }
        ft_tile_transpose((const float *)(const void *)both, FT_LANES, (float *)(void *)(to + c * QUERIES),
                          QUERIES / 2);
    }
}

/* ==== Products ==== */

/* Rows of A and of C reach to whole tiles; what lies there is of no consequence. */
static void product(int64_t M, int64_t N, int64_t K, const uint16_t *a, int64_t lda, const uint16_t *b, int64_t ldb,
                    int add, float *c, int64_t ldc)
{
    ft_tile16_product(ft_round_up(M, FT_TILE16_M), N, K, a, lda, b, ldb, add, c, ldc);
}

static void forward_tile(const head *h, int64_t q0, int64_t n, float *ctx, float *lse)
{
    const ft_attention_operands *o = &h->bf16;
    const int64_t K = whole(h->d), ld = row_of_keys(h->L);
    float largest[QUERIES], sum[QUERIES];

    product(n, h->padded, K, o->q + q0 * K, K, o->kt, h->padded, 0, h->s, h->ld);
    softmax_tile(h, q0, n, largest, sum);
    narrow_tile(h->s, h->ld, n, h->padded, o->p, ld);
    product(n, h->width, whole(h->L), o->p, ld, o->vp, h->width, 0, h->dq, h->width);
    for (int64_t i = 0; i < n; i++) unpack(h, h->dq + i * h->width, 1, h->p.scale / sum[i], 0, ctx + i * h->H, h->H);
    if (!lse) return;
        /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) sum[i] = largest[i] + ft_logf(sum[i]);
    for (int64_t i = 0; i < n; i++) lse[i * h->heads] = sum[i];
}

void FT_KERNEL(ft_attention_forward_narrow)(const head *h, const float *qkv, float *out, float *lse)
{
    ft_tile16_begin();
    pack_inputs(h, qkv);
    pair_rows(h, h->bf16.v, whole(h->L), h->bf16.vp);
    for (int64_t q = 0; q < h->n; q += QUERIES) {
        const int64_t t = h->asked + q;
        forward_tile(h, q, ft_least(QUERIES, h->n - q), out + t * h->H + h->index * h->d,
                     lse ? lse + t * h->heads + h->index : NULL);
    }
    ft_tile16_end();
}

/* Queries q0 .. q0+m with keys k0 .. k0+n. */
static void backward_tile(const head *h, int64_t q0, int64_t m, int64_t k0, int64_t n, const float *lse)
{
    const ft_attention_operands *o = &h->bf16;
    const int64_t w = h->width, K = whole(h->d), wide = pad(n), ld = distance(n), narrow_ld = row_of_keys(n);
    const uint32_t block = (uint32_t)h->index << 16 | (uint32_t)(k0 / 8);

    product(m, wide, K, o->q + q0 * K, K, o->kt + 2 * k0, h->padded, 0, h->s, ld);
    product(m, wide, K, o->g + q0 * K, K, o->vt + 2 * k0, h->padded, 0, h->ds, ld);
    if (h->p.threshold) draw_queries(h, block, wide / 8, q0, m);
    for (int64_t i = 0; i < m; i++) {
        hide(h, place(h, q0 + i), k0, n, h->s + i * ld);
        gradient_row(&h->p, wide, h->draw + i * wide, lse[(q0 + i) * h->heads], h->delta[q0 + i], h->s + i * ld,
                     h->ds + i * ld);
    }
    narrow_tile(h->s, ld, m, n, o->p, narrow_ld);
    narrow_tile(h->ds, ld, m, n, o->ds, narrow_ld);
    turn_tile(o->p, narrow_ld, m, n, o->pt);
    turn_tile(o->ds, narrow_ld, m, n, o->dst);
    product(n, w, QUERIES, o->pt, QUERIES, o->gp + q0 * w, w, q0 > 0, h->dv + k0 * w, w);
    product(n, w, QUERIES, o->dst, QUERIES, o->qp + q0 * w, w, q0 > 0, h->dk + k0 * w, w);
    product(m, w, whole(n), o->ds, narrow_ld, o->kp + k0 * w, w, k0 > 0, h->dq + q0 * w, w);
}

void FT_KERNEL(ft_attention_backward_narrow)(const head *h, const ft_op_call *c)
{
    const ft_attention_operands *o = &h->bf16;
    const int64_t at = h->asked * h->H + h->index * h->d;
    const float *d_out = (const float *)c->d_out->data + at, *out = (const float *)c->out->data + at;
    const float *lse = (const float *)c->saved[0]->data + h->asked * h->heads + h->index;

    ft_tile16_begin();
    pack_inputs(h, c->in[0]->data);
    narrow(h, d_out, h->H, h->n, 1.0f, o->g);
    turn_channels(h, o->v, o->vt);
    pair_rows(h, o->q, whole(h->n), o->qp);
    pair_rows(h, o->g, whole(h->n), o->gp);
    pair_rows(h, o->k, whole(h->L), o->kp);
    make_delta(h, d_out, out);
    for (int64_t k = 0; k < h->L; k += KEYS)
        for (int64_t q = 0; q < h->n; q += QUERIES)
            backward_tile(h, q, ft_least(QUERIES, h->n - q), k, ft_least(KEYS, h->L - k), lse);
    ft_tile16_end();
}

#else

int FT_KERNEL(ft_attention_narrow)(void) { return 0; }

size_t FT_KERNEL(ft_attention_carve_narrow)(head *h, char *base, int64_t L, int backward)
{
    (void)h, (void)base, (void)L, (void)backward;
    return 0;
}

void FT_KERNEL(ft_attention_forward_narrow)(const head *h, const float *qkv, float *out, float *lse)
{
    (void)h, (void)qkv, (void)out, (void)lse;
}

void FT_KERNEL(ft_attention_backward_narrow)(const head *h, const ft_op_call *c) { (void)h, (void)c; }

#endif
