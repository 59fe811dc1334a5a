/* ops/product/layouts.c - lays out parts of a weight for the products that read it. */
#include "ops/product/layouts.h"

#include "graph/op.h"
#include "ops/blocks.h"
#include "ops/product/bf16.h"

#define BLOCK 64 /* columns of B that lie together (ft_panel) */

size_t ft_layouts_renew(uint64_t weight, int64_t O, int64_t I, void *at[FT_LAYOUT_KINDS])
{
    const ft_bf16_map m = { .O = O, .I = I };
    const size_t bytes[FT_LAYOUT_KINDS] = { [FT_BF16_FORWARD] = ft_bf16_packed(&m, 0),
                                            [FT_BF16_BACKWARD] = ft_bf16_packed(&m, 1),
                                            [FT_TURNED] = sizeof(float) * (size_t)(O * I) };
    size_t all = 0;

    for (int k = 0; k < FT_LAYOUT_KINDS; k++) {
        at[k] = weight ? ft_kept_renew(weight, (enum ft_layout)k, bytes[k]) : NULL;
        if (at[k]) all += bytes[k];
    }
    return all;
}

/* As B (I,O) of the forward product: columns are lines of w. */
static void fill_forward(uint16_t *to, const float *w, int64_t O, int64_t I, int64_t o, int64_t n)
{
    const int64_t deep = ft_bf16_even(I);

    for (int64_t end = o + n, k; o < end; o += k) {
        const int64_t c = o % BLOCK;
        k = ft_least(end - o, BLOCK - c);
        ft_op_active()->layouts->turned_weight_pairs(w + o * I, I, I, k, deep, o + k == O ? BLOCK - c : k,
                                                     to + (o - c) * deep + 2 * c);
    }
}

/* As B (O,I) of the product for dx. */
static void fill_backward(uint16_t *to, const float *w, int64_t O, int64_t I, int64_t o, int64_t n)
{
    const int64_t deep = ft_bf16_even(O);

    for (int64_t i = 0; i < I; i += BLOCK)
        ft_op_active()->layouts->weight_pairs(w + o * I + i, I, n, ft_least(BLOCK, I - i), o + n == O ? deep - o : n,
                                              to + i * deep + o * BLOCK);
}

void ft_layouts_fill(void *const at[FT_LAYOUT_KINDS], const float *w, int64_t O, int64_t I, int64_t o, int64_t n)
{
    if (at[FT_BF16_FORWARD]) fill_forward(at[FT_BF16_FORWARD], w, O, I, o, n);
    if (at[FT_BF16_BACKWARD]) fill_backward(at[FT_BF16_BACKWARD], w, O, I, o, n);
    if (at[FT_TURNED]) ft_op_active()->layouts->turned(w + o * I, I, n, I, (float *)at[FT_TURNED] + o, O);
    ft_op_active()->layouts->fence();
}
