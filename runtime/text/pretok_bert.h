/* runtime/text/pretok_bert.h - the words of BERT's tokenisers. */
#ifndef FT_TEXT_PRETOK_BERT_H
#define FT_TEXT_PRETOK_BERT_H

#include <stddef.h>

/* Find the next word of s (n bytes of checked UTF-8) from *at on. Returns 0 when there is none; else 1, the word is
 * [*begin, *end) and *at is where to go on. */
int ft_bert_word(const char *s, size_t n, size_t *at, size_t *begin, size_t *end);

#endif
