/* runtime/text/pretok_metaspace.c - Metaspace: blanks become a character, U+2581 as a rule, that words begin with.
 *
 * In one pass from the text into a new one. With "first" the character is put before the text's beginning alone, not before
 * what follows an added token.
 */
#include "text/metaspace.h"

#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/part.h"
#include "text/unicode.h"

ft_status ft_metaspace_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    const char *text, *scheme = "always";
    size_t n;
    bool prefix = true;
    ft_metaspace *m = *out = ft_calloc(1, sizeof *m);

    if (!m) return ft_fail_mem(e, sizeof *m);
    m->split = true;
    ft_status s = ft_json_text(&text, &n, o, "replacement", where, e);
    if (!s && (!n || ft_utf8_count(text, n) != 1))
        s = ft_fail(e, FT_EDATA, "%s.replacement: want one character", where);
    if (!s) memcpy(m->mark, text, m->mark_len = n);
    if (!s && json_is_boolean(json_object_get(o, "split"))) s = ft_json_flag(&m->split, o, "split", where, e);
    if (!s && json_is_boolean(json_object_get(o, "add_prefix_space")))
        s = ft_json_flag(&prefix, o, "add_prefix_space", where, e);
    if (!s && json_object_get(o, "prepend_scheme")) s = ft_json_text(&scheme, &n, o, "prepend_scheme", where, e);
    if (s) return s;
    if (!strcmp(scheme, "always"))
        m->prepend = prefix ? FT_PREPEND_ALWAYS : FT_PREPEND_NEVER;
    else if (!strcmp(scheme, "first"))
        m->prepend = prefix ? FT_PREPEND_FIRST : FT_PREPEND_NEVER;
    else if (!strcmp(scheme, "never"))
        m->prepend = FT_PREPEND_NEVER;
    else
        return ft_fail(e, FT_EDATA, "%s.prepend_scheme \"%.40s\" is not always, first or never", where, scheme);
    return FT_OK;
}

static bool at_mark(const ft_metaspace *m, const char *s, size_t n)
{
    return n >= m->mark_len && !memcmp(s, m->mark, m->mark_len);
}

static bool prepends(const ft_metaspace *m, const char *s, size_t n, const ft_span *from)
{
    if (s[0] == ' ' || at_mark(m, s, n)) return false;
    return m->prepend == FT_PREPEND_ALWAYS || (m->prepend == FT_PREPEND_FIRST && from[0].begin == 0);
}

static ft_status cut_part(const ft_metaspace *m, ft_chunks *x, const ft_chunk *p, ft_err *e)
{
    const char *s = x->normal.text + p->begin;
    const ft_span *from = x->normal.from + p->begin;
    const size_t n = p->end - p->begin;
    size_t begin = x->spare.n;
    ft_status status = FT_OK;

    if (prepends(m, s, n, from)) status = ft_normal_add_as(&x->spare, m->mark, m->mark_len, from[0], e);
    for (size_t i = 0; i < n && !status;) {
        const bool mark = s[i] == ' ' || at_mark(m, s + i, n - i);
        if (mark && m->split) {
            status = ft_chunks_add_text(x, begin, x->spare.n, e);
            begin = x->spare.n;
        }
        if (mark) {
            if (!status) status = ft_normal_add_as(&x->spare, m->mark, m->mark_len, from[i], e);
            i += s[i] == ' ' ? 1 : m->mark_len;
            continue;
        }
        size_t end = i + 1;
        while (end < n && s[end] != ' ' && !(s[end] == m->mark[0] && at_mark(m, s + end, n - end))) end++;
        if (!status) status = ft_normal_add(&x->spare, s + i, from + i, end - i, e);
        i = end;
    }
    return status ? status : ft_chunks_add_text(x, begin, x->spare.n, e);
}

static ft_status metaspace_cut(const void *self, ft_chunks *x, ft_err *e)
{
    ft_status s = FT_OK;

    x->spare.n = x->n_next = 0;
    for (size_t i = 0; i < x->n && !s; i++) {
        const ft_chunk p = x->at[i];
        s = p.token ? ft_chunks_add(x, &p, e) : cut_part(self, x, &p, e);
    }
    if (s) return s;
    ft_chunks_swap_parts(x);
    ft_chunks_swap_text(x);
    return FT_OK;
}

const ft_part_kind ft_pretok_metaspace = { .type = "Metaspace", .load = ft_metaspace_load, .cut = metaspace_cut };
