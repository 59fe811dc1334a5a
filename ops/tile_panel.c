/* ops/tile_panel.c - panels of products of weights (ft_panel, ops/product/product.h) by matrix instructions (ops/tile_bf16.h).
 *
 * Whole maps of 1,024 rows take a tenth to a third less time than by oneDNN 2.6 (`ftpipe doctor`, beside the same with
 * FTPIPE_ISA=v4bf16), whose panels these are where the processor has the instructions. Blocks of 32 x 32 numbers stay in registers for
 * the whole sum. What hangs over the edge of C is computed beside it.
 */
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"

#ifdef __AVX512BF16__

#include "ops/tile_bf16.h"

#define SIDE 32

/* A block at the edge: rows and columns that C lacks stay here. `bias` is of its first column. */
static void edge(const ft_panel *p, int64_t rows, int64_t columns, const uint16_t *a, const uint16_t *b,
                 ft_tile16_ahead next, const float *bias, float *c)
{
    float block[SIDE * SIDE] __attribute__((aligned(64)));
    const int begun = p->add || bias;

    if (begun) memset(block, 0, sizeof block);
    for (int64_t i = 0; begun && i < rows; i++)
        memcpy(block + i * SIDE, p->add ? c + i * p->ldc : bias, sizeof *c * (size_t)columns);
    ft_tile16_part(rows, columns, p->K, a, p->lda, b, 64, next, begun ? block : NULL, SIDE, block, SIDE);
    for (int64_t i = 0; i < rows; i++) memcpy(c + i * p->ldc, block + i * SIDE, sizeof *c * (size_t)columns);
}

/* The columns of B from n on. */
static const uint16_t *columns_of(const ft_panel *p, const uint16_t *B, int64_t n)
{
    return B + n / 64 * 64 * (p->deep ? p->deep : p->K) + 2 * (n % 64);
}

/* While the rows of A are multiplied by some columns of B, the next ones come to the cache: each block of rows asks for its share. */
void FT_KERNEL(ft_tile_panel)(const ft_panel *p, const uint16_t *A, const uint16_t *B, const float *bias, float *C)
{
    const int64_t blocks = (p->M + SIDE - 1) / SIDE, lines = p->add ? 0 : 16 * 32 / p->K + 1;

    if (!p->bias) bias = NULL;
    ft_tile16_begin();
    for (int64_t n = 0; n < p->N; n += SIDE) {
        const int64_t columns = ft_least(SIDE, p->N - n);
        const int more = n + SIDE < p->N;
        const uint16_t *b = columns_of(p, B, n), *b_next = more ? columns_of(p, B, n + SIDE) : NULL;
        for (int64_t k = 0; k < blocks; k++) {
            const int64_t m = k * SIDE, rows = ft_least(SIDE, p->M - m);
            const uint16_t *a = A + m * p->lda;
            const ft_tile16_ahead next = { b_next, 16 * k / blocks, more ? 16 * (k + 1) / blocks : 0, lines };
            float *c = C + m * p->ldc + n;
            if (rows % 16 || columns % 16)
                edge(p, rows, columns, a, b, next, bias ? bias + n : NULL, c);
            else
                ft_tile16_part(rows, columns, p->K, a, p->lda, b, 64, next,
                               p->add ? c
                               : bias ? bias + n
                                      : NULL,
                               p->add ? p->ldc : 0, c, p->ldc);
        }
    }
    ft_tile16_end();
}

#else

void FT_KERNEL(ft_tile_panel)(const ft_panel *p, const uint16_t *A, const uint16_t *B, const float *bias, float *C)
{
    (void)p, (void)A, (void)B, (void)bias, (void)C;
}

#endif
