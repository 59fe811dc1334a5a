/* runtime/text/strings.h - a list of byte strings, end to end in one buffer: what decoders work on. */
#ifndef FT_TEXT_STRINGS_H
#define FT_TEXT_STRINGS_H

#include "core/buf.h"

/* String i is bytes.data[at[i] .. at[i+1]). Start from `ft_strings s = { 0 }`. */
typedef struct ft_strings {
    ft_buf bytes;
    size_t *at; /* (n + 1) once there is one */
    size_t n, cap;
} ft_strings;

void ft_strings_clear(ft_strings *s); /* no strings, memory kept */
void ft_strings_free(ft_strings *s);

/* Begin a further, empty string; ft_strings_put appends to it. */
ft_status ft_strings_begin(ft_strings *s, ft_err *e);
ft_status ft_strings_put(ft_strings *s, const char *bytes, size_t n, ft_err *e);

/* Add a whole string. */
ft_status ft_strings_add(ft_strings *s, const char *bytes, size_t n, ft_err *e);

/* String i and its length; borrowed until s changes. */
const char *ft_strings_get(const ft_strings *s, size_t i, size_t *n);

#endif
