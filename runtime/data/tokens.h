/* runtime/data/tokens.h - the token ids of a whole data set, end to end, and batches cut from them.
 *
 * Nothing is padded: example i owns ids[offset[i]] .. ids[offset[i+1]]. A batch gathers
 * some examples into tensors whose rows again lie end to end.
 */
#ifndef FT_DATA_TOKENS_H
#define FT_DATA_TOKENS_H

#include "core/fs.h"
#include "tensor/ragged.h"
#include "tensor/tensor.h"

typedef struct ft_tokens {
    int32_t *ids, *types; /* (total); types NULL: all are 0 */
    int64_t *offset;      /* (n+1) */
    int64_t n, total;
    int64_t cap_n, cap_total;
    ft_map map; /* where ids lie if they are those of a file; nothing can be added then */
} ft_tokens;

void ft_tokens_free(ft_tokens *t); /* leaves t empty */
/* Add one example of `len` tokens; types NULL means all 0. Copies. */
ft_status ft_tokens_add(ft_tokens *t, const int32_t *ids, const int32_t *types, int64_t len, ft_err *e);

typedef struct ft_token_batch {
    ft_tensor *ids, *types, *positions; /* i32 (T); positions count from 0 in each row */
    ft_ragged *rows;                    /* example ids are the indices given */
} ft_token_batch;

/* The examples index[0..n-1] (0-based), in that order. The caller owns the four references. */
ft_status ft_tokens_batch(const ft_tokens *t, const int32_t *index, int32_t n, ft_token_batch *out, ft_err *e);
void ft_token_batch_release(ft_token_batch *b);

/* What belongs to the tokens of some examples, end to end, out of `all` (total, ...), which holds something for every
 * token. One reference in *out. FT_ESHAPE: `all` has not as many rows as there are tokens. */
ft_status ft_tokens_take(const ft_tokens *t, const ft_tensor *all, const int32_t *index, int32_t n, ft_tensor **out,
                         ft_err *e);

#endif
