/* runtime/data/mask.h - which tokens a masked language model has to guess.
 *
 * Devlin et al. 2019 (arXiv:1810.04805), section 3.1: each token is chosen with probability `rate`; of the chosen,
 * 80 % become [MASK], 10 % a random token and 10 % stay. With whole words, a word is chosen with all its
 * pieces. Special tokens are never chosen, and the random tokens are never special.
 *
 * What is drawn is a function of (seed, epoch, example, place in the row): the same for any batching and threads, anew
 * in every epoch. Numbers come from Philox, key (seed, "masked_lm"), counter (place, example, epoch, 0).
 */
#ifndef FT_DATA_MASK_H
#define FT_DATA_MASK_H

#include "data/tokens.h"
#include "text/tokenizer.h"

typedef struct ft_masker ft_masker;

typedef struct ft_mask_opts {
    uint64_t seed;
    double rate; /* in (0, 1] */
    bool whole_word;
} ft_mask_opts;

/* One object in *out, NULL after an error. FT_EUSAGE: the rate, no mask token in the vocabulary, or no ordinary token.
 * Which tokens are of one word says text/word_rule.h. */
ft_status ft_masker_new(ft_masker **out, const ft_tokenizer *t, const ft_mask_opts *opts, ft_err *e);
void ft_masker_free(ft_masker *m); /* NULL is fine */

/* How many tokens of the examples index[0..n-1] (0-based) are chosen in this epoch. */
ft_status ft_mask_count(const ft_masker *m, const ft_tokens *t, const int32_t *index, int32_t n, uint32_t epoch,
                        int64_t *count, ft_err *e);

/* Mask a batch in place: `ids` (T) i32 of `rows`. The places chosen, in ascending order, and the ids that stood there
 * are two new tensors i32 (M), owned by the caller; M is 0 where none was chosen. */
ft_status ft_mask_apply(const ft_masker *m, ft_tensor *ids, const ft_ragged *rows, uint32_t epoch, ft_tensor **places,
                        ft_tensor **labels, ft_err *e);

#endif
