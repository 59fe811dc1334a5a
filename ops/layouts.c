/* ops/layouts.c - writes float32 matrices in the layouts of ops/product/layouts.h, most of them rounded to bf16 (to nearest even). */
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

/* A vector, past the caches if those hold no part of it: whoever reads weights reads others first. */
static inline void put_past(ft_vu x, void *to)
{
#ifdef __AVX512F__
    if ((uintptr_t)to % sizeof x == 0) {
        __asm__ volatile("vmovntdq %1, %0" : "=m"(*(ft_vu *)to) : "v"(x));
        return;
    }
#endif
    *(ft_vu *)to = x;
}

static void fence(void)
{
#ifdef __AVX512F__
    __asm__ volatile("sfence" ::: "memory");
#endif
}

static inline __attribute__((always_inline)) void pairs_of(const int past, const float *x, int64_t ld, int64_t R,
                                                           int64_t C, int64_t K, uint16_t *to)
{
    int64_t r = 0;

    for (; r + 2 <= R; r += 2, to += 128) {
        const float *a = x + r * ld, *b = a + ld;
        int64_t c = 0;
        for (; c + FT_LANES <= C; c += FT_LANES) {
            const ft_vu both = ft_round_pairs(*(const ft_vf *)(a + c), *(const ft_vf *)(b + c));
            if (past)
                put_past(both, to + 2 * c);
            else
                *(ft_vu *)(to + 2 * c) = both;
        }
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

static void pairs(const float *x, int64_t ld, int64_t R, int64_t C, int64_t K, uint16_t *to)
{
    pairs_of(0, x, ld, R, C, K, to);
}

static void weight_pairs(const float *x, int64_t ld, int64_t R, int64_t C, int64_t K, uint16_t *to)
{
    pairs_of(1, x, ld, R, C, K, to);
}

/* FT_LANES columns of C by 2 * FT_LANES rows: as rows of pairs, turned as if they were float32. */
static void turn_pairs(const float *x, int64_t ld, uint16_t *to)
{
    ft_vf half[FT_LANES];

    FT_UNROLL
    for (int i = 0; i < FT_LANES; i++)
        half[i] = (ft_vf)ft_round_both(*(const ft_vf *)(x + i * ld), *(const ft_vf *)(x + i * ld + FT_LANES));
    ft_tile_turn(half);
    FT_UNROLL
    for (int i = 0; i < FT_LANES; i++) put_past((ft_vu)half[i], to + i * 128);
}

static void turned_weight_pairs(const float *x, int64_t ld, int64_t R, int64_t C, int64_t K, int64_t N, uint16_t *to)
{
    for (int64_t r = 0; r < K; r += 2 * FT_LANES)
        for (int64_t c = 0; c < N; c += FT_LANES) {
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
    ft_vf both[FT_LANES];

    FT_UNROLL
    for (int r = 0; r < FT_LANES; r++)
        both[r] = (ft_vf)ft_round_pairs(*(const ft_vf *)(x + 2 * r * ld), *(const ft_vf *)(x + (2 * r + 1) * ld));
    ft_tile_turn(both);
    FT_UNROLL
    for (int i = 0; i < FT_LANES; i++) *(ft_vf *)(void *)(to + i * wide) = both[i];
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

static void turned(const float *x, int64_t ld, int64_t R, int64_t C, float *to, int64_t ld_to)
{
    for (int64_t r = 0; r < R; r += FT_LANES)
        for (int64_t c = 0; c < C; c += FT_LANES) {
            if (r + FT_LANES <= R && c + FT_LANES <= C) {
                ft_tile_transpose(x + r * ld + c, ld, to + c * ld_to + r, ld_to);
                continue;
            }
            for (int64_t i = c; i < ft_least(c + FT_LANES, C); i++)
                for (int64_t k = r; k < ft_least(r + FT_LANES, R); k++) to[i * ld_to + k] = x[k * ld + i];
        }
}

const ft_layouts FT_KERNEL(ft_layouts) = {
    .rows = rows,
    .pairs = pairs,
    .weight_pairs = weight_pairs,
    .turned_weight_pairs = turned_weight_pairs,
    .turned_rows = turned_rows,
    .turned = turned,
    .fence = fence,
};
