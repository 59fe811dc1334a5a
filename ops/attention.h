/* ops/attention.h - what attention in float32 (attention.c) and in bf16 (self_attention.c) share: one head of one row, softmax
 * and its gradient on tiles of float32, and how heads are handed out.
 */
#ifndef FT_OPS_ATTENTION_H
#define FT_OPS_ATTENTION_H

#include <math.h>
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"
#include "ops/philox.h"
#include "ops/tile.h"
#include "ops/vmath.h"

#define MANY 48  /* queries at once */
#define KEYS 128 /* keys at once in backward; whole Philox blocks and vectors */

typedef uint16_t ft_vh __attribute__((vector_size(2 * FT_LANES), aligned(2), may_alias));

/* One head of one row, and where a thread keeps what it needs for it. */
typedef struct head {
    int64_t heads, H, d, width; /* width: d rounded up to whole vectors */
    int64_t index, first, L;    /* head; first token and length of the row */
    int64_t padded, ld;         /* L rounded up; distance of rows of L numbers */
    const int32_t *places;      /* of the queries, counted from the batch's first token; NULL: all tokens of the row */
    int64_t asked, n;           /* first query among those of the batch, and how many the row has */
    int64_t reach;              /* i[1] */
    float scale;
    ft_dropout p;
    uint32_t where, example;
    float *q, *k, *kt, *v, *vt, *g, *dq, *dk, *dv, *s, *ds, *delta;
    ft_draw *draw;
} head;

static inline int64_t pad(int64_t L) { return ft_round_up(L, FT_LANES > 8 ? FT_LANES : 8); }
/* One vector more than needed: a power of two would send all rows to the same sets of the cache. */
static inline int64_t distance(int64_t L) { return pad(L) + FT_LANES; }
/* Draws for n probabilities; those of scattered queries are drawn one by one, the last one's group to its end. */
static inline int64_t draw_numbers(int64_t n) { return (FT_DRAW_ROOM(n / 8) + FT_DRAW_ROOM(1)) / 2; }

/* The place in its row of query i. */
static inline int64_t place(const head *h, int64_t i) { return h->places ? h->places[h->asked + i] - h->first : i; }

/* Hand out `n` numbers of a slice, or only count them. */
static inline float *carve(char *base, size_t *used, int64_t n)
{
    const size_t at = ft_carve(used, n * (int64_t)sizeof(float));

    return base ? (float *)(base + at) : NULL;
}

/* ==== In and out ==== */

/* to (n,d) [+]= scale * from (n,width) */
static inline void unpack(const head *h, const float *from, int64_t n, float scale, int add, float *to, int64_t ld)
{
    const int64_t d = h->d, w = h->width;
    const ft_vf zero = { 0 };

    for (int64_t i = 0; i < n; i++, from += w, to += ld) {
        int64_t c = 0;
        for (; c + FT_LANES <= d; c += FT_LANES)
            *(ft_vf *)(to + c) = (add ? *(const ft_vf *)(to + c) : zero) + *(const ft_vf *)(from + c) * scale;
        for (; c < d; c++) to[c] = (add ? to[c] : 0.0f) + from[c] * scale;
    }
}

/* ==== One tile ==== */

/* Draws of queries q0 .. q0+n, `blocks` blocks of eight from `first` on for each. */
static inline void draw_queries(const head *h, uint32_t first, int64_t blocks, int64_t q0, int64_t n)
{
    if (!h->places) ft_draw_grid(&h->p, first, blocks, h->where + (uint32_t)q0, n, h->example, h->draw);
    for (int64_t i = 0; h->places && i < n; i++)
        ft_draw_grid(&h->p, first, blocks, h->where + (uint32_t)place(h, q0 + i), 1, h->example,
                     h->draw + i * blocks * 8);
}

/* What the query at place i does not see becomes minus infinity, in s, which starts at key `from` and has n keys. */
static inline void hide(const head *h, int64_t i, int64_t from, int64_t n, float *s)
{
    const int64_t low = ft_least(ft_most(i - h->reach - from, 0), n);
    const int64_t high = ft_most(ft_least(i + h->reach + 1 - from, n), 0);

    if (!h->reach) return;
    for (int64_t j = 0; j < low; j++) s[j] = -INFINITY;
    for (int64_t j = high; j < n; j++) s[j] = -INFINITY;
}

/* One row is a long chain: exp waits for the maximum. Maxima of all rows first keep the processor's pipes full. */
static inline float largest_of(int64_t n, const float *s)
{
    ft_vf most = *(const ft_vf *)s;

    for (int64_t j = FT_LANES; j < n; j += FT_LANES) most = ft_vmax(*(const ft_vf *)(s + j), most);
    most = ft_vlargest(most);
    return most[0];
}

/* s (n, whole vectors) = exp(s - largest); returns the sum. */
static inline float exp_row(int64_t n, float *s, float largest)
{
    ft_vf total = { 0 };

    for (int64_t j = 0; j < n; j += FT_LANES) {
        const ft_vf y = ft_vexp_bounded(*(const ft_vf *)(s + j) - largest);
        *(ft_vf *)(s + j) = y;
        total += y;
    }
    total = ft_vsum(total);
    return total[0];
}

static inline ft_vi kept(const ft_draw *draw, int32_t threshold)
{
    return (ft_vi)(__builtin_convertvector(*(const ft_vh *)draw, ft_vi) >= threshold);
}

/* From S and d(dropped P) to dropped P (in s) and dS (in ds), for one query and some keys. `drop` is a constant. */
static inline __attribute__((always_inline)) void
gradient_vector(const int drop, const ft_dropout *p, const ft_draw *draw, float lse, float delta, ft_vf *s, ft_vf *ds)
{
    const ft_vf y = ft_vexp_bounded(*s - lse);

    if (!drop) {
        *s = y;
        *ds = y * (*ds - delta);
        return;
    }
    const ft_vi keep = kept(draw, (int32_t)p->threshold);
    const ft_vf dp = (ft_vf)(keep & (ft_vi)*ds) * p->scale;
    *s = (ft_vf)(keep & (ft_vi)y) * p->scale;
    *ds = y * (dp - delta);
}

/* Rows of S in h->s become unscaled P, and what is to be dropped of it is drawn; sum and largest say what is left to do. */
static inline void softmax_tile(const head *h, int64_t q0, int64_t n, float *largest, float *sum)
{
    const uint32_t block = (uint32_t)h->index << 16;

    if (h->p.threshold) draw_queries(h, block, h->padded / 8, q0, n);
    for (int64_t i = 0; i < n; i++) {
        float *s = h->s + i * h->ld;
        for (int64_t j = h->L; j < h->padded; j++) s[j] = -INFINITY;
        hide(h, place(h, q0 + i), 0, h->L, s);
        largest[i] = largest_of(h->padded, s);
    }
    for (int64_t i = 0; i < n; i++) sum[i] = exp_row(h->padded, h->s + i * h->ld, largest[i]);
}

/* ==== Gradients ==== */

/* n numbers, which most often are this thread's next task: those of the head beside it. */
static inline void bring(const float *x, int64_t n)
{
    for (int64_t c = 0; c < n; c += 16) __builtin_prefetch(x + c);
}

/* delta[i] = sum_c d_ctx[i,c] * ctx[i,c] */
static inline void make_delta(const head *h, const float *d_out, const float *out)
{
    for (int64_t i = 0; i < h->n; i++) {
        const float *g = d_out + i * h->H, *y = out + i * h->H;
        float sum = 0.0f;
        bring(y + h->d, h->d);
        /* hot */
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < h->d; c++) sum += g[c] * y[c];
        h->delta[i] = sum;
    }
}

/* ==== Handing out ==== */

static inline ft_status check_places(const char *op, const ft_tensor *places, int64_t T, ft_err *e)
{
    char a[96];

    if (places->dtype != FT_I32 || places->shape.rank != 1)
        return ft_fail(e, FT_ESHAPE, "%s: want places (M) of int32, got %s", op, ft_shape_text(&places->shape, a));
    const int32_t *at = places->data;
    for (int64_t i = 0; at && i < places->shape.dim[0]; i++)
        if (at[i] < 0 || at[i] >= T || (i > 0 && at[i] <= at[i - 1]))
            return ft_fail(e, FT_ESHAPE, "%s: place %d at %lld is outside the %lld tokens or not ascending", op, at[i],
                           (long long)i, (long long)T);
    return FT_OK;
}

/* Tasks handed out at once: neighbouring heads lie side by side in memory, so one thread takes several of them, but
 * not so many that the last hand-out leaves others waiting. */
static inline int together(int64_t tasks, int64_t heads)
{
    return (int)ft_least(ft_most(tasks / (24 * ft_workers()), 1), heads);
}

/* The first of the n places that is not below `least`. */
static inline int64_t first_from(const int32_t *places, int64_t n, int64_t least)
{
    int64_t low = 0;

    while (low < n) {
        const int64_t mid = (low + n) / 2;
        if (places[mid] < least)
            low = mid + 1;
        else
            n = mid;
    }
    return low;
}

/* Task k: head k % heads of row k / heads, of M queries in all. 0 if the row is empty. */
static inline int head_at(head *h, const ft_ragged *rows, int64_t M, int64_t k)
{
    const int64_t b = k / h->heads;

    h->index = k % h->heads;
    h->first = rows->offsets[b];
    h->L = rows->offsets[b + 1] - rows->offsets[b];
    h->asked = h->places ? first_from(h->places, M, h->first) : h->first;
    h->n = h->places ? first_from(h->places, M, h->first + h->L) - h->asked : h->L;
    h->padded = pad(h->L);
    h->ld = distance(h->L);
    h->where = (uint32_t)rows->window[b] << 16;
    h->example = (uint32_t)rows->example[b];
    return h->L > 0;
}

#endif
