/* runtime/data/source.h - a file as a sliding window of bytes, and where in it we are.
 *
 * The window begins at the current position: data at ft_source_at(s), s->n bytes.
 * Filling it may move the bytes, so parsers keep offsets, not pointers.
 */
#ifndef FT_DATA_SOURCE_H
#define FT_DATA_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "data/charset.h"

typedef struct ft_source {
    char *name; /* for messages: the path, or "standard input" */
    int fd;     /* -1 when nothing is open; 0 is never closed */
    char *data;
    size_t cap, start; /* the window is data[start .. start+n) */
    size_t n;
    size_t max;    /* the window is filled up to this size, and not far beyond */
    int64_t line;  /* 1-based line of the window's first byte */
    size_t column; /* bytes of that line which are before the window */
    int eof;       /* the window reaches to the end of the file */
    ft_charset charset;
    char *raw; /* bytes of the file that are still to be decoded: raw[0 .. raw_n) */
    size_t raw_n;
} ft_source;

/* One physical line of the window: bytes [from, end), the next one begins at `next`. */
typedef struct ft_line {
    size_t end, next;
} ft_line;

/* Open a path ("-" is standard input) for records up to max bytes (of UTF-8). A byte order mark is skipped. encoding is
 * NULL or a name for ft_charset_find. FT_EDATA: the file's mark says another one. */
ft_status ft_source_open(ft_source *s, const char *path, const char *encoding, size_t max, ft_err *e);
void ft_source_close(ft_source *s);

static inline const char *ft_source_at(const ft_source *s) { return s->data + s->start; }

/* Read until the window holds more than `offset` bytes; at the end of the file or above max it may hold fewer. */
ft_status ft_source_need(ft_source *s, size_t offset, ft_err *e);

/* Find the first byte c at or after `from`: *at is its offset. SIZE_MAX: there is none before the end of the file, or
 * (s->eof is 0) within max bytes. */
ft_status ft_source_find(ft_source *s, size_t from, char c, size_t *at, ft_err *e);

/* The line that begins at `from`. line->next is SIZE_MAX if it is longer than max. The last line may lack its LF. */
ft_status ft_source_line(ft_source *s, size_t from, ft_line *line, ft_err *e);

/* Move the window on by n bytes that hold `lines` line ends. */
void ft_source_take(ft_source *s, size_t n, int64_t lines);

/* Move on behind the next LF, however far. */
ft_status ft_source_skip_line(ft_source *s, ft_err *e);

#endif
