/* runtime/text/encoding.c - the arrays of an encoding, truncation, windows and special tokens.
 *
 * Truncation takes place before special tokens are added, as in the reference, so that
 * those always stay.
 */
#include <string.h>

#include "core/mem.h"
#include "text/encoding.h"
#include "text/unicode.h"

void ft_encoding_init(ft_encoding *x) { memset(x, 0, sizeof *x); }

void ft_encoding_clear(ft_encoding *x)
{
    x->n = x->n_windows = x->full_length = 0;
    x->truncated = false;
}

void ft_encoding_free(ft_encoding *x)
{
    ft_free(x->ids);
    ft_free(x->type_ids);
    ft_free(x->sequence);
    ft_free(x->begin);
    ft_free(x->end);
    ft_free(x->window_at);
    memset(x, 0, sizeof *x);
}

/* ==== Growing ==== */

/* *array keeps its old size when there is no memory. */
static ft_status resize(void *array, size_t n, size_t item, ft_err *e)
{
    void *old;

    memcpy(&old, array, sizeof old);
    if (n > SIZE_MAX / item) return ft_fail_mem(e, SIZE_MAX);
    void *p = ft_realloc(old, n * item);
    if (!p) return ft_fail_mem(e, n * item);
    memcpy(array, &p, sizeof p);
    return FT_OK;
}

static size_t next_cap(size_t cap, size_t n)
{
    if (!cap) cap = 32;
    while (cap < n) cap *= 2;
    return cap;
}

static ft_status reserve(ft_encoding *x, size_t n, bool offsets, size_t windows, ft_err *e)
{
    ft_status s = FT_OK;

    if (n > x->cap) {
        const size_t cap = next_cap(x->cap, n);
        s = resize(&x->ids, cap, sizeof *x->ids, e);
        if (!s) s = resize(&x->type_ids, cap, sizeof *x->type_ids, e);
        if (!s) s = resize(&x->sequence, cap, sizeof *x->sequence, e);
        if (!s) x->cap = cap;
    }
    if (!s && offsets && (n > x->cap_offsets || !x->begin)) {
        const size_t cap = next_cap(x->cap_offsets, n);
        s = resize(&x->begin, cap, sizeof *x->begin, e);
        if (!s) s = resize(&x->end, cap, sizeof *x->end, e);
        if (!s) x->cap_offsets = cap;
    }
    if (!s && windows + 1 > x->cap_windows) {
        const size_t cap = windows == 1 ? 2 : next_cap(x->cap_windows, windows + 1);
        s = resize(&x->window_at, cap, sizeof *x->window_at, e);
        if (!s) x->cap_windows = cap;
    }
    return s;
}

/* ==== Truncation ==== */

/* How many tokens of each text a window keeps, and which text the windows slide over (-1: neither). */
typedef struct plan {
    size_t keep[2];
    int slides;
    size_t windows, step;
} plan;

static size_t at_most(size_t n, size_t most) { return n < most ? n : most; }

/* Both get the same room, and the longer one the odd token and what the shorter one leaves. */
static void longest_first(plan *p, const ft_raw *raw, size_t room)
{
    const int longer = raw[0].n > raw[1].n ? 0 : 1;
    const size_t half = room / 2, low = raw[1 - longer].n;
    const size_t small = low < half ? low : half;

    p->keep[1 - longer] = small;
    p->keep[longer] = room - small;
}

static ft_status shorten_one(plan *p, const ft_raw *raw, int which, size_t room, const char *name, ft_err *e)
{
    const size_t other = raw[1 - which].n;

    if (other >= room)
        return ft_fail(e, FT_EUSAGE,
                       "truncation %s cannot reach max_length: the other text has %zu tokens and the room is %zu", name,
                       other, room);
    p->keep[which] = room - other;
    p->slides = which;
    return FT_OK;
}

static ft_status slide(plan *p, const ft_raw *raw, const ft_encode_opts *o, ft_err *e)
{
    if (p->slides < 0) return ft_fail(e, FT_EUSAGE, "windows over a pair need truncation only_first or only_second");
    const size_t n = raw[p->slides].n, keep = p->keep[p->slides];
    if (o->stride >= keep && !o->stride_yields)
        return ft_fail(e, FT_EUSAGE, "stride %zu must be below the %zu tokens a window has for the text", o->stride,
                       keep);
    p->step = keep - (o->stride < keep ? o->stride : keep / 2);
    p->windows = 1 + (n - keep + p->step - 1) / p->step;
    return FT_OK;
}

static ft_status make_plan(plan *p, const ft_raw *raw, bool pair, size_t n_special, const ft_encode_opts *o, ft_err *e)
{
    ft_status s = FT_OK;

    *p = (plan){ .keep = { raw[0].n, raw[1].n }, .slides = -1, .windows = 1 };
    if (!o->max_length) return FT_OK;
    if (o->max_length < n_special)
        return ft_fail(e, FT_EUSAGE, "max_length %zu has no room for %zu special tokens", o->max_length, n_special);
    const size_t room = o->max_length - n_special;
    if (raw[0].n + raw[1].n <= room) return FT_OK;

    if (room == 0) {
        p->keep[0] = p->keep[1] = 0;
    } else if (o->truncation == FT_ONLY_SECOND && !pair) {
        return ft_fail(e, FT_EUSAGE, "truncation only_second needs a second text");
    } else if (o->truncation == FT_ONLY_SECOND) {
        s = shorten_one(p, raw, 1, room, "only_second", e);
    } else if (o->truncation == FT_ONLY_FIRST || !pair) {
        s = shorten_one(p, raw, 0, room, "only_first", e);
    } else {
        longest_first(p, raw, room);
    }
    return s || !o->windows ? s : slide(p, raw, o, e);
}

/* ==== Composing ==== */

static void add_special(ft_encoding *x, const ft_post_piece *p, bool offsets)
{
    x->ids[x->n] = p->id;
    x->type_ids[x->n] = p->type_id;
    x->sequence[x->n] = -1;
    if (offsets) x->begin[x->n] = x->end[x->n] = 0;
    x->n++;
}

/* The span of a token without its white space. A first token (of the window, or at the text's beginning) with one blank
 * before it keeps that, where a blank is put before texts: nothing in the text stands for it. */
static ft_span trimmed(const ft_post *post, ft_span s, ft_blanks b, bool first)
{
    const bool added = (first || s.begin == 0) && post->prefix && b.lead == 1;

    if (!added) s.begin = s.begin + b.lead < s.end ? s.begin + b.lead : s.end;
    if (s.end >= b.trail) s.end = s.end - b.trail > s.begin ? s.end - b.trail : s.begin;
    return s;
}

static void add_text(ft_encoding *x, const ft_post *post, const ft_post_piece *p, const ft_raw *raw, size_t from,
                     size_t to, bool offsets)
{
    for (size_t i = from; i < to; i++, x->n++) {
        x->ids[x->n] = raw->ids[i];
        x->type_ids[x->n] = p->type_id;
        x->sequence[x->n] = p->sequence;
        if (!offsets) continue;
        const ft_span s = post->trim ? trimmed(post, raw->spans[i], raw->blanks[i], i == from) : raw->spans[i];
        x->begin[x->n] = s.begin;
        x->end[x->n] = s.end;
    }
}

static void add_window(ft_encoding *x, const ft_post *post, const ft_template *t, const ft_raw *raw, const plan *p,
                       size_t w, const ft_encode_opts *o)
{
    for (size_t i = 0; i < t->n; i++) {
        const ft_post_piece *piece = &t->pieces[i];
        const int k = piece->sequence;
        if (k < 0) {
            if (o->add_special) add_special(x, piece, o->want_offsets);
            continue;
        }
        const size_t from = k == p->slides ? w * p->step : 0;
        add_text(x, post, piece, &raw[k], from, at_most(raw[k].n, from + p->keep[k]), o->want_offsets);
    }
}

/* Tokens of a window that keeps a and b tokens of the texts. */
static size_t window_length(const ft_template *t, size_t a, size_t b, bool special)
{
    size_t n = special ? t->n_special : 0;

    for (size_t i = 0; i < t->n; i++)
        if (t->pieces[i].sequence >= 0) n += t->pieces[i].sequence == 0 ? a : b;
    return n;
}

ft_status ft_encoding_compose(ft_encoding *x, const ft_post *post, const ft_raw *raw, bool pair,
                              const ft_encode_opts *o, ft_err *e)
{
    const ft_template *t = pair ? &post->pair : &post->single;
    plan p;
    ft_status s = make_plan(&p, raw, pair, o->add_special ? t->n_special : 0, o, e);

    if (s) return s;
    const size_t most = window_length(t, p.keep[0], p.keep[1], o->add_special);
    if (most && p.windows > SIZE_MAX / 64 / most) return ft_fail_mem(e, SIZE_MAX);
    s = reserve(x, p.windows * most, o->want_offsets, p.windows, e);
    if (s) return s;
    x->full_length = window_length(t, raw[0].n, raw[1].n, o->add_special);
    x->truncated = p.windows > 1 || p.keep[0] < raw[0].n || p.keep[1] < raw[1].n;
    for (size_t w = 0; w < p.windows; w++) {
        x->window_at[w] = x->n;
        add_window(x, post, t, raw, &p, w, o);
    }
    x->window_at[p.windows] = x->n;
    x->n_windows = p.windows;
    return FT_OK;
}

/* ==== Trimming ==== */

/* A code point of the text and the byte it begins at, moved along. */
typedef struct cursor {
    const char *s;
    size_t byte;
    uint32_t cp;
} cursor;

static void move_to(cursor *c, size_t len, uint32_t cp)
{
    size_t used;

    for (; c->cp < cp && c->byte < len; c->cp++) {
        ft_utf8_get(c->s + c->byte, &used);
        c->byte += used;
    }
    for (; c->cp > cp; c->cp--) {
        ft_utf8_before(c->s, c->byte, &used);
        c->byte -= used;
    }
}

void ft_encoding_trim(ft_encoding *x, int sequence, const char *text, size_t len)
{
    cursor c = { .s = text };
    size_t used;

    for (size_t i = 0; i < x->n; i++) {
        if (x->sequence[i] != sequence) continue;
        for (; x->begin[i] < x->end[i]; x->begin[i]++) {
            move_to(&c, len, x->begin[i]);
            if (c.byte >= len || !(ft_uc_class(ft_utf8_get(text + c.byte, &used)) & FT_UC_SPACE)) break;
        }
        for (; x->begin[i] < x->end[i]; x->end[i]--) {
            move_to(&c, len, x->end[i]);
            if (!c.byte || !(ft_uc_class(ft_utf8_before(text, c.byte, &used)) & FT_UC_SPACE)) break;
        }
    }
}
