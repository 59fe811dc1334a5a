/* runtime/text/encode.c - from text to tokens: added tokens, normaliser, words, model.
 *
 * Text between added tokens is walked in runs that end at ASCII white space. A run of
 * plain ASCII goes to the model almost as it is (about all of English); any other run is
 * normalised and pre-tokenised in full. Both give the same, because a normaliser is
 * local to white space (norm.h).
 */
#include <string.h>

#include "core/mem.h"
#include "text/encoding.h"
#include "text/unicode.h"

enum { LETTER, SPACE, PUNCT, SLOW }; /* of t->ascii */

void ft_tokenizer_plan(ft_tokenizer *t)
{
    t->fast = t->pretok == ft_pretok_bert && t->added.n_normal == 0;
    for (uint32_t c = 0; c < 128; c++) {
        const unsigned class = ft_uc_class(c);
        t->ascii[c] = LETTER;
        if (class & FT_UC_REMOVE) {
            t->ascii[c] = SLOW;
        } else if (class & FT_UC_SPACE) {
            t->ascii[c] = SPACE;
        } else if (class & FT_UC_PUNCT) {
            t->ascii[c] = PUNCT;
        }
    }
}

void ft_scratch_free(ft_scratch *s)
{
    if (!s) return;
    ft_normal_free(&s->normal);
    ft_free(s->pieces.at);
    for (int i = 0; i < 2; i++) {
        ft_free(s->raw[i].ids);
        ft_free(s->raw[i].spans);
    }
    ft_free(s);
}

/* ==== Tokens of a text ==== */

static ft_status raw_reserve(ft_raw *raw, size_t more, ft_err *e)
{
    if (raw->n + more <= raw->cap) return FT_OK;
    size_t cap = raw->cap ? raw->cap * 2 : 128;
    while (cap < raw->n + more) cap *= 2;
    int32_t *ids = ft_realloc(raw->ids, cap * sizeof *ids);
    if (!ids) return ft_fail_mem(e, cap * sizeof *ids);
    raw->ids = ids;
    ft_span *spans = ft_realloc(raw->spans, cap * sizeof *spans);
    if (!spans) return ft_fail_mem(e, cap * sizeof *spans);
    raw->spans = spans;
    raw->cap = cap;
    return FT_OK;
}

static ft_status add_token(ft_raw *raw, int32_t id, uint32_t begin, uint32_t end, ft_err *e)
{
    const ft_status s = raw_reserve(raw, 1, e);

    if (s) return s;
    raw->ids[raw->n] = id;
    raw->spans[raw->n++] = (ft_span){ begin, end };
    return FT_OK;
}

/* ==== The slow way: any text ==== */

/* Words of normal->text[from .. to). */
static ft_status add_words(const ft_tokenizer *t, ft_scratch *x, size_t from, size_t to, ft_raw *raw, ft_err *e)
{
    const ft_normal *normal = &x->normal;
    size_t at = 0, begin, end;

    while (t->pretok(normal->text + from, to - from, &at, &begin, &end)) {
        ft_status s = t->kind->split(t->model, normal->text + from + begin, end - begin, &x->pieces, e);
        if (!s) s = raw_reserve(raw, x->pieces.n, e);
        if (s) return s;
        const ft_span *span = normal->from + from + begin;
        for (size_t i = 0; i < x->pieces.n; i++) {
            const ft_piece *p = &x->pieces.at[i];
            raw->ids[raw->n] = p->id;
            raw->spans[raw->n++] = (ft_span){ span[p->begin].begin, span[p->end - 1].end };
        }
    }
    return FT_OK;
}

/* s (n bytes) begins at code point base. */
static ft_status add_slowly(const ft_tokenizer *t, const char *s, size_t n, uint32_t base, ft_scratch *x, ft_raw *raw,
                            ft_err *e)
{
    ft_status status = t->norm.apply(&t->norm, s, n, base, &x->normal, e);
    ft_added_walk walk = { 0 };
    ft_added_part part;

    if (status || t->added.n_normal == 0) return status ? status : add_words(t, x, 0, x->normal.n, raw, e);
    const ft_span *from = x->normal.from;
    while (!status && ft_added_next(&t->added, true, x->normal.text, x->normal.n, &walk, &part)) {
        if (part.token)
            status = add_token(raw, part.token->id, from[part.begin].begin, from[part.end - 1].end, e);
        else
            status = add_words(t, x, part.begin, part.end, raw, e);
    }
    return status;
}

/* ==== The fast way: runs of ASCII ==== */

/* One ASCII word, at code point base. */
static ft_status add_ascii_word(const ft_tokenizer *t, const char *word, size_t n, uint32_t base, ft_scratch *x,
                                ft_raw *raw, ft_err *e)
{
    ft_status s = t->kind->split(t->model, word, n, &x->pieces, e);

    if (!s) s = raw_reserve(raw, x->pieces.n, e);
    if (s) return s;
    for (size_t i = 0; i < x->pieces.n; i++) {
        const ft_piece *p = &x->pieces.at[i];
        raw->ids[raw->n] = p->id;
        raw->spans[raw->n++] = (ft_span){ base + p->begin, base + p->end };
    }
    return FT_OK;
}

static ft_status add_ascii_run(const ft_tokenizer *t, const char *s, size_t n, uint32_t base, ft_scratch *x,
                               ft_raw *raw, ft_err *e)
{
    ft_status status = ft_normal_reserve(&x->normal, n, e);
    const char *text = s;

    if (status) return status;
    if (t->norm.lower) {
        for (size_t i = 0; i < n; i++) {
            const char c = s[i];
            x->normal.text[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        }
        text = x->normal.text;
    }
    for (size_t i = 0; i < n && !status;) {
        size_t end = i + 1;
        if (t->ascii[(unsigned char)text[i]] != PUNCT)
            while (end < n && t->ascii[(unsigned char)text[end]] != PUNCT) end++;
        status = add_ascii_word(t, text + i, end - i, base + (uint32_t)i, x, raw, e);
        i = end;
    }
    return status;
}

static ft_status add_runs(const ft_tokenizer *t, const char *s, size_t n, uint32_t base, ft_scratch *x, ft_raw *raw,
                          ft_err *e)
{
    ft_status status = FT_OK;

    for (size_t i = 0; i < n && !status;) {
        size_t end = i;
        int slow = 0;
        for (; end < n; end++) {
            const unsigned char c = (unsigned char)s[end];
            const int kind = c < 128 ? t->ascii[c] : SLOW;
            if (kind == SPACE) break;
            slow |= kind == SLOW;
        }
        if (slow)
            status = add_slowly(t, s + i, end - i, base, x, raw, e);
        else if (end > i)
            status = add_ascii_run(t, s + i, end - i, base, x, raw, e);
        base += (uint32_t)(slow ? ft_utf8_count(s + i, end - i) : end - i) + 1;
        i = end + 1;
    }
    return status;
}

/* ==== One text ==== */

/* A byte of the text and the code point it begins, moved along. */
typedef struct place {
    size_t byte;
    uint32_t cp;
} place;

static uint32_t move(place *p, const char *s, size_t to)
{
    if (to >= p->byte)
        p->cp += (uint32_t)ft_utf8_count(s + p->byte, to - p->byte);
    else
        p->cp -= (uint32_t)ft_utf8_count(s + to, p->byte - to);
    p->byte = to;
    return p->cp;
}

ft_status ft_tokenizer_raw(const ft_tokenizer *t, const char *s, size_t n, ft_scratch *x, ft_raw *raw, ft_err *e)
{
    ft_added_walk walk = { 0 };
    ft_added_part part;
    place at = { 0, 0 };

    raw->n = 0;
    if (n > INT32_MAX / 4) return ft_fail(e, FT_EDATA, "text of %zu bytes is too long to tokenise at once", n);
    ft_status status = ft_utf8_check(s, n, e);
    while (!status && ft_added_next(&t->added, false, s, n, &walk, &part)) {
        const uint32_t begin = move(&at, s, part.begin);
        if (part.token)
            status = add_token(raw, part.token->id, begin, move(&at, s, part.end), e);
        else if (t->fast)
            status = add_runs(t, s + part.begin, part.end - part.begin, begin, x, raw, e);
        else
            status = add_slowly(t, s + part.begin, part.end - part.begin, begin, x, raw, e);
    }
    return status;
}
