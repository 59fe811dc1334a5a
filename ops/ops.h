/* ops/ops.h - what the kernels share; each is compiled once per instruction set. */
#ifndef FT_OPS_OPS_H
#define FT_OPS_OPS_H

#include <stdint.h>

#include "graph/lazy.h"
#include "graph/op.h"
#include "ops/product/bf16.h"
#include "ops/product/layouts.h"
#include "ops/product/product.h"

/* out[c] = (add ? out[c] : 0) + sum_r x[r,c], x (R,C), in fixed blocks of rows: same bits on any number of threads. */
void FT_KERNEL(ft_column_sum)(const float *x, int64_t R, int64_t C, int add, float *out);

extern const ft_layouts FT_KERNEL(ft_layouts);

/* One panel by matrix instructions; only for the table that has them. */
void FT_KERNEL(ft_tile_panel)(const ft_panel *p, const uint16_t *A, const uint16_t *B, const float *bias, float *C);

/* Decay that was put off; see ft_op_table. */
void FT_KERNEL(ft_settle)(ft_lazy *z, float *w, int64_t n, int64_t first, int64_t end);

/* Sum of squares; see ft_op_table. */
double FT_KERNEL(ft_square_sum)(const float *x, int64_t n, const uint8_t *touched);

#endif
