/* runtime/net/guard.h - tests only: switch one protection off, to see that what it protects from then happens.
 *
 * Nothing but a C test sets this; no option, variable or pipeline reaches it.
 */
#ifndef FT_NET_GUARD_H
#define FT_NET_GUARD_H

enum {
    FT_GUARD_RESUME = 1 << 0,      /* a drop is followed by a request for the rest */
    FT_GUARD_RANGE = 1 << 1,       /* an answer with everything, or of another place, is not appended */
    FT_GUARD_ETAG = 1 << 2,        /* the rest of another version is not appended */
    FT_GUARD_416 = 1 << 3,         /* a range that cannot be had means: begin anew */
    FT_GUARD_LENGTH = 1 << 4,      /* what ends early is not whole */
    FT_GUARD_DIGEST = 1 << 5,      /* SHA-256 is compared */
    FT_GUARD_TOKEN = 1 << 6,       /* a token goes to its own host only */
    FT_GUARD_SCHEME = 1 << 7,      /* from https only to https, and nowhere but to http and https */
    FT_GUARD_SLOW = 1 << 8,        /* too slow is an error */
    FT_GUARD_SIZE = 1 << 9,        /* more than the limit is an error */
    FT_GUARD_ENCODING = 1 << 10,   /* nothing is decompressed in flight */
    FT_GUARD_TLS = 1 << 11,        /* certificates are verified */
    FT_GUARD_OWNER = 1 << 12,      /* a partial file of a living process is left alone */
    FT_GUARD_NAMES = 1 << 13,      /* archive: neither absolute names nor .. */
    FT_GUARD_TYPES = 1 << 14,      /* archive: files and folders only */
    FT_GUARD_MODES = 1 << 15,      /* archive: permissions are not taken over */
    FT_GUARD_CASE = 1 << 16,       /* archive: no two names that differ in case only */
    FT_GUARD_BYTES = 1 << 17,      /* archive: budget of bytes */
    FT_GUARD_ENTRIES = 1 << 18,    /* archive: budget of entries */
    FT_GUARD_DEPTH = 1 << 19,      /* archive: budget of depth */
    FT_GUARD_RETRY_AFTER = 1 << 20 /* the server says when to come back */
};

extern unsigned ft_guard_off; /* 0: everything is protected */

#define FT_GUARDS(what) (!(ft_guard_off & FT_GUARD_##what))

#endif
