/* runtime/text/word_split.c - pieces (runs of letters and digits, single symbols), and words made of them. */
#include "text/word_split.h"

#include <stdbool.h>
#include <string.h>

#include "core/mem.h"
#include "text/unicode.h"

void ft_word_spans_free(ft_word_spans *w)
{
    ft_free(w->at);
    memset(w, 0, sizeof *w);
}

static ft_status add(ft_word_spans *w, uint32_t begin, uint32_t end, ft_err *e)
{
    if (w->n == w->cap) {
        const size_t cap = w->cap ? 2 * w->cap : 64;
        uint32_t *at = ft_realloc(w->at, 2 * cap * sizeof *at);
        if (!at) return ft_fail_mem(e, 2 * cap * sizeof *at);
        w->at = at;
        w->cap = cap;
    }
    w->at[2 * w->n] = begin;
    w->at[2 * w->n++ + 1] = end;
    return FT_OK;
}

/* ==== Pieces ==== */

typedef enum kind { GAP, LETTERS, SYMBOL } kind;

typedef struct piece {
    kind kind;
    uint32_t begin, end;
    uint32_t first; /* its first code point */
    bool apart;     /* must not join what stands before it: a gap, an ideograph or a cut lies between */
} piece;

typedef struct splitter {
    const char *text;
    size_t len, at; /* bytes */
    uint32_t i;     /* code points before `at` */
    const uint32_t *cuts;
    size_t n_cuts;
    uint32_t last; /* code point before, 0 at the beginning */
    ft_uc_cluster cluster;
    bool after_ideograph;
} splitter;

/* Formats and controls, which tokenisers drop, belong to whatever they stand in. */
static bool is_dropped(uint32_t cp) { return (ft_uc_class(cp) & (FT_UC_REMOVE | FT_UC_SPACE)) == FT_UC_REMOVE; }

static kind kind_of(uint32_t cp)
{
    const unsigned c = ft_uc_class(cp);

    if (c & FT_UC_SPACE) return GAP;
    if (c & FT_UC_CJK) return SYMBOL;
    return ft_uc_is_alnum(cp) || c & (FT_UC_WORD | FT_UC_MARK) ? LETTERS : SYMBOL;
}

static bool is_cut(splitter *s)
{
    while (s->n_cuts && *s->cuts < s->i) s->cuts++, s->n_cuts--;
    return s->n_cuts && *s->cuts == s->i;
}

/* The next piece, of kind GAP at the end of the text. */
static piece next_piece(splitter *s)
{
    piece p = { .kind = GAP };

    while (s->at < s->len) {
        size_t used;
        const uint32_t cp = ft_utf8_get(s->text + s->at, &used);
        ft_uc_cluster before = s->cluster;
        const bool ends = s->i == 0 || ft_uc_breaks(s->last, cp, &s->cluster);
        const bool cut = is_cut(s), dropped = is_dropped(cp);
        const kind k = kind_of(cp);
        if (p.kind == GAP) {
            if (k != GAP && !dropped)
                p = (piece){ k, s->i, s->i + 1, cp, cut || s->after_ideograph || s->i == 0 || p.apart };
            else
                p.apart = true;
        } else if (k == GAP || cut || (ends && !dropped && (k != p.kind || k == SYMBOL))) {
            s->cluster = before; /* it is looked at again */
            break;
        } else
            p.end = s->i + 1;
        s->last = cp;
        s->at += used;
        s->i++;
    }
    s->after_ideograph = p.kind != GAP && ft_uc_class(p.first) & FT_UC_CJK;
    p.apart |= s->after_ideograph;
    return p;
}

/* ==== Words of several pieces ==== */

static bool is_digit(uint32_t cp) { return cp >= '0' && cp <= '9'; }

static bool joins(uint32_t symbol, const piece *before, const piece *after)
{
    if (symbol == ',' || symbol == ':') return is_digit(before->first) && is_digit(after->first);
    return symbol == 0x2019 || (symbol < 128 && memchr(".'-/&@#_+", (int)symbol, 9));
}

static bool is_possessive(const piece *apostrophe, const piece *s)
{
    return (apostrophe->first == '\'' || apostrophe->first == 0x2019) && s->end - s->begin == 1 &&
           (s->first == 's' || s->first == 'S');
}

/* Whether piece k is a symbol that holds its neighbours together: "U.N", "Paris-based", "1,000". */
static bool is_between(const piece *p, size_t n, size_t k)
{
    return k + 1 < n && p[k + 1].kind == LETTERS && !p[k + 1].apart && joins(p[k].first, &p[k - 1], &p[k + 1]) &&
           !is_possessive(&p[k], &p[k + 1]);
}

/* The full stop of an initial: "J.", and the last one of "U.N." */
static bool is_stop(const piece *initial, const piece *stop)
{
    return stop->first == '.' && initial->end - initial->begin == 1 && !is_digit(initial->first);
}

/* Behind the last piece of the word that begins with piece i. */
static size_t word_end(const piece *p, size_t n, size_t i)
{
    if (p[i].kind == SYMBOL) {
        const bool followed = i + 1 < n && p[i + 1].kind == LETTERS && !p[i + 1].apart;
        if (!followed || !(p[i].first == '@' || p[i].first == '#' || is_possessive(&p[i], &p[i + 1]))) return i + 1;
        i++;
    }
    while (i + 1 < n && p[i + 1].kind == SYMBOL && !p[i + 1].apart) {
        if (is_between(p, n, i + 1))
            i += 2;
        else
            return is_stop(&p[i], &p[i + 1]) ? i + 2 : i + 1;
    }
    return i + 1;
}

static ft_status all_pieces(splitter *s, piece **out, size_t *n, ft_err *e)
{
    size_t cap = 0;

    *out = NULL;
    *n = 0;
    for (piece p = next_piece(s); p.kind != GAP; p = next_piece(s)) {
        if (*n == cap) {
            cap = cap ? 2 * cap : 64;
            piece *more = ft_realloc(*out, cap * sizeof *more);
            if (!more) return ft_fail_mem(e, cap * sizeof *more);
            *out = more;
        }
        (*out)[(*n)++] = p;
    }
    return FT_OK;
}

ft_status ft_word_split(const char *text, size_t len, ft_word_style style, const uint32_t *cuts, size_t n_cuts,
                        ft_word_spans *out, ft_err *e)
{
    splitter s = { .text = text, .len = len, .cuts = cuts, .n_cuts = n_cuts };
    piece *p = NULL;
    size_t n = 0;

    out->n = 0;
    ft_status status = ft_utf8_check(text, len, e);
    if (!status) status = all_pieces(&s, &p, &n, e);
    for (size_t i = 0, end; i < n && !status; i = end) {
        end = style == FT_WORDS_FINE ? i + 1 : word_end(p, n, i);
        status = add(out, p[i].begin, p[end - 1].end, e);
    }
    ft_free(p);
    return status;
}
