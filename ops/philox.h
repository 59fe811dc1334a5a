/* ops/philox.h - dropout's random numbers, many blocks of Philox4x32-10 at once.
 *
 * The same function as ft_rng_block, and the tests hold it to that. A block of four words is eight
 * draws of 16 bits, low half of each word first; number j is kept if draw j >= round(p * 65536).
 *
 *   counter = { channel / 8  or  head << 16 | key / 8,  position | window << 16,  example,  update }
 *
 * Every input of a counter is a property of the example, so that another batching, thread or rank
 * draws the same; nothing is stored and backward draws again.
 */
#ifndef FT_OPS_PHILOX_H
#define FT_OPS_PHILOX_H

#include "graph/op.h"
#include "ops/blocks.h"
#include "ops/lanes.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "draws are read as halves of words");

#define FT_PHILOX_LANES 16 /* counters are taken in groups of so many */
#define FT_PHILOX_M0 0xD2511F53u
#define FT_PHILOX_M1 0xCD9E8D57u
#define FT_PHILOX_W0 0x9E3779B9u
#define FT_PHILOX_W1 0xBB67AE85u

typedef uint16_t ft_draw;

typedef struct ft_dropout {
    ft_rng_key key;
    uint32_t update;
    uint32_t threshold; /* 0: dropout is off */
    float scale;        /* of what is kept */
} ft_dropout;

static inline ft_dropout ft_dropout_of(const ft_op_attr *a, double p)
{
    const uint32_t t = a->training && p > 0 ? (uint32_t)(p * 65536 + 0.5) : 0;
    const float scale = t < 65536 ? (float)(1.0 / (1.0 - (double)t / 65536)) : 0.0f;
    return (ft_dropout){ a->key, (uint32_t)a->update, t, scale };
}

static inline ft_status ft_dropout_check(const char *op, const ft_op_attr *a, double p, int64_t R, ft_err *e)
{
    if (!(p >= 0 && p <= 1)) return ft_fail(e, FT_EUSAGE, "%s: dropout must lie between 0 and 1, got %g", op, p);
    if (a->training && p > 0 && a->rows && R != a->rows->n_tokens && R != a->rows->n_rows)
        return ft_fail(e, FT_ESHAPE, "%s: %lld rows fit neither the batch's %d tokens nor its %d rows", op,
                       (long long)R, a->rows->n_tokens, a->rows->n_rows);
    return FT_OK;
}

/* Second and third counter word of row r of R. */
static inline void ft_dropout_place(const ft_ragged *rows, int64_t R, int64_t r, uint32_t *where, uint32_t *example)
{
    const int by_token = rows && R == rows->n_tokens;
    const int32_t b = by_token ? rows->row_of[r] : (int32_t)r;

    *where = rows ? (uint32_t)rows->window[b] << 16 : 0;
    if (by_token) *where |= (uint32_t)(r - rows->offsets[b]);
    *example = rows ? (uint32_t)rows->example[b] : (uint32_t)r;
}

#if defined(__AVX512DQ__) || defined(__clang__)
/* One 32-bit word in the low half of every 64-bit lane; what is left in the high half is never read. */
#define FT_PHILOX_WIDE (FT_LANES / 2)
#define FT_PHILOX_GROUPS (FT_PHILOX_LANES / FT_PHILOX_WIDE)
typedef uint64_t ft_vw __attribute__((vector_size(8 * FT_PHILOX_WIDE)));
typedef uint64_t ft_vw_any __attribute__((vector_size(8 * FT_PHILOX_WIDE), aligned(2), may_alias));
typedef uint32_t ft_vw_half __attribute__((vector_size(4 * FT_PHILOX_WIDE), aligned(4), may_alias));

#if FT_PHILOX_WIDE == 8
#define FT_PHILOX_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define FT_PHILOX_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#elif FT_PHILOX_WIDE == 4
#define FT_PHILOX_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define FT_PHILOX_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define FT_PHILOX_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 2)
#define FT_PHILOX_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 1, 3)
#endif

/* Low halves times m. gcc takes the product of whole lanes for it, which is slower (ops/round.h names an
 * instruction too). */
static inline ft_vw ft_philox_multiply(ft_vw a, uint32_t m)
{
#if defined(__AVX512DQ__) && !defined(__clang__)
    ft_vw y;
    __asm__("vpmuludq %2, %1, %0" : "=v"(y) : "v"(a), "v"((ft_vw){ 0 } + m));
    return y;
#else
    return (a & 0xffffffffu) * m;
#endif
}

static inline void ft_philox_group(ft_rng_key key, const uint32_t *c0, const uint32_t *c1, uint32_t c2, uint32_t c3,
                                   ft_draw *out)
{
    const uint64_t low = 0xffffffffu;
    ft_vw a[FT_PHILOX_GROUPS], b[FT_PHILOX_GROUPS], c[FT_PHILOX_GROUPS], d[FT_PHILOX_GROUPS];

    FT_UNROLL
    for (int g = 0; g < FT_PHILOX_GROUPS; g++) {
        a[g] = __builtin_convertvector(*(const ft_vw_half *)(c0 + g * FT_PHILOX_WIDE), ft_vw);
        b[g] = __builtin_convertvector(*(const ft_vw_half *)(c1 + g * FT_PHILOX_WIDE), ft_vw);
        c[g] = (ft_vw){ 0 } + c2;
        d[g] = (ft_vw){ 0 } + c3;
    }
    FT_UNROLL
    for (int round = 0; round < 10; round++) {
        FT_UNROLL
        for (int g = 0; g < FT_PHILOX_GROUPS; g++) {
            const ft_vw p0 = ft_philox_multiply(a[g], FT_PHILOX_M0), p1 = ft_philox_multiply(c[g], FT_PHILOX_M1);
            a[g] = (p1 >> 32) ^ b[g] ^ key.k[0];
            b[g] = p1;
            c[g] = (p0 >> 32) ^ d[g] ^ key.k[1];
            d[g] = p0;
        }
        key.k[0] += FT_PHILOX_W0;
        key.k[1] += FT_PHILOX_W1;
    }
    FT_UNROLL
    for (int g = 0; g < FT_PHILOX_GROUPS; g++) {
        const ft_vw x = (a[g] & low) | b[g] << 32, y = (c[g] & low) | d[g] << 32;
        ft_vw_any *to = (ft_vw_any *)(out + g * FT_PHILOX_WIDE * 8);
        to[0] = FT_PHILOX_ZIP_LOW(x, y);
        to[1] = FT_PHILOX_ZIP_HIGH(x, y);
    }
}
#else
typedef uint32_t ft_draw_pair __attribute__((aligned(2), may_alias));

static inline void ft_philox_group(ft_rng_key key, const uint32_t *c0, const uint32_t *c1, uint32_t c2, uint32_t c3,
                                   ft_draw *out)
{
    ft_draw_pair *to = (ft_draw_pair *)out;

#pragma omp simd
    for (int i = 0; i < FT_PHILOX_LANES; i++) {
        uint32_t a = c0[i], b = c1[i], c = c2, d = c3, k0 = key.k[0], k1 = key.k[1];
        FT_UNROLL
        for (int round = 0; round < 10; round++) {
            const uint64_t p0 = (uint64_t)FT_PHILOX_M0 * a, p1 = (uint64_t)FT_PHILOX_M1 * c;
            a = (uint32_t)(p1 >> 32) ^ b ^ k0;
            b = (uint32_t)p1;
            c = (uint32_t)(p0 >> 32) ^ d ^ k1;
            d = (uint32_t)p0;
            k0 += FT_PHILOX_W0;
            k1 += FT_PHILOX_W1;
        }
        to[4 * i] = a;
        to[4 * i + 1] = b;
        to[4 * i + 2] = c;
        to[4 * i + 3] = d;
    }
}
#endif

/* Room for the draws of rows x blocks: whole groups are written. */
#define FT_DRAW_ROOM(blocks) (((blocks) + FT_PHILOX_LANES - 1) / FT_PHILOX_LANES * FT_PHILOX_LANES * 8)

#define FT_DRAW_BATCH 256 /* counters written before they are read: a store just made stalls a wider load */

/* Counters i .. i+n of a grid go to c0 and c1; *k and *r say where in the grid the next one lies. */
static inline void ft_draw_counters(uint32_t first, int64_t blocks, uint32_t where, int64_t n, int64_t *k, uint32_t *r,
                                    uint32_t *c0, uint32_t *c1)
{
    for (int64_t i = 0; i < n;) {
        const int64_t m = ft_least(blocks - *k, n - i);
        const uint32_t x = first + (uint32_t)*k, y = where + *r;
        uint32_t *to0 = c0 + i, *to1 = c1 + i;
#pragma omp simd
        for (int64_t j = 0; j < m; j++) {
            to0[j] = x + (uint32_t)j;
            to1[j] = y;
        }
        i += m;
        *k += m;
        if (*k == blocks) {
            *k = 0;
            ++*r;
        }
    }
}

/* out[(r * blocks + k) * 8 ..] = the eight draws of counter { first + k, where + r, example, update }. */
static inline void ft_draw_grid(const ft_dropout *p, uint32_t first, int64_t blocks, uint32_t where, int64_t rows,
                                uint32_t example, ft_draw *out)
{
    uint32_t c0[FT_DRAW_BATCH], c1[FT_DRAW_BATCH], r = 0;
    int64_t k = 0;

    for (int64_t left = blocks * rows; left > 0; left -= FT_DRAW_BATCH) {
        const int64_t n = ft_least(left, FT_DRAW_BATCH), groups = (n + FT_PHILOX_LANES - 1) / FT_PHILOX_LANES;
        ft_draw_counters(first, blocks, where, n, &k, &r, c0, c1);
        for (int64_t i = n; i < groups * FT_PHILOX_LANES; i++) c0[i] = c1[i] = 0;
        for (int64_t g = 0; g < groups; g++, out += FT_PHILOX_LANES * 8)
            ft_philox_group(p->key, c0 + g * FT_PHILOX_LANES, c1 + g * FT_PHILOX_LANES, example, p->update, out);
    }
}

static inline void ft_dropout_apply(const ft_draw *draw, uint32_t threshold, float scale, int64_t n, float *y)
{
    /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = draw[i] >= threshold ? y[i] * scale : 0.0f;
}

/* Row r of R, in place: x[c] = kept ? x[c] * scale : 0. */
static inline void ft_dropout_row(const ft_dropout *p, const ft_ragged *rows, int64_t R, int64_t r, int64_t C, float *x)
{
    ft_draw draw[FT_DRAW_ROOM(FT_SEGMENT / 8)];
    uint32_t where, example;

    ft_dropout_place(rows, R, r, &where, &example);
    for (int64_t c = 0; c < C; c += FT_SEGMENT) {
        const int64_t n = ft_least(FT_SEGMENT, C - c);
        ft_draw_grid(p, (uint32_t)(c / 8), (n + 7) / 8, where, 1, example, draw);
        ft_dropout_apply(draw, p->threshold, p->scale, n, x + c);
    }
}

#endif
