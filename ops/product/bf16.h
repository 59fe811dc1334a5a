/* ops/product/bf16.h - products of weights whose operands are rounded to bf16, sums and results in float32.
 *
 * Everything is cut into panels of a few fixed sizes, so that a new number of rows needs no new primitive of the
 * library; rows that a panel has too many are zeros. No sum is split by the number of threads.
 *
 * A weight in the library's layout is kept (ops/product/kept.h); where there is no room for that, it is laid out into the
 * workspace each time.
 */
#ifndef FT_OPS_PRODUCT_BF16_H
#define FT_OPS_PRODUCT_BF16_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* A map of R rows: y (R,O) = x (R,I) w (O,I)^T + bias (O). */
typedef struct ft_bf16_map {
    int64_t R, O, I;
    const float *w;
    uint64_t weight; /* ft_tensor.weight; 0: w is not kept in another layout */
    void *work;      /* ft_bf16_work bytes, 64-byte aligned */
} ft_bf16_map;

/* Whether products of this size are worth rounding; a head's few outputs are not. */
int ft_bf16_fits(int64_t O, int64_t I);
/* Make what the three products below need, once for each (O,I), whatever the number of rows. */
ft_status ft_bf16_prepare(const ft_bf16_map *m, ft_err *e);
size_t ft_bf16_work(const ft_bf16_map *m, int backward);
/* Bytes of the layout that forward, or grad_x, keeps of the weight. */
size_t ft_bf16_kept(const ft_bf16_map *m, int backward);

void ft_bf16_forward(const ft_bf16_map *m, const float *x, const float *bias, float *y);
void ft_bf16_grad_x(const ft_bf16_map *m, const float *dy, int add, float *dx); /* dx (R,I) [+]= dy w */
void ft_bf16_grad_w(const ft_bf16_map *m, const float *dy, const float *x, int add,
                    float *dw); /* dw (O,I) [+]= dy^T x */

/* ==== Parts, for ops that do more with a panel of rows than multiply it (ops/feed_forward.c) ==== */

#define FT_BF16_ROWS 64 /* of the largest panel of rows; there are some of half and of a quarter of that too */
#define FT_BF16_OUTS 96 /* rows of one block of a weight gradient */
#define FT_BF16_TALL 160
#define FT_BF16_GROUP                                                                                                  \
    960 /* rows of both factors of a weight gradient that are rounded at once; whole parts of the sum */

#define FT_BF16_PANELS (FT_BF16_GROUP / (FT_BF16_ROWS / 2)) /* of a group, at most */

typedef struct ft_bf16_plan ft_bf16_plan;
const ft_bf16_plan *ft_bf16_plan_of(const ft_bf16_map *m); /* after ft_bf16_prepare */
size_t ft_bf16_scratch(const ft_bf16_plan *p);             /* bytes that each thread's products need */

/* The weight as forward, or grad_x, reads it; laid out into `workspace` (ft_bf16_packed bytes) where it is not kept. Outside
 * parallel regions. */
const uint16_t *ft_bf16_weight(const ft_bf16_map *m, int backward, uint16_t *workspace);
size_t ft_bf16_packed(const ft_bf16_map *m, int backward);

/* The smallest panel for n rows. */
int64_t ft_bf16_panel(int64_t n);
/* Rows of a panel at the side of `most` (FT_BF16_ROWS or half of it) that suit R rows in all. */
int64_t ft_bf16_each(int64_t R);
/* The same for matrix instructions, which take any number: at most FT_BF16_TALL, for all of which a weight comes to the core
 * once; a sixth of a group, or of all, so that few threads have the same to do; whole pieces of 32. */
int64_t ft_bf16_tall(int64_t R);
static inline int64_t ft_bf16_even(int64_t K) { return (K + 31) / 32 * 32; } /* rows of operands have so many numbers */

/* On the calling thread, number `seat`: y (rows,O) = a (rows, even(I)) w^T + bias; dx (rows,I) [+]= a (rows, even(O)) w. */
void ft_bf16_rows_forward(const ft_bf16_plan *p, int seat, int64_t rows, const uint16_t *a, const uint16_t *w,
                          const float *bias, float *y, void *scratch);
void ft_bf16_rows_grad_x(const ft_bf16_plan *p, int seat, int64_t rows, const uint16_t *a, const uint16_t *w, int add,
                         float *dx, void *scratch);

/* A weight gradient sums over T rows (a multiple of 32) in parts of fixed sizes; this is the one with `row`: its first row and
 * size. Both factors lie part by part: dy as (O, size), x in blocks of 64 columns of (size/2, 64, 2). */
int64_t ft_bf16_part(int64_t T, int64_t row, int64_t *size);
/* Lines o to o + FT_BF16_OUTS of dw (O,I) [+]= the parts of rows `from` to `to`, whose factors begin at dy and x. On the calling
 * thread. */
void ft_bf16_block_grad_w(const ft_bf16_plan *p, int seat, int64_t T, int64_t from, int64_t to, int64_t o,
                          const uint16_t *dy, const uint16_t *x, int add, float *dw, void *scratch);

/* Compare with plain products on awkward shapes. */
ft_status ft_bf16_check(ft_err *e);

#endif
