/* ops/bf16.c - rounds float32 matrices to bf16 (to nearest even) into the layouts of ops/product/bf16.h. */
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"
#include "ops/round.h"
#include "ops/tile.h"

static void rows(const float *x, int64_t ld, int64_t R, int64_t C, int64_t n, int64_t wide, uint16_t *to)
{
    for (int64_t r = 0; r < R; r++, x += ld, to += wide) {
        ft_round_row(x, C, to);
        for (int64_t c = C; c < wide; c++) to[c] = 0;
    }
    if (n > R) memset(to, 0, sizeof *to * (size_t)((n - R) * wide));
}

static void pairs(const float *x, int64_t ld, int64_t R, int64_t C, int64_t K, uint16_t *to)
{
    int64_t r = 0;

    for (; r + 2 <= R; r += 2, to += 128) {
        const float *a = x + r * ld, *b = a + ld;
        int64_t c = 0;
        for (; c + FT_LANES <= C; c += FT_LANES)
            *(ft_vu *)(to + 2 * c) = ft_round_pairs(*(const ft_vf *)(a + c), *(const ft_vf *)(b + c));
        for (; c < 64; c++) {
            to[2 * c] = c < C ? ft_round_one(a[c]) : 0;
            to[2 * c + 1] = c < C ? ft_round_one(b[c]) : 0;
        }
    }
    for (; r < K; r += 2, to += 128)
        for (int64_t c = 0; c < 64; c++) {
            to[2 * c] = c < C && r < R ? ft_round_one(x[r * ld + c]) : 0;
            to[2 * c + 1] = 0;
        }
}

/* FT_LANES columns of C by 2 * FT_LANES rows: as rows of pairs, turned as if they were float32. */
static void turn_pairs(const float *x, int64_t ld, uint16_t *to)
{
    uint16_t half[FT_LANES * 2 * FT_LANES] __attribute__((aligned(64)));

    rows(x, ld, FT_LANES, 2 * FT_LANES, FT_LANES, 2 * FT_LANES, half);
    ft_tile_transpose((const float *)(const void *)half, FT_LANES, (float *)(void *)to, 64);
}

static void turned_pairs(const float *x, int64_t ld, int64_t R, int64_t C, int64_t K, uint16_t *to)
{
    for (int64_t r = 0; r < K; r += 2 * FT_LANES)
        for (int64_t c = 0; c < 64; c += FT_LANES) {
            uint16_t *t = to + r * 64 + 2 * c;
            if (r + 2 * FT_LANES <= R && c + FT_LANES <= C) {
                turn_pairs(x + c * ld + r, ld, t);
                continue;
            }
            for (int64_t k = 0; k < 2 * FT_LANES; k++)
                for (int64_t i = 0; i < FT_LANES; i++)
                    t[k / 2 * 128 + 2 * i + k % 2] = r + k < R && c + i < C ? ft_round_one(x[(c + i) * ld + r + k]) : 0;
        }
}

/* 2 * FT_LANES rows by FT_LANES columns: pairs of rows, turned as if they were float32. */
static void turn_rows(const float *x, int64_t ld, uint16_t *to, int64_t wide)
{
    ft_vu both[FT_LANES] __attribute__((aligned(64)));
    uint16_t turned[FT_LANES * 2 * FT_LANES] __attribute__((aligned(64)));

    for (int64_t r = 0; r < FT_LANES; r++, x += 2 * ld)
        both[r] = ft_round_pairs(*(const ft_vf *)x, *(const ft_vf *)(x + ld));
    ft_tile_transpose((const float *)(const void *)both, FT_LANES, (float *)(void *)turned, FT_LANES);
    for (int64_t i = 0; i < FT_LANES; i++) memcpy(to + i * wide, turned + i * 2 * FT_LANES, sizeof *to * 2 * FT_LANES);
}

static void turned_rows(const float *x, int64_t ld, int64_t R, int64_t C, int64_t n, int64_t wide, uint16_t *to)
{
    for (int64_t c = 0; c < C; c += FT_LANES)
        for (int64_t r = 0; r < n; r += 2 * FT_LANES) {
            uint16_t *t = to + c * wide + r;
            if (r + 2 * FT_LANES <= R && c + FT_LANES <= C) {
                turn_rows(x + r * ld + c, ld, t, wide);
                continue;
            }
            for (int64_t i = 0; i < ft_least(FT_LANES, C - c); i++)
                for (int64_t k = 0; k < 2 * FT_LANES; k++)
                    t[i * wide + k] = r + k < R ? ft_round_one(x[(r + k) * ld + c + i]) : 0;
        }
}

const ft_bf16_layouts FT_KERNEL(ft_bf16_layouts) = {
    .rows = rows,
    .pairs = pairs,
    .turned_pairs = turned_pairs,
    .turned_rows = turned_rows,
};
