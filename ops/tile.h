/* ops/tile.h - products of tiles that lie in a core's own cache, on the calling thread.
 *
 * C (M,N) [+]= A (M,K) B (K,N), where B and C have rows of whole vectors (pad with zeros) and A may be
 * read by rows or by columns. Attention makes thousands of such products with K from 1 to a few hundred;
 * a library's sgemm spends more time entering than multiplying there. The sum over k runs in order,
 * so bits depend on the vector width alone.
 *
 * Register blocks are m x v vectors of accumulators with m * v <= FT_TILE_ACC; one function for each (m, v).
 */
#ifndef FT_OPS_TILE_H
#define FT_OPS_TILE_H

#include <stdint.h>

#include "ops/lanes.h"

/* Accumulators that fit the registers beside the operands. */
#if FT_LANES == 16 || defined(__aarch64__)
#define FT_TILE_ACC 24
#else
#define FT_TILE_ACC 12
#endif

typedef void ft_tile_fn(int64_t K, const float *a, int64_t lda, const float *b, int64_t ldb, int add, float *c,
                        int64_t ldc);

/* The body of every block function: m, v and by_column are constants there. */
static inline __attribute__((always_inline)) void ft_tile_block(const int m, const int v, const int by_column,
                                                                int64_t K, const float *a, int64_t lda, const float *b,
                                                                int64_t ldb, int add, float *c, int64_t ldc)
{
    ft_vf acc[16][4];

    FT_UNROLL
    for (int i = 0; i < m; i++) {
        FT_UNROLL
        for (int j = 0; j < v; j++) acc[i][j] = (ft_vf){ 0 };
    }
    for (int64_t k = 0; k < K; k++) {
        ft_vf bk[4];
        FT_UNROLL
        for (int j = 0; j < v; j++) bk[j] = *(const ft_vf *)(b + j * FT_LANES);
        FT_UNROLL
        for (int i = 0; i < m; i++) {
            const float s = by_column ? a[i] : a[i * lda];
            FT_UNROLL
            for (int j = 0; j < v; j++) acc[i][j] += s * bk[j];
        }
        b += ldb;
        a += by_column ? lda : 1;
    }
    FT_UNROLL
    for (int i = 0; i < m; i++) {
        FT_UNROLL
        for (int j = 0; j < v; j++) {
            ft_vf *to = (ft_vf *)(c + i * ldc + j * FT_LANES);
            if (add) acc[i][j] += *to;
            *to = acc[i][j];
        }
    }
}

#define FT_TILE_NAME(m, v, t) ft_tile_##m##_##v##_##t
#define FT_TILE_DEFINE(m, v, t)                                                                                        \
    static void FT_TILE_NAME(m, v, t)(int64_t K, const float *a, int64_t lda, const float *b, int64_t ldb, int add,    \
                                      float *c, int64_t ldc)                                                           \
    {                                                                                                                  \
        ft_tile_block(m, v, t, K, a, lda, b, ldb, add, c, ldc);                                                        \
    }

#define FT_TILE_1_TO_4(X, v, t) X(1, v, t) X(2, v, t) X(3, v, t) X(4, v, t)
#define FT_TILE_5_TO_6(X, v, t) X(5, v, t) X(6, v, t)
#define FT_TILE_7_TO_12(X, v, t) X(7, v, t) X(8, v, t) X(9, v, t) X(10, v, t) X(11, v, t) X(12, v, t)
#if FT_TILE_ACC == 24
#define FT_TILE_V1(X, t)                                                                                               \
    FT_TILE_1_TO_4(X, 1, t)                                                                                            \
    FT_TILE_5_TO_6(X, 1, t) FT_TILE_7_TO_12(X, 1, t) X(13, 1, t) X(14, 1, t) X(15, 1, t) X(16, 1, t)
#define FT_TILE_V2(X, t) FT_TILE_1_TO_4(X, 2, t) FT_TILE_5_TO_6(X, 2, t) FT_TILE_7_TO_12(X, 2, t)
#define FT_TILE_V3(X, t) FT_TILE_1_TO_4(X, 3, t) FT_TILE_5_TO_6(X, 3, t) X(7, 3, t) X(8, 3, t)
#define FT_TILE_V4(X, t) FT_TILE_1_TO_4(X, 4, t) FT_TILE_5_TO_6(X, 4, t)
static const int ft_tile_rows[4] = { 16, 12, 8, 6 };
#else
#define FT_TILE_V1(X, t) FT_TILE_1_TO_4(X, 1, t) FT_TILE_5_TO_6(X, 1, t) FT_TILE_7_TO_12(X, 1, t)
#define FT_TILE_V2(X, t) FT_TILE_1_TO_4(X, 2, t) FT_TILE_5_TO_6(X, 2, t)
#define FT_TILE_V3(X, t) FT_TILE_1_TO_4(X, 3, t)
#define FT_TILE_V4(X, t) X(1, 4, t) X(2, 4, t) X(3, 4, t)
static const int ft_tile_rows[4] = { 12, 6, 4, 3 };
#endif
#define FT_TILE_ALL(X, t) FT_TILE_V1(X, t) FT_TILE_V2(X, t) FT_TILE_V3(X, t) FT_TILE_V4(X, t)

FT_TILE_ALL(FT_TILE_DEFINE, 0)
FT_TILE_ALL(FT_TILE_DEFINE, 1)

#define FT_TILE_ENTRY(m, v, t) [(v)-1][(m)-1] = FT_TILE_NAME(m, v, t),
static ft_tile_fn *const ft_tile_table[2][4][16] = {
    { FT_TILE_ALL(FT_TILE_ENTRY, 0) },
    { FT_TILE_ALL(FT_TILE_ENTRY, 1) },
};

/* C (M,N) [+]= A B; N a multiple of FT_LANES. by_column: A[i,k] is a[i + k * lda], otherwise a[i * lda + k]. */
static inline void ft_tile_product(int by_column, int64_t M, int64_t N, int64_t K, const float *a, int64_t lda,
                                   const float *b, int64_t ldb, int add, float *c, int64_t ldc)
{
    for (int64_t left = N / FT_LANES, n = 0; left > 0;) {
        const int64_t parts = (left + 3) / 4, v = (left + parts - 1) / parts, most = ft_tile_rows[v - 1];
        int64_t blocks = (M + most - 1) / most;
        for (int64_t i = 0; i < M; blocks--) {
            const int64_t m = (M - i + blocks - 1) / blocks;
            ft_tile_table[by_column][v - 1][m - 1](K, by_column ? a + i : a + i * lda, lda, b + n, ldb, add,
                                                   c + i * ldc + n, ldc);
            i += m;
        }
        n += v * FT_LANES;
        left -= v;
    }
}

/* ==== Packing ==== */

/* Perfect shuffle of two vectors: lane i of the low (high) halves to lanes 2i and 2i+1. */
#if FT_LANES == 16
#define FT_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define FT_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif FT_LANES == 8
#define FT_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define FT_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define FT_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define FT_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* x[j][i] = x[i][j]: log2(FT_LANES) perfect shuffles of rows i and i + half. */
static inline __attribute__((always_inline)) void ft_tile_turn(ft_vf x[FT_LANES])
{
    ft_vf y[FT_LANES];

    FT_UNROLL
    for (int step = 1; step < FT_LANES; step *= 2) {
        FT_UNROLL
        for (int i = 0; i < FT_LANES / 2; i++) {
            y[2 * i] = FT_ZIP_LOW(x[i], x[i + FT_LANES / 2]);
            y[2 * i + 1] = FT_ZIP_HIGH(x[i], x[i + FT_LANES / 2]);
        }
        FT_UNROLL
        for (int i = 0; i < FT_LANES; i++) x[i] = y[i];
    }
}

/* to[j,i] = from[i,j] for FT_LANES x FT_LANES numbers. */
static inline void ft_tile_transpose(const float *from, int64_t ld_from, float *to, int64_t ld_to)
{
    ft_vf x[FT_LANES];

    FT_UNROLL
    for (int i = 0; i < FT_LANES; i++) x[i] = *(const ft_vf *)(from + i * ld_from);
    ft_tile_turn(x);
    FT_UNROLL
    for (int i = 0; i < FT_LANES; i++) *(ft_vf *)(to + i * ld_to) = x[i];
}

#endif
