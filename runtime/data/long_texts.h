/* runtime/data/long_texts.h - texts that are longer than an encoder reads, as one or several examples.
 *
 * What may surprise: windows are spread evenly over the text, so that all of them are full and none counts for a few
 * last tokens; they may therefore share more tokens than was asked for.
 */
#ifndef FT_DATA_LONG_TEXTS_H
#define FT_DATA_LONG_TEXTS_H

#include "data/tokens.h"
#include "text/tokenizer.h"

typedef enum ft_long {
    FT_LONG_HEAD,      /* the first tokens */
    FT_LONG_HEAD_TAIL, /* a quarter from the beginning, the rest from the end (Sun et al. 2019, arXiv:1905.05583) */
    FT_LONG_WINDOWS,   /* all of it, in windows */
} ft_long;

/* Add x, one text encoded without a limit, as examples of at most max_length tokens, each with the special tokens of x
 * around it; their number in *n. Windows share at least `stride` tokens, or half of their room where that is not less.
 * FT_EUSAGE: x holds a pair and is too long, or max_length leaves no room for text. */
ft_status ft_long_add(ft_tokens *tokens, const ft_encoding *x, size_t max_length, ft_long how, size_t stride,
                      int64_t *n, ft_err *e);

#endif
