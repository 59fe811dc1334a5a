/* runtime/data/bytes.h - is this text? Checks and counts over raw bytes. */
#ifndef FT_DATA_BYTES_H
#define FT_DATA_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Offset of the first byte that is NUL or does not begin a well-formed UTF-8 sequence (Unicode 15, table 3-7); n if
 * there is none. Surrogates and overlong forms are not well-formed. */
size_t ft_bytes_check(const char *p, size_t n);

/* Number of LF bytes. */
int64_t ft_bytes_lines(const char *p, size_t n);

#endif
