/* ops/product/layouts.h - what products read instead of row-major float32: weights and rows laid out anew.
 *
 * Those of a weight are kept (kept.h). Who changes a weight that is in use lays it out while it is in the cache: renew, then
 * fill, part by part.
 */
#ifndef FT_OPS_PRODUCT_LAYOUTS_H
#define FT_OPS_PRODUCT_LAYOUTS_H

#include <stdint.h>

#include "ops/product/kept.h"

/* How they are written; one set for each instruction set. ld counts elements. */
typedef struct ft_layouts {
    /* bf16: to (rows,wide) = x (R,C), zeros beyond */
    void (*rows)(const float *x, int64_t ld, int64_t R, int64_t C, int64_t rows, int64_t wide, uint16_t *to);
    /* bf16, one block of 64 columns: to (K/2, 64, 2) = x (R,C), C <= 64, zeros beyond. */
    void (*pairs)(const float *x, int64_t ld, int64_t R, int64_t C, int64_t K, uint16_t *to);
    /* The same of a weight, that is not read soon: other threads may read it after `fence`. */
    void (*weight_pairs)(const float *x, int64_t ld, int64_t R, int64_t C, int64_t K, uint16_t *to);
    /* The same of a weight x (C,R) turned, but only the first N columns, a multiple of 16. */
    void (*turned_weight_pairs)(const float *x, int64_t ld, int64_t R, int64_t C, int64_t K, int64_t N, uint16_t *to);
    /* bf16: to (C, n) = x (R,C) turned, zeros beyond R; n is a multiple of 32, wide the distance of its rows */
    void (*turned_rows)(const float *x, int64_t ld, int64_t R, int64_t C, int64_t n, int64_t wide, uint16_t *to);
    /* float32: to (C,R) = x (R,C) turned */
    void (*turned)(const float *x, int64_t ld, int64_t R, int64_t C, float *to, int64_t ld_to);
    void (*fence)(void); /* after the last of the calling thread's layouts of weights */
} ft_layouts;

/* The layouts in use of a weight (O,I), ft_tensor.weight `weight`: by enum ft_layout, NULL where there is none. They count as those
 * of what the weight is after the next ft_weights_changed; the caller fills them. Returns their bytes in all. Outside
 * parallel regions. */
size_t ft_layouts_renew(uint64_t weight, int64_t O, int64_t I, void *at[FT_LAYOUT_KINDS]);

/* Lay out lines [o, o + n) of w (O,I): o is a multiple of 16, and so is n but for the last lines. */
void ft_layouts_fill(void *const at[FT_LAYOUT_KINDS], const float *w, int64_t O, int64_t I, int64_t o, int64_t n);

#endif
