/* runtime/data/windows.h - which window of a tokenised text is whose, and what its tokens stand for.
 *
 * A long text becomes several examples of one ft_tokens; here is, for each of them, the row it comes from and where its
 * tokens lie in that row's text. Windows of a row follow each other. Offsets are kept of the windowed text's tokens
 * alone: what else is in a window (special tokens, a question) has none.
 */
#ifndef FT_DATA_WINDOWS_H
#define FT_DATA_WINDOWS_H

#include "core/buf.h"
#include "data/tokens.h"
#include "text/tokenizer.h"

typedef struct ft_windows {
    int32_t *row;          /* (n) from 0 */
    int32_t *first;        /* (n) the text's first token within the window, from 0 */
    int32_t *length;       /* (n) tokens of the window */
    int64_t *at;           /* (n+1) the text's tokens of window w are begin[at[w]] .. begin[at[w+1]] */
    uint32_t *begin, *end; /* (total) code points of the row's text, [begin, end) */
    int64_t n, total;
    int64_t cap_n, cap_total;
} ft_windows;

void ft_windows_free(ft_windows *w); /* leaves w empty */

/* Add all windows of an encoding that has offsets, of row `row`, to w and to tokens. `sequence` is the text they slide
 * over: 0, or 1 for the second of a pair. */
ft_status ft_windows_add(ft_windows *w, ft_tokens *tokens, const ft_encoding *x, int32_t row, int sequence, ft_err *e);

/* Append w as bytes: u64 n, u64 total, then row, first, length, at, begin and end, as they lie in memory. */
ft_status ft_windows_write(const ft_windows *w, ft_buf *out, ft_err *e);

/* Read into w, which is empty, from the first of n bytes; *used says how many it took. FT_EDATA: they end early or do not
 * fit together. w is the caller's to free in any case. */
ft_status ft_windows_read(ft_windows *w, const void *bytes, size_t n, size_t *used, ft_err *e);

/* The tokens of window i (from 0) that cover code points [begin, end) of its text, counted from the window's first
 * token: *first is the last one that begins at or before begin, *last the first one that ends at or behind end. 0 where the
 * span is not all within the window. */
int ft_windows_locate(const ft_windows *w, int64_t i, uint32_t begin, uint32_t end, int32_t *first, int32_t *last);

/* A span of tokens of one window, counted from its first token. */
typedef struct ft_span_score {
    int32_t first, last;
    double score;
} ft_span_score;

/* The k best spans of window i by start[first] + end[last], best first: first <= last, both tokens of the text, and at
 * most `longest` tokens. logits (length, 2) holds start and end in turn. All pairs are looked at, not only those of the
 * best starts and ends; among equals the earlier, then the shorter one comes first. Returns how many there are; spans
 * whose score is NaN, or that no character of the text is in, are none. */
int ft_windows_best(const ft_windows *w, int64_t i, const float *logits, int32_t longest, ft_span_score *out, int k);

#endif
