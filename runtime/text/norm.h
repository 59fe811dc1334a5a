/* runtime/text/norm.h - normalisers: text in, normalised bytes and where each came from out.
 *
 * One file norm_x.c each. A normaliser must be local to white space: normalising the
 * parts between ASCII spaces one by one gives the same as normalising the whole.
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

/* Normalised text; reused from call to call. Start from `ft_normal t = { 0 }`. */
typedef struct ft_normal {
    char *text;    /* (n) bytes of UTF-8 */
    ft_span *from; /* (n) the code points of the original text that each byte stands for */
    size_t n, cap;
    ft_pending *pending, *sorted; /* used by NFD */
    ft_span *source, last;        /* characters not yet stood for, and the latest that is */
    size_t n_pending, n_source, pending_cap;
} ft_normal;

ft_status ft_normal_reserve(ft_normal *t, size_t n, ft_err *e); /* room for n bytes in all */
void ft_normal_free(ft_normal *t);

typedef struct ft_norm ft_norm;

struct ft_norm {
    /* Replace out with s (n bytes of checked UTF-8), whose first character is code point `base` of the original. */
    ft_status (*apply)(const ft_norm *norm, const char *s, size_t n, uint32_t base, ft_normal *out, ft_err *e);
    bool clean, cjk, strip, lower; /* BertNormalizer's settings, with strip_accents resolved */
};

/* No change. */
ft_status ft_norm_none(const ft_norm *norm, const char *s, size_t n, uint32_t base, ft_normal *out, ft_err *e);

/* BertNormalizer of Hugging Face `tokenizers`: clean, set ideographs apart, strip accents, lower case. */
ft_status ft_norm_bert(const ft_norm *norm, const char *s, size_t n, uint32_t base, ft_normal *out, ft_err *e);

#endif
