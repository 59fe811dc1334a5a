/* runtime/text/pretok.h - pre-tokenisers: where the words of normalised text are.
 *
 * One file pretok_x.c each, one function: find the next word of s (n bytes of UTF-8)
 * from *at on. Returns 0 when there is none; else 1, the word is [*begin, *end) and
 * *at is where to go on.
 */
#ifndef FT_TEXT_PRETOK_H
#define FT_TEXT_PRETOK_H

#include <stddef.h>

typedef int ft_pretok(const char *s, size_t n, size_t *at, size_t *begin, size_t *end);

/* The whole text is one word: tokenizer.json without a pre-tokeniser. */
ft_pretok ft_pretok_none;

/* BertPreTokenizer: split at white space, which is dropped; every punctuation character is a word. */
ft_pretok ft_pretok_bert;

#endif
