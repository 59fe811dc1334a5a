/* runtime/text/norm.h - normalised text: its bytes, and which characters of the original each stands for.
 *
 * Normalisers (norm_x.c, see part.h) take one such text and make another.
 */
#ifndef FT_TEXT_NORM_H
#define FT_TEXT_NORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* A character waiting for its place in canonical order. */
typedef struct ft_pending {
    uint32_t cp;
    uint8_t combining, added; /* added: a further part of the character before it in source order */
} ft_pending;

typedef struct ft_span {
    uint32_t begin, end;
} ft_span;

/* One character of a changed text, told by what it does to the old one: 0 it takes the place of a character; +1 it is put
 * in behind the one before it; -k it takes the place of one character, and the k after that go. */
typedef struct ft_change {
    uint32_t cp;
    int32_t how;
} ft_change;

/* Reused from call to call. Start from `ft_normal t = { 0 }`. */
typedef struct ft_normal {
    char *text;    /* (n) bytes of UTF-8 */
    ft_span *from; /* (n) the code points of the original text that each byte stands for */
    size_t n, cap;
    ft_pending *pending, *sorted; /* used by NFD */
    ft_span *source, last;        /* characters not yet stood for, and the latest that is */
    size_t n_pending, n_source, pending_cap;
    ft_change *changes; /* used by normalisers that tell their result as changes */
    size_t n_changes, changes_cap;
} ft_normal;

ft_status ft_normal_reserve(ft_normal *t, size_t n, ft_err *e); /* room for n bytes in all */
void ft_normal_free(ft_normal *t);

/* Replace out with s (n bytes of checked UTF-8), whose first character is code point `base` of the original. */
ft_status ft_normal_set(ft_normal *out, const char *s, size_t n, uint32_t base, ft_err *e);

/* Append bytes that stand each for what is at from[0 .. n-1], or all for one span. There need be no room yet. */
ft_status ft_normal_add(ft_normal *out, const char *s, const ft_span *from, size_t n, ft_err *e);
ft_status ft_normal_add_as(ft_normal *out, const char *s, size_t n, ft_span from, ft_err *e);

/* Add to out->changes, which the caller empties first (n_changes = 0). */
ft_status ft_change_add(ft_normal *out, uint32_t cp, int how, ft_err *e);

/* Replace out's text with that of `in` after out->changes; the first `skip` characters of `in` go before. */
ft_status ft_change_apply(const ft_normal *in, ft_normal *out, size_t skip, ft_err *e);

/* BertNormalizer's settings, with strip_accents resolved. */
typedef struct ft_bert_norm {
    bool clean, cjk, strip, lower;
} ft_bert_norm;

/* BertNormalizer of Hugging Face `tokenizers`: clean, set ideographs apart, strip accents, lower case. It is local to white
 * space: normalising the parts between ASCII blanks one by one gives the same as normalising the whole. s: n bytes of
 * checked UTF-8 from code point `base` on. */
ft_status ft_norm_bert(const ft_bert_norm *norm, const char *s, size_t n, uint32_t base, ft_normal *out, ft_err *e);

#endif
