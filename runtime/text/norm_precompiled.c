/* runtime/text/norm_precompiled.c - Precompiled: the normaliser of SentencePiece models, by its own table of rules.
 *
 * As in the reference, a character as readers see it (a grapheme cluster) of less than 6 bytes is looked up as a whole first,
 * where the shortest beginning that has a rule stands for all of it; else each code point by itself. Offsets follow the
 * reference's way of telling replacements as changes, which is off where a rule makes something vanish at the beginning.
 */
#include "core/mem.h"
#include "text/charsmap.h"
#include "text/json_get.h"
#include "text/part.h"
#include "text/unicode.h"

typedef struct precompiled {
    ft_charsmap map;
    bool plain[128]; /* ASCII characters that no rule changes */
} precompiled;

static void precompiled_free(void *self)
{
    precompiled *p = self;

    if (p) ft_charsmap_free(&p->map);
    ft_free(p);
}

static ft_status precompiled_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    const char *text;
    size_t n;
    precompiled *p = *out = ft_calloc(1, sizeof *p);

    if (!p) return ft_fail_mem(e, sizeof *p);
    ft_status s = ft_json_text(&text, &n, o, "precompiled_charsmap", where, e);
    if (!s) s = ft_charsmap_read(&p->map, text, n, e);
    for (int c = 0; c < 128 && !s; c++) {
        const char one = (char)c;
        p->plain[c] = c != '\r' && !ft_charsmap_find(&p->map, &one, 1, &text, &n);
    }
    return s;
}

/* n characters of the text become those of `text`. */
static ft_status replace(ft_normal *out, size_t n, const char *text, size_t len, ft_err *e)
{
    const size_t m = ft_utf8_count(text, len);
    size_t used;
    ft_status s = FT_OK;

    for (size_t i = 0, k = 0; i < len && !s; i += used, k++)
        s = ft_change_add(out, ft_utf8_get(text + i, &used), k >= n, e);
    if (!s && m < n && out->n_changes) out->changes[out->n_changes - 1].how -= (int32_t)(n - m);
    return s;
}

static ft_status one_cluster(const precompiled *p, ft_normal *out, const char *s, size_t n, bool *changed, ft_err *e)
{
    const char *text;
    size_t len, used;
    ft_status status = FT_OK;

    if (n < 6 && ft_charsmap_find(&p->map, s, n, &text, &len)) {
        *changed = true;
        return replace(out, ft_utf8_count(s, n), text, len, e);
    }
    for (size_t i = 0; i < n && !status; i += used) {
        const uint32_t cp = ft_utf8_get(s + i, &used);
        if (ft_charsmap_find(&p->map, s + i, used, &text, &len)) {
            *changed = true;
            status = replace(out, 1, text, len, e);
        } else {
            status = ft_change_add(out, cp, 0, e);
        }
    }
    return status;
}

/* Bytes of the cluster that s begins with. */
static size_t cluster(const char *s, size_t n)
{
    ft_uc_cluster state = { 0 };
    size_t used, at;
    uint32_t before = ft_utf8_get(s, &at);

    while (at < n) {
        const uint32_t after = ft_utf8_get(s + at, &used);
        if (ft_uc_breaks(before, after, &state)) break;
        before = after;
        at += used;
    }
    return at;
}

static bool all_plain(const precompiled *p, const ft_normal *in)
{
    for (size_t i = 0; i < in->n; i++) {
        const unsigned char c = (unsigned char)in->text[i];
        if (c >= 128 || !p->plain[c]) return false;
    }
    return true;
}

static ft_status precompiled_normalise(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    const precompiled *p = self;
    bool changed = false;
    ft_status s = FT_OK;

    out->n = out->n_changes = 0;
    if (!all_plain(p, in)) {
        for (size_t i = 0, n; i < in->n && !s; i += n) {
            const unsigned char c = (unsigned char)in->text[i];
            const bool alone = c < 128 && p->plain[c] && (i + 1 == in->n || (unsigned char)in->text[i + 1] < 128);
            n = alone ? 1 : cluster(in->text + i, in->n - i);
            s = alone ? ft_change_add(out, c, 0, e) : one_cluster(p, out, in->text + i, n, &changed, e);
        }
    }
    if (s) return s;
    return changed ? ft_change_apply(in, out, 0, e) : ft_normal_add(out, in->text, in->from, in->n, e);
}

const ft_part_kind ft_norm_precompiled = {
    .type = "Precompiled",
    .load = precompiled_load,
    .free = precompiled_free,
    .normalise = precompiled_normalise,
};
