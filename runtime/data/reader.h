/* runtime/data/reader.h - rows from CSV, TSV, JSON Lines, JSON and plain text, one at a time.
 *
 * A reader holds one record in memory, never the file. What would surprise: a bad
 * row is an error (FT_EDATA) that does not end the reading; the next call goes on
 * at the next record, and ft_reader_bad shows the bytes that were refused.
 *
 * Formats, by the file name's extension unless named:
 *   csv    .csv           RFC 4180; delimiter ","; first row is the header
 *   tsv    .tsv .tab      delimiter tab; first row is the header
 *   jsonl  .jsonl .ndjson one object a line (also .json, if the first byte that is no space is "{")
 *   json   .json          one array of objects
 *   lines  .txt           every line is a row with the single column "text"
 * Standard input ("-") is lines, or jsonl if its first byte that is no space is "{".
 *
 * Lines end with LF or CRLF; a lone CR is an ordinary byte (and dropped at the end of the file).
 * Empty lines are skipped in csv and tsv, lines of white space in jsonl; in lines an empty
 * line is a row with an empty cell. A one-column CSV writes an empty cell as "".
 *
 * Header of csv and tsv: there is one, unless header = "no", or the caller names columns and all
 * of them by number. Without a header the columns are named "1", "2", ... With a header, names must
 * differ (empty ones excepted) and columns can still be asked for by number.
 *
 * Quotes. In csv a field is quoted if it begins with a quote; a doubled quote inside stands for
 * one; delimiters and line breaks inside are text. A quote further inside a field is an ordinary
 * byte. In tsv some files quote like CSV and some use a quote as an ordinary byte, so there a field
 * counts as quoted only if its closing quote exists and is directly followed by a tab, a line end or the
 * end of the file; else its quotes are ordinary bytes. Where tabs or line breaks lie between the two quotes,
 * the number of columns decides: if only the reading without quotes fits the table it is taken, and if
 * both readings fit, the row is an error that asks for quote = "\"" (always as in csv) or quote = "none".
 *
 * JSON cells: strings are decoded; numbers, true and false are given as text; null is an empty cell of its
 * own kind; arrays and objects are given as compact JSON. Numbers are written anew: integers plainly, others in
 * the shortest form that reads back as the same double.
 */
#ifndef FT_DATA_READER_H
#define FT_DATA_READER_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef enum ft_cell_kind { FT_CELL_STRING, FT_CELL_NUMBER, FT_CELL_BOOL, FT_CELL_NULL, FT_CELL_JSON } ft_cell_kind;

/* Bytes of one cell: valid UTF-8 without NUL, and NUL-terminated for convenience.
 * Cells of csv, tsv and lines are all of kind FT_CELL_STRING. */
typedef struct ft_cell {
    const char *ptr;
    size_t len;
    ft_cell_kind kind;
} ft_cell;

typedef struct ft_reader ft_reader;

/* One record. All pointers are valid until the next call of ft_reader_next or ft_reader_close. */
typedef struct ft_row {
    int64_t line;                 /* 1-based physical line on which the record begins */
    size_t n;                     /* number of cells */
    const ft_cell *names, *cells; /* n each; in JSON the names are the object's keys in their order */
    const char *raw;              /* the record's bytes (as UTF-8), without its line end */
    size_t raw_len;
    ft_reader *reader; /* for ft_row_get */
} ft_row;

/* NULL and 0 everywhere is the default. Strings are borrowed for the call of ft_reader_open only. */
typedef struct ft_reader_opts {
    const char *format;         /* "auto", "csv", "tsv", "jsonl", "json", "lines" */
    const char *delimiter;      /* "auto", one ASCII byte or "tab"; csv and tsv */
    const char *quote;          /* "auto", "none", or one ASCII byte that quotes as in csv; csv and tsv */
    const char *header;         /* "auto", "yes", "no"; csv and tsv */
    const char *encoding;       /* see ft_charset_find; NULL and "auto": UTF-16 where its mark is, else UTF-8 */
    const char *const *columns; /* the columns the caller will ask for, for header = "auto" */
    size_t n_columns;
    size_t max_record; /* largest record in bytes; 0 is 64 MiB */
} ft_reader_opts;

/* What ft_reader_next refused: bytes and line of the bad record. `cut` says that raw is only its beginning. */
typedef struct ft_bad_row {
    int64_t line;
    const char *raw;
    size_t raw_len;
    int cut;
} ft_bad_row;

/* Open a file, or standard input for "-", and read its header. o may be NULL.
 * FT_EIO: cannot be opened. FT_EUSAGE: unknown option, or no format known for that name. FT_EDATA: no header or a
 * bad one, another encoding than asked for. The caller owns *out and ends it with ft_reader_close. */
ft_status ft_reader_open(ft_reader **out, const char *path, const ft_reader_opts *o, ft_err *e);

/* The next record in *row, NULL at the end. FT_EDATA: the record is bad, the message begins with file and line, and
 * reading may go on. FT_EIO and FT_EMEM: the system refused; nothing was consumed.
 * Where a quote is not closed, reading goes on at the line after the one on which it was opened. */
ft_status ft_reader_next(ft_reader *r, const ft_row **row, ft_err *e);

/* The record that the last ft_reader_next refused, or NULL if it did not. Valid until the next call. */
const ft_bad_row *ft_reader_bad(const ft_reader *r);

/* The names of the columns and their number. In JSON those of the current row: 0 before the first one. */
size_t ft_reader_columns(const ft_reader *r, const ft_cell **names);

/* The format that was given or found: "csv", "tsv", "jsonl", "json" or "lines". */
const char *ft_reader_format(const ft_reader *r);

void ft_reader_close(ft_reader *r); /* NULL is fine */

/* A cell by the column's exact name, else by its 1-based number, else, in JSON, by a dotted path into objects and
 * (1-based) arrays: "review.body", "answers.text.1". NULL if there is none. Valid as long as the row.
 * Also NULL if memory ran out for a cell reached by a path; the next ft_reader_next then says so. */
const ft_cell *ft_row_get(const ft_row *row, const char *name);

/* The same; a missing column is FT_EDATA with file, line, the column and the nearest name there is. */
ft_status ft_row_need(const ft_row *row, const char *name, const ft_cell **cell, ft_err *e);

/* The same for a column of text: a JSON object is none, and the error names a path into it. */
ft_status ft_row_need_text(const ft_row *row, const char *name, const ft_cell **cell, ft_err *e);

#endif
