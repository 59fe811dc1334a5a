/* runtime/text/unicode.h - UTF-8 and the character classes that tokenisers ask for.
 *
 * The classes are not those of one Unicode version: they are recorded from Hugging Face
 * `tokenizers`, whose parts were each built with another version, so that ids agree.
 */
#ifndef FT_TEXT_UNICODE_H
#define FT_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

enum {
    FT_UC_REMOVE = 1, /* dropped when text is cleaned: controls, formats, private use, U+FFFD */
    FT_UC_SPACE = 2,  /* white space (property White_Space) */
    FT_UC_PUNCT = 4,  /* punctuation: all of ASCII's, else the categories P* */
    FT_UC_MARK = 8,   /* non-spacing mark (Mn): an accent, once decomposed */
    FT_UC_CJK = 16,   /* an ideograph, which BERT makes a word of its own */
    FT_UC_WORD = 32,  /* \w of a regular expression */
    FT_UC_NFD = 64    /* decomposes canonically, or has a combining class */
};

enum { FT_UC_MAX_COMPAT = 18 }; /* code points of the longest compatibility decomposition */
enum { FT_UC_MAX_DECOMP = 4 };  /* code points of the longest canonical decomposition */

/* Check that n bytes are UTF-8 (no surrogates, nothing overlong). FT_EDATA names the first bad byte, from 0. */
ft_status ft_utf8_check(const char *s, size_t n, ft_err *e);

/* Whether s (n > 0 bytes, unchecked) begins with a character of UTF-8. *used: its bytes, or those of the longest beginning of
 * one, at least 1. */
bool ft_utf8_next(const char *s, size_t n, size_t *used);

/* Read one code point of checked text; *used is its length in bytes, 1 to 4. */
uint32_t ft_utf8_get(const char *s, size_t *used);

/* The code point that ends at s + n (n > 0, checked text); *used as above. */
uint32_t ft_utf8_before(const char *s, size_t n, size_t *used);

/* Write one code point (at most 4 bytes); returns its length. */
size_t ft_utf8_put(char *s, uint32_t cp);

/* Code points of checked text. */
size_t ft_utf8_count(const char *s, size_t n);

/* FT_UC_* bits of a code point below 0x110000. */
unsigned ft_uc_class(uint32_t cp);

/* Full canonical decomposition of a code point with FT_UC_NFD; returns how many were written. */
int ft_uc_decompose(uint32_t cp, uint32_t out[FT_UC_MAX_DECOMP]);

/* Full canonical decomposition, or full compatibility decomposition, of any code point; cp itself where it has none. */
int ft_uc_decompose_if(uint32_t cp, uint32_t *out);
int ft_uc_decompose_compat(uint32_t cp, uint32_t out[FT_UC_MAX_COMPAT]);

/* The character that two compose to canonically, or 0. */
uint32_t ft_uc_compose(uint32_t a, uint32_t b);

/* Canonical combining class; 0 for what the reference does not reorder. */
unsigned ft_uc_combining(uint32_t cp);

/* Lower case without context (no final sigma); returns 1 or 2 code points in out. */
int ft_uc_lower(uint32_t cp, uint32_t out[2]);

/* The general categories L*; Nd, Nl and No; all of these; M* (combining marks). */
bool ft_uc_is_letter(uint32_t cp);
bool ft_uc_is_number(uint32_t cp);
bool ft_uc_is_alnum(uint32_t cp);
bool ft_uc_is_mark(uint32_t cp);

/* A letter that has case; a character that does not count when a word's case is looked at (Unicode 15, section 3.13,
 * by general category; of the punctuation only apostrophes, full stops, colons and middle dots). */
bool ft_uc_is_cased(uint32_t cp);
bool ft_uc_case_ignorable(uint32_t cp);

/* What ft_uc_breaks remembers from pair to pair; begin with { 0 }. */
typedef struct ft_uc_cluster {
    int32_t state;
} ft_uc_cluster;

/* Whether a character as readers see it ends between two neighbouring code points (extended grapheme clusters). The
 * pairs of a text are asked about in their order. */
bool ft_uc_breaks(uint32_t before, uint32_t after, ft_uc_cluster *state);

/* The recorded tables: see unicode_table.c. */
extern const uint32_t ft_uc_run[], ft_uc_runs;
extern const uint16_t ft_uc_page[];

#endif
