/* runtime/text/gpt2_words.h - the words of GPT-2's tokeniser, found without a regular expression engine.
 *
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * Radford et al. 2019; every character belongs to a word.
 */
#ifndef FT_TEXT_GPT2_WORDS_H
#define FT_TEXT_GPT2_WORDS_H

#include <stddef.h>
#include <stdint.h>

typedef enum ft_sort { FT_SORT_LETTER, FT_SORT_NUMBER, FT_SORT_OTHER, FT_SORT_SPACE } ft_sort;

/* What the expression takes a character for. */
ft_sort ft_sort_of(uint32_t cp);

/* Bytes of the word that s (n > 0 bytes of checked UTF-8) begins with. */
size_t ft_gpt2_word(const char *s, size_t n);

/* The same where a blank that is not there stands before s: bytes of s in the first word, 0 if the blank is a word alone. */
size_t ft_gpt2_word_behind_blank(const char *s, size_t n);

#endif
