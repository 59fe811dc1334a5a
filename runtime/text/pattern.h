/* runtime/text/pattern.h - the patterns of tokenizer.json, { "String": ... } or { "Regex": ... }.
 *
 * The reference takes regular expressions in Oniguruma's Ruby syntax; what means something else there than in PCRE2 is
 * rewritten, and what cannot be is refused by name. A search that takes too many steps is an error, not a hang.
 */
#ifndef FT_TEXT_PATTERN_H
#define FT_TEXT_PATTERN_H

#include <stdbool.h>

#include "core/buf.h"

struct json_t;

typedef struct ft_pattern {
    char *string; /* literal, unless there is code; not empty */
    size_t len;
    bool gpt2;  /* the expression of GPT-2's words, which needs no engine */
    void *code; /* compiled */
} ft_pattern;

/* Read o.pattern. FT_EDATA: not understood; p is to be freed also then. */
ft_status ft_pattern_read(ft_pattern *p, const struct json_t *o, const char *where, ft_err *e);
void ft_pattern_free(ft_pattern *p);

/* A search through one or several texts; memory for it. */
typedef struct ft_pattern_walk {
    const ft_pattern *pattern;
    void *match;
} ft_pattern_walk;

ft_status ft_pattern_begin(ft_pattern_walk *w, const ft_pattern *p, ft_err *e);
void ft_pattern_end(ft_pattern_walk *w);

/* As ft_finder, with a walk for the pattern. Where the last match ended no empty one is found. Begin with *at 0. */
int ft_pattern_find(const void *walk, const char *s, size_t n, size_t *at, size_t *begin, size_t *end, ft_err *e);

#endif
