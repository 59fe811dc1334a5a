/* runtime/text/norm_prepend.c - Prepend: a string before texts that are not empty. It stands for their first character. */
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/part.h"

static ft_status prepend_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    const char *text;
    size_t n;
    const ft_status s = ft_json_text(&text, &n, o, "prepend", where, e);

    if (s) return s;
    *out = ft_strndup(text, n);
    return *out ? FT_OK : ft_fail_mem(e, n);
}

static ft_status prepend(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    const char *text = self;

    out->n = 0;
    const ft_status s = in->n ? ft_normal_add_as(out, text, strlen(text), in->from[0], e) : FT_OK;
    return s ? s : ft_normal_add(out, in->text, in->from, in->n, e);
}

const ft_part_kind ft_norm_prepend = { .type = "Prepend", .load = prepend_load, .normalise = prepend };
