/* runtime/text/norm_unicode.c - the four normal forms of Unicode: NFD, NFKD, NFC, NFKC.
 *
 * Unicode Standard Annex 15. What may surprise: characters are told as changes of the text in the order of the result, as in
 * the reference, so one that is reordered does not take its offsets along.
 */
#include "core/mem.h"
#include "text/part.h"
#include "text/unicode.h"

typedef enum form { NFD, NFKD, NFC, NFKC } form;

/* ==== Decomposition: characters in canonical order into out->pending, out->changes ==== */

static ft_status reserve_pending(ft_normal *t, size_t more, ft_err *e)
{
    if (t->n_pending + more <= t->pending_cap) return FT_OK;
    size_t cap = t->pending_cap ? t->pending_cap * 2 : 64;
    while (cap < t->n_pending + more) cap *= 2;
    ft_pending *p = ft_realloc(t->pending, cap * sizeof *p);
    if (!p) return ft_fail_mem(e, cap * sizeof *p);
    t->pending = p;
    p = ft_realloc(t->sorted, cap * sizeof *p);
    if (!p) return ft_fail_mem(e, cap * sizeof *p);
    t->sorted = p;
    ft_span *source = ft_realloc(t->source, cap * sizeof *source); /* grows with the others: one capacity for all */
    if (!source) return ft_fail_mem(e, cap * sizeof *source);
    t->source = source;
    t->pending_cap = cap;
    return FT_OK;
}

/* Sort those from `from` on by combining class, equals in order. */
static void sort_from(ft_normal *t, size_t from)
{
    size_t at[256] = { 0 }, sum = from;

    for (size_t i = from; i < t->n_pending; i++) at[t->pending[i].combining]++;
    for (int k = 0; k < 256; k++) {
        const size_t n = at[k];
        at[k] = sum;
        sum += n;
    }
    for (size_t i = from; i < t->n_pending; i++) t->sorted[at[t->pending[i].combining]++] = t->pending[i];
    for (size_t i = from; i < t->n_pending; i++) t->pending[i] = t->sorted[i];
}

static ft_status decompose(const ft_normal *in, ft_normal *out, bool compatible, ft_err *e)
{
    size_t used, run = 0; /* run: where characters begin that are not starters */
    ft_status s = FT_OK;

    out->n_pending = 0;
    for (size_t i = 0; i < in->n && !s; i += used) {
        uint32_t part[FT_UC_MAX_COMPAT];
        const uint32_t cp = ft_utf8_get(in->text + i, &used);
        const int n = compatible ? ft_uc_decompose_compat(cp, part) : ft_uc_decompose_if(cp, part);
        s = reserve_pending(out, (size_t)n, e);
        for (int k = 0; k < n && !s; k++) {
            const unsigned combining = ft_uc_combining(part[k]);
            if (!combining) {
                if (out->n_pending - run > 1) sort_from(out, run);
                run = out->n_pending + 1;
            }
            out->pending[out->n_pending++] = (ft_pending){ part[k], (uint8_t)combining, k > 0 };
        }
    }
    if (!s && out->n_pending > run + 1) sort_from(out, run);
    return s;
}

/* ==== Composition ==== */

/* What follows the starter at changes[starter] and could not be joined to it is kept behind it. */
static ft_status compose(ft_normal *out, ft_err *e)
{
    size_t starter = 0;
    bool has = false, blocked_by = false;
    unsigned last = 0; /* class of the latest that was kept behind the starter, with blocked_by */
    ft_status s = FT_OK;

    out->n_changes = 0;
    for (size_t i = 0; i < out->n_pending && !s; i++) {
        const ft_pending *p = &out->pending[i];
        const bool free = !blocked_by || last < p->combining;
        const uint32_t both = has && free ? ft_uc_compose(out->changes[starter].cp, p->cp) : 0;
        if (both) {
            out->changes[starter].cp = both;
            out->changes[starter].how += p->added - 1;
            continue;
        }
        s = ft_change_add(out, p->cp, p->added, e);
        if (s) break;
        if (!p->combining) {
            starter = out->n_changes - 1;
            has = true;
            blocked_by = false;
        } else if (has) {
            blocked_by = true;
            last = p->combining;
        }
    }
    return s;
}

static ft_status tell(ft_normal *out, ft_err *e)
{
    ft_status s = FT_OK;

    out->n_changes = 0;
    for (size_t i = 0; i < out->n_pending && !s; i++)
        s = ft_change_add(out, out->pending[i].cp, out->pending[i].added, e);
    return s;
}

/* ==== The whole ==== */

/* No character below is changed by the form, and none of them takes part in a composition. */
static const uint32_t unchanged_below[] = { [NFD] = 0xC0, [NFKD] = 0xA0, [NFC] = 0x300, [NFKC] = 0xA0 };

static bool unchanged(const ft_normal *in, uint32_t below)
{
    size_t used;

    for (size_t i = 0; i < in->n; i += used)
        if (ft_utf8_get(in->text + i, &used) >= below) return false;
    return true;
}

static ft_status normalise(form f, const ft_normal *in, ft_normal *out, ft_err *e)
{
    out->n = 0;
    if (unchanged(in, unchanged_below[f])) return ft_normal_add(out, in->text, in->from, in->n, e);
    ft_status s = decompose(in, out, f == NFKD || f == NFKC, e);
    if (!s) s = f == NFC || f == NFKC ? compose(out, e) : tell(out, e);
    out->n_pending = 0;
    return s ? s : ft_change_apply(in, out, 0, e);
}

static ft_status nfd(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    (void)self;
    return normalise(NFD, in, out, e);
}

static ft_status nfkd(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    (void)self;
    return normalise(NFKD, in, out, e);
}

static ft_status nfc(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    (void)self;
    return normalise(NFC, in, out, e);
}

static ft_status nfkc(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    (void)self;
    return normalise(NFKC, in, out, e);
}

const ft_part_kind ft_norm_nfd = { .type = "NFD", .normalise = nfd };
const ft_part_kind ft_norm_nfkd = { .type = "NFKD", .normalise = nfkd };
const ft_part_kind ft_norm_nfc = { .type = "NFC", .normalise = nfc };
const ft_part_kind ft_norm_nfkc = { .type = "NFKC", .normalise = nfkc };
