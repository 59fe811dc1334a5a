/* ops/tile_bf16.h - products of tiles in bf16 with sums in float32, on the calling thread: the sibling of ops/tile.h.
 *
 *   C (M,N) [+]= A (M,K) B (K,N)
 *
 * A has rows of lda numbers; B has K/2 rows of N pairs, B[2r,n] and B[2r+1,n] side by side, ldb pairs apart. M and N are
 * multiples of FT_TILE16_M and FT_TILE16_N, K of FT_TILE16_K: pad with zeros.
 *
 * Matrix instructions (AMX) are named here, as one is in ops/round.h. They are there for the compiler where it has AVX-512-bf16; whether
 * this processor has them says the table's `tiles` (graph/op.h). The dot products of pairs of AVX-512-bf16 itself are no
 * substitute: on a processor with both, attention by them took 1.6 times as long as in float32.
 */
#ifndef FT_OPS_TILE_BF16_H
#define FT_OPS_TILE_BF16_H

#ifdef __AVX512BF16__

#include <stddef.h>
#include <stdint.h>

#include "ops/blocks.h"
#include "ops/lanes.h"

#define FT_TILE16_M 16
#define FT_TILE16_N 16
#define FT_TILE16_K 32

/* Registers 0 to 3 are blocks of C, 4 and 5 of A, 6 and 7 of B; all have 16 rows of 64 bytes. Before a thread's first product,
 * and again when other code may have used them. */
static inline void ft_tile16_begin(void)
{
    static const struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = { .palette = 1, .bytes = { 64, 64, 64, 64, 64, 64, 64, 64 }, .rows = { 16, 16, 16, 16, 16, 16, 16, 16 } };

    __asm__ volatile("ldtilecfg %0" : : "m"(shape));
}

static inline void ft_tile16_end(void) { __asm__ volatile("tilerelease"); }

#define FT_TILE16_LOAD(n, at, stride)                                                                                  \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #n : : "r"(at), "r"((int64_t)(stride)) : "memory")
#define FT_TILE16_STORE(n, at, stride)                                                                                 \
    __asm__ volatile("tilestored %%tmm" #n ", (%0,%1,1)" : : "r"(at), "r"((int64_t)(stride)) : "memory")
#define FT_TILE16_OWN(at) __asm__ volatile("prefetchw (%0)" : : "r"(at))
#define FT_TILE16_ZERO(n) __asm__ volatile("tilezero %%tmm" #n : :)
#define FT_TILE16_DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

/* Rows `from` to `to` of each 16 rows of pairs of another B, as far apart as B's own, that is brought to the cache meanwhile. */
typedef struct ft_tile16_ahead {
    const uint16_t *b;
    int64_t from, to;
    int64_t lines; /* of each 16 of C, that come to the cache by each 32 of K, to be written */
} ft_tile16_ahead;

/* One block of m x n registers, m and n 1 or 2 and constant, begun with `start` (rows ld_start apart; NULL: zeros). */
static inline __attribute__((always_inline)) void ft_tile16_block(const int m, const int n, int64_t K,
                                                                  const uint16_t *a, int64_t lda, const uint16_t *b,
                                                                  int64_t ldb, ft_tile16_ahead next, const float *start,
                                                                  int64_t ld_start, float *c, int64_t ldc)
{
    if (start) {
        FT_TILE16_LOAD(0, start, 4 * ld_start);
        if (n > 1) FT_TILE16_LOAD(1, start + 16, 4 * ld_start);
        if (m > 1) FT_TILE16_LOAD(2, start + 16 * ld_start, 4 * ld_start);
        if (m > 1 && n > 1) FT_TILE16_LOAD(3, start + 16 * ld_start + 16, 4 * ld_start);
    } else {
        FT_TILE16_ZERO(0);
        if (n > 1) FT_TILE16_ZERO(1);
        if (m > 1) FT_TILE16_ZERO(2);
        if (m > 1 && n > 1) FT_TILE16_ZERO(3);
    }
    int64_t line = 0;
    for (int64_t k = 0; k < K; k += 32, a += 32, b += 32 * ldb) {
        FT_TILE16_LOAD(4, a, 2 * lda);
        if (m > 1) FT_TILE16_LOAD(5, a + 16 * lda, 2 * lda);
        FT_TILE16_LOAD(6, b, 4 * ldb);
        if (n > 1) FT_TILE16_LOAD(7, b + 32, 4 * ldb);
        for (int64_t r = next.from; r < next.to; r++)
            for (int i = 0; i < n; i++) __builtin_prefetch(next.b + (k + 2 * r) * ldb + 32 * i, 0, 2);
        for (const int64_t end = ft_least(line + next.lines, 16); line < end; line++)
            for (int i = 0; i < m; i++)
                for (int o = 0; o < n; o++) FT_TILE16_OWN(c + (16 * i + line) * ldc + 16 * o);
        FT_TILE16_DOT(0, 4, 6);
        if (n > 1) FT_TILE16_DOT(1, 4, 7);
        if (m > 1) FT_TILE16_DOT(2, 5, 6);
        if (m > 1 && n > 1) FT_TILE16_DOT(3, 5, 7);
    }
    FT_TILE16_STORE(0, c, 4 * ldc);
    if (n > 1) FT_TILE16_STORE(1, c + 16, 4 * ldc);
    if (m > 1) FT_TILE16_STORE(2, c + 16 * ldc, 4 * ldc);
    if (m > 1 && n > 1) FT_TILE16_STORE(3, c + 16 * ldc + 16, 4 * ldc);
}

/* A block of up to 32 x 32: one or two registers high and wide. */
static inline void ft_tile16_part(int64_t M, int64_t N, int64_t K, const uint16_t *a, int64_t lda, const uint16_t *b,
                                  int64_t ldb, ft_tile16_ahead next, const float *start, int64_t ld_start, float *c,
                                  int64_t ldc)
{
    if (M > 16 && N > 16)
        ft_tile16_block(2, 2, K, a, lda, b, ldb, next, start, ld_start, c, ldc);
    else if (M > 16)
        ft_tile16_block(2, 1, K, a, lda, b, ldb, next, start, ld_start, c, ldc);
    else if (N > 16)
        ft_tile16_block(1, 2, K, a, lda, b, ldb, next, start, ld_start, c, ldc);
    else
        ft_tile16_block(1, 1, K, a, lda, b, ldb, next, start, ld_start, c, ldc);
}

static inline void ft_tile16_product(int64_t M, int64_t N, int64_t K, const uint16_t *a, int64_t lda, const uint16_t *b,
                                     int64_t ldb, int add, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < M; i += 32)
        for (int64_t j = 0; j < N; j += 32) {
            float *to = c + i * ldc + j;
            ft_tile16_part(M - i, N - j, K, a + i * lda, lda, b + 2 * j, ldb, (ft_tile16_ahead){ 0 }, add ? to : NULL,
                           ldc, to, ldc);
        }
}

#endif

#endif
