/* runtime/data/fields.h - the cells of one record while it is taken apart.
 *
 * Text of cells lies end to end in one buffer that may move while it grows; cells
 * point into it only after ft_fields_finish. Memory is kept from record to record.
 */
#ifndef FT_DATA_FIELDS_H
#define FT_DATA_FIELDS_H

#include <stddef.h>

#include "core/buf.h"
#include "data/reader.h"

typedef struct ft_fields {
    ft_buf text; /* the current cell is text[from .. text.len) until ft_fields_end */
    size_t from;
    ft_cell *cell; /* ptr is valid after finish */
    size_t *at;    /* where a cell's text begins in `text`; SIZE_MAX: ptr is borrowed */
    size_t stored, cap;
    size_t n; /* cells seen; those from `keep` on are counted and not stored */
    size_t keep;
} ft_fields;

/* Forget all cells. At most `keep` cells of the next record will be stored. */
void ft_fields_clear(ft_fields *f, size_t keep);
void ft_fields_free(ft_fields *f);

/* End the cell whose bytes were added to f->text since the last end. */
ft_status ft_fields_end(ft_fields *f, ft_cell_kind kind, ft_err *e);

/* A cell whose bytes live elsewhere, at least as long as the row. */
ft_status ft_fields_borrow(ft_fields *f, const char *ptr, size_t len, ft_cell_kind kind, ft_err *e);

/* Add cells by splitting n bytes at every delimiter. */
ft_status ft_fields_split(ft_fields *f, const char *p, size_t n, char delimiter, ft_err *e);

/* Let all cells point at their text. */
void ft_fields_finish(ft_fields *f);

#endif
