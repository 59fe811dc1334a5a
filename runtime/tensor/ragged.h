/* runtime/tensor/ragged.h - which tokens of a batch belong to which row.
 *
 * The rows of a batch lie end to end: row b owns tokens offsets[b] .. offsets[b+1].
 * Activations are (T, ...) with T = n_tokens; per-row results are (B, ...) with
 * B = n_rows. `example` and `window` identify a row independently of the batch it
 * happens to be in: random numbers (dropout) are drawn by them, so that a different
 * batching gives the same numbers.
 */
#ifndef FT_TENSOR_RAGGED_H
#define FT_TENSOR_RAGGED_H

#include <stdint.h>

#include "core/err.h"

typedef struct ft_ragged {
    int refs;
    int32_t n_rows, n_tokens, max_len;
    int32_t *offsets; /* (B+1) */
    int32_t *row_of;  /* (T) row of each token */
    int32_t *example; /* (B) id of the example in its data set */
    int32_t *window;  /* (B) which window of a long example; 0 when it has one */
} ft_ragged;

/* From row lengths (B); example NULL means 0..B-1, window NULL means all 0. Copies. One reference in *out. */
ft_status ft_ragged_new(ft_ragged **out, int32_t n_rows, const int32_t *lengths, const int32_t *example,
                        const int32_t *window, ft_err *e);
ft_ragged *ft_ragged_retain(ft_ragged *r);
void ft_ragged_release(ft_ragged *r);

#endif
