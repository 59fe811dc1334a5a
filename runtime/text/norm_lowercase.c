/* runtime/text/norm_lowercase.c - Lowercase: each character by itself, without its neighbours (no final sigma). */
#include "text/part.h"
#include "text/unicode.h"

static ft_status lowercase(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    size_t used;

    (void)self;
    out->n = 0;
    ft_status s = ft_normal_reserve(out, 2 * in->n, e); /* U+023A is 2 bytes, its small form 3; U+0130 becomes 3 */
    for (size_t i = 0; i < in->n && !s; i += used) {
        uint32_t low[2];
        char bytes[8];
        size_t len = 0;
        const int n = ft_uc_lower(ft_utf8_get(in->text + i, &used), low);
        for (int k = 0; k < n; k++) len += ft_utf8_put(bytes + len, low[k]);
        s = ft_normal_add_as(out, bytes, len, in->from[i], e);
    }
    return s;
}

const ft_part_kind ft_norm_lowercase = { .type = "Lowercase", .normalise = lowercase };
