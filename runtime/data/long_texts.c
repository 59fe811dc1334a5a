/* runtime/data/long_texts.c - see long_texts.h. */
#include "data/long_texts.h"

#include <string.h>

#include "core/mem.h"

/* Where the text of an encoding lies: before it `from` special tokens, behind it those from `to` on. */
typedef struct layout {
    size_t from, to, room; /* room: tokens of text in an example */
} layout;

static ft_status lay_out(const ft_encoding *x, size_t max_length, layout *at, ft_err *e)
{
    at->from = 0;
    while (at->from < x->n && x->sequence[at->from] != 0) at->from++;
    at->to = at->from;
    while (at->to < x->n && x->sequence[at->to] == 0) at->to++;
    for (size_t i = at->to; i < x->n; i++)
        if (x->sequence[i] >= 0)
            return ft_fail(e, FT_EUSAGE, "a pair of texts is %zu tokens long: only its head can be read, at most %zu",
                           x->n, max_length);
    const size_t special = at->from + (x->n - at->to);
    if (max_length <= special)
        return ft_fail(e, FT_EUSAGE, "max_length %zu leaves no room beside %zu special tokens", max_length, special);
    at->room = max_length - special;
    return FT_OK;
}

/* What stands before the text, text [a, a + n) and [b, b + m), what stands behind it. */
static ft_status add_parts(ft_tokens *tokens, const int32_t *ids, const int32_t *types, size_t total, const layout *at,
                           const size_t part[4], int32_t *scratch, ft_err *e)
{
    const int32_t *from[2] = { ids, types };
    int32_t *out[2] = { scratch, scratch + at->from + at->room + (total - at->to) };
    size_t n = 0;

    for (int k = 0; k < 2; k++) {
        const size_t piece[8] = { 0, at->from, part[0], part[1], part[2], part[3], at->to, total - at->to };
        n = 0;
        for (int p = 0; p < 8; p += 2) {
            memcpy(out[k] + n, from[k] + piece[p], piece[p + 1] * sizeof **from);
            n += piece[p + 1];
        }
    }
    return ft_tokens_add(tokens, out[0], out[1], (int64_t)n, e);
}

static ft_status add_long(ft_tokens *tokens, const ft_encoding *x, const layout *at, ft_long how, size_t stride,
                          int32_t *scratch, int64_t *n, ft_err *e)
{
    const size_t text = at->to - at->from, head = at->room / 4;
    size_t parts[4] = { at->from, at->room, at->to, 0 };

    *n = 1;
    if (how == FT_LONG_HEAD_TAIL) {
        parts[1] = head;
        parts[3] = at->room - head;
        parts[2] = at->to - parts[3];
    }
    if (how != FT_LONG_WINDOWS) return add_parts(tokens, x->ids, x->type_ids, x->n, at, parts, scratch, e);
    const size_t shared = stride < at->room ? stride : at->room / 2, fresh = at->room - shared;
    const size_t windows = 1 + (text - at->room + fresh - 1) / fresh;
    ft_status s = FT_OK;
    for (size_t w = 0; w < windows && !s; w++) {
        parts[0] = at->from + w * (text - at->room) / (windows - 1);
        s = add_parts(tokens, x->ids, x->type_ids, x->n, at, parts, scratch, e);
    }
    *n = (int64_t)windows;
    return s;
}

ft_status ft_long_add(ft_tokens *tokens, const ft_encoding *x, size_t max_length, ft_long how, size_t stride,
                      int64_t *n, ft_err *e)
{
    layout at;

    *n = 1;
    if (max_length == 0 || x->n <= max_length) return ft_tokens_add(tokens, x->ids, x->type_ids, (int64_t)x->n, e);
    ft_status s = lay_out(x, max_length, &at, e);
    if (s) return s;
    int32_t *scratch = ft_malloc(2 * max_length * sizeof *scratch);
    if (!scratch) return ft_fail_mem(e, 2 * max_length * sizeof *scratch);
    s = add_long(tokens, x, &at, how, stride, scratch, n, e);
    ft_free(scratch);
    return s;
}
