/* runtime/core/buf.h - a byte string that grows.
 *
 * data is NUL-terminated whenever it is not NULL, so that it can be used as a C
 * string; len does not count that NUL. Start from `ft_buf b = { 0 }`.
 */
#ifndef FT_CORE_BUF_H
#define FT_CORE_BUF_H

#include <stddef.h>

#include "core/err.h"

typedef struct ft_buf {
    char *data;
    size_t len, cap;
} ft_buf;

ft_status ft_buf_add(ft_buf *b, const void *bytes, size_t n, ft_err *e);
ft_status ft_buf_puts(ft_buf *b, const char *s, ft_err *e);
ft_status ft_buf_putc(ft_buf *b, char c, ft_err *e);
ft_status ft_buf_printf(ft_buf *b, ft_err *e, const char *fmt, ...) FT_PRINTF(3, 4);
ft_status ft_buf_reserve(ft_buf *b, size_t more, ft_err *e); /* room for `more` bytes and a NUL */
void ft_buf_clear(ft_buf *b);                                /* len = 0, memory kept */
void ft_buf_free(ft_buf *b);

#endif
