/* runtime/text/added.h - tokens found in raw text before anything else is done to it.
 *
 * "[MASK]" in a sentence is one token, not three words. Tokens with `normalized` are
 * looked for in the normalised text instead, in their own normalised form.
 */
#ifndef FT_TEXT_ADDED_H
#define FT_TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct ft_added_token {
    char *content, *pattern; /* pattern: what is looked for; content, or its normalised form */
    size_t content_len, pattern_len;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} ft_added_token;

/* Tokens sorted by pattern, so that those with one first byte lie together, and where those are. */
typedef struct ft_added {
    ft_added_token *tokens;
    size_t n, cap;
    int32_t *raw, *normal;                /* indices of tokens without and with `normalized`, by pattern */
    uint32_t raw_at[257], normal_at[257]; /* first index for each first byte, and the end */
    size_t n_raw, n_normal;
} ft_added;

/* Add a copy of t (its pattern is not read), or replace the token with the same content. */
ft_status ft_added_add(ft_added *a, const ft_added_token *t, ft_err *e);

/* After the last add, when patterns are set: FT_EDATA if two are the same or one is empty. */
ft_status ft_added_seal(ft_added *a, ft_err *e);
void ft_added_free(ft_added *a);

/* The token with this content or this id, or NULL. */
const ft_added_token *ft_added_find(const ft_added *a, const char *content, size_t len);
const ft_added_token *ft_added_of(const ft_added *a, int32_t id);

typedef struct ft_added_part {
    const ft_added_token *token; /* NULL: text between tokens */
    size_t begin, end;           /* with the white space that lstrip and rstrip take */
} ft_added_part;

/* Walk over s: start from `ft_added_walk w = { 0 }`. */
typedef struct ft_added_walk {
    size_t done, scan;
    const ft_added_token *next; /* found, while the text before it is delivered */
    size_t begin, end;
} ft_added_walk;

/* The next part of checked text s; 0 at its end. `normal`: look for the normalised tokens. */
int ft_added_next(const ft_added *a, bool normal, const char *s, size_t n, ft_added_walk *w, ft_added_part *out);

#endif
