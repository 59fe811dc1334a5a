/* runtime/text/tok_bpe.c - byte pair encoding: the best-ranked pair of neighbours is joined first, again and again.
 *
 * Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL 2016. Pairs wait in a heap,
 * so a word of n characters costs n log n, also where a whole text is one word. Dropout is no part of inference and is
 * refused. What may surprise: a character that the vocabulary lacks is left out where there is no unknown token, and the
 * offsets of what follows move, as in the reference.
 */
#include <string.h>

#include "core/mem.h"
#include "text/bpe_merges.h"
#include "text/json_get.h"
#include "text/tok_model.h"
#include "text/unicode.h"

typedef struct bpe {
    ft_vocab vocab;
    ft_bpe_merges merges;
    char *unk, *prefix, *suffix; /* unk NULL: none; the others may be empty */
    size_t prefix_len, suffix_len;
    int32_t unk_id;
    int32_t bytes[256]; /* ids of <0x00> to <0xFF>, -1 where there is none */
    bool fuse_unk, byte_fallback, whole_first;
    bool apart; /* no token holds a blank's mark behind another character: texts can be cut before those */
} bpe;

/* A part of the word; those joined to the part before them have length 0. */
typedef struct symbol {
    int32_t id, before, after; /* neighbours, -1 at the ends */
    uint32_t len;
} symbol;

typedef struct candidate {
    uint32_t rank, at; /* at: the left symbol of the pair */
    int32_t id;        /* that the two become */
} candidate;

typedef struct work {
    symbol *symbols;
    candidate *heap;
    size_t n, n_heap;
    bool lacks; /* an unknown token is due, and the vocabulary does not have it */
} work;

/* ==== Loading ==== */

static void bpe_free(void *model)
{
    bpe *m = model;

    if (!m) return;
    ft_vocab_free(&m->vocab);
    ft_bpe_merges_free(&m->merges);
    ft_free(m->unk);
    ft_free(m->prefix);
    ft_free(m->suffix);
    ft_free(m);
}

/* A string or, where it is absent or null, nothing: *out stays NULL. */
static ft_status read_text(char **out, size_t *len, const json_t *o, const char *key, ft_err *e)
{
    const char *text;
    const json_t *v = json_object_get(o, key);

    *len = 0;
    if (!v || json_is_null(v)) return FT_OK;
    const ft_status s = ft_json_text(&text, len, o, key, "model", e);
    if (s) return s;
    if (*len > FT_VOCAB_MAX_BYTES) return ft_fail(e, FT_EDATA, "model.%s: more than %d bytes", key, FT_VOCAB_MAX_BYTES);
    *out = ft_strndup(text, *len);
    return *out ? FT_OK : ft_fail_mem(e, *len);
}

static ft_status read_flag(bool *out, const json_t *o, const char *key, ft_err *e)
{
    const json_t *v = json_object_get(o, key);
    return !v || json_is_null(v) ? FT_OK : ft_json_flag(out, o, key, "model", e);
}

static ft_status read_settings(bpe *m, const json_t *o, ft_err *e)
{
    size_t len;
    const json_t *dropout = json_object_get(o, "dropout");

    if (dropout && !json_is_null(dropout) && !(json_is_number(dropout) && json_number_value(dropout) == 0))
        return ft_fail(e, FT_EDATA, "model.dropout is not supported: set it to null");
    ft_status s = read_text(&m->unk, &len, o, "unk_token", e);
    if (!s) s = read_text(&m->prefix, &m->prefix_len, o, "continuing_subword_prefix", e);
    if (!s) s = read_text(&m->suffix, &m->suffix_len, o, "end_of_word_suffix", e);
    if (!s) s = read_flag(&m->fuse_unk, o, "fuse_unk", e);
    if (!s) s = read_flag(&m->byte_fallback, o, "byte_fallback", e);
    if (!s) s = read_flag(&m->whole_first, o, "ignore_merges", e);
    if (!s && m->byte_fallback && (m->prefix_len || m->suffix_len))
        s = ft_fail(e, FT_EDATA, "model.byte_fallback is not supported with a prefix or suffix of words");
    return s;
}

static const char mark[] = "\xE2\x96\x81"; /* that stands for a blank */
enum { MARK = sizeof mark - 1 };

static bool at_mark(const char *s, size_t n) { return n >= MARK && !memcmp(s, mark, MARK); }

/* Whether a mark stands in s behind a character that is none. */
static const char *inner_mark(const char *s, size_t n)
{
    for (const char *at = s, *stop = s + n; (at = memmem(at, (size_t)(stop - at), mark, MARK)); at += MARK)
        if (at > s && (at < s + MARK || !at_mark(at - MARK, MARK))) return at;
    return NULL;
}

static bool can_be_cut(const bpe *m)
{
    if (m->whole_first || m->prefix_len || m->suffix_len || ft_vocab_id(&m->vocab, mark, MARK) < 0) return false;
    for (size_t i = 0; i < m->vocab.n; i++)
        if (inner_mark(m->vocab.bytes.data + m->vocab.tokens[i].at, m->vocab.tokens[i].len)) return false;
    return true;
}

static void find_bytes(bpe *m)
{
    static const char digits[] = "0123456789ABCDEF";

    for (unsigned b = 0; b < 256; b++) {
        const char name[6] = { '<', '0', 'x', digits[b >> 4], digits[b & 15], '>' };
        m->bytes[b] = ft_vocab_id(&m->vocab, name, sizeof name);
    }
}

static ft_status bpe_load(void **out, const struct json_t *o, ft_err *e)
{
    bpe *m = *out = ft_calloc(1, sizeof *m);

    if (!m) return ft_fail_mem(e, sizeof *m);
    ft_status s = read_settings(m, o, e);
    if (!s) s = ft_vocab_read(&m->vocab, o, e);
    if (!s) s = ft_bpe_merges_read(&m->merges, &m->vocab, m->prefix_len, o, e);
    if (s) return s;
    find_bytes(m);
    m->apart = can_be_cut(m);
    m->unk_id = m->unk ? ft_vocab_id(&m->vocab, m->unk, strlen(m->unk)) : -1;
    return FT_OK;
}

/* ==== Characters of a word ==== */

static void add_symbol(work *w, int32_t id, size_t len)
{
    const int32_t k = (int32_t)w->n++;

    w->symbols[k] = (symbol){ id, k - 1, -1, (uint32_t)len };
    if (k) w->symbols[k - 1].after = k;
}

/* The id of a character, with what is put around it inside and at the end of a word. */
static int32_t char_id(const bpe *m, const char *s, size_t len, bool first, bool last)
{
    char text[2 * FT_VOCAB_MAX_BYTES + 4];
    size_t n = 0;

    if ((first || !m->prefix_len) && (!last || !m->suffix_len)) return ft_vocab_id(&m->vocab, s, len);
    if (!first && m->prefix_len) memcpy(text, m->prefix, n = m->prefix_len);
    memcpy(text + n, s, len);
    n += len;
    if (last && m->suffix_len) {
        memcpy(text + n, m->suffix, m->suffix_len);
        n += m->suffix_len;
    }
    return ft_vocab_id(&m->vocab, text, n);
}

/* A character as tokens of its bytes; false if one of them is not in the vocabulary. */
static bool add_bytes(const bpe *m, work *w, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (m->bytes[(unsigned char)s[i]] < 0) return false;
    for (size_t i = 0; i < len; i++) add_symbol(w, m->bytes[(unsigned char)s[i]], 1);
    return true;
}

static void add_chars(const bpe *m, work *w, const char *word, size_t n)
{
    size_t unknown = 0, used; /* bytes that wait to become one unknown token */

    for (size_t i = 0; i < n; i += used) {
        ft_utf8_get(word + i, &used);
        const int32_t id = char_id(m, word + i, used, i == 0, i + used == n);
        if (id >= 0) {
            if (unknown) add_symbol(w, m->unk_id, unknown);
            unknown = 0;
            add_symbol(w, id, used);
        } else if (m->byte_fallback && add_bytes(m, w, word + i, used)) {
            continue;
        } else if (m->unk) {
            if (unknown && !m->fuse_unk) add_symbol(w, m->unk_id, unknown);
            unknown = unknown && m->fuse_unk ? unknown + used : used;
            w->lacks = m->unk_id < 0;
        }
    }
    if (unknown) add_symbol(w, m->unk_id, unknown);
}

/* ==== Joining ==== */

static bool sooner(const candidate *a, const candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void sift_up(candidate *heap, size_t i)
{
    const candidate x = heap[i];

    for (; i && sooner(&x, &heap[(i - 1) / 4]); i = (i - 1) / 4) heap[i] = heap[(i - 1) / 4];
    heap[i] = x;
}

static void sift_down(candidate *heap, size_t n)
{
    const candidate x = heap[0];
    size_t i = 0;

    for (;;) {
        const size_t first = 4 * i + 1, stop = first + 4 < n ? first + 4 : n;
        size_t best = first;
        if (first >= n) break;
        for (size_t k = first + 1; k < stop; k++)
            if (sooner(&heap[k], &heap[best])) best = k;
        if (!sooner(&heap[best], &x)) break;
        heap[i] = heap[best];
        i = best;
    }
    heap[i] = x;
}

/* If the symbol at `at` and the one behind it can be joined, they wait for it. */
static void propose(const bpe *m, work *w, int32_t at)
{
    const symbol *s = &w->symbols[at];
    const ft_bpe_merge *merge = ft_bpe_merges_find(&m->merges, s->id, w->symbols[s->after].id);

    if (!merge) return;
    w->heap[w->n_heap] = (candidate){ merge->rank, (uint32_t)at, merge->id };
    sift_up(w->heap, w->n_heap++);
}

static void join(const bpe *m, work *w, const candidate *c)
{
    symbol *left = &w->symbols[c->at];

    if (!left->len || left->after < 0) return;
    symbol *right = &w->symbols[left->after];
    const ft_bpe_merge *merge = ft_bpe_merges_find(&m->merges, left->id, right->id);
    if (!merge || merge->id != c->id) return; /* one of the two has changed since */
    left->id = c->id;
    left->len += right->len;
    left->after = right->after;
    right->len = 0;
    if (right->after >= 0) w->symbols[right->after].before = (int32_t)c->at;
    if (left->before >= 0) propose(m, w, left->before);
    if (left->after >= 0) propose(m, w, (int32_t)c->at);
}

static void join_all(const bpe *m, work *w)
{
    for (size_t i = 0; i + 1 < w->n; i++) propose(m, w, (int32_t)i);
    while (w->n_heap) {
        const candidate best = w->heap[0];
        w->heap[0] = w->heap[--w->n_heap];
        if (w->n_heap) sift_down(w->heap, w->n_heap);
        join(m, w, &best);
    }
}

/* ==== The whole ==== */

/* A pair is proposed once at the start and at most twice for each that is joined: 3 n proposals. */
static ft_status begin(work *w, size_t n, ft_pieces *out, ft_err *e)
{
    const ft_status s = ft_pieces_work(out, n * (sizeof(symbol) + 3 * sizeof(candidate)), e);

    if (s) return s;
    *w = (work){ .symbols = out->work };
    w->heap = (candidate *)(void *)(w->symbols + n);
    return ft_pieces_reserve(out, n, e);
}

static ft_status bpe_split(const void *model, const char *word, size_t n, ft_pieces *out, ft_err *e)
{
    const bpe *m = model;
    work w;
    uint32_t at = 0;
    const ft_status s = begin(&w, n, out, e);

    if (s) return s;
    out->n = 0;
    const int32_t whole = m->whole_first ? ft_vocab_id(&m->vocab, word, n) : -1;
    if (whole >= 0) {
        out->at[out->n++] = (ft_piece){ whole, 0, (uint32_t)n };
        return FT_OK;
    }
    add_chars(m, &w, word, n);
    if (w.lacks) return ft_fail(e, FT_EDATA, "the vocabulary does not have the unknown token \"%.80s\"", m->unk);
    join_all(m, &w);
    for (size_t i = 0; i < w.n; i++) {
        const symbol *x = &w.symbols[i];
        if (!x->len) continue;
        out->at[out->n++] = (ft_piece){ x->id, at, at + x->len };
        at += x->len;
    }
    return FT_OK;
}

/* Pairs across such a place are never joined, and the mark, being a token, ends a run of unknown characters. */
static size_t bpe_alone(const void *model, const char *word, size_t n)
{
    const char *cut = ((const bpe *)model)->apart ? inner_mark(word, n) : NULL;
    return cut ? (size_t)(cut - word) : n;
}

static const ft_vocab *bpe_vocab(const void *model) { return &((const bpe *)model)->vocab; }
static const char *bpe_prefix(const void *model) { return ((const bpe *)model)->prefix; }
static const char *bpe_unk(const void *model) { return ((const bpe *)model)->unk; }

const ft_model_kind ft_model_bpe = {
    .type = "BPE",
    .cached = true,
    .load = bpe_load,
    .free = bpe_free,
    .split = bpe_split,
    .alone = bpe_alone,
    .vocab = bpe_vocab,
    .unk = bpe_unk,
    .prefix = bpe_prefix,
};
