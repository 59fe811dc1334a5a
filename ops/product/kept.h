/* ops/product/kept.h - weights in another layout, kept as long as ft_weights_count stands still (evaluation, several
 * micro-batches of an update).
 *
 * What the layouts hold is the business of those who fill them (layouts.h). Together they take at most 512 MiB; where there is no room,
 * the caller lays the weight out in a place of its own each time, or does without.
 */
#ifndef FT_OPS_PRODUCT_KEPT_H
#define FT_OPS_PRODUCT_KEPT_H

#include <stddef.h>
#include <stdint.h>

enum ft_layout {
    FT_BF16_FORWARD,  /* blocks of pairs, turned: ops/product/bf16.c */
    FT_BF16_BACKWARD, /* blocks of pairs */
    FT_TURNED,        /* float32 (I,O) of a weight (O,I): ops/linear.c */
    FT_LAYOUT_KINDS
};

/* Room for a weight (ft_tensor.weight, not 0) in a layout of so many bytes; NULL where there is none. *fresh: it holds what
 * the weight is now; otherwise the caller fills it at once. It stays at its address until ft_kept_forget, or until a layout is
 * asked for that is not there after the weights have changed. Called by one thread, outside parallel regions. */
void *ft_kept(uint64_t weight, enum ft_layout layout, size_t bytes, int *fresh);

/* Whether there is room already: ft_kept will give it. */
int ft_kept_there(uint64_t weight, enum ft_layout layout, size_t bytes);

/* For who is about to change the weight: the layout, if it holds what the weight is now. It counts as fresh after the next
 * ft_weights_changed: the caller fills it. NULL where there is none or it is stale. */
void *ft_kept_renew(uint64_t weight, enum ft_layout layout, size_t bytes);

/* Give back all of them. */
void ft_kept_forget(void);

#endif
