/* runtime/text/wordpiece_train.c - from word counts to a vocabulary, by joining pairs of pieces.
 *
 * Counts of pairs are not taken anew for each piece: joining a pair changes the counts of
 * its neighbours in the words it stands in, and no others. The order of the words, which a
 * hash table gives, has no influence: what is joined next depends on sums and ids only.
 */
#include "text/wordpiece_train.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "text/unicode.h"
#include "text/wordpiece_pairs.h"
#include "text/wordpiece_words.h"

#define PREFIX "##"
enum { CODE_POINTS = 0x110000, SPECIALS = 5, MAX_PIECES = FT_WORD_MAX_CHARS };

/* A word as the pieces it consists of by now. */
typedef struct spelt {
    size_t at; /* its first, in pieces */
    int64_t count;
    uint32_t n;
} spelt;

typedef struct learner {
    const ft_wordpiece_opts *opts;
    const ft_word_table *from;
    ft_wordpiece_vocab *out;
    uint64_t *frequency;    /* (CODE_POINTS) of each character */
    int32_t *first, *inner; /* (CODE_POINTS) id of c, and of ##c; -1: none */
    spelt *words;           /* (n_words) those of two pieces or more */
    int32_t *pieces;
    size_t n_words;
    ft_pairs pairs;
} learner;

static bool counts(const learner *l, const ft_word *w) { return w->count >= (uint64_t)l->opts->min_word_count; }

/* ==== The alphabet ==== */

typedef struct letter {
    uint64_t count;
    uint32_t cp;
} letter;

static int by_count(const void *a, const void *b)
{
    const letter *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->cp < y->cp ? -1 : x->cp > y->cp;
}

static void count_characters(learner *l)
{
    size_t used;

    for (size_t k = 0; k < l->from->n; k++) {
        const ft_word *w = &l->from->words[k];
        const char *s = l->from->bytes.data + w->at;
        if (!counts(l, w)) continue;
        for (size_t i = 0; i < w->len; i += used) l->frequency[ft_utf8_get(s + i, &used)] += w->count;
    }
}

/* Leave limit_alphabet characters with a frequency above 0. */
static ft_status limit_alphabet(learner *l, ft_err *e)
{
    ft_wordpiece_vocab *v = l->out;
    int64_t n = 0;

    for (uint32_t c = 0; c < CODE_POINTS; c++) v->characters += l->frequency[c] > 0;
    v->alphabet = v->characters < l->opts->limit_alphabet ? v->characters : l->opts->limit_alphabet;
    letter *letters = ft_malloc((size_t)v->characters * sizeof *letters + 1);
    if (!letters) return ft_fail_mem(e, (size_t)v->characters * sizeof *letters);
    for (uint32_t c = 0; c < CODE_POINTS; c++)
        if (l->frequency[c]) letters[n++] = (letter){ l->frequency[c], c };
    qsort(letters, (size_t)n, sizeof *letters, by_count);
    for (int64_t k = v->alphabet; k < n; k++) l->frequency[letters[k].cp] = 0;
    ft_free(letters);
    return FT_OK;
}

static ft_status add_character(learner *l, const char *prefix, uint32_t cp, int32_t *id, ft_err *e)
{
    char token[8];
    const size_t n = strlen(prefix);

    memcpy(token, prefix, n);
    *id = (int32_t)l->out->vocab.n;
    return ft_vocab_add(&l->out->vocab, token, n + ft_utf8_put(token + n, cp), *id, e);
}

/* Give ids to the alphabet: first all characters, then those that stand behind another (inner: 0). */
static ft_status add_alphabet(learner *l, ft_err *e)
{
    int64_t need = SPECIALS + l->out->alphabet;
    ft_status s = FT_OK;

    for (uint32_t c = 0; c < CODE_POINTS; c++) {
        if (!l->frequency[c]) l->inner[c] = -1;
        need += l->inner[c] == 0;
    }
    if (need > l->opts->size)
        return ft_fail(e, FT_EUSAGE,
                       "a vocabulary of %lld has no room for %d special tokens and an alphabet of %lld characters, of "
                       "which %lld also continue words: want a size of %lld or more, or a smaller alphabet",
                       (long long)l->opts->size, SPECIALS, (long long)l->out->alphabet,
                       (long long)(need - SPECIALS - l->out->alphabet), (long long)need);
    for (uint32_t c = 0; c < CODE_POINTS && !s; c++) {
        l->first[c] = -1;
        if (l->frequency[c]) s = add_character(l, "", c, &l->first[c], e);
    }
    for (uint32_t c = 0; c < CODE_POINTS && !s; c++)
        if (l->inner[c] == 0) s = add_character(l, PREFIX, c, &l->inner[c], e);
    return s;
}

static void find_inner(learner *l)
{
    size_t used;

    memset(l->inner, 0xFF, CODE_POINTS * sizeof *l->inner);
    for (size_t k = 0; k < l->from->n; k++) {
        const ft_word *w = &l->from->words[k];
        const char *s = l->from->bytes.data + w->at;
        if (!counts(l, w)) continue;
        for (size_t i = 0; i < w->len; i += used) {
            const uint32_t c = ft_utf8_get(s + i, &used);
            if (i) l->inner[c] = 0;
        }
    }
}

static ft_status make_alphabet(learner *l, ft_err *e)
{
    static const char *const special[SPECIALS] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" };
    ft_status s = FT_OK;

    for (int64_t k = 0; k < SPECIALS && !s; k++) s = ft_vocab_add(&l->out->vocab, special[k], strlen(special[k]), k, e);
    if (s) return s;
    count_characters(l);
    find_inner(l);
    s = limit_alphabet(l, e);
    if (!s && !l->out->alphabet)
        s = ft_fail(e, FT_EDATA, "there are no words to learn a vocabulary from%s",
                    l->from->n ? ": all are less frequent than min_word_count" : "");
    return s ? s : add_alphabet(l, e);
}

/* ==== Words as pieces ==== */

/* The pieces of a word into p, which has room for MAX_PIECES; returns how many. */
static uint32_t spell(const learner *l, const ft_word *w, int32_t *p)
{
    const char *s = l->from->bytes.data + w->at;
    uint32_t n = 0;
    size_t used;

    for (size_t i = 0; i < w->len; i += used) {
        const uint32_t c = ft_utf8_get(s + i, &used);
        const int32_t id = i ? l->inner[c] : l->first[c];
        if (id >= 0) p[n++] = id;
    }
    return n;
}

static ft_status spell_all(learner *l, ft_err *e)
{
    const ft_word_table *t = l->from;
    int32_t word[MAX_PIECES];
    size_t total = 0;

    l->words = ft_malloc(t->n * sizeof *l->words + 1);
    l->pieces = ft_malloc(t->bytes.len * sizeof *l->pieces + 1); /* never more characters than bytes */
    if (!l->words || !l->pieces) return ft_fail_mem(e, t->n * sizeof *l->words + t->bytes.len * sizeof *l->pieces);
    for (size_t k = 0; k < t->n; k++) {
        const uint32_t n = counts(l, &t->words[k]) ? spell(l, &t->words[k], word) : 0;
        if (n < 2) continue;
        memcpy(l->pieces + total, word, n * sizeof *word);
        l->words[l->n_words++] = (spelt){ total, (int64_t)t->words[k].count, n };
        total += n;
    }
    return FT_OK;
}

static ft_status count_pairs(learner *l, ft_err *e)
{
    for (size_t k = 0; k < l->n_words; k++) {
        const spelt *w = &l->words[k];
        const int32_t *p = l->pieces + w->at;
        for (uint32_t i = 0; i + 1 < w->n; i++) {
            const ft_status s = ft_pairs_change(&l->pairs, p[i], p[i + 1], w->count, (uint32_t)k, e);
            if (s) return s;
        }
    }
    return ft_pairs_queue(&l->pairs, e);
}

/* ==== Joining ==== */

/* Make a + b a token. It cannot be one already: what lies within the bounds of a piece was joined in the same order
 * wherever those bounds are, so that all of its kind were made at once, of the same pair. */
static ft_status add_joined(learner *l, int32_t a, int32_t b, int32_t *id, ft_err *e)
{
    ft_vocab *v = &l->out->vocab;
    const ft_vocab_token *x = &v->tokens[a], *y = &v->tokens[b];
    const size_t skip = sizeof PREFIX - 1; /* b continues a word, so it has the prefix */
    char token[FT_VOCAB_MAX_BYTES];
    const size_t n = x->len + y->len - skip;

    memcpy(token, v->bytes.data + x->at, x->len);
    memcpy(token + x->len, v->bytes.data + y->at + skip, y->len - skip);
    *id = (int32_t)v->n;
    return ft_vocab_add(v, token, n, *id, e);
}

/* Two pieces of word k become one: `left` and `right` (-1: none) are the pieces around them. */
static ft_status change_around(learner *l, uint32_t k, const ft_pair *pair, int32_t id, int32_t left, int32_t right,
                               ft_err *e)
{
    const int64_t count = l->words[k].count;
    ft_pairs *p = &l->pairs;
    ft_status s = FT_OK;

    if (left >= 0) s = ft_pairs_change(p, left, pair->a, -count, k, e);
    if (left >= 0 && !s) s = ft_pairs_change(p, left, id, count, k, e);
    if (right >= 0 && !s) s = ft_pairs_change(p, pair->b, right, -count, k, e);
    if (right >= 0 && !s) s = ft_pairs_change(p, id, right, count, k, e);
    return s;
}

static ft_status join_in_word(learner *l, uint32_t k, const ft_pair *pair, int32_t id, ft_err *e)
{
    spelt *w = &l->words[k];
    int32_t *p = l->pieces + w->at;
    ft_status s = FT_OK;
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->n && !s;) {
        if (p[i] != pair->a || i + 1 == w->n || p[i + 1] != pair->b) {
            p[n++] = p[i++];
            continue;
        }
        s = change_around(l, k, pair, id, n ? p[n - 1] : -1, i + 2 < w->n ? p[i + 2] : -1, e);
        p[n++] = id;
        i += 2;
    }
    if (!s) w->n = n;
    return s;
}

/* Join the pair wherever it stands. It does not come back: its parts are made once only. */
static ft_status join(learner *l, uint32_t index, ft_err *e)
{
    const ft_pair pair = l->pairs.at[index];
    uint32_t word[FT_PAIR_WORDS];
    int32_t id;
    ft_status s = add_joined(l, pair.a, pair.b, &id, e);

    for (int n; !s && (n = ft_pairs_words(&l->pairs, index, word)) > 0;)
        for (int i = 0; i < n && !s; i++) s = join_in_word(l, word[i], &pair, id, e);
    if (s) return s;
    l->out->joined++;
    l->out->last_count = pair.count;
    return ft_pairs_queue(&l->pairs, e);
}

static ft_status learn(learner *l, ft_err *e)
{
    const size_t code_points = CODE_POINTS;
    uint32_t best;

    l->frequency = ft_calloc(code_points, sizeof *l->frequency);
    l->first = ft_malloc(code_points * sizeof *l->first);
    l->inner = ft_malloc(code_points * sizeof *l->inner);
    if (!l->frequency || !l->first || !l->inner) return ft_fail_mem(e, code_points * 16);
    ft_status s = make_alphabet(l, e);
    if (!s) s = spell_all(l, e);
    if (!s) s = count_pairs(l, e);
    while (!s && (int64_t)l->out->vocab.n < l->opts->size && ft_pairs_best(&l->pairs, &best)) s = join(l, best, e);
    return s ? s : ft_vocab_seal(&l->out->vocab, e);
}

static ft_status check_options(const ft_wordpiece_opts *o, ft_err *e)
{
    const struct {
        const char *name;
        int64_t value, max;
    } options[] = {
        { "size", o->size, FT_VOCAB_MAX_ID + 1 },
        { "min_frequency", o->min_frequency, INT64_MAX },
        { "limit_alphabet", o->limit_alphabet, INT64_MAX },
        { "min_word_count", o->min_word_count, INT64_MAX },
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].value < 1 || options[i].value > options[i].max)
            return ft_fail(e, FT_EUSAGE, "%s of a vocabulary cannot be %lld", options[i].name,
                           (long long)options[i].value);
    return FT_OK;
}

ft_status ft_wordpiece_learn(ft_word_counts *w, const ft_wordpiece_opts *opts, ft_wordpiece_vocab *out, ft_err *e)
{
    learner l = { .opts = opts, .from = &w->part[0].table, .out = out, .pairs = { .min_count = opts->min_frequency } };
    ft_word_totals totals;

    ft_wordpiece_free(out);
    out->opts = w->opts;
    ft_status s = check_options(opts, e);
    if (!s) s = ft_words_totals(w, &totals, e);
    if (!s) s = learn(&l, e);
    ft_free(l.frequency);
    ft_free(l.first);
    ft_free(l.inner);
    ft_free(l.words);
    ft_free(l.pieces);
    ft_pairs_free(&l.pairs);
    return s;
}

void ft_wordpiece_free(ft_wordpiece_vocab *v)
{
    ft_vocab_free(&v->vocab);
    memset(v, 0, sizeof *v);
}
