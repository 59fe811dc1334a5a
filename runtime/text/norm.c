/* runtime/text/norm.c - the buffer of normalised text, and texts told as changes of another.
 *
 * What stands for what follows the reference's rule of changes to the letter: offsets are the reference's only if it does.
 */
#include "text/norm.h"

#include <string.h>

#include "core/mem.h"
#include "text/unicode.h"

/* ==== The buffer ==== */

ft_status ft_normal_reserve(ft_normal *t, size_t n, ft_err *e)
{
    if (n <= t->cap) return FT_OK;
    size_t cap = t->cap ? t->cap : 256;
    while (cap < n) cap *= 2;
    char *text = ft_realloc(t->text, cap);
    if (!text) return ft_fail_mem(e, cap);
    t->text = text;
    ft_span *from = ft_realloc(t->from, cap * sizeof *from);
    if (!from) return ft_fail_mem(e, cap * sizeof *from);
    t->from = from;
    t->cap = cap;
    return FT_OK;
}

void ft_normal_free(ft_normal *t)
{
    ft_free(t->text);
    ft_free(t->from);
    ft_free(t->pending);
    ft_free(t->sorted);
    ft_free(t->source);
    ft_free(t->changes);
    memset(t, 0, sizeof *t);
}

ft_status ft_normal_set(ft_normal *out, const char *s, size_t n, uint32_t base, ft_err *e)
{
    const ft_status status = ft_normal_reserve(out, n, e);

    if (status) return status;
    for (size_t i = 0; i < n; base++) {
        const ft_span from = { base, base + 1 };
        out->from[i++] = from;
        while (i < n && ((unsigned char)s[i] & 0xC0) == 0x80) out->from[i++] = from;
    }
    if (n) memcpy(out->text, s, n);
    out->n = n;
    return FT_OK;
}

ft_status ft_normal_add(ft_normal *out, const char *s, const ft_span *from, size_t n, ft_err *e)
{
    const ft_status status = ft_normal_reserve(out, out->n + n, e);

    if (status || !n) return status;
    memcpy(out->text + out->n, s, n);
    memcpy(out->from + out->n, from, n * sizeof *from);
    out->n += n;
    return FT_OK;
}

ft_status ft_normal_add_as(ft_normal *out, const char *s, size_t n, ft_span from, ft_err *e)
{
    const ft_status status = ft_normal_reserve(out, out->n + n, e);

    if (status) return status;
    if (n) memcpy(out->text + out->n, s, n);
    for (size_t i = 0; i < n; i++) out->from[out->n + i] = from;
    out->n += n;
    return FT_OK;
}

/* ==== Changes ==== */

ft_status ft_change_add(ft_normal *out, uint32_t cp, int how, ft_err *e)
{
    if (out->n_changes == out->changes_cap) {
        const size_t cap = out->changes_cap ? out->changes_cap * 2 : 256;
        ft_change *p = ft_realloc(out->changes, cap * sizeof *p);
        if (!p) return ft_fail_mem(e, cap * sizeof *p);
        out->changes = p;
        out->changes_cap = cap;
    }
    out->changes[out->n_changes++] = (ft_change){ cp, how };
    return FT_OK;
}

/* The byte behind k characters from `at` on. */
static size_t behind(const ft_normal *in, size_t at, size_t k)
{
    size_t used;

    for (; k && at < in->n; k--) {
        ft_utf8_get(in->text + at, &used);
        at += used;
    }
    return at;
}

ft_status ft_change_apply(const ft_normal *in, ft_normal *out, size_t skip, ft_err *e)
{
    size_t at = behind(in, 0, skip);
    const uint32_t first = in->n ? in->from[0].begin : 0;

    out->n = 0;
    if (!in->n) return FT_OK;
    const ft_status s = ft_normal_reserve(out, out->n_changes * 4, e);
    if (s) return s;
    for (size_t i = 0; i < out->n_changes; i++) {
        const ft_change *c = &out->changes[i];
        ft_span from = { first, first };
        if (c->how > 0 && at > 0) from = in->from[at - 1];
        if (c->how <= 0) from = in->from[at < in->n ? at : in->n - 1];
        if (c->how <= 0) at = behind(in, at, 1 + (size_t)-c->how);
        const size_t used = ft_utf8_put(out->text + out->n, c->cp);
        for (size_t k = 0; k < used; k++) out->from[out->n++] = from;
    }
    return FT_OK;
}
