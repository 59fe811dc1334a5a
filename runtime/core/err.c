/* runtime/core/err.c - fill and extend an ft_err. */
#include "core/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

ft_status ft_fail(ft_err *e, ft_status code, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(e->msg, sizeof e->msg, fmt, ap);
        va_end(ap);
        e->code = code;
    }
    return code;
}

ft_status ft_fail_errno(ft_err *e, const char *fmt, ...)
{
    const int saved = errno;
    const ft_status code = saved == ENOMEM ? FT_EMEM : FT_EIO;

    if (e) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(e->msg, sizeof e->msg, fmt, ap);
        va_end(ap);
        const size_t n = strlen(e->msg);
        snprintf(e->msg + n, sizeof e->msg - n, ": %s", strerror(saved));
        e->code = code;
    }
    return code;
}

ft_status ft_context(ft_err *e, const char *fmt, ...)
{
    if (!e) return FT_EDATA;

    ft_err old = *e;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    const size_t n = strlen(e->msg);
    snprintf(e->msg + n, sizeof e->msg - n, ": %s", old.msg);
    return e->code;
}
