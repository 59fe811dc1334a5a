/* runtime/text/word_split.h - words of raw text, as places in it: what entities are made of.
 *
 * Words here are not tokens of a model: a tokeniser may cut a word into several, and the same words serve all of them.
 * No word begins or ends inside of a character as readers see it (an emoji with its modifiers, a letter with its marks).
 */
#ifndef FT_TEXT_WORD_SPLIT_H
#define FT_TEXT_WORD_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef enum ft_word_style {
    FT_WORDS_FINE, /* every punctuation mark, symbol and ideograph is a word of its own */
    FT_WORDS_SPACED /* as in annotated corpora: what is inside of "U.N.", "Paris-based", "1,000" or "@name" stays together */
} ft_word_style;

/* Code points [at[2 i], at[2 i + 1]) of word i. */
typedef struct ft_word_spans {
    uint32_t *at; /* (2 n) */
    size_t n, cap;
} ft_word_spans;

void ft_word_spans_free(ft_word_spans *w); /* leaves w empty */

/* The words of a text in their order; replaces what out holds. A word also ends at each of the n_cuts ascending code
 * points in `cuts`. FT_EDATA: not UTF-8. */
ft_status ft_word_split(const char *text, size_t len, ft_word_style style, const uint32_t *cuts, size_t n_cuts,
                        ft_word_spans *out, ft_err *e);

#endif
