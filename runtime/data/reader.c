/* runtime/data/reader.c - options, the common part of every format, and lookups in a row. */
#include "data/reader.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "core/nearest.h"
#include "data/bytes.h"
#include "data/read.h"

static const ft_read_format *const formats[] = { &ft_read_csv, &ft_read_tsv, &ft_read_jsonl, &ft_read_json,
                                                 &ft_read_lines };
static const char *const format_names[] = { "auto", "csv", "tsv", "jsonl", "json", "lines" };

enum { N_FORMATS = sizeof formats / sizeof *formats, DEFAULT_RECORD = 64 << 20 };

/* ==== Options ==== */

static int is_auto(const char *option) { return !option || !strcmp(option, "auto"); }

/* A delimiter or quote: one printable ASCII byte or a tab. */
static int is_mark(const char *s) { return s[0] && !s[1] && (s[0] == '\t' || (s[0] >= ' ' && s[0] <= '~')); }

static int is_number(const char *s)
{
    if (*s < '1' || *s > '9') return 0;
    return strspn(s, "0123456789") == strlen(s);
}

static const ft_read_format *format_named(const char *name)
{
    for (size_t i = 0; i < N_FORMATS; i++)
        if (!strcmp(formats[i]->name, name)) return formats[i];
    return NULL;
}

static const ft_read_format *format_of_path(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');

    for (size_t i = 0; dot && i < N_FORMATS; i++)
        for (size_t k = 0; k < 3 && formats[i]->extensions[k]; k++)
            if (!strcasecmp(dot, formats[i]->extensions[k])) return formats[i];
    return NULL;
}

/* The first byte that is no white space, without taking anything; 0 if there is none. */
static ft_status first_byte(ft_source *src, char *c, ft_err *e)
{
    *c = '\0';
    for (size_t i = 0;; i++) {
        const ft_status s = ft_source_need(src, i, e);
        if (s || i >= src->n) return s;
        *c = ft_source_at(src)[i];
        if (!strchr(" \t\r\n", *c) || !*c) return FT_OK;
    }
}

static ft_status choose_format(ft_reader *r, const char *path, const char *name, ft_err *e)
{
    char c;

    if (!is_auto(name)) {
        r->format = format_named(name);
        if (r->format) return FT_OK;
        const char *near = ft_nearest(name, format_names, N_FORMATS + 1);
        return ft_fail(e, FT_EUSAGE, "format \"%s\" is not known; choose auto, csv, tsv, jsonl, json or lines%s%s%s",
                       name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
    }
    const int is_stdin = !strcmp(path, "-");
    r->format = is_stdin ? &ft_read_lines : format_of_path(path);
    if (!r->format)
        return ft_fail(e, FT_EUSAGE,
                       "%s: the name does not tell the format; say format = csv, tsv, jsonl, json or lines", path);
    if (!is_stdin && r->format != &ft_read_json) return FT_OK;
    const ft_status s = first_byte(&r->src, &c, e);
    if (!s && c == '{') r->format = &ft_read_jsonl;
    return s;
}

static ft_status choose_marks(ft_reader *r, const ft_reader_opts *o, ft_err *e)
{
    const int tsv = r->format == &ft_read_tsv;

    r->delimiter = tsv ? '\t' : ',';
    r->quote = '"';
    r->quoting = tsv ? FT_QUOTE_IF_CLOSED : FT_QUOTE_STRICT;
    if (!is_auto(o->delimiter)) {
        const char *mark = !strcmp(o->delimiter, "tab") ? "\t" : o->delimiter;
        if (!is_mark(mark))
            return ft_fail(e, FT_EUSAGE, "delimiter must be one ASCII character or tab, not \"%s\"", mark);
        r->delimiter = mark[0];
    }
    if (!is_auto(o->quote)) {
        const int none = !strcmp(o->quote, "none");
        if (!none && !is_mark(o->quote))
            return ft_fail(e, FT_EUSAGE, "quote must be auto, none or one ASCII character, not \"%s\"", o->quote);
        r->quoting = none ? FT_QUOTE_NEVER : FT_QUOTE_STRICT;
        if (!none) r->quote = o->quote[0];
    }
    if (r->quoting != FT_QUOTE_NEVER && r->quote == r->delimiter)
        return ft_fail(e, FT_EUSAGE, "quote and delimiter are both \"%c\"", r->quote);
    return FT_OK;
}

static ft_status choose_header(ft_reader *r, const ft_reader_opts *o, ft_err *e)
{
    r->has_header = 1;
    if (!is_auto(o->header)) {
        r->has_header = !strcmp(o->header, "yes");
        if (!r->has_header && strcmp(o->header, "no"))
            return ft_fail(e, FT_EUSAGE, "header must be auto, yes or no, not \"%s\"", o->header);
    } else if (o->n_columns) {
        size_t numbers = 0;
        for (size_t i = 0; i < o->n_columns; i++) numbers += is_number(o->columns[i]) != 0;
        r->has_header = numbers < o->n_columns;
    }
    return FT_OK;
}

/* ==== For the formats ==== */

void ft_reader_used(ft_reader *r, size_t raw, size_t used, int64_t lines)
{
    r->raw_len = raw;
    r->used = used;
    r->used_lines = lines;
}

ft_status ft_reader_reject(ft_reader *r, size_t raw, size_t used, int64_t line, ft_err *e, const char *fmt, ...)
{
    char what[sizeof e->msg];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    ft_reader_used(r, raw, used, ft_bytes_lines(ft_source_at(&r->src), used));
    r->bad = (ft_bad_row){ r->src.line, ft_source_at(&r->src), raw, r->skip };
    r->is_bad = 1;
    return ft_fail(e, FT_EDATA, "%s:%lld: %s", r->src.name, (long long)line, what);
}

ft_status ft_reader_oversized(ft_reader *r, ft_err *e)
{
    const size_t have = r->src.max < r->src.n ? r->src.max : r->src.n;

    r->skip = 1;
    return ft_reader_reject(r, have, have, r->src.line, e, "the record is larger than %zu bytes", r->src.max);
}

ft_status ft_reader_check_text(ft_reader *r, size_t raw, size_t used, ft_err *e)
{
    const char *p = ft_source_at(&r->src);
    const size_t at = ft_bytes_check(p, raw);

    if (at == raw) return FT_OK;
    const int64_t line = r->src.line + ft_bytes_lines(p, at);
    const char *lf = memrchr(p, '\n', at);
    const size_t column = lf ? at - (size_t)(lf - p) : r->src.column + at + 1;
    if (p[at] == '\0') return ft_reader_reject(r, raw, used, line, e, "a NUL byte at byte %zu of the line", column);
    if (r->src.charset != FT_CHARSET_UTF8)
        return ft_reader_reject(r, raw, used, line, e,
                                "not UTF-16: half of a character after %zu bytes (as UTF-8) of the line", column - 1);
    return ft_reader_reject(r, raw, used, line, e, "not UTF-8: byte 0x%02X at byte %zu of the line",
                            (unsigned char)p[at], column);
}

static int compare_cells(const void *a, const void *b)
{
    return strcmp((*(const ft_cell *const *)a)->ptr, (*(const ft_cell *const *)b)->ptr);
}

ft_status ft_reader_check_names(ft_reader *r, ft_fields *f, ft_err *e)
{
    const ft_cell **sorted = ft_malloc((f->stored + 1) * sizeof *sorted);
    ft_status s = FT_OK;

    if (!sorted) return ft_fail_mem(e, (f->stored + 1) * sizeof *sorted);
    ft_fields_finish(f);
    for (size_t i = 0; i < f->stored; i++) sorted[i] = &f->cell[i];
    qsort(sorted, f->stored, sizeof *sorted, compare_cells);
    for (size_t i = 1; !s && i < f->stored; i++)
        if (sorted[i]->len && !strcmp(sorted[i - 1]->ptr, sorted[i]->ptr))
            s = ft_reader_reject(r, r->raw_len, r->used, r->src.line, e, "two columns are named \"%.200s\"",
                                 sorted[i]->ptr);
    ft_free(sorted);
    return s;
}

/* ==== Reading ==== */

ft_status ft_reader_open(ft_reader **out, const char *path, const ft_reader_opts *o, ft_err *e)
{
    static const ft_reader_opts defaults;

    *out = NULL;
    if (!o) o = &defaults;
    ft_reader *r = ft_calloc(1, sizeof *r);
    if (!r) return ft_fail_mem(e, sizeof *r);
    r->names.keep = SIZE_MAX;
    r->row.reader = r;
    ft_status s = ft_source_open(&r->src, path, o->encoding, o->max_record ? o->max_record : DEFAULT_RECORD, e);
    if (!s) s = choose_format(r, path, o->format, e);
    if (!s) s = choose_marks(r, o, e);
    if (!s) s = choose_header(r, o, e);
    if (!s && r->format->open) s = r->format->open(r, e);
    if (s) {
        ft_reader_close(r);
        return s;
    }
    ft_fields_finish(&r->names);
    *out = r;
    return FT_OK;
}

static void drop_row(ft_reader *r)
{
    while (r->extra) {
        ft_extra_cell *x = r->extra;
        r->extra = x->next;
        ft_free(x);
    }
    ft_reader_drop_object(r);
    if (r->used) ft_source_take(&r->src, r->used, r->used_lines);
    ft_reader_used(r, 0, 0, 0);
    r->is_bad = 0;
}

ft_status ft_reader_next(ft_reader *r, const ft_row **row, ft_err *e)
{
    int got = 0;

    *row = NULL;
    drop_row(r);
    if (r->out_of_memory) {
        r->out_of_memory = 0;
        return ft_fail_mem(e, sizeof(ft_extra_cell));
    }
    const ft_status s = r->format->next(r, &got, e);
    if (s && s != FT_EDATA) ft_reader_used(r, 0, 0, 0); /* the record is still to be read */
    if (s || !got) return s;
    ft_fields_finish(&r->names);
    ft_fields_finish(&r->fields);
    r->row.line = r->src.line;
    r->row.n = r->fields.stored;
    r->row.names = r->names.cell;
    r->row.cells = r->fields.cell;
    r->row.raw = ft_source_at(&r->src);
    r->row.raw_len = r->raw_len;
    *row = &r->row;
    return FT_OK;
}

const ft_bad_row *ft_reader_bad(const ft_reader *r) { return r->is_bad ? &r->bad : NULL; }

size_t ft_reader_columns(const ft_reader *r, const ft_cell **names)
{
    *names = r->names.cell;
    return r->n_columns;
}

const char *ft_reader_format(const ft_reader *r) { return r->format->name; }

void ft_reader_close(ft_reader *r)
{
    if (!r) return;
    drop_row(r);
    ft_fields_free(&r->names);
    ft_fields_free(&r->fields);
    ft_source_close(&r->src);
    ft_free(r);
}

/* ==== Lookups ==== */

const ft_cell *ft_row_get(const ft_row *row, const char *name)
{
    const size_t len = strlen(name);

    for (size_t i = 0; i < row->n; i++)
        if (row->names[i].len == len && !memcmp(row->names[i].ptr, name, len)) return &row->cells[i];
    if (is_number(name)) {
        const unsigned long k = strtoul(name, NULL, 10);
        return k <= row->n ? &row->cells[k - 1] : NULL;
    }
    return ft_reader_path(row->reader, name);
}

/* The name nearest to a missing one, "" if none is near: in JSON also a path into objects. */
static ft_status nearest_column(const ft_row *row, const char *name, char *near, size_t size, ft_err *e)
{
    ft_fields paths = { .keep = SIZE_MAX };
    const char **names = NULL;
    size_t n = 0;

    ft_status s = ft_reader_paths(row->reader, &paths, e);
    if (s) goto out;
    names = ft_malloc((row->n + paths.stored + 1) * sizeof *names);
    if (!names) {
        s = ft_fail_mem(e, (row->n + paths.stored + 1) * sizeof *names);
        goto out;
    }
    for (size_t i = 0; i < row->n; i++) names[n++] = row->names[i].ptr;
    for (size_t i = 0; i < paths.stored; i++) names[n++] = paths.cell[i].ptr;
    const char *found = ft_nearest(name, names, n);
    snprintf(near, size, "%s", found ? found : "");
out:
    ft_free(names);
    ft_fields_free(&paths);
    return s;
}

static ft_status no_column(const ft_row *row, const char *name, ft_err *e)
{
    const char *file = row->reader->src.name;
    char near[256];

    const ft_status s = nearest_column(row, name, near, sizeof near, e);
    if (s) return s;
    return ft_fail(e, FT_EDATA, "%s:%lld: there is no column \"%s\"%s%s%s", file, (long long)row->line, name,
                   *near ? " (did you mean \"" : "", near, *near ? "\"?)" : "");
}

ft_status ft_row_need(const ft_row *row, const char *name, const ft_cell **cell, ft_err *e)
{
    *cell = ft_row_get(row, name);
    if (*cell) return FT_OK;
    if (row->reader->out_of_memory) return ft_fail_mem(e, sizeof(ft_extra_cell));
    return no_column(row, name, e);
}

/* "review" is an object: a path into it, where it has any. */
static ft_status no_text(const ft_row *row, const char *name, ft_err *e)
{
    const char *file = row->reader->src.name;
    ft_fields paths = { .keep = SIZE_MAX };
    const size_t n = strlen(name);
    const char *inner = NULL;

    const ft_status s = ft_reader_paths(row->reader, &paths, e);
    for (size_t i = 0; i < paths.stored && !inner; i++)
        if (!strncmp(paths.cell[i].ptr, name, n) && paths.cell[i].ptr[n] == '.') inner = paths.cell[i].ptr;
    if (!s)
        ft_fail(e, FT_EDATA, "%s:%lld: \"%s\" is an object, no text%s%s%s", file, (long long)row->line, name,
                inner ? "; name a field of it, as in \"" : "", inner ? inner : "", inner ? "\"" : "");
    ft_fields_free(&paths);
    return e->code;
}

ft_status ft_row_need_text(const ft_row *row, const char *name, const ft_cell **cell, ft_err *e)
{
    const ft_status s = ft_row_need(row, name, cell, e);
    return !s && (*cell)->kind == FT_CELL_JSON && *(*cell)->ptr == '{' ? no_text(row, name, e) : s;
}
