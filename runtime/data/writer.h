/* runtime/data/writer.h - rows written as CSV, TSV or JSON Lines.
 *
 * What is written, ft_reader reads back with the same bytes; a row that it would
 * refuse (NUL bytes, broken UTF-8) is refused here, and nothing of it is written.
 * In TSV two of our own rows may look right both with and without quotes: the
 * reader then asks for quote = "\"", which always reads what was written here.
 */
#ifndef FT_DATA_WRITER_H
#define FT_DATA_WRITER_H

#include <stdio.h>

#include "core/fs.h"
#include "data/reader.h"

typedef struct ft_writer ft_writer;

typedef struct ft_writer_opts {
    const char *format;       /* "csv", "tsv" or "jsonl" */
    const char *const *names; /* n_names different column names; borrowed during the call */
    size_t n_names;           /* at least 1 */
    int no_header;            /* csv and tsv: do not write the names as the first row */
} ft_writer_opts;

/* Begin to write to f, which stays the caller's; `name` is for messages. The header is written at once.
 * FT_EUSAGE: unknown format, no names or two equal ones. FT_EIO. */
ft_status ft_writer_open(ft_writer **out, FILE *f, const char *name, const ft_writer_opts *o, ft_err *e);

/* The same on a file that is there whole or not at all; the caller commits or abandons it after ft_writer_close. */
ft_status ft_writer_open_atomic(ft_writer **out, ft_atomic *a, const ft_writer_opts *o, ft_err *e);

/* Write one row of n_names cells. In jsonl the kind decides: strings are quoted, numbers, booleans and JSON
 * must be what their kind says (FT_EDATA), null is null. In csv and tsv the text is written, null as an empty cell.
 * A cell of length 0 may have a NULL pointer. */
ft_status ft_writer_row(ft_writer *w, const ft_cell *cells, ft_err *e);

/* Flush to the FILE and say whether all writing went well; w is freed in any case. */
ft_status ft_writer_close(ft_writer *w, ft_err *e);

#endif
