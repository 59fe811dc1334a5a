/* runtime/data/read_lines.c - plain text: every line is a row with the one column "text". */
#include <stdint.h>

#include "data/read.h"

static ft_status lines_open(ft_reader *r, ft_err *e)
{
    const ft_status s = ft_fields_borrow(&r->names, "text", 4, FT_CELL_STRING, e);
    r->n_columns = 1;
    return s;
}

static ft_status lines_next(ft_reader *r, int *got, ft_err *e)
{
    ft_line line;

    if (r->skip) {
        const ft_status s = ft_source_skip_line(&r->src, e);
        if (s) return s;
        r->skip = 0;
    }
    ft_status s = ft_source_line(&r->src, 0, &line, e);
    if (s) return s;
    if (line.next == SIZE_MAX) return ft_reader_oversized(r, e);
    *got = line.next > 0;
    if (!*got) return FT_OK;

    s = ft_reader_check_text(r, line.end, line.next, e);
    if (s) return s;
    ft_fields_clear(&r->fields, 1);
    s = ft_buf_add(&r->fields.text, ft_source_at(&r->src), line.end, e);
    if (!s) s = ft_fields_end(&r->fields, FT_CELL_STRING, e);
    ft_reader_used(r, line.end, line.next, 1);
    return s;
}

const ft_read_format ft_read_lines = {
    .name = "lines",
    .extensions = { ".txt" },
    .open = lines_open,
    .next = lines_next,
};
