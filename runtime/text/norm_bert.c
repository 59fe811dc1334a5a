/* runtime/text/norm_bert.c - BertNormalizer, in one pass over the characters.
 *
 * Stripping accents is NFD without its non-spacing marks. What may surprise: characters
 * that NFD reorders do not take their offsets along. The reference aligns by place: the
 * k-th character of the result that is not a further part of a decomposed one stands for
 * the k-th character of the source.
 */
#include "text/norm.h"

#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/part.h"
#include "text/unicode.h"

enum { WORST_GROWTH = 3 }; /* normalised bytes for one byte of source: U+0390 is 2 bytes, decomposed 6 */

/* ==== After NFD: drop marks, lower, write ==== */

static void put(ft_normal *out, uint32_t cp, ft_span from)
{
    const size_t used = ft_utf8_put(out->text + out->n, cp);

    for (size_t i = 0; i < used; i++) out->from[out->n + i] = from;
    out->n += used;
}

static void finish(const ft_bert_norm *norm, ft_normal *out, uint32_t cp, ft_span from)
{
    uint32_t low[2];

    if (norm->strip && (ft_uc_class(cp) & FT_UC_MARK)) return;
    if (!norm->lower) {
        put(out, cp, from);
        return;
    }
    const int n = ft_uc_lower(cp, low);
    for (int i = 0; i < n; i++) put(out, low[i], from);
}

/* ==== NFD ==== */

static ft_status reserve_pending(ft_normal *t, ft_err *e)
{
    if (t->n_pending + FT_UC_MAX_DECOMP <= t->pending_cap) return FT_OK;
    const size_t cap = t->pending_cap ? t->pending_cap * 2 : 64;
    ft_pending *p = ft_realloc(t->pending, cap * sizeof *p);
    if (!p) return ft_fail_mem(e, cap * sizeof *p);
    t->pending = p;
    p = ft_realloc(t->sorted, cap * sizeof *p);
    if (!p) return ft_fail_mem(e, cap * sizeof *p);
    t->sorted = p;
    ft_span *source = ft_realloc(t->source, cap * sizeof *source);
    if (!source) return ft_fail_mem(e, cap * sizeof *source);
    t->source = source;
    t->pending_cap = cap;
    return FT_OK;
}

/* Sort what is pending by combining class, equals in order. The first may be a starter (class 0): it stays first. */
static void sort_pending(ft_normal *t)
{
    size_t at[256] = { 0 }, sum = 0;

    for (size_t i = 0; i < t->n_pending; i++) at[t->pending[i].combining]++;
    for (int k = 0; k < 256; k++) {
        const size_t n = at[k];
        at[k] = sum;
        sum += n;
    }
    for (size_t i = 0; i < t->n_pending; i++) t->sorted[at[t->pending[i].combining]++] = t->pending[i];
    memcpy(t->pending, t->sorted, t->n_pending * sizeof *t->pending);
}

static void flush(const ft_bert_norm *norm, ft_normal *t)
{
    size_t source = 0;

    if (t->n_pending > 1) sort_pending(t);
    for (size_t i = 0; i < t->n_pending; i++) {
        if (!t->pending[i].added) t->last = t->source[source++];
        finish(norm, t, t->pending[i].cp, t->last);
    }
    t->n_pending = t->n_source = 0;
}

/* One character of cleaned text. */
static ft_status decompose(const ft_bert_norm *norm, ft_normal *t, uint32_t cp, unsigned class, ft_span from, ft_err *e)
{
    uint32_t part[FT_UC_MAX_DECOMP] = { cp };
    const ft_status s = reserve_pending(t, e);

    if (s) return s;
    const int n = class & FT_UC_NFD ? ft_uc_decompose(cp, part) : 1;
    for (int i = 0; i < n; i++) {
        const unsigned combining = class & FT_UC_NFD ? ft_uc_combining(part[i]) : 0;
        if (!combining) flush(norm, t);
        if (i == 0) t->source[t->n_source++] = from;
        t->pending[t->n_pending++] = (ft_pending){ part[i], (uint8_t)combining, i > 0 };
    }
    return FT_OK;
}

/* ==== The whole ==== */

static ft_status one(const ft_bert_norm *norm, ft_normal *out, uint32_t cp, unsigned class, ft_span from, ft_err *e)
{
    if (norm->strip) return decompose(norm, out, cp, class, from, e);
    finish(norm, out, cp, from);
    return FT_OK;
}

ft_status ft_norm_bert(const ft_bert_norm *norm, const char *s, size_t n, uint32_t base, ft_normal *out, ft_err *e)
{
    ft_status status = ft_normal_reserve(out, n * WORST_GROWTH + 8, e);
    size_t used = 0;

    out->n = out->n_pending = out->n_source = 0;
    for (size_t i = 0; i < n && !status; i += used, base++) {
        const ft_span from = { base, base + 1 };
        uint32_t cp = ft_utf8_get(s + i, &used);
        unsigned class = ft_uc_class(cp);

        if (norm->clean && (class & FT_UC_REMOVE)) continue;
        if (norm->clean && (class & FT_UC_SPACE)) {
            cp = ' ';
            class = FT_UC_SPACE;
        }
        const int apart = norm->cjk && (class & FT_UC_CJK);
        if (apart) status = one(norm, out, ' ', FT_UC_SPACE, from, e);
        if (!status) status = one(norm, out, cp, class, from, e);
        if (!status && apart) status = one(norm, out, ' ', FT_UC_SPACE, from, e);
    }
    if (!status) flush(norm, out);
    return status;
}

/* ==== As a part ==== */

static ft_status bert_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    ft_bert_norm *n = *out = ft_calloc(1, sizeof *n);

    if (!n) return ft_fail_mem(e, sizeof *n);
    ft_status s = ft_json_flag(&n->clean, o, "clean_text", where, e);
    if (!s) s = ft_json_flag(&n->cjk, o, "handle_chinese_chars", where, e);
    if (!s) s = ft_json_flag(&n->lower, o, "lowercase", where, e);
    n->strip = n->lower; /* null follows lowercase */
    const json_t *strip = json_object_get(o, "strip_accents");
    return s || !strip || json_is_null(strip) ? s : ft_json_flag(&n->strip, o, "strip_accents", where, e);
}

/* As a later step of several: what was told of `in` holds for what it is made of. */
static ft_status bert_normalise(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    const ft_status s = ft_norm_bert(self, in->text, in->n, 0, out, e);
    size_t at = 0, cp = 0;

    for (size_t i = 0; i < out->n && !s; i++) {
        for (; cp < out->from[i].begin; cp++) { /* code points of `in`, which do not go back */
            size_t used;
            ft_utf8_get(in->text + at, &used);
            at += used;
        }
        out->from[i] = in->from[at];
    }
    return s;
}

const ft_part_kind ft_norm_bert_part = { .type = "BertNormalizer", .load = bert_load, .normalise = bert_normalise };
