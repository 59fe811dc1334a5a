/* runtime/data/words.h - the same words in two vocabularies.
 *
 * Tokenisers of one family cut text into the same words whatever their vocabularies are, as long as they agree on
 * lower case; only the pieces of a word differ (text/word_rule.h). So the i-th word of one row is the i-th word of the other,
 * and a student can learn word by word from a teacher of another vocabulary.
 */
#ifndef FT_DATA_WORDS_H
#define FT_DATA_WORDS_H

#include "data/tokens.h"
#include "text/word_rule.h"

typedef struct ft_aligner ft_aligner;

/* One object in *out, NULL after an error. FT_EUSAGE: the two show the beginnings of words in different ways. */
ft_status ft_aligner_new(ft_aligner **out, const ft_tokenizer *a, const ft_tokenizer *b, ft_err *e);
void ft_aligner_free(ft_aligner *m); /* NULL is fine */

/* Words that both sides have, of the examples index[0..n-1] (0-based): the shorter row of each decides. */
ft_status ft_align_count(const ft_aligner *m, const ft_tokens *a, const ft_tokens *b, const int32_t *index, int32_t n,
                         int64_t *count, ft_err *e);

/* Places (M) i32 of the first pieces of the words that both have, row by row, in two batches of the same examples.
 * ids: (T) i32. The caller owns the two tensors. FT_ESHAPE: the batches have different rows. */
ft_status ft_align_batch(const ft_aligner *m, const ft_tensor *ids_a, const ft_ragged *rows_a, const ft_tensor *ids_b,
                         const ft_ragged *rows_b, ft_tensor **places_a, ft_tensor **places_b, ft_err *e);

#endif
