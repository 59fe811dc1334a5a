/* runtime/data/read.h - what a format must provide, and what the reader offers it.
 *
 * Only the files read_*.c and reader.c include this. A format's `next` looks at the
 * window of r->src, fills r->fields (and r->names, if names change per row) and says
 * with r->used how much the record took; nothing is consumed before the following
 * call, so that raw bytes stay in place while the caller looks at the row.
 */
#ifndef FT_DATA_READ_H
#define FT_DATA_READ_H

#include "data/fields.h"
#include "data/reader.h"
#include "data/source.h"

enum { FT_MAX_COLUMNS = 65536 };

struct json_t; /* jansson */

typedef struct ft_read_format {
    const char *name;
    const char *extensions[3];
    ft_status (*open)(ft_reader *r, ft_err *e); /* may be NULL */

    /* Parse the next record; *got is 0 at the end. FT_EDATA only by way of ft_reader_reject. */
    ft_status (*next)(ft_reader *r, int *got, ft_err *e);
} ft_read_format;

extern const ft_read_format ft_read_csv, ft_read_tsv, ft_read_jsonl, ft_read_json, ft_read_lines;

typedef enum ft_quoting { FT_QUOTE_NEVER, FT_QUOTE_STRICT, FT_QUOTE_IF_CLOSED } ft_quoting;

/* How far a JSON value has been looked at; kept between calls when a value is skipped. */
typedef struct ft_json_scan {
    size_t off, depth;
    int in_string, escaped;
} ft_json_scan;

/* A cell made for ft_row_get, with its text behind it. */
typedef struct ft_extra_cell {
    struct ft_extra_cell *next;
    ft_cell cell;
    char text[];
} ft_extra_cell;

struct ft_reader {
    ft_source src;
    const ft_read_format *format;
    char delimiter, quote;
    ft_quoting quoting;
    int has_header;

    size_t n_columns; /* csv, tsv: 0 is not known yet */
    ft_fields names, fields;

    struct json_t *json; /* the current object, or NULL */
    int place;           /* json: where in the array we are */
    ft_json_scan scan;

    size_t used; /* bytes and line ends that the next call consumes first */
    int64_t used_lines;
    int skip;          /* the rest of an oversized record is still to be passed over */
    size_t raw_len;    /* of the current record */
    int out_of_memory; /* ft_row_get could not give a cell */
    ft_extra_cell *extra;

    ft_row row;
    ft_bad_row bad;
    int is_bad;
};

/* Set what the record took: `raw` bytes without and `used` bytes with its line end. */
void ft_reader_used(ft_reader *r, size_t raw, size_t used, int64_t lines);

/* Refuse the record: message "file:line: ...", FT_EDATA, `used` bytes to be consumed by the next call. */
ft_status ft_reader_reject(ft_reader *r, size_t raw, size_t used, int64_t line, ft_err *e, const char *fmt, ...)
    FT_PRINTF(6, 7);

/* Refuse an oversized record; the next call to the format finds r->skip set. */
ft_status ft_reader_oversized(ft_reader *r, ft_err *e);

/* FT_EDATA unless the first `raw` bytes of the window are UTF-8 without NUL. */
ft_status ft_reader_check_text(ft_reader *r, size_t raw, size_t used, ft_err *e);

/* FT_EDATA if two names (empty ones excepted) are equal. Also finishes the fields. */
ft_status ft_reader_check_names(ft_reader *r, ft_fields *names, ft_err *e);

/* read_value.c: take r->json from the first `len` bytes of the window, and fill names and fields. Anything but
 * an object is refused with `used` bytes. */
ft_status ft_reader_object(ft_reader *r, size_t len, size_t used, ft_err *e);

/* read_value.c: the cell that a dotted path reaches, NULL if none. */
const ft_cell *ft_reader_path(ft_reader *r, const char *path);
void ft_reader_drop_object(ft_reader *r);

/* read_value.c: the dotted paths below the current object's members, at most 1,000, for messages. Finishes the fields. */
ft_status ft_reader_paths(const ft_reader *r, ft_fields *paths, ft_err *e);

#endif
