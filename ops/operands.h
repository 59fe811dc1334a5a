/* ops/operands.h - rows of bf16 as the products of weight gradients read them (ops/product/bf16.h); ops/layouts.c has the same for rows of
 * float32.
 */
#ifndef FT_OPS_OPERANDS_H
#define FT_OPS_OPERANDS_H

#include <string.h>

#include "ops/blocks.h"
#include "ops/round.h"
#include "ops/tile.h"

/* to (K/2, 64, 2) = one block of 64 columns of x (n,C), of which there are `columns`; zeros beyond. */
static inline void ft_paired_operand(const uint16_t *x, int64_t ld, int64_t n, int64_t columns, int64_t K, uint16_t *to)
{
    for (int64_t r = 0; r < K; r += 2, to += 128) {
        const uint16_t *a = x + r * ld, *b = a + ld;
        int64_t c = 0;
        for (; r + 2 <= n && c + FT_LANES <= columns; c += FT_LANES)
            *(ft_vu *)(to + 2 * c) = ft_pair_vectors(*(const ft_vs *)(a + c), *(const ft_vs *)(b + c));
        for (; c < 64; c++) {
            to[2 * c] = r < n && c < columns ? a[c] : 0;
            to[2 * c + 1] = r + 1 < n && c < columns ? b[c] : 0;
        }
    }
}

/* to (C, 32) = x (n,C) turned, n <= 32, zeros beyond; rows of `to` are `size` apart. */
static inline void ft_turned_operand(const uint16_t *x, int64_t ld, int64_t n, int64_t C, int64_t size, uint16_t *to)
{
    const ft_vs zero = { 0 };

    for (int64_t c = 0; c < C; c += FT_LANES)
        for (int64_t r = 0; r < 32; r += 2 * FT_LANES) {
            uint16_t *t = to + c * size + r;
            if (c + FT_LANES <= C) {
                ft_vf both[FT_LANES];
                FT_UNROLL
                for (int i = 0; i < FT_LANES; i++) {
                    const int64_t row = r + 2 * i;
                    const uint16_t *a = x + row * ld + c;
                    both[i] = (ft_vf)ft_pair_vectors(row < n ? *(const ft_vs *)a : zero,
                                                     row + 1 < n ? *(const ft_vs *)(a + ld) : zero);
                }
                ft_tile_turn(both);
                FT_UNROLL
                for (int i = 0; i < FT_LANES; i++) *(ft_vf *)(void *)(t + i * size) = both[i];
                continue;
            }
            for (int64_t i = 0; i < C - c; i++)
                for (int64_t k = 0; k < 2 * FT_LANES; k++) t[i * size + k] = r + k < n ? x[(r + k) * ld + c + i] : 0;
        }
}

#endif
