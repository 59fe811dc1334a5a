/* runtime/data/charset.h - encodings of files other than UTF-8, turned into UTF-8 piece by piece.
 *
 * What would surprise: bytes that are not text in their encoding (half of a surrogate pair, half of a unit at the end)
 * become bytes that are not UTF-8, so that the check of the record they stand in finds them with their line.
 */
#ifndef FT_DATA_CHARSET_H
#define FT_DATA_CHARSET_H

#include <stddef.h>

#include "core/buf.h"

typedef enum ft_charset {
    FT_CHARSET_AUTO,
    FT_CHARSET_UTF8,
    FT_CHARSET_UTF16, /* which of the two its mark says */
    FT_CHARSET_UTF16LE,
    FT_CHARSET_UTF16BE,
    FT_CHARSET_LATIN1
} ft_charset;

/* By name ("utf-8", "utf-16", "utf-16le", "utf-16be", "latin-1", "auto"; NULL is auto). FT_EUSAGE names the nearest. */
ft_status ft_charset_find(ft_charset *out, const char *name, ft_err *e);

/* Settle what n first bytes (at least 4, or the whole file) are in: *charset, which was asked for, becomes the one they
 * are in, *mark the length of their byte order mark. NULL, or what is wrong. */
const char *ft_charset_settle(ft_charset *charset, const char *bytes, size_t n, size_t *mark);

/* Decode n bytes of UTF-16 or Latin-1 to `out`, which has room for 2 n + 3 bytes. Returns the length; *used says how many
 * bytes were decoded: all but at most 3, or, at the end of the file, all. */
size_t ft_charset_decode(ft_charset charset, const char *bytes, size_t n, int at_end, char *out, size_t *used);

#endif
