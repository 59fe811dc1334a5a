/* runtime/tensor/ragged.c - row boundaries of a batch, in one allocation. */
#include "tensor/ragged.h"

#include <string.h>

#include "core/mem.h"

ft_status ft_ragged_new(ft_ragged **out, int32_t n_rows, const int32_t *lengths, const int32_t *example,
                        const int32_t *window, ft_err *e)
{
    int64_t tokens = 0;

    if (n_rows < 0) return ft_fail(e, FT_ESHAPE, "ragged: negative row count");
    for (int32_t b = 0; b < n_rows; b++) {
        if (lengths[b] < 0) return ft_fail(e, FT_ESHAPE, "ragged: negative length in row %d", b);
        tokens += lengths[b];
    }
    if (tokens > INT32_MAX) return ft_fail(e, FT_ESHAPE, "ragged: more than 2^31 tokens in one batch");

    const size_t rows = (size_t)n_rows, bytes = sizeof(ft_ragged) + (3 * rows + 1 + (size_t)tokens) * sizeof(int32_t);
    ft_ragged *r = ft_malloc(bytes);
    if (!r) return ft_fail_mem(e, bytes);
    *r = (ft_ragged){ .refs = 1, .n_rows = n_rows, .n_tokens = (int32_t)tokens };
    r->offsets = (int32_t *)(r + 1);
    r->example = r->offsets + rows + 1;
    r->window = r->example + rows;
    r->row_of = r->window + rows;

    r->offsets[0] = 0;
    for (int32_t b = 0; b < n_rows; b++) {
        r->offsets[b + 1] = r->offsets[b] + lengths[b];
        r->example[b] = example ? example[b] : b;
        r->window[b] = window ? window[b] : 0;
        if (lengths[b] > r->max_len) r->max_len = lengths[b];
        for (int32_t t = r->offsets[b]; t < r->offsets[b + 1]; t++) r->row_of[t] = b;
    }
    *out = r;
    return FT_OK;
}

ft_ragged *ft_ragged_retain(ft_ragged *r)
{
    if (r) r->refs++;
    return r;
}

void ft_ragged_release(ft_ragged *r)
{
    if (r && --r->refs == 0) ft_free(r);
}
