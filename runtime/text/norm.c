/* runtime/text/norm.c - the buffer of normalised text, and the normaliser that changes nothing. */
#include "text/norm.h"

#include <string.h>

#include "core/mem.h"
#include "text/unicode.h"

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
    memset(t, 0, sizeof *t);
}

ft_status ft_norm_none(const ft_norm *norm, const char *s, size_t n, uint32_t base, ft_normal *out, ft_err *e)
{
    const ft_status status = ft_normal_reserve(out, n, e);
    size_t used = 0;

    (void)norm;
    if (status) return status;
    for (size_t i = 0; i < n; i += used, base++) {
        ft_utf8_get(s + i, &used);
        for (size_t k = i; k < i + used; k++) out->from[k] = (ft_span){ base, base + 1 };
    }
    if (n) memcpy(out->text, s, n);
    out->n = n;
    return FT_OK;
}
