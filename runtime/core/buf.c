/* runtime/core/buf.c - a byte string that grows by doubling. */
#include "core/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"

ft_status ft_buf_reserve(ft_buf *b, size_t more, ft_err *e)
{
    if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) return ft_fail_mem(e, more);
    const size_t need = b->len + more + 1;
    if (need <= b->cap) return FT_OK;

    size_t cap = b->cap ? b->cap * 2 : 64;
    while (cap < need) cap *= 2;
    char *p = ft_realloc(b->data, cap);
    if (!p) return ft_fail_mem(e, cap);
    b->data = p;
    b->cap = cap;
    b->data[b->len] = '\0';
    return FT_OK;
}

ft_status ft_buf_add(ft_buf *b, const void *bytes, size_t n, ft_err *e)
{
    const ft_status s = ft_buf_reserve(b, n, e);
    if (s) return s;
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
    return FT_OK;
}

ft_status ft_buf_puts(ft_buf *b, const char *s, ft_err *e) { return ft_buf_add(b, s, strlen(s), e); }
ft_status ft_buf_putc(ft_buf *b, char c, ft_err *e) { return ft_buf_add(b, &c, 1, e); }

ft_status ft_buf_printf(ft_buf *b, ft_err *e, const char *fmt, ...)
{
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ft_status s = n < 0 ? ft_fail(e, FT_EDATA, "bad format") : ft_buf_reserve(b, (size_t)n, e);
    if (!s) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return s;
}

void ft_buf_clear(ft_buf *b)
{
    b->len = 0;
    if (b->data) b->data[0] = '\0';
}

void ft_buf_free(ft_buf *b)
{
    ft_free(b->data);
    memset(b, 0, sizeof *b);
}
