/* ops/product/bf16.c - cuts bf16 products of weights into prepared panels */
#include "ops/product/bf16.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "graph/op.h"
#include "ops/blocks.h"
#include "ops/product/layouts.h"
#include "ops/product/product.h"

#define ROWS FT_BF16_ROWS
/* Rows below which panels have half of that, for the sake of balance; by matrix instructions a weight comes to the core too often so. */
#define FEW 1024
#define FEW_TILES 256
#define OUTS FT_BF16_OUTS
#define GROUP FT_BF16_GROUP
#define DEPTH 480     /* outputs that its sums for dx go over at once */
#define DEEP_ROWS 320 /* rows of one task of those, at most */

static const int64_t row_sizes[] = { ROWS, ROWS / 2, ROWS / 4 };
static const int64_t sum_sizes[] = { 480, 224, 96,
                                     32 }; /* odd numbers of cache lines: rows of a power of two share sets */
#define N_ROWS 3
#define N_SUMS 4

/* What all products of one (O,I) need. */
struct ft_bf16_plan {
    int64_t O, I;
    const ft_product *provider;
    int tiles; /* panels are multiplied by matrix instructions (ops/tile_panel.c) and not by the library */
    const void *forward[N_ROWS][2];   /* without and with a bias */
    const void *grad_x[N_ROWS][2];    /* to store and to add */
    const void *grad_w[2][N_SUMS][2]; /* whole blocks and the last one; not of matrix instructions */
    const void *deep[2][N_ROWS][2];   /* parts of long sums for dx and the last one; only of matrix instructions */
    size_t scratch;
};
typedef ft_bf16_plan plan;

static struct {
    plan *at;
    size_t n;
} plans;

int ft_bf16_fits(int64_t O, int64_t I) { return O >= 64 && I >= 64; }

static int64_t blocks_of(int64_t N) { return (N + 63) / 64; }
static size_t packed_bytes(int64_t N, int64_t K)
{
    return (size_t)(blocks_of(N) * 64 * ft_bf16_even(K)) * sizeof(uint16_t);
}

/* ==== Plans ==== */

static ft_status prepare(plan *p, const ft_panel *shape, const void **out, ft_err *e)
{
    if (!p->tiles) return p->provider->prepare(shape, out, &p->scratch, e);

    ft_panel *own = ft_malloc(sizeof *own); /* as long as the process */
    if (!own) return ft_fail_mem(e, sizeof *own);
    *own = *shape;
    *out = own;
    ft_product_count_prepared();
    return FT_OK;
}

static void multiply(const plan *p, const void *panel, int seat, const uint16_t *A, const uint16_t *B,
                     const float *bias, float *C, void *scratch)
{
    if (p->tiles)
        ft_op_active()->panel(panel, A, B, bias, C);
    else
        p->provider->multiply(panel, seat, A, B, bias, C, scratch);
}

static ft_status fill_deep(plan *p, ft_err *e)
{
    const int64_t all = ft_bf16_even(p->O), part[2] = { DEPTH, all % DEPTH };
    ft_status s = FT_OK;

    for (int last = 0; last < 2; last++)
        for (int k = 0; k < N_ROWS && !s && part[last]; k++)
            for (int add = 0; add < 2 && !s; add++) {
                const ft_panel b = { row_sizes[k], p->I, part[last], DEPTH, p->I, 0, add, all };
                s = prepare(p, &b, &p->deep[last][k][add], e);
            }
    return s;
}

static ft_status fill(plan *p, ft_err *e)
{
    const int64_t O = p->O, I = p->I, part[2] = { OUTS, O % OUTS };
    ft_status s = FT_OK;

    for (int k = 0; k < N_ROWS && !s; k++)
        for (int flag = 0; flag < 2 && !s; flag++) {
            const ft_panel f = { row_sizes[k], O, ft_bf16_even(I), ft_bf16_even(I), O, flag, 0, 0 };
            const ft_panel b = { row_sizes[k], I, ft_bf16_even(O), ft_bf16_even(O), I, 0, flag, 0 };
            s = prepare(p, &f, &p->forward[k][flag], e);
            if (!s) s = prepare(p, &b, &p->grad_x[k][flag], e);
        }
    if (O >= FT_VOCABULARY && p->tiles && !s) s = fill_deep(p, e);
    for (int last = 0; last < 2 && !p->tiles; last++)
        for (int k = 0; k < N_SUMS && !s && part[last]; k++)
            for (int add = 0; add < 2 && !s; add++) {
                const ft_panel w = { part[last], I, sum_sizes[k], sum_sizes[k], I, 0, add, 0 };
                s = prepare(p, &w, &p->grad_w[last][k][add], e);
            }
    return s;
}

const plan *ft_bf16_plan_of(const ft_bf16_map *m)
{
    const ft_product *now = ft_product_active(NULL);

    for (size_t i = 0; i < plans.n; i++)
        if (plans.at[i].O == m->O && plans.at[i].I == m->I && plans.at[i].provider == now &&
            plans.at[i].tiles == ft_op_active()->tiles)
            return &plans.at[i];
    return NULL;
}

ft_status ft_bf16_prepare(const ft_bf16_map *m, ft_err *e)
{
    if (ft_bf16_plan_of(m)) return FT_OK;

    plan p = { .O = m->O, .I = m->I, .provider = ft_product_active(e), .tiles = ft_op_active()->tiles };
    if (!p.provider) return e ? e->code : FT_EUSAGE;
    const ft_status s = fill(&p, e);
    if (s) return s;
    plan *more = ft_realloc(plans.at, (plans.n + 1) * sizeof *more);
    if (!more) return ft_fail_mem(e, sizeof *more);
    plans.at = more;
    plans.at[plans.n++] = p;
    return FT_OK;
}

/* ==== Workspace ==== */

/* Of each thread: rows of bf16, a panel's result, the library's own; shared: a weight, both factors of its gradient. */
typedef struct room {
    size_t rows, result, library, slice, weight, turned, pairs, all;
} room;

static size_t whole(size_t bytes) { return (bytes + 63) / 64 * 64; }

static room room_of(const ft_bf16_map *m, int backward)
{
    const plan *p = ft_bf16_plan_of(m);
    const int64_t wide = ft_most(m->O, m->I), T = ft_least(ft_bf16_even(m->R), GROUP);
    room r = { .rows = whole((size_t)(ROWS * ft_bf16_even(wide)) * sizeof(uint16_t)),
               .result = whole((size_t)(ROWS * wide) * sizeof(float)),
               .library = whole(p ? p->scratch : 0) };

    r.slice = r.rows + r.result + r.library;
    r.weight = whole((size_t)ft_most((int64_t)packed_bytes(m->O, m->I), (int64_t)packed_bytes(m->I, m->O)));
    r.turned = backward && m->O < FT_VOCABULARY ? whole((size_t)(m->O * T) * sizeof(uint16_t)) : 0;
    r.pairs = backward ? whole((size_t)(blocks_of(m->I) * 64 * T) * sizeof(uint16_t)) : 0;
    r.all = (size_t)ft_slices() * r.slice + r.weight + r.turned + r.pairs;
    return r;
}

size_t ft_bf16_work(const ft_bf16_map *m, int backward) { return room_of(m, backward).all; }

/* ==== Weights ==== */

size_t ft_bf16_kept(const ft_bf16_map *m, int backward)
{
    if (!m->weight) return 0;
    return ft_block_size(ft_bf16_packed(m, backward));
}

static void lay_out(const ft_bf16_map *m, enum ft_layout layout, uint16_t *to)
{
    const ft_layouts *l = ft_op_active()->layouts;
    const int64_t N = layout == FT_BF16_FORWARD ? m->O : m->I, K = layout == FT_BF16_FORWARD ? m->I : m->O,
                  wide = ft_bf16_even(K);

#pragma omp parallel for schedule(static) num_threads(ft_workers()) if (N * K > FT_WORTH)
    for (int64_t b = 0; b < blocks_of(N); b++) {
        const int64_t n = ft_least(64, N - b * 64);
        if (layout == FT_BF16_FORWARD)
            l->turned_weight_pairs(m->w + b * 64 * m->I, m->I, K, n, wide, 64, to + b * 64 * wide);
        else
            l->weight_pairs(m->w + b * 64, m->I, K, n, wide, to + b * 64 * wide);
        l->fence();
    }
}

size_t ft_bf16_packed(const ft_bf16_map *m, int backward)
{
    return backward ? packed_bytes(m->I, m->O) : packed_bytes(m->O, m->I);
}

const uint16_t *ft_bf16_weight(const ft_bf16_map *m, int backward, uint16_t *workspace)
{
    const enum ft_layout layout = backward ? FT_BF16_BACKWARD : FT_BF16_FORWARD;
    int fresh = 0;
    uint16_t *to = m->weight ? ft_kept(m->weight, layout, ft_bf16_packed(m, backward), &fresh) : NULL;

    if (!to) to = workspace;
    if (!fresh) lay_out(m, layout, to);
    return to;
}

/* ==== Panels of rows ==== */

static int is_few(int64_t R) { return R < (ft_op_active()->tiles ? FEW_TILES : FEW); }

static int size_for(int64_t n)
{
    int k = N_ROWS - 1;

    while (row_sizes[k] < n) k--;
    return k;
}

/* Panel k of R rows: its first row and size (an index of row_sizes); the last ones may reach beyond R. */
static int64_t cut(int64_t R, int64_t k, int *size)
{
    const int large = is_few(R);
    const int64_t each = row_sizes[large], full = R / each;
    int64_t at = full * each, left = ft_round_up(R - at, row_sizes[N_ROWS - 1]);

    *size = large;
    if (k < full) return k * each;
    for (k -= full; left > 0; k--) {
        for (*size = large; row_sizes[*size] > left; ++*size) continue;
        if (k == 0) return at;
        at += row_sizes[*size];
        left -= row_sizes[*size];
    }
    return -1;
}

static int64_t cuts(int64_t R)
{
    int size;
    int64_t n = R / row_sizes[is_few(R)];

    while (cut(R, n, &size) >= 0) n++;
    return n;
}

typedef struct rows_job {
    const ft_bf16_map *m;
    const void *const (*panels)[2];
    int64_t N, K;
    const float *x, *bias;
    const uint16_t *w;
    int add;
    float *y;
} rows_job;

/* Rows that the panel has too many go to the thread's own room, never behind y. */
static void one_panel(const rows_job *j, const plan *p, const room *r, int64_t k)
{
    int size;
    const int64_t at = cut(j->m->R, k, &size), wide = ft_bf16_even(j->K), n = ft_least(row_sizes[size], j->m->R - at);
    const int seat = ft_worker(), whole_panel = n == row_sizes[size];
    char *mine = (char *)j->m->work + (size_t)seat * r->slice;
    uint16_t *a = (uint16_t *)(void *)mine;
    float *c = (float *)(void *)(mine + r->rows), *y = j->y + at * j->N;

    ft_op_active()->layouts->rows(j->x + at * j->K, j->K, n, j->K, row_sizes[size], wide, a);
    multiply(p, j->panels[size][j->bias ? 1 : j->add && whole_panel], seat, a, j->w, j->bias, whole_panel ? y : c,
             mine + r->rows + r->result);
    if (whole_panel) return;
    for (int64_t i = 0; i < n * j->N; i++) y[i] = j->add ? y[i] + c[i] : c[i];
}

static void all_rows(const rows_job *j, const plan *p, const room *r)
{
    const int64_t n = cuts(j->m->R);

#pragma omp parallel for schedule(dynamic)                                                                             \
    num_threads(ft_workers()) if (n > 1 && j->m->R * j->N * j->K > FT_PRODUCT_WORTH)
    for (int64_t k = 0; k < n; k++) one_panel(j, p, r, k);
}

static uint16_t *weight_room(const ft_bf16_map *m, const room *r)
{
    return (uint16_t *)(void *)((char *)m->work + (size_t)ft_slices() * r->slice);
}

/* ==== Gradients behind a vocabulary ==== */

/* Rows [first, first + n) of dx, n <= DEEP_ROWS: sums over parts of the outputs, whose weights meet all of these rows. */
static void one_deep(const rows_job *j, const plan *p, const room *r, int64_t first, int64_t n)
{
    const int64_t O = j->K, I = j->N, deep = ft_bf16_even(O);
    const int seat = ft_worker();
    char *mine = (char *)j->m->work + (size_t)seat * r->slice;
    uint16_t *a = (uint16_t *)(void *)mine;
    float *spare = (float *)(void *)(mine + r->rows);

    for (int64_t o = 0; o < deep; o += DEPTH) {
        const int last = deep - o < DEPTH;
        for (int64_t at = 0, k; at < n; at += k) {
            k = ft_least(ROWS, n - at);
            const int size = size_for(k), whole_panel = k == row_sizes[size];
            float *dx = j->y + (first + at) * I;
            const int more = j->add || o > 0;
            ft_op_active()->layouts->rows(j->x + (first + at) * O + o, O, k, ft_least(DEPTH, O - o), row_sizes[size],
                                          DEPTH, a);
            multiply(p, p->deep[last][size][whole_panel && more], seat, a, j->w + o * 64, NULL,
                     whole_panel ? dx : spare, mine + r->rows + r->result);
            for (int64_t i = 0; i < k * I && !whole_panel; i++) dx[i] = more ? dx[i] + spare[i] : spare[i];
        }
    }
}

static void all_deep(const rows_job *j, const plan *p, const room *r)
{
    const int64_t R = j->m->R, groups = ft_round_up(R / DEEP_ROWS + 1, 2);
    const int64_t each = ft_round_up(ft_most((R + groups - 1) / groups, 1), row_sizes[N_ROWS - 1]);

#pragma omp parallel for schedule(dynamic) num_threads(ft_workers()) if (R * j->N * j->K > FT_PRODUCT_WORTH)
    for (int64_t first = 0; first < R; first += each) one_deep(j, p, r, first, ft_least(each, R - first));
}

void ft_bf16_forward(const ft_bf16_map *m, const float *x, const float *bias, float *y)
{
    const plan *p = ft_bf16_plan_of(m);
    const room r = room_of(m, 0);
    const rows_job j = { .m = m,
                         .panels = p->forward,
                         .N = m->O,
                         .K = m->I,
                         .x = x,
                         .bias = bias,
                         .w = ft_bf16_weight(m, 0, weight_room(m, &r)),
                         .y = y };

    all_rows(&j, p, &r);
}

void ft_bf16_grad_x(const ft_bf16_map *m, const float *dy, int add, float *dx)
{
    const plan *p = ft_bf16_plan_of(m);
    const room r = room_of(m, 1);
    const rows_job j = { .m = m,
                         .panels = p->grad_x,
                         .N = m->I,
                         .K = m->O,
                         .x = dy,
                         .add = add,
                         .w = ft_bf16_weight(m, 1, weight_room(m, &r)),
                         .y = dx };

    if (m->O >= FT_VOCABULARY && p->tiles)
        all_deep(&j, p, &r);
    else
        all_rows(&j, p, &r);
}

/* ==== Panels for others ==== */

size_t ft_bf16_scratch(const plan *p) { return whole(p->scratch); }
int64_t ft_bf16_each(int64_t R) { return row_sizes[is_few(R)]; }
int64_t ft_bf16_tall(int64_t R) { return ft_least(ft_round_up(ft_most(R, 1), 6 * 32) / 6, FT_BF16_TALL); }

int64_t ft_bf16_panel(int64_t n) { return row_sizes[size_for(n)]; }

void ft_bf16_rows_forward(const plan *p, int seat, int64_t rows, const uint16_t *a, const uint16_t *w,
                          const float *bias, float *y, void *scratch)
{
    multiply(p, p->forward[size_for(rows)][bias != NULL], seat, a, w, bias, y, scratch);
}

void ft_bf16_rows_grad_x(const plan *p, int seat, int64_t rows, const uint16_t *a, const uint16_t *w, int add,
                         float *dx, void *scratch)
{
    multiply(p, p->grad_x[size_for(rows)][add], seat, a, w, NULL, dx, scratch);
}

/* ==== Weight gradients ==== */

/* The part of the sum over T rows that begins at `at`: its size as an index of sum_sizes. */
static int part_of(int64_t T, int64_t at)
{
    int k = 0;

    while (sum_sizes[k] > T - at) k++;
    return k;
}

/* Matrix instructions take what is left behind whole parts as one part, the library as parts that it is prepared for. */
static int64_t part_size(int64_t T, int64_t at)
{
    return ft_op_active()->tiles ? ft_least(sum_sizes[0], T - at) : sum_sizes[part_of(T, at)];
}

int64_t ft_bf16_part(int64_t T, int64_t row, int64_t *size)
{
    int64_t at = row / sum_sizes[0] * sum_sizes[0];

    for (;; at += *size) {
        *size = part_size(T, at);
        if (row < at + *size) return at;
    }
}

/* Lines of dw (n,I), of the weight's last ones or a whole block, [+]= dy (n,size) x, the part of the sum that begins at row `at`. */
static void multiply_part(const plan *p, int seat, int64_t T, int64_t at, int64_t n, const uint16_t *dy,
                          const uint16_t *x, int add, float *dw, void *scratch)
{
    if (!p->tiles) {
        p->provider->multiply(p->grad_w[n < OUTS][part_of(T, at)][add], seat, dy, x, NULL, dw, scratch);
        return;
    }
    const int64_t size = part_size(T, at);
    const ft_panel part = { .M = n, .N = p->I, .K = size, .lda = size, .ldc = p->I, .add = add };
    ft_op_active()->panel(&part, dy, x, NULL, dw);
}

/* Both factors of a weight gradient as panels read them, for GROUP rows at a time. */
typedef struct grad_job {
    const ft_bf16_map *m;
    const plan *p;
    room r;
    const float *dy, *x;
    uint16_t *turned, *pairs;
    int add;
    float *dw;
} grad_job;

/* 32 rows of both factors, of which `row` is the first; their places count from row `from` on. */
static void lay_out_rows(const grad_job *j, int64_t from, int64_t row)
{
    const ft_layouts *l = ft_op_active()->layouts;
    const int64_t O = j->m->O, I = j->m->I, n = ft_least(32, j->m->R - row);
    int64_t size;
    const int64_t at = ft_bf16_part(ft_bf16_even(j->m->R), row, &size), wide = blocks_of(I) * 64;

    if (O < FT_VOCABULARY) l->turned_rows(j->dy + row * O, O, n, O, 32, size, j->turned + (at - from) * O + row - at);
    for (int64_t c = 0; c < I; c += 64)
        l->pairs(j->x + row * I + c, I, n, ft_least(64, I - c), 32,
                 j->pairs + (at - from) * wide + c * size + (row - at) * 64);
}

void ft_bf16_block_grad_w(const plan *p, int seat, int64_t T, int64_t from, int64_t to, int64_t o, const uint16_t *dy,
                          const uint16_t *x, int add, float *dw, void *scratch)
{
    const int64_t wide = blocks_of(p->I) * 64;

    for (int64_t at = from, size; at < to; at += size) {
        size = part_size(T, at);
        multiply_part(p, seat, T, at, ft_least(OUTS, p->O - o), dy + (at - from) * p->O + o * size,
                      x + (at - from) * wide, add || at > 0, dw + o * p->I, scratch);
    }
}

static void block_of_outs(const grad_job *j, int64_t from, int64_t to, int64_t o)
{
    const int seat = ft_worker();

    ft_bf16_block_grad_w(j->p, seat, ft_bf16_even(j->m->R), from, to, o, j->turned, j->pairs, j->add, j->dw,
                         (char *)j->m->work + (size_t)seat * j->r.slice + j->r.rows + j->r.result);
}

/* The same for a vocabulary, whose dy is larger than caches: each block of outputs rounds its own part. */
static void block_of_many_outs(const grad_job *j, int64_t from, int64_t to, int64_t o)
{
    const int64_t R = j->m->R, O = j->m->O, I = j->m->I, T = ft_bf16_even(R), outs = ft_least(OUTS, O - o);
    const int seat = ft_worker();
    char *mine = (char *)j->m->work + (size_t)seat * j->r.slice;
    uint16_t *dy = (uint16_t *)(void *)mine;
    int64_t size;

    for (int64_t at = from; at < to; at += size) {
        ft_bf16_part(T, at, &size);
        for (int64_t row = at; row < at + size; row += 32)
            ft_op_active()->layouts->turned_rows(j->dy + row * O + o, O, ft_least(32, R - row), outs, 32, size,
                                                 dy + row - at);
        multiply_part(j->p, seat, T, at, outs, dy, j->pairs + (at - from) * blocks_of(I) * 64, j->add || at > 0,
                      j->dw + o * I, mine + j->r.rows + j->r.result);
    }
}

/* A group of rows is rounded, then multiplied while it is in cache. */
static void all_groups(const grad_job *j)
{
    const int64_t T = ft_bf16_even(j->m->R);

#pragma omp parallel num_threads(ft_workers()) if (T * j->m->O * j->m->I > FT_PRODUCT_WORTH)
    for (int64_t from = 0; from < T; from += GROUP) {
        const int64_t to = ft_least(from + GROUP, T);
#pragma omp for schedule(static)
        for (int64_t row = from; row < to; row += 32) lay_out_rows(j, from, row);
#pragma omp for schedule(dynamic)
        for (int64_t o = 0; o < j->m->O; o += OUTS)
            j->m->O < FT_VOCABULARY ? block_of_outs(j, from, to, o) : block_of_many_outs(j, from, to, o);
    }
}

void ft_bf16_grad_w(const ft_bf16_map *m, const float *dy, const float *x, int add, float *dw)
{
    grad_job j = { .m = m, .p = ft_bf16_plan_of(m), .r = room_of(m, 1), .dy = dy, .x = x, .add = add, .dw = dw };

    j.turned = (uint16_t *)(void *)((char *)weight_room(m, &j.r) + j.r.weight);
    j.pairs = (uint16_t *)(void *)((char *)j.turned + j.r.turned);
    if (m->R > 0)
        all_groups(&j);
    else if (!add)
        memset(dw, 0, sizeof *dw * (size_t)(m->O * m->I));
}

/* ==== Check ==== */

/* Eighths up to one, which bf16 holds exactly. */
static void eighths(float *x, int64_t n, int64_t step)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)((i * step + 11) % 17 - 8) / 8.0f;
}

static int near(double want, float got) { return fabs(want - (double)got) <= 1e-4 * (1 + fabs(want)); }

/* x (R,I), w (O,I), dy (R,O), bias (O), then room for the results y, dx and dw. */
static int right(ft_bf16_map *m, float *x, int add)
{
    const int64_t R = m->R, O = m->O, I = m->I;
    float *w = x + R * I, *dy = w + O * I, *bias = dy + R * O, *y = bias + O, *dx = y + R * O, *dw = dx + R * I;
    int ok = 1;

    eighths(x, R * I, 37);
    eighths(w, O * I, 23);
    eighths(dy, R * O + O, 29);
    for (int64_t i = 0; i < R * I + O * I; i++) dx[i] = 1.0f;
    m->w = w;
    ft_bf16_forward(m, x, add ? bias : NULL, y);
    ft_bf16_grad_x(m, dy, add, dx);
    ft_bf16_grad_w(m, dy, x, add, dw);
    for (int64_t r = 0; r < R && ok; r += 7)
        for (int64_t o = 0; o < O && ok; o += 3) {
            double sum = add ? (double)bias[o] : 0;
            for (int64_t i = 0; i < I; i++) sum += (double)x[r * I + i] * (double)w[o * I + i];
            ok = near(sum, y[r * O + o]);
        }
    for (int64_t r = 0; r < R && ok; r += 7)
        for (int64_t i = 0; i < I && ok; i += 3) {
            double sum = add;
            for (int64_t o = 0; o < O; o++) sum += (double)dy[r * O + o] * (double)w[o * I + i];
            ok = near(sum, dx[r * I + i]);
        }
    for (int64_t o = 0; o < O && ok; o += 5)
        for (int64_t i = 0; i < I && ok; i += 3) {
            double sum = add;
            for (int64_t r = 0; r < R; r++) sum += (double)dy[r * O + o] * (double)x[r * I + i];
            ok = near(sum, dw[o * I + i]);
        }
    return ok;
}

ft_status ft_bf16_check(ft_err *e)
{
    static const int64_t shapes[][3] = { { 1, 64, 64 }, { 45, 97, 70 }, { 131, 192, 129 } };
    ft_status s = FT_OK;

    for (size_t k = 0; k < sizeof shapes / sizeof *shapes && !s; k++) {
        ft_bf16_map m = { .R = shapes[k][0], .O = shapes[k][1], .I = shapes[k][2] };
        const size_t numbers = sizeof(float) * (size_t)(2 * (m.R * m.I + m.O * m.I + m.R * m.O) + m.O);
        s = ft_bf16_prepare(&m, e);
        if (s) return s;
        const size_t bytes = ft_bf16_work(&m, 1);
        float *x = ft_block_alloc(numbers);
        m.work = ft_block_alloc(bytes);
        if (!x || !m.work) s = ft_fail_mem(e, numbers + bytes);
        for (int add = 0; add < 2 && !s; add++)
            if (!right(&m, x, add))
                s = ft_fail(e, FT_EUSAGE, "%s computes wrong bf16 products on this processor (%lldx%lldx%lld)",
                            ft_product_active(NULL)->name, (long long)m.R, (long long)m.O, (long long)m.I);
        ft_block_free(x, numbers);
        ft_block_free(m.work, bytes);
    }
    return s;
}
