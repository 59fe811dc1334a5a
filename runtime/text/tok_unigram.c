/* runtime/text/tok_unigram.c - Unigram: the pieces whose probabilities have the greatest product, by Viterbi over a trie.
 *
 * Kudo, "Subword Regularization", ACL 2018, as SentencePiece does it: a character that no token covers costs the worst
 * token's score less 10, and neighbours of that kind become one unknown token. What may surprise: the id of each piece is
 * then looked up by its text, and only then comes the fallback to bytes, all with the whole piece's offsets.
 */
#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/tok_model.h"
#include "text/trie.h"
#include "text/unicode.h"

static const double unknown_penalty = 10;

typedef struct unigram {
    ft_vocab vocab;
    ft_trie trie;
    double *scores; /* by id */
    double worst;   /* of all scores */
    int32_t unk_id; /* -1: none */
    char *unk;
    int32_t bytes[256]; /* ids of <0x00> to <0xFF>, -1 where there is none */
    bool byte_fallback;
} unigram;

/* The best way to a place in the word: its score, and its last piece. */
typedef struct best {
    double score;
    int32_t begin, id; /* begin -1: not reached */
} best;

/* ==== Loading ==== */

static void unigram_free(void *model)
{
    unigram *m = model;

    if (!m) return;
    ft_vocab_free(&m->vocab);
    ft_trie_free(&m->trie);
    ft_free(m->scores);
    ft_free(m->unk);
    ft_free(m);
}

static ft_status read_piece(unigram *m, const json_t *o, size_t id, ft_err *e)
{
    const json_t *token = json_array_get(o, 0), *score = json_array_get(o, 1);

    if (json_array_size(o) != 2 || !json_is_string(token) || !json_is_number(score))
        return ft_fail(e, FT_EDATA, "model.vocab[%zu]: want [token, score]", id);
    m->scores[id] = json_number_value(score);
    if (!isfinite(m->scores[id])) return ft_fail(e, FT_EDATA, "model.vocab[%zu]: the score is not finite", id);
    if (!id || m->scores[id] < m->worst) m->worst = m->scores[id];
    const ft_status s = ft_vocab_add(&m->vocab, json_string_value(token), json_string_length(token), (int64_t)id, e);
    return s ? ft_context(e, "model.vocab[%zu]", id) : FT_OK;
}

static ft_status read_vocab(unigram *m, const json_t *o, ft_err *e)
{
    json_t *list, *piece;
    size_t i;
    ft_status s = ft_json_member(&list, o, "vocab", JSON_ARRAY, "model", e);

    if (s) return s;
    const size_t n = json_array_size(list);
    m->scores = ft_calloc(n ? n : 1, sizeof *m->scores);
    if (!m->scores) return ft_fail_mem(e, n * sizeof *m->scores);
    json_array_foreach (list, i, piece) {
        s = read_piece(m, piece, i, e);
        if (s) return s;
    }
    return ft_vocab_seal(&m->vocab, e);
}

static ft_status build_trie(unigram *m, ft_err *e)
{
    const ft_vocab *v = &m->vocab;
    ft_trie_key *keys = ft_malloc((v->n ? v->n : 1) * sizeof *keys);

    if (!keys) return ft_fail_mem(e, v->n * sizeof *keys);
    for (size_t i = 0; i < v->n; i++)
        keys[i] = (ft_trie_key){ v->bytes.data + v->tokens[i].at, v->tokens[i].len, v->tokens[i].id };
    const ft_status s = ft_trie_build(&m->trie, keys, v->n, e);
    ft_free(keys);
    return s;
}

static ft_status read_unk(unigram *m, const json_t *o, ft_err *e)
{
    const json_t *v = json_object_get(o, "unk_id");
    int64_t id;
    size_t len;

    m->unk_id = -1;
    if (!v || json_is_null(v)) return FT_OK;
    const ft_status s = ft_json_int(&id, o, "unk_id", 0, (int64_t)m->vocab.ids - 1, "model", e);
    if (s) return s;
    const char *token = ft_vocab_token_of(&m->vocab, (int32_t)id, &len);
    if (!token) return ft_fail(e, FT_EDATA, "model.unk_id: %lld is no token", (long long)id);
    m->unk_id = (int32_t)id;
    m->unk = ft_strndup(token, len);
    return m->unk ? FT_OK : ft_fail_mem(e, len);
}

static ft_status unigram_load(void **out, const struct json_t *o, ft_err *e)
{
    static const char digits[] = "0123456789ABCDEF";
    unigram *m = *out = ft_calloc(1, sizeof *m);

    if (!m) return ft_fail_mem(e, sizeof *m);
    ft_status s = read_vocab(m, o, e);
    if (!s) s = read_unk(m, o, e);
    if (!s && json_object_get(o, "byte_fallback")) s = ft_json_flag(&m->byte_fallback, o, "byte_fallback", "model", e);
    if (!s) s = build_trie(m, e);
    for (unsigned b = 0; b < 256 && !s; b++) {
        const char name[6] = { '<', '0', 'x', digits[b >> 4], digits[b & 15], '>' };
        m->bytes[b] = ft_vocab_id(&m->vocab, name, sizeof name);
    }
    return s;
}

/* ==== Viterbi ==== */

static void offer(best *at, double score, size_t begin, int32_t id)
{
    if (at->begin >= 0 && !(score > at->score)) return;
    *at = (best){ score, (int32_t)begin, id };
}

/* All pieces that begin at `begin`, the shortest first. */
static ft_status extend(const unigram *m, const char *word, size_t n, size_t begin, size_t char_len, best *ways,
                        ft_err *e)
{
    const double here = ways[begin].score;
    bool single = false; /* a token covers just the one character */
    uint32_t node = 0;

    for (size_t i = begin; i < n; i++) {
        node = ft_trie_step(&m->trie, node, word[i]);
        if (!node) break;
        const int32_t id = m->trie.nodes[node].value;
        if (id < 0) continue;
        offer(&ways[i + 1], m->scores[id] + here, begin, id);
        single |= i + 1 - begin == char_len;
    }
    if (single) return FT_OK;
    if (m->unk_id < 0) return ft_fail(e, FT_EDATA, "a character is not in the vocabulary, which has no unknown token");
    offer(&ways[begin + char_len], m->worst - unknown_penalty + here, begin, m->unk_id);
    return FT_OK;
}

/* ==== Pieces ==== */

/* Bytes [begin, end) of the word, by their text. */
static ft_status add_piece(const unigram *m, const char *word, uint32_t begin, uint32_t end, ft_pieces *out, ft_err *e)
{
    int32_t id = ft_vocab_id(&m->vocab, word + begin, end - begin);
    bool bytes = id < 0 && m->byte_fallback;

    for (uint32_t i = begin; i < end && bytes; i++) bytes = m->bytes[(unsigned char)word[i]] >= 0;
    for (uint32_t i = begin; i < end && bytes; i++)
        out->at[out->n++] = (ft_piece){ m->bytes[(unsigned char)word[i]], begin, end };
    if (bytes) return FT_OK;
    if (id < 0) id = m->unk_id;
    if (id < 0) return ft_fail(e, FT_EDATA, "a piece is not in the vocabulary, which has no unknown token");
    out->at[out->n++] = (ft_piece){ id, begin, end };
    return FT_OK;
}

/* The best way from its end to its beginning, then forward: ways[i].begin becomes the end of the piece that begins at i. */
static ft_status follow(const unigram *m, const char *word, size_t n, best *ways, ft_pieces *out, ft_err *e)
{
    ft_status s = FT_OK;
    int32_t end = (int32_t)n, id = ways[n].id;

    for (int32_t at = ways[n].begin;;) {
        const best next = ways[at];
        ways[at].begin = end;
        ways[at].id = id;
        if (!at) break;
        end = at;
        id = next.id;
        at = next.begin;
    }
    for (size_t i = 0; i < n && !s;) {
        size_t stop = (size_t)ways[i].begin;
        const bool unknown = ways[i].id == m->unk_id;
        while (unknown && stop < n && ways[stop].id == m->unk_id) stop = (size_t)ways[stop].begin;
        s = add_piece(m, word, (uint32_t)i, (uint32_t)stop, out, e);
        i = stop;
    }
    return s;
}

static ft_status unigram_split(const void *model, const char *word, size_t n, ft_pieces *out, ft_err *e)
{
    const unigram *m = model;
    size_t used;
    ft_status s = ft_pieces_work(out, (n + 1) * sizeof(best), e);

    if (!s) s = ft_pieces_reserve(out, n, e);
    if (s) return s;
    best *ways = out->work;
    for (size_t i = 0; i <= n; i++) ways[i] = (best){ 0, -1, -1 };
    for (size_t i = 0; i < n && !s; i += used) {
        ft_utf8_get(word + i, &used);
        s = extend(m, word, n, i, used, ways, e);
    }
    out->n = 0;
    return s ? s : follow(m, word, n, ways, out, e);
}

static const ft_vocab *unigram_vocab(const void *model) { return &((const unigram *)model)->vocab; }
static const char *unigram_unk(const void *model) { return ((const unigram *)model)->unk; }

const ft_model_kind ft_model_unigram = {
    .type = "Unigram",
    .cached = true,
    .load = unigram_load,
    .free = unigram_free,
    .split = unigram_split,
    .vocab = unigram_vocab,
    .unk = unigram_unk,
};
