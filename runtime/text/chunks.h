/* runtime/text/chunks.h - a normalised text on its way to the model: cut into words, and into added tokens.
 *
 * Pre-tokenisers work on all parts at once. One that only cuts adds what each part becomes to the next list of parts; one
 * that changes text writes it into `spare`. Both then swap.
 */
#ifndef FT_TEXT_CHUNKS_H
#define FT_TEXT_CHUNKS_H

#include "text/norm.h"

struct ft_added_token;

typedef struct ft_chunk {
    size_t begin, end;                  /* bytes of normal.text; nothing where there is a token */
    const struct ft_added_token *token; /* found already, to be left as it is; or NULL */
    ft_span from;                       /* of the token */
    uint16_t lead, trail;               /* of the token: white space in it, see ft_raw */
} ft_chunk;

typedef struct ft_chunks {
    ft_normal normal, spare;
    ft_chunk *at, *next; /* (n) the parts; (n_next) those they become */
    size_t n, cap, n_next, cap_next;
} ft_chunks;

void ft_chunks_free(ft_chunks *x);

/* Add a part to the next list: a copy of p, or bytes [begin, end); an empty one is left out. */
ft_status ft_chunks_add(ft_chunks *x, const ft_chunk *p, ft_err *e);
ft_status ft_chunks_add_text(ft_chunks *x, size_t begin, size_t end, ft_err *e);

void ft_chunks_swap_parts(ft_chunks *x); /* the next list becomes the list, the next one is empty */
void ft_chunks_swap_text(ft_chunks *x);  /* and `spare` becomes the text */

/* What becomes of what a pattern finds, as in the reference's SplitDelimiterBehavior. */
typedef enum ft_cut_behavior {
    FT_CUT_REMOVED,
    FT_CUT_ISOLATED,
    FT_CUT_MERGED_WITH_PREVIOUS,
    FT_CUT_MERGED_WITH_NEXT,
    FT_CUT_CONTIGUOUS
} ft_cut_behavior;

/* Find the first match in s[0..n) that begins at or after *at (bytes): *begin, *end, and *at is where to go on. 0: there is
 * none; -1: error, in e. */
typedef int ft_finder(const void *pattern, const char *s, size_t n, size_t *at, size_t *begin, size_t *end, ft_err *e);

/* Cut all parts where `find` finds something. `invert`: what lies between matches is taken for the matches. */
ft_status ft_chunks_cut(ft_chunks *x, ft_finder *find, const void *pattern, ft_cut_behavior how, bool invert,
                        ft_err *e);

#endif
