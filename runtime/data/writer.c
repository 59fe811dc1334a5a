/* runtime/data/writer.c - CSV, TSV and JSON Lines, a row at a time.
 *
 * CSV and TSV end lines with LF: RFC 4180 names CRLF, but every reader takes LF and
 * tools that work by lines prefer it.
 */
#include "data/writer.h"

#include <string.h>

#include <jansson.h>

#include "core/mem.h"
#include "core/nearest.h"
#include "data/bytes.h"
#include "data/json_text.h"

typedef ft_status put_row(ft_writer *w, const ft_cell *cells, ft_err *e);

struct ft_writer {
    FILE *f;
    char *name;
    put_row *put;
    char delimiter;  /* csv, tsv */
    ft_cell *column; /* the names */
    size_t n;
    int64_t rows; /* written so far */
    ft_buf line;
};

/* ==== CSV and TSV ==== */

/* Must the cell stand in quotes? A byte order mark would be taken for one at the start of the file. */
static int needs_quotes(const ft_writer *w, const ft_cell *c)
{
    if (c->len == 0) return w->n == 1; /* an empty line would be skipped */
    if (c->ptr[0] == '"' || (unsigned char)c->ptr[0] == 0xEF) return 1;
    if (w->delimiter == ',' && memchr(c->ptr, '"', c->len)) return 1;
    return memchr(c->ptr, w->delimiter, c->len) || memchr(c->ptr, '\n', c->len) || memchr(c->ptr, '\r', c->len);
}

static ft_status put_quoted(ft_buf *b, const ft_cell *c, ft_err *e)
{
    const char *p = c->ptr, *end = p + c->len;
    ft_status s = ft_buf_putc(b, '"', e);

    while (!s && p < end) {
        const char *q = memchr(p, '"', (size_t)(end - p)), *stop = q ? q + 1 : end;
        s = ft_buf_add(b, p, (size_t)(stop - p), e);
        if (!s && q) s = ft_buf_putc(b, '"', e);
        p = stop;
    }
    return s ? s : ft_buf_putc(b, '"', e);
}

static ft_status put_delimited(ft_writer *w, const ft_cell *cells, ft_err *e)
{
    ft_status s = FT_OK;

    for (size_t i = 0; !s && i < w->n; i++) {
        const ft_cell *c = &cells[i];
        if (i) s = ft_buf_putc(&w->line, w->delimiter, e);
        if (s) break;
        if (c->len && needs_quotes(w, c))
            s = put_quoted(&w->line, c, e);
        else if (c->len)
            s = ft_buf_add(&w->line, c->ptr, c->len, e);
        else if (needs_quotes(w, c))
            s = ft_buf_puts(&w->line, "\"\"", e);
    }
    return s;
}

/* ==== JSON Lines ==== */

static int is_of_kind(const json_t *v, ft_cell_kind kind)
{
    if (kind == FT_CELL_NUMBER) return json_is_number(v);
    if (kind == FT_CELL_BOOL) return json_is_boolean(v);
    return 1;
}

/* A number, boolean or nested value: parsed to be sure of it, and written anew in compact form. */
static ft_status put_parsed(ft_writer *w, size_t i, const ft_cell *c, ft_err *e)
{
    static const char *const kinds[] = { "text", "a number", "a boolean", "null", "JSON" };
    json_error_t err;
    json_t *v = json_loadb(c->len ? c->ptr : "", c->len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &err);
    ft_status s;

    if (!v && json_error_code(&err) == json_error_out_of_memory) return ft_fail_mem(e, c->len);
    if (v && is_of_kind(v, c->kind))
        s = ft_json_put_value(&w->line, v, e);
    else
        s = ft_fail(e, FT_EDATA, "%s: row %lld, column \"%s\" is not %s", w->name, (long long)w->rows + 1,
                    w->column[i].ptr, kinds[c->kind]);
    json_decref(v);
    return s;
}

static ft_status put_object(ft_writer *w, const ft_cell *cells, ft_err *e)
{
    ft_status s = ft_buf_putc(&w->line, '{', e);

    for (size_t i = 0; !s && i < w->n; i++) {
        const ft_cell *c = &cells[i];
        if (i) s = ft_buf_putc(&w->line, ',', e);
        if (!s) s = ft_json_put_string(&w->line, w->column[i].ptr, w->column[i].len, e);
        if (!s) s = ft_buf_putc(&w->line, ':', e);
        if (s) break;
        if (c->kind == FT_CELL_NULL)
            s = ft_buf_puts(&w->line, "null", e);
        else if (c->kind == FT_CELL_STRING)
            s = ft_json_put_string(&w->line, c->len ? c->ptr : "", c->len, e);
        else
            s = put_parsed(w, i, c, e);
    }
    return s ? s : ft_buf_putc(&w->line, '}', e);
}

/* ==== Rows ==== */

static ft_status check_cells(const ft_writer *w, const ft_cell *cells, ft_err *e)
{
    for (size_t i = 0; i < w->n; i++)
        if (cells[i].len && ft_bytes_check(cells[i].ptr, cells[i].len) != cells[i].len)
            return ft_fail(e, FT_EDATA, "%s: row %lld, column \"%s\" is not text: a NUL byte or broken UTF-8", w->name,
                           (long long)w->rows + 1, w->column[i].ptr);
    return FT_OK;
}

ft_status ft_writer_row(ft_writer *w, const ft_cell *cells, ft_err *e)
{
    ft_status s = check_cells(w, cells, e);

    ft_buf_clear(&w->line);
    if (!s) s = w->put(w, cells, e);
    if (!s) s = ft_buf_putc(&w->line, '\n', e);
    if (s) return s;
    if (fwrite(w->line.data, 1, w->line.len, w->f) != w->line.len) return ft_fail_errno(e, "cannot write %s", w->name);
    w->rows++;
    return FT_OK;
}

/* ==== Opening and closing ==== */

static void release(ft_writer *w)
{
    for (size_t i = 0; w->column && i < w->n; i++) ft_free((char *)(uintptr_t)w->column[i].ptr);
    ft_free(w->column);
    ft_free(w->name);
    ft_buf_free(&w->line);
    ft_free(w);
}

static ft_status choose_format(ft_writer *w, const char *format, ft_err *e)
{
    static const char *const known[] = { "csv", "tsv", "jsonl" };

    if (!format) format = "";
    w->delimiter = !strcmp(format, "tsv") ? '\t' : ',';
    w->put = !strcmp(format, "jsonl") ? put_object : put_delimited;
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(format, known[i])) return FT_OK;
    const char *near = ft_nearest(format, known, 3);
    return ft_fail(e, FT_EUSAGE, "rows cannot be written as \"%s\"; choose csv, tsv or jsonl%s%s%s", format,
                   near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

static ft_status take_names(ft_writer *w, const ft_writer_opts *o, ft_err *e)
{
    if (!o->n_names) return ft_fail(e, FT_EUSAGE, "%s: rows need at least one column", w->name);
    w->column = ft_calloc(o->n_names, sizeof *w->column);
    if (!w->column) return ft_fail_mem(e, o->n_names * sizeof *w->column);
    w->n = o->n_names;
    for (size_t i = 0; i < w->n; i++) {
        for (size_t k = 0; k < i; k++)
            if (!strcmp(o->names[i], o->names[k]))
                return ft_fail(e, FT_EUSAGE, "%s: two columns are named \"%s\"", w->name, o->names[i]);
        char *name = ft_strdup(o->names[i]);
        if (!name) return ft_fail_mem(e, strlen(o->names[i]));
        w->column[i] = (ft_cell){ name, strlen(name), FT_CELL_STRING };
    }
    return FT_OK;
}

ft_status ft_writer_open(ft_writer **out, FILE *f, const char *name, const ft_writer_opts *o, ft_err *e)
{
    *out = NULL;
    ft_writer *w = ft_calloc(1, sizeof *w);
    if (!w) return ft_fail_mem(e, sizeof *w);
    w->f = f;
    w->name = ft_strdup(name);
    ft_status s = w->name ? FT_OK : ft_fail_mem(e, strlen(name));
    if (!s) s = choose_format(w, o->format, e);
    if (!s) s = take_names(w, o, e);
    if (!s && w->put == put_delimited && !o->no_header) {
        s = ft_writer_row(w, w->column, e);
        w->rows = 0;
    }
    if (s)
        release(w);
    else
        *out = w;
    return s;
}

ft_status ft_writer_open_atomic(ft_writer **out, ft_atomic *a, const ft_writer_opts *o, ft_err *e)
{
    return ft_writer_open(out, a->f, a->path, o, e);
}

ft_status ft_writer_close(ft_writer *w, ft_err *e)
{
    ft_status s = FT_OK;

    if (!w) return FT_OK;
    if (fflush(w->f) || ferror(w->f)) s = ft_fail_errno(e, "cannot write %s", w->name);
    release(w);
    return s;
}
