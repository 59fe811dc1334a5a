/* runtime/data/read_jsonl.c - JSON Lines: one object a line; lines of white space are skipped. */
#include <stdint.h>

#include "data/read.h"

static int is_blank(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r') return 0;
    return 1;
}

static ft_status jsonl_next(ft_reader *r, int *got, ft_err *e)
{
    ft_line line;
    ft_status s = FT_OK;

    if (r->skip) s = ft_source_skip_line(&r->src, e);
    if (s) return s;
    r->skip = 0;
    for (;;) {
        s = ft_source_line(&r->src, 0, &line, e);
        if (s) return s;
        if (line.next == SIZE_MAX) return ft_reader_oversized(r, e);
        if (line.next == 0 || !is_blank(ft_source_at(&r->src), line.end)) break;
        ft_source_take(&r->src, line.next, 1);
    }
    *got = line.next > 0;
    if (!*got) return FT_OK;
    ft_reader_used(r, line.end, line.next, 1);
    return ft_reader_object(r, line.end, line.next, e);
}

const ft_read_format ft_read_jsonl = {
    .name = "jsonl",
    .extensions = { ".jsonl", ".ndjson" },
    .next = jsonl_next,
};
