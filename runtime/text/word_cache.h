/* runtime/text/word_cache.h - the pieces of words seen before; one for each encoding thread.
 *
 * Text repeats its words, so most of them need not be cut again. When the memory that a cache may take is full, it is
 * emptied.
 */
#ifndef FT_TEXT_WORD_CACHE_H
#define FT_TEXT_WORD_CACHE_H

#include "text/tok_model.h"

enum { FT_WORD_CACHE_LONGEST = 64, FT_WORD_CACHE_BYTES = 1 << 21 }; /* of a word; of all that is kept */

typedef struct ft_cache_slot {
    uint32_t tag, at; /* half of the hash; where the entry lies + 1, 0: empty */
} ft_cache_slot;

/* Start from `ft_word_cache c = { 0 }`. */
typedef struct ft_word_cache {
    ft_cache_slot *slots;
    char *data;
    size_t used, n;
} ft_word_cache;

/* Replace out with the pieces of a word of n bytes, n > 0: from the cache, or from the model, which are then kept. */
ft_status ft_word_cache_split(ft_word_cache *c, const ft_model_kind *kind, const void *model, const char *word,
                              size_t n, ft_pieces *out, ft_err *e);
void ft_word_cache_free(ft_word_cache *c);

#endif
