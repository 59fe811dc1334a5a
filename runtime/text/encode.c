/* runtime/text/encode.c - from text to tokens: added tokens, normaliser, words, model.
 *
 * Text between added tokens is walked in runs that end at ASCII white space. A run of
 * plain ASCII goes to the model almost as it is (about all of English); any other run is
 * normalised and pre-tokenised in full. Both give the same, because a normaliser is
 * local to white space (norm.h).
 */
#include <string.h>

#include "core/mem.h"
#include "text/byte_char.h"
#include "text/encoding.h"
#include "text/unicode.h"

enum { LETTER, SPACE, PUNCT, SLOW }; /* of t->ascii */

/* White space at both ends of a token, with what stands for a blank in byte-level vocabularies. */
static ft_blanks blanks_of(const char *s, size_t n)
{
    ft_blanks b = { 0, 0 };
    size_t used, at = 0;

    for (; at < n; at += used, b.lead++) {
        const uint32_t cp = ft_utf8_get(s + at, &used);
        if (cp != FT_BYTE_BLANK && !(ft_uc_class(cp) & FT_UC_SPACE)) break;
        if (b.lead == UINT16_MAX) break;
    }
    for (at = n; at > 0; at -= used, b.trail++) {
        const uint32_t cp = ft_utf8_before(s, at, &used);
        if (cp != FT_BYTE_BLANK && !(ft_uc_class(cp) & FT_UC_SPACE)) break;
        if (b.trail == UINT16_MAX) break;
    }
    return b;
}

static ft_status find_blanks(ft_tokenizer *t, ft_err *e)
{
    const size_t n = (size_t)t->vocab->ids;

    t->blanks = ft_calloc(n ? n : 1, sizeof *t->blanks);
    if (!t->blanks) return ft_fail_mem(e, n * sizeof *t->blanks);
    for (int32_t id = 0; id < t->vocab->ids; id++) {
        size_t len;
        const char *s = ft_vocab_token_of(t->vocab, id, &len);
        if (s) t->blanks[id] = blanks_of(s, len);
    }
    return FT_OK;
}

ft_status ft_tokenizer_plan(ft_tokenizer *t, ft_err *e)
{
    const ft_part *bert = ft_parts_find(&t->norm, &ft_norm_bert_part);
    const bool plain = !t->norm.n || ft_parts_only(&t->norm, &ft_norm_bert_part);

    t->fast = plain && ft_parts_only(&t->pretok, &ft_pretok_bert) && t->added.n_normal == 0 && !t->post.trim;
    t->lower = bert && ((const ft_bert_norm *)bert->self)->lower;
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
    return t->post.trim ? find_blanks(t, e) : FT_OK;
}

void ft_scratch_free(ft_scratch *s)
{
    if (!s) return;
    ft_chunks_free(&s->words);
    ft_pieces_free(&s->pieces);
    ft_word_cache_free(&s->cache);
    for (int i = 0; i < 2; i++) {
        ft_free(s->raw[i].ids);
        ft_free(s->raw[i].spans);
        ft_free(s->raw[i].blanks);
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
    ft_blanks *blanks = ft_realloc(raw->blanks, cap * sizeof *blanks);
    if (!blanks) return ft_fail_mem(e, cap * sizeof *blanks);
    raw->blanks = blanks;
    raw->cap = cap;
    return FT_OK;
}

static ft_status add_token(ft_raw *raw, const ft_chunk *c, ft_err *e)
{
    const ft_status s = raw_reserve(raw, 1, e);

    if (s) return s;
    raw->ids[raw->n] = c->token->id;
    raw->blanks[raw->n] = (ft_blanks){ c->lead, c->trail };
    raw->spans[raw->n++] = c->from;
    return FT_OK;
}

/* An added token that was found as s[0..n). */
static ft_chunk token_chunk(const ft_tokenizer *t, const ft_added_token *token, const char *s, size_t n, ft_span from)
{
    const ft_blanks b = t->post.trim ? blanks_of(s, n) : (ft_blanks){ 0, 0 };
    return (ft_chunk){ .token = token, .from = from, .lead = b.lead, .trail = b.trail };
}

/* ==== The slow way: any text ==== */

/* Bytes [begin, begin + n) of the normalised text, as the model splits them. */
static ft_status add_pieces(const ft_tokenizer *t, ft_scratch *x, size_t begin, size_t n, ft_raw *raw, ft_err *e)
{
    const char *word = x->words.normal.text + begin;
    ft_status s = t->kind->cached ? ft_word_cache_split(&x->cache, t->kind, t->model, word, n, &x->pieces, e)
                                  : t->kind->split(t->model, word, n, &x->pieces, e);

    if (!s) s = raw_reserve(raw, x->pieces.n, e);
    if (s) return s;
    const ft_span *from = x->words.normal.from + begin;
    for (size_t i = 0; i < x->pieces.n; i++) {
        const ft_piece *p = &x->pieces.at[i];
        if (t->blanks) raw->blanks[raw->n] = t->blanks[p->id];
        raw->ids[raw->n] = p->id;
        raw->spans[raw->n++] = (ft_span){ from[p->begin].begin, from[p->end - 1].end };
    }
    return FT_OK;
}

/* One word of the normalised text. */
static ft_status add_word(const ft_tokenizer *t, ft_scratch *x, const ft_chunk *c, ft_raw *raw, ft_err *e)
{
    ft_status s = FT_OK;

    for (size_t at = c->begin, n; at < c->end && !s; at += n) {
        n = c->end - at;
        if (t->kind->alone) n = t->kind->alone(t->model, x->words.normal.text + at, n);
        s = add_pieces(t, x, at, n, raw, e);
    }
    return s;
}

/* The text between added tokens, and those that are looked for in normalised text. */
static ft_status find_chunks(const ft_tokenizer *t, ft_chunks *w, ft_err *e)
{
    const ft_normal *normal = &w->normal;
    ft_added_walk walk = { 0 };
    ft_added_part part;
    ft_status s = FT_OK;

    w->n_next = 0;
    if (t->added.n_normal == 0) s = ft_chunks_add_text(w, 0, normal->n, e);
    while (t->added.n_normal && !s && ft_added_next(&t->added, true, normal->text, normal->n, &walk, &part)) {
        if (!part.token) {
            s = ft_chunks_add_text(w, part.begin, part.end, e);
            continue;
        }
        const ft_span from = { normal->from[part.begin].begin, normal->from[part.end - 1].end };
        const ft_chunk c = token_chunk(t, part.token, normal->text + part.begin, part.end - part.begin, from);
        s = ft_chunks_add(w, &c, e);
    }
    ft_chunks_swap_parts(w);
    return s;
}

/* s (n bytes) begins at code point base. */
static ft_status add_slowly(const ft_tokenizer *t, const char *s, size_t n, uint32_t base, ft_scratch *x, ft_raw *raw,
                            ft_err *e)
{
    ft_chunks *w = &x->words;
    ft_status status = ft_normal_set(&w->normal, s, n, base, e);

    if (!status) status = ft_parts_normalise(&t->norm, &w->normal, &w->spare, e);
    if (!status) status = find_chunks(t, w, e);
    for (size_t i = 0; i < t->pretok.n && !status; i++) status = t->pretok.at[i].kind->cut(t->pretok.at[i].self, w, e);
    for (size_t i = 0; i < w->n && !status; i++)
        status = w->at[i].token ? add_token(raw, &w->at[i], e) : add_word(t, x, &w->at[i], raw, e);
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
    ft_status status = ft_normal_reserve(&x->words.normal, n, e);
    const char *text = s;

    if (status) return status;
    if (t->lower) {
        for (size_t i = 0; i < n; i++) {
            const char c = s[i];
            x->words.normal.text[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        }
        text = x->words.normal.text;
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
        if (part.token) {
            const ft_span from = { begin, move(&at, s, part.end) };
            const ft_chunk c = token_chunk(t, part.token, s + part.begin, part.end - part.begin, from);
            status = add_token(raw, &c, e);
        } else if (t->fast) {
            status = add_runs(t, s + part.begin, part.end - part.begin, begin, x, raw, e);
        } else {
            status = add_slowly(t, s + part.begin, part.end - part.begin, begin, x, raw, e);
        }
    }
    return status;
}
