/* runtime/data/read_csv.c - CSV (RFC 4180) and TSV.
 *
 * A line without a quote, nearly every line of nearly every file, is split with
 * memchr alone. Only a line that holds one is taken field by field. In TSV the two
 * readings, with and without quotes, can both be right: see resolve() below and
 * the rule in reader.h.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "data/bytes.h"
#include "data/read.h"

/* A record as the field-by-field reading found it. */
typedef struct record {
    size_t end, next; /* its bytes without and with the line end */
    int reshaped;     /* delimiters or line breaks lie between quotes */
} record;

static size_t keep_of(const ft_reader *r) { return r->n_columns ? r->n_columns : FT_MAX_COLUMNS; }

static ft_status split(ft_reader *r, size_t len, ft_err *e)
{
    ft_fields_clear(&r->fields, keep_of(r));
    return ft_fields_split(&r->fields, ft_source_at(&r->src), len, r->delimiter, e);
}

/* ==== One field in quotes ==== */

/* The closing quote of the field whose opening quote is at `open`; SIZE_MAX if there is none before the end of the file
 * or the record limit. */
static ft_status find_close(ft_reader *r, size_t open, size_t *close, ft_err *e)
{
    size_t at = open + 1;

    for (;;) {
        ft_status s = ft_source_find(&r->src, at, r->quote, close, e);
        if (s || *close == SIZE_MAX) return s;
        if (*close > r->src.max) {
            *close = SIZE_MAX;
            return FT_OK;
        }
        s = ft_source_need(&r->src, *close + 1, e);
        if (s) return s;
        if (*close + 1 >= r->src.n || ft_source_at(&r->src)[*close + 1] != r->quote) return FT_OK;
        at = *close + 2;
    }
}

/* Append [from, to) with doubled quotes made single. */
static ft_status unquote(ft_reader *r, size_t from, size_t to, ft_err *e)
{
    const char *p = ft_source_at(&r->src) + from, *end = ft_source_at(&r->src) + to;

    while (p < end) {
        const char *q = memchr(p, r->quote, (size_t)(end - p));
        const char *stop = q ? q + 1 : end; /* with the first of the two quotes */
        const ft_status s = ft_buf_add(&r->fields.text, p, (size_t)(stop - p), e);
        if (s) return s;
        p = q ? q + 2 : end;
    }
    return ft_fields_end(&r->fields, FT_CELL_STRING, e);
}

static int64_t line_at(const ft_reader *r, size_t offset)
{
    return r->src.line + ft_bytes_lines(ft_source_at(&r->src), offset);
}

/* Refuse everything up to the end of the line on which the quote at `open` stands. */
static ft_status reject_quote(ft_reader *r, size_t open, size_t error_at, const char *what, ft_err *e)
{
    ft_line line;
    const int64_t opened = line_at(r, open), at = line_at(r, error_at);
    const ft_status s = ft_source_line(&r->src, open, &line, e);

    if (s) return s;
    assert(line.next != SIZE_MAX); /* parse_record had that line already */
    return ft_reader_reject(r, line.end, line.next, at, e, "%s (the quote was opened on line %lld)", what,
                            (long long)opened);
}

/* The field at `*off`, which begins with a quote. *taken is 0 if its quotes are ordinary bytes. Else *off is behind the
 * closing quote. */
static ft_status quoted_field(ft_reader *r, size_t *off, int *taken, int *reshaped, ft_err *e)
{
    const size_t open = *off;
    size_t close;
    ft_line rest;

    *taken = 0;
    ft_status s = find_close(r, open, &close, e);
    if (s) return s;
    if (close == SIZE_MAX) {
        if (r->quoting == FT_QUOTE_IF_CLOSED) return FT_OK;
        return reject_quote(r, open, open,
                            r->src.n <= r->src.max ? "quote is never closed"
                                                   : "quote is not closed within the largest size of a record",
                            e);
    }
    const size_t after = close + 1;
    const char *p = ft_source_at(&r->src);
    if (after >= r->src.n || p[after] != r->delimiter) {
        s = ft_source_line(&r->src, after, &rest, e);
        if (s) return s;
        if (rest.end != after) {
            if (r->quoting == FT_QUOTE_IF_CLOSED) return FT_OK;
            return reject_quote(r, open, close, "text after a closing quote", e);
        }
    }
    p = ft_source_at(&r->src) + open;
    if (memchr(p, r->delimiter, close - open) || memchr(p, '\n', close - open)) *reshaped = 1;
    *taken = 1;
    *off = after;
    return unquote(r, open + 1, close, e);
}

/* ==== A record field by field ==== */

/* The field at `*off` without quotes, in a line that ends at `end`. */
static ft_status plain_field(ft_reader *r, size_t *off, size_t end, ft_err *e)
{
    const char *p = ft_source_at(&r->src) + *off, *stop = memchr(p, r->delimiter, end - *off);
    const size_t len = stop ? (size_t)(stop - p) : end - *off;
    const ft_status s = ft_buf_add(&r->fields.text, p, len, e);

    if (s) return s;
    *off += len;
    return ft_fields_end(&r->fields, FT_CELL_STRING, e);
}

static ft_status parse_record(ft_reader *r, ft_line line, record *rec, ft_err *e)
{
    size_t off = 0;

    rec->reshaped = 0;
    ft_fields_clear(&r->fields, keep_of(r));
    for (;;) {
        int taken = 0;
        ft_status s = FT_OK;
        if (off < line.end && ft_source_at(&r->src)[off] == r->quote) {
            s = quoted_field(r, &off, &taken, &rec->reshaped, e);
            if (s) return s;
        }
        if (!taken) s = plain_field(r, &off, line.end, e);
        if (s) return s;
        if (off > line.end) { /* the field ended on a later line */
            s = ft_source_line(&r->src, off, &line, e);
            if (s) return s;
            if (line.next == SIZE_MAX) return ft_reader_oversized(r, e);
        }
        if (off >= line.end) break;
        off++; /* the delimiter */
    }
    rec->end = line.end;
    rec->next = line.next;
    return FT_OK;
}

/* Does every line of [0, end) have the right number of columns if quotes are ordinary bytes? */
static int fits_without_quotes(const ft_reader *r, size_t end)
{
    const char *p = ft_source_at(&r->src), *stop = p + end;
    size_t n = 1;

    for (; p < stop; p++) {
        if (*p == r->delimiter) n++;
        if (*p != '\n') continue;
        if (n != r->n_columns) return 0;
        n = 1;
    }
    return n == r->n_columns;
}

/* Choose between the readings of a TSV record; rec is changed if the one without quotes is taken. */
static ft_status resolve(ft_reader *r, ft_line line, record *rec, ft_err *e)
{
    if (r->quoting != FT_QUOTE_IF_CLOSED || !rec->reshaped || !r->n_columns) return FT_OK;
    if (!fits_without_quotes(r, rec->end)) return FT_OK;
    if (r->fields.n == r->n_columns) {
        const int64_t last = line_at(r, rec->end);
        return ft_reader_reject(
            r, rec->end, rec->next, r->src.line, e,
            "quotes that reach to line %lld, or lines of their own? Both readings have %zu columns: "
            "say quote = \"\\\"\" if this file quotes, or quote = \"none\"",
            (long long)last, r->n_columns);
    }
    rec->end = line.end;
    rec->next = line.next;
    return split(r, line.end, e);
}

/* ==== Records ==== */

static ft_status check_count(ft_reader *r, ft_err *e)
{
    if (!r->n_columns && r->fields.n > FT_MAX_COLUMNS)
        return ft_reader_reject(r, r->raw_len, r->used, r->src.line, e, "%zu columns; at most %d are supported",
                                r->fields.n, FT_MAX_COLUMNS);
    if (r->n_columns && r->fields.n != r->n_columns)
        return ft_reader_reject(r, r->raw_len, r->used, r->src.line, e, "expected %zu field%s, got %zu", r->n_columns,
                                r->n_columns == 1 ? "" : "s", r->fields.n);
    return FT_OK;
}

/* Go to the next line that is not empty; line->next is 0 at the end of the file. */
static ft_status next_line(ft_reader *r, ft_line *line, ft_err *e)
{
    if (r->skip) {
        const ft_status s = ft_source_skip_line(&r->src, e);
        if (s) return s;
        r->skip = 0;
    }
    for (;;) {
        const ft_status s = ft_source_line(&r->src, 0, line, e);
        if (s || line->end > 0 || line->next == 0) return s;
        ft_source_take(&r->src, line->next, 1);
    }
}

static ft_status csv_next(ft_reader *r, int *got, ft_err *e)
{
    ft_line line;
    ft_status s = next_line(r, &line, e);

    if (s) return s;
    if (line.next == SIZE_MAX) return ft_reader_oversized(r, e);
    *got = line.next > 0;
    if (!*got) return FT_OK;

    record rec = { line.end, line.next, 0 };
    const int plain = r->quoting == FT_QUOTE_NEVER || !memchr(ft_source_at(&r->src), r->quote, line.end);
    if (plain) {
        s = split(r, line.end, e);
    } else {
        s = parse_record(r, line, &rec, e);
        if (!s) s = resolve(r, line, &rec, e);
    }
    if (s) return s;
    ft_reader_used(r, rec.end, rec.next, plain ? 1 : ft_bytes_lines(ft_source_at(&r->src), rec.end) + 1);
    s = ft_reader_check_text(r, rec.end, rec.next, e);
    return s ? s : check_count(r, e);
}

/* ==== Columns ==== */

/* Name the columns "1", "2", ... after the first record, which stays where it is. A bad first record is left for
 * ft_reader_next to report; the first good one then settles the columns. */
static ft_status number_columns(ft_reader *r, ft_err *e)
{
    ft_fields_clear(&r->names, FT_MAX_COLUMNS);
    for (size_t i = 1; i <= r->fields.n; i++) {
        ft_status s = ft_buf_printf(&r->names.text, e, "%zu", i);
        if (!s) s = ft_fields_end(&r->names, FT_CELL_STRING, e);
        if (s) return s;
    }
    r->n_columns = r->fields.n;
    return FT_OK;
}

static ft_status csv_open(ft_reader *r, ft_err *e)
{
    int got = 0;
    ft_status s = csv_next(r, &got, e);

    if (r->has_header) {
        if (!s && !got) s = ft_fail(e, FT_EDATA, "%s:1: the file is empty: no header", r->src.name);
        if (!s) s = ft_reader_check_names(r, &r->fields, e);
        if (s) return s;
        const ft_fields swap = r->names;
        r->names = r->fields;
        r->fields = swap;
        r->n_columns = r->names.n;
        return FT_OK;
    }
    if (s && s != FT_EDATA) return s;
    const int bad = s == FT_EDATA;
    r->used = 0;
    r->used_lines = 0;
    r->skip = r->is_bad = 0;
    return bad || !got ? FT_OK : number_columns(r, e);
}

/* Without a header and with a bad first record the columns are still unknown here. */
static ft_status csv_next_row(ft_reader *r, int *got, ft_err *e)
{
    const ft_status s = csv_next(r, got, e);
    if (s || !*got || r->n_columns) return s;
    return number_columns(r, e);
}

const ft_read_format ft_read_csv = {
    .name = "csv",
    .extensions = { ".csv" },
    .open = csv_open,
    .next = csv_next_row,
};

const ft_read_format ft_read_tsv = {
    .name = "tsv",
    .extensions = { ".tsv", ".tab" },
    .open = csv_open,
    .next = csv_next_row,
};
