/* ops/product/product.c - chooses a provider and cuts products into panels.
 *
 * The cut is a function of the shape alone. Row panels are of equal height, at most ROWS; with
 * few rows the columns are cut as well, so that two or more threads have
 * work. A vocabulary's products have shapes of their own: scores over its words are cut into columns,
 * of which each task takes many rows, and sums over its words into few large blocks. Weight gradients are cut by output block: each block sums over all tokens in one
 * call, in the provider's own fixed order.
 */
#include "ops/product/product.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "ops/blocks.h"
#include "ops/product/bf16.h"

#define ROWS 128  /* of one panel, at most */
#define COLS 192  /* of one block, where columns are cut: nearly square blocks read the least */
#define MANY 1024 /* from here on rows alone give enough panels */
#define WIDE_ROWS                                                                                                      \
    640 /* of one block of a wide product, at most: 192 columns of so many rows lie in a second-level cache */
#define LONG_ROWS 192 /* of one block of long sums, at most; wider and higher ones read the operands less often */
#define LONG_COLS 384

static ft_product current;
static int selected, bf16_checked;
static uint64_t n_prepared;

/* ==== Choice ==== */

/* Rows [first, end) of (R,K) from x, which may be stored transposed. */
static void spread(const float *x, int64_t R, int64_t K, int turned, int64_t first, int64_t end, float *to)
{
    for (int64_t r = first; r < end; r++)
        for (int64_t k = 0; k < K; k++) *to++ = x[turned ? k * R + r : r * K + k];
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* The product of a and b by the provider, added to c or not, beside plain sums. rows holds K + N K numbers, c M N. */
static int is_right(const ft_product *p, const int64_t shape[3], int ta, int tb, int add, const float *a,
                    const float *b, float *rows, float *c)
{
    const int64_t M = shape[0], N = shape[1], K = shape[2];
    float *x = rows, *y = rows + K;

    for (int64_t i = 0; i < M * N; i++) c[i] = (float)(i % 5);
    p->sgemm(ta, tb, M, N, K, a, ta ? M : K, b, tb ? K : N, (float)add, c, N);
    spread(b, N, K, !tb, 0, N, y);
    for (int64_t i = 0; i < M * N; i++) {
        if (i % N == 0) spread(a, M, K, ta, i / N, i / N + 1, x);
        const double want = dot(x, y + i % N * K, K) + (add ? (double)(i % 5) : 0);
        if (!(fabs(want - (double)c[i]) <= 1e-3 * (1 + fabs(want)))) return 0;
    }
    return 1;
}

/* Compare with a plain product on awkward shapes; old builds of libraries miscompute on some processors. */
static ft_status check(const ft_product *p, ft_err *e)
{
    static const int64_t shapes[][3] = { { 1, 1, 1 },    { 3, 5, 7 },    { 17, 33, 65 },
                                         { 1, 130, 31 }, { 67, 1, 129 }, { 130, 70, 384 } };
    ft_status s = FT_OK;

    for (size_t k = 0; k < sizeof shapes / sizeof *shapes && !s; k++) {
        const int64_t M = shapes[k][0], N = shapes[k][1], K = shapes[k][2], operands = (M + N) * K;
        float *a = ft_malloc(sizeof(float) * (size_t)(operands + M * N + K + N * K));
        if (!a) return ft_fail_mem(e, sizeof(float) * (size_t)(operands + M * N + K + N * K));
        float *b = a + M * K, *c = a + operands;
        for (int64_t i = 0; i < M * K; i++) a[i] = (float)((i * 37 + 11) % 19 - 9) / 8.0f;
        for (int64_t i = 0; i < K * N; i++) b[i] = (float)((i * 23 + 5) % 17 - 8) / 8.0f;
        for (int form = 0; form < 8 && !s; form++)
            if (!is_right(p, shapes[k], form & 1, form >> 1 & 1, form >> 2, a, b, c + M * N, c))
                s = ft_fail(e, FT_EUSAGE, "%s %s (%s) computes wrong products on this processor (%lldx%lldx%lld)",
                            p->name, p->version, p->kernel, (long long)M, (long long)N, (long long)K);
        ft_free(a);
    }
    return s;
}

static ft_status open_checked(ft_product *p, ft_status (*open)(ft_product *, ft_err *), ft_err *e)
{
    ft_status s = open(p, e);
    return s ? s : check(p, e);
}

ft_status ft_product_select(const char *name, char note[256], ft_err *e)
{
    ft_product p = { 0 };
    ft_err first = { 0 };
    ft_status s;

    if (note) note[0] = '\0';
    if (strcmp(name, "openblas") == 0) {
        s = open_checked(&p, ft_product_open_openblas, e);
    } else if (strcmp(name, "onednn") == 0) {
        s = open_checked(&p, ft_product_open_onednn, e);
    } else if (strcmp(name, "auto") == 0) {
        s = open_checked(&p, ft_product_open_onednn, &first);
        if (s) {
            if (note) snprintf(note, 256, "%.255s", first.msg);
            s = open_checked(&p, ft_product_open_openblas, e);
        }
    } else {
        s = ft_fail(e, FT_EUSAGE, "unknown matrix-product library '%s': choose auto, openblas or onednn", name);
    }
    if (s) return s;
    current = p;
    selected = 1;
    bf16_checked = 0;
    return FT_OK;
}

const ft_product *ft_product_active(ft_err *e)
{
    if (!selected && ft_product_select("auto", NULL, e)) return NULL;
    return &current;
}

ft_status ft_product_bf16(ft_err *e)
{
    static char reason[256];
    const ft_product *p = ft_product_active(e);
    ft_err why = { 0 };

    if (!p) return e ? e->code : FT_EUSAGE;
    if (p->no_bf16[0]) return ft_fail(e, FT_EUSAGE, "no bf16 products here: %s", p->no_bf16);
    if (!bf16_checked) {
        bf16_checked = 1;
        reason[0] = '\0';
        if (ft_bf16_check(&why)) snprintf(reason, sizeof reason, "%.255s", why.msg);
    }
    return reason[0] ? ft_fail(e, FT_EUSAGE, "no bf16 products here: %s", reason) : FT_OK;
}

uint64_t ft_product_prepared(void) { return n_prepared; }
void ft_product_count_prepared(void) { n_prepared++; }

/* ==== Panels ==== */

int ft_product_alone(void)
{
    const int threads = omp_in_parallel() ? 0 : omp_get_max_threads();

    if (threads > 1) omp_set_num_threads(1);
    return threads;
}

void ft_product_together(int threads)
{
    if (threads > 1) omp_set_num_threads(threads);
}

/* One panel. Libraries disagree about sums of nothing, so K = 0 is ours. */
static void one(int ta, int tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const float *B,
                int64_t ldb, int add, float *C, int64_t ldc)
{
    if (K > 0) {
        current.sgemm(ta, tb, M, N, K, A, lda, B, ldb, add ? 1.0f : 0.0f, C, ldc);
    } else if (!add) {
        for (int64_t r = 0; r < M; r++)
            for (int64_t c = 0; c < N; c++) C[r * ldc + c] = 0.0f;
    }
}

void ft_product_panel(int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const float *B, int64_t ldb,
                      int add, float *C, int64_t ldc)
{
    one(0, 0, M, N, K, A, lda, B, ldb, add, C, ldc);
}

/* How Y (M,N) is cut: blocks of rows x cols, down x across of them; one after the other they go along a row of blocks, or
 * down a column. */
typedef struct cut {
    int64_t rows, cols, down, across;
    int by_column;
} cut;

static int64_t parts_of(int64_t n, int64_t most) { return (n + most - 1) / most; }

static cut cut_of(int64_t M, int64_t N, int64_t K)
{
    cut c = { .down = parts_of(M, ROWS), .cols = M >= MANY || N <= COLS ? N : COLS };

    if (N >= FT_VOCABULARY) {
        c.by_column = 1;
        c.cols = COLS;
        c.down = parts_of(M, WIDE_ROWS);
    } else if (K >= FT_VOCABULARY && M >= ROWS) {
        c.cols = ft_round_up(parts_of(N, parts_of(N, LONG_COLS)), 16);
        c.down = ft_round_up(parts_of(M, LONG_ROWS), 2); /* even, for two threads and four */
    }
    c.across = parts_of(N, c.cols);
    c.rows = ft_round_up(parts_of(M, c.down), 8);
    return c;
}

static void add_bias(int64_t m, int64_t n, const float *restrict bias, float *restrict y, int64_t ldy)
{
    for (int64_t i = 0; i < m; i++) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++) y[i * ldy + j] += bias[j];
    }
}

static void panels(int tb, int64_t M, int64_t N, int64_t K, const float *X, int64_t ldx, const float *W, int64_t ldw,
                   const float *bias, int add, float *Y, int64_t ldy)
{
    if (M <= 0 || N <= 0) return;

    const cut p = cut_of(M, N, K);
#pragma omp parallel for schedule(static) if (p.down * p.across > 1 && M * N * K > FT_PRODUCT_WORTH)
    for (int64_t k = 0; k < p.down * p.across; k++) {
        const int64_t r = (p.by_column ? k % p.down : k / p.across) * p.rows;
        const int64_t c = (p.by_column ? k / p.down : k % p.across) * p.cols;
        const int64_t m = ft_least(p.rows, M - r), n = ft_least(p.cols, N - c);
        if (m <= 0) continue;
        float *y = Y + r * ldy + c;
        one(0, tb, m, n, K, X + r * ldx, ldx, tb ? W + c * ldw : W + c, ldw, add, y, ldy);
        if (bias) add_bias(m, n, bias + c, y, ldy);
    }
}

void ft_product_nt(int64_t M, int64_t N, int64_t K, const float *X, int64_t ldx, const float *W, int64_t ldw,
                   const float *bias, int add, float *Y, int64_t ldy)
{
    panels(1, M, N, K, X, ldx, W, ldw, bias, add, Y, ldy);
}

void ft_product_nn(int64_t M, int64_t N, int64_t K, const float *X, int64_t ldx, const float *W, int64_t ldw,
                   const float *bias, int add, float *Y, int64_t ldy)
{
    panels(0, M, N, K, X, ldx, W, ldw, bias, add, Y, ldy);
}

void ft_product_tn(int64_t M, int64_t N, int64_t K, const float *X, int64_t ldx, const float *W, int64_t ldw, int add,
                   float *Y, int64_t ldy)
{
    /* Blocks of rows of Y: at least 2, at most 8, not below 64 rows. */
    int64_t blocks = M / 192 < 2 ? 2 : ft_least(M / 192, 8);
    if (M < 128) blocks = 1;
    const int64_t rows = (M + blocks - 1) / blocks;

    if (M <= 0 || N <= 0) return;
#pragma omp parallel for schedule(static) if (blocks > 1 && M * N * K > FT_PRODUCT_WORTH)
    for (int64_t k = 0; k < blocks; k++) {
        const int64_t r = k * rows, m = ft_least(rows, M - r);
        if (m > 0) one(1, 0, m, N, K, X + r, ldx, W, ldw, add, Y + r * ldy, ldy);
    }
}
