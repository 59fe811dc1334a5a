/* runtime/text/norm_replace.c - Replace: what a pattern finds becomes another text; as normaliser and as decoder.
 *
 * The new text stands for the last character that was found; for nothing in front of all where nothing was.
 */
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/part.h"
#include "text/pattern.h"

typedef struct replace {
    ft_pattern pattern;
    char *content;
    size_t len;
} replace;

static void replace_free(void *self)
{
    replace *r = self;

    if (!r) return;
    ft_pattern_free(&r->pattern);
    ft_free(r->content);
    ft_free(r);
}

static ft_status replace_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    const char *text;
    replace *r = *out = ft_calloc(1, sizeof *r);

    if (!r) return ft_fail_mem(e, sizeof *r);
    ft_status s = ft_pattern_read(&r->pattern, o, where, e);
    if (!s) s = ft_json_text(&text, &r->len, o, "content", where, e);
    if (s) return s;
    r->content = ft_strndup(text, r->len);
    return r->content ? FT_OK : ft_fail_mem(e, r->len);
}

static ft_status replace_all(const replace *r, ft_pattern_walk *w, const ft_normal *in, ft_normal *out, ft_err *e)
{
    size_t at = 0, done = 0, begin, end;
    ft_status s = FT_OK;
    int found = 0;

    while (!s && in->n && (found = ft_pattern_find(w, in->text, in->n, &at, &begin, &end, e)) > 0) {
        ft_span from = { in->from[0].begin, in->from[0].begin };
        if (end > 0) from = in->from[end - 1];
        s = ft_normal_add(out, in->text + done, in->from + done, begin - done, e);
        if (!s) s = ft_normal_add_as(out, r->content, r->len, from, e);
        done = end;
    }
    if (found < 0) return e ? e->code : FT_EDATA;
    return s || done == in->n ? s : ft_normal_add(out, in->text + done, in->from + done, in->n - done, e);
}

static ft_status replace_normalise(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    const replace *r = self;
    ft_pattern_walk w;

    out->n = 0;
    ft_status s = ft_pattern_begin(&w, &r->pattern, e);
    if (!s) s = replace_all(r, &w, in, out, e);
    ft_pattern_end(&w);
    return s;
}

static ft_status replace_one(const replace *r, ft_pattern_walk *w, const char *token, size_t n, ft_strings *out,
                             ft_err *e)
{
    size_t at = 0, done = 0, begin, end;
    ft_status s = ft_strings_begin(out, e);
    int found = 0;

    while (!s && n && (found = ft_pattern_find(w, token, n, &at, &begin, &end, e)) > 0) {
        s = ft_strings_put(out, token + done, begin - done, e);
        if (!s) s = ft_strings_put(out, r->content, r->len, e);
        done = end;
    }
    if (found < 0) return e ? e->code : FT_EDATA;
    return s ? s : ft_strings_put(out, token + done, n - done, e);
}

static ft_status replace_decode(const void *self, const ft_strings *in, ft_strings *out, ft_err *e)
{
    const replace *r = self;
    ft_pattern_walk w;
    ft_status s = ft_pattern_begin(&w, &r->pattern, e);

    ft_strings_clear(out);
    for (size_t i = 0; i < in->n && !s; i++) {
        size_t n;
        const char *token = ft_strings_get(in, i, &n);
        s = replace_one(r, &w, token, n, out, e);
    }
    ft_pattern_end(&w);
    return s;
}

const ft_part_kind ft_norm_replace = {
    .type = "Replace",
    .load = replace_load,
    .free = replace_free,
    .normalise = replace_normalise,
    .decode = replace_decode,
};
