/* runtime/text/norm_strip.c - what takes characters away: Strip (white space at the ends) and StripAccents (marks). */
#include "core/mem.h"
#include "text/json_get.h"
#include "text/part.h"
#include "text/unicode.h"

typedef struct strip {
    bool left, right;
} strip;

static ft_status strip_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    strip *x = *out = ft_calloc(1, sizeof *x);

    if (!x) return ft_fail_mem(e, sizeof *x);
    const ft_status s = ft_json_flag(&x->left, o, "strip_left", where, e);
    return s ? s : ft_json_flag(&x->right, o, "strip_right", where, e);
}

static ft_status strip_ends(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    const strip *x = self;
    size_t begin = 0, end = in->n, used;

    out->n = 0;
    while (x->left && begin < end && (ft_uc_class(ft_utf8_get(in->text + begin, &used)) & FT_UC_SPACE)) begin += used;
    while (x->right && end > begin && (ft_uc_class(ft_utf8_before(in->text, end, &used)) & FT_UC_SPACE)) end -= used;
    return begin < end ? ft_normal_add(out, in->text + begin, in->from + begin, end - begin, e) : FT_OK;
}

static ft_status strip_accents(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    size_t used;

    (void)self;
    out->n = 0;
    ft_status s = ft_normal_reserve(out, in->n, e);
    for (size_t i = 0; i < in->n && !s; i += used) {
        const uint32_t cp = ft_utf8_get(in->text + i, &used);
        if (!ft_uc_is_mark(cp)) s = ft_normal_add(out, in->text + i, in->from + i, used, e);
    }
    return s;
}

const ft_part_kind ft_norm_strip = { .type = "Strip", .load = strip_load, .normalise = strip_ends };
const ft_part_kind ft_norm_strip_accents = { .type = "StripAccents", .normalise = strip_accents };
