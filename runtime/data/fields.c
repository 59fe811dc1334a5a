/* runtime/data/fields.c - a growing list of cells over one text buffer. */
#include "data/fields.h"

#include <stdint.h>
#include <string.h>

#include "core/mem.h"

void ft_fields_clear(ft_fields *f, size_t keep)
{
    ft_buf_clear(&f->text);
    f->from = f->stored = f->n = 0;
    f->keep = keep;
}

void ft_fields_free(ft_fields *f)
{
    ft_buf_free(&f->text);
    ft_free(f->cell);
    ft_free(f->at);
    memset(f, 0, sizeof *f);
}

static ft_status grow(ft_fields *f, ft_err *e)
{
    if (f->stored < f->cap) return FT_OK;
    const size_t cap = f->cap ? f->cap * 2 : 16;
    ft_cell *cell = ft_realloc(f->cell, cap * sizeof *cell);
    if (!cell) return ft_fail_mem(e, cap * sizeof *cell);
    f->cell = cell;
    size_t *at = ft_realloc(f->at, cap * sizeof *at);
    if (!at) return ft_fail_mem(e, cap * sizeof *at);
    f->at = at;
    f->cap = cap;
    return FT_OK;
}

/* Append a cell to the list, or only count it. */
static ft_status store(ft_fields *f, ft_cell cell, size_t at, ft_err *e)
{
    if (f->n++ >= f->keep) return FT_OK;
    const ft_status s = grow(f, e);
    if (s) return s;
    f->cell[f->stored] = cell;
    f->at[f->stored++] = at;
    return FT_OK;
}

ft_status ft_fields_end(ft_fields *f, ft_cell_kind kind, ft_err *e)
{
    const ft_cell cell = { NULL, f->text.len - f->from, kind };
    ft_status s = store(f, cell, f->from, e);
    if (!s) s = ft_buf_putc(&f->text, '\0', e);
    f->from = f->text.len;
    return s;
}

ft_status ft_fields_borrow(ft_fields *f, const char *ptr, size_t len, ft_cell_kind kind, ft_err *e)
{
    return store(f, (ft_cell){ ptr, len, kind }, SIZE_MAX, e);
}

/* The bytes are copied once; the NUL that ends each cell takes the delimiter's place. */
ft_status ft_fields_split(ft_fields *f, const char *p, size_t n, char delimiter, ft_err *e)
{
    ft_status s = ft_buf_reserve(&f->text, n + 1, e);
    if (s) return s;
    char *text = f->text.data + f->from, *end = text + n;
    memcpy(text, p, n);
    *end = '\0';
    f->text.len += n + 1;
    for (;;) {
        char *stop = memchr(text, delimiter, (size_t)(end - text));
        if (!stop) stop = end;
        const ft_cell cell = { NULL, (size_t)(stop - text), FT_CELL_STRING };
        s = store(f, cell, (size_t)(text - f->text.data), e);
        if (s || stop == end) break;
        *stop = '\0';
        text = stop + 1;
    }
    f->from = f->text.len;
    return s;
}

void ft_fields_finish(ft_fields *f)
{
    for (size_t i = 0; i < f->stored; i++)
        if (f->at[i] != SIZE_MAX) f->cell[i].ptr = f->text.data + f->at[i];
}
