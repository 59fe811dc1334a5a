/* runtime/text/decode_metaspace.c - Metaspace: the mark becomes a blank, or nothing in the first token. */
#include <string.h>

#include "text/metaspace.h"
#include "text/part.h"
#include "text/unicode.h"

static ft_status decode_one(const ft_metaspace *m, const char *s, size_t n, bool first, ft_strings *out, ft_err *e)
{
    size_t used;
    ft_status status = ft_strings_begin(out, e);

    for (size_t i = 0; i < n && !status; i += used) {
        ft_utf8_get(s + i, &used);
        if (used != m->mark_len || memcmp(s + i, m->mark, used))
            status = ft_strings_put(out, s + i, used, e);
        else if (!first || m->prepend == FT_PREPEND_NEVER)
            status = ft_strings_put(out, " ", 1, e);
    }
    return status;
}

static ft_status metaspace_decode(const void *self, const ft_strings *in, ft_strings *out, ft_err *e)
{
    ft_status s = FT_OK;

    ft_strings_clear(out);
    for (size_t i = 0; i < in->n && !s; i++) {
        size_t n;
        const char *token = ft_strings_get(in, i, &n);
        s = decode_one(self, token, n, i == 0, out, e);
    }
    return s;
}

const ft_part_kind ft_decode_metaspace = { .type = "Metaspace", .load = ft_metaspace_load, .decode = metaspace_decode };
