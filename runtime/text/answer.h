/* runtime/text/answer.h - the form in which answers to questions are compared, and whether a span cuts a character. */
#ifndef FT_TEXT_ANSWER_H
#define FT_TEXT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

/* Append the normal form of n bytes of UTF-8, as the official scripts of SQuAD have it (Rajpurkar et al. 2016,
 * arXiv:1606.05250): lower case, ASCII punctuation dropped, the words a, an and the dropped, words joined by one blank.
 * FT_EDATA: not UTF-8. */
ft_status ft_answer_normalise(const char *text, size_t n, ft_buf *out, ft_err *e);

/* Whether byte offset `at` of checked UTF-8 lies inside a character as a reader sees it: inside a code point, or between
 * a letter and its accent, or inside a joined emoji (grapheme clusters of Unicode annex 29). Both ends of the text are
 * never inside. */
bool ft_text_cuts(const char *text, size_t n, size_t at);

#endif
