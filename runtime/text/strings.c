/* runtime/text/strings.c - a list of byte strings. */
#include "text/strings.h"

#include <string.h>

#include "core/mem.h"

void ft_strings_clear(ft_strings *s)
{
    ft_buf_clear(&s->bytes);
    s->n = 0;
}

void ft_strings_free(ft_strings *s)
{
    ft_buf_free(&s->bytes);
    ft_free(s->at);
    memset(s, 0, sizeof *s);
}

ft_status ft_strings_begin(ft_strings *s, ft_err *e)
{
    if (s->n + 2 > s->cap) {
        const size_t cap = s->cap ? s->cap * 2 : 64;
        size_t *p = ft_realloc(s->at, cap * sizeof *p);
        if (!p) return ft_fail_mem(e, cap * sizeof *p);
        s->at = p;
        s->cap = cap;
    }
    s->at[s->n++] = s->bytes.len;
    s->at[s->n] = s->bytes.len;
    return FT_OK;
}

ft_status ft_strings_put(ft_strings *s, const char *bytes, size_t n, ft_err *e)
{
    const ft_status status = ft_buf_add(&s->bytes, bytes, n, e);

    if (!status) s->at[s->n] = s->bytes.len;
    return status;
}

ft_status ft_strings_add(ft_strings *s, const char *bytes, size_t n, ft_err *e)
{
    const ft_status status = ft_strings_begin(s, e);
    return status ? status : ft_strings_put(s, bytes, n, e);
}

const char *ft_strings_get(const ft_strings *s, size_t i, size_t *n)
{
    *n = s->at[i + 1] - s->at[i];
    return (s->bytes.data ? s->bytes.data : "") + s->at[i];
}
