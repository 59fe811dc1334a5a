/* runtime/core/err.h - how everything below the command line reports failure.
 *
 * What can fail returns ft_status (0 is success) and takes `ft_err *e` last: a
 * fixed buffer on the caller's stack, so that reporting an error cannot itself
 * run out of memory. The innermost function says what is wrong; callers may
 * prepend where it happened with ft_context.
 */
#ifndef FT_CORE_ERR_H
#define FT_CORE_ERR_H

#include <stdarg.h>

typedef enum ft_status {
    FT_OK = 0,
    FT_EUSAGE, /* option, argument or configuration is wrong */
    FT_EDATA,  /* bytes from outside do not have the promised form */
    FT_ESHAPE, /* tensor shapes or dtypes do not fit together */
    FT_EIO,    /* the system refused: open, read, write, rename, ... */
    FT_EMEM,   /* memory is exhausted or the ceiling is reached */
    FT_ENUM,   /* a number became NaN or infinite */
    FT_ESTATE, /* a handle was used after its life, or out of order */
    FT_EINTR,  /* the user asked to stop */
    FT_ENET    /* a server could not be reached, or what it sent is not what was asked for */
} ft_status;

typedef struct ft_err {
    ft_status code;
    char msg[1000]; /* one line or a few, without a trailing line break */
} ft_err;

#if defined(__GNUC__)
#define FT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define FT_PRINTF(f, a)
#endif

/* Fill e (which may be NULL) and return code, so that `return ft_fail(...)` reads well. */
ft_status ft_fail(ft_err *e, ft_status code, const char *fmt, ...) FT_PRINTF(3, 4);

/* Like ft_fail, with ": <strerror(errno)>" added; code is FT_EIO (FT_EMEM for ENOMEM). */
ft_status ft_fail_errno(ft_err *e, const char *fmt, ...) FT_PRINTF(2, 3);

/* Put "context: " before the message that e holds; returns e's code. */
ft_status ft_context(ft_err *e, const char *fmt, ...) FT_PRINTF(2, 3);

#endif
