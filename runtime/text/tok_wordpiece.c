/* runtime/text/tok_wordpiece.c - WordPiece: greedy longest match from the left.
 *
 * Schuster and Nakajima, "Japanese and Korean voice search", ICASSP 2012, as BERT uses
 * it: the first piece is a token, each later one a token that begins with a prefix
 * ("##"). A word with a part that no token covers is one unknown token as a whole.
 */
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/tok_model.h"
#include "text/unicode.h"

typedef struct wordpiece {
    ft_vocab vocab;
    char *unk, *prefix;
    size_t prefix_len, max_chars;
    uint64_t prefix_hash;
    int32_t unk_id;
} wordpiece;

static void wordpiece_free(void *model)
{
    wordpiece *m = model;

    if (!m) return;
    ft_vocab_free(&m->vocab);
    ft_free(m->unk);
    ft_free(m->prefix);
    ft_free(m);
}

static ft_status read_text(char **out, size_t *len, const json_t *o, const char *key, ft_err *e)
{
    const char *text;
    const ft_status s = ft_json_text(&text, len, o, key, "model", e);

    if (s) return s;
    *out = ft_strndup(text, *len);
    return *out ? FT_OK : ft_fail_mem(e, *len);
}

static ft_status wordpiece_load(void **out, const struct json_t *o, ft_err *e)
{
    int64_t max_chars;
    size_t unk_len;
    wordpiece *m = *out = ft_calloc(1, sizeof *m);

    if (!m) return ft_fail_mem(e, sizeof *m);
    ft_status s = read_text(&m->unk, &unk_len, o, "unk_token", e);
    if (!s) s = read_text(&m->prefix, &m->prefix_len, o, "continuing_subword_prefix", e);
    if (!s) s = ft_json_int(&max_chars, o, "max_input_chars_per_word", 0, INT32_MAX, "model", e);
    if (!s) s = ft_vocab_read(&m->vocab, o, e);
    if (s) return s;

    m->max_chars = (size_t)max_chars;
    m->prefix_hash = FT_VOCAB_HASH;
    for (size_t i = 0; i < m->prefix_len; i++) m->prefix_hash = ft_vocab_hash(m->prefix_hash, m->prefix[i]);
    m->unk_id = ft_vocab_id(&m->vocab, m->unk, unk_len);
    if (m->unk_id < 0) return ft_fail(e, FT_EDATA, "the vocabulary does not have the unknown token \"%.80s\"", m->unk);
    return FT_OK;
}

static int begins_char(char byte) { return ((unsigned char)byte & 0xC0) != 0x80; }

/* The longest token that s[0..n-1] begins with, its length in *len, or -1. `inside` a word tokens carry the prefix. */
static int32_t longest(const wordpiece *m, const char *s, size_t n, int inside, size_t *len)
{
    uint64_t hash[FT_VOCAB_MAX_BYTES + 1]; /* hash[i]: of the first i bytes, with the prefix */
    const size_t skip = inside ? m->prefix_len : 0;

    if (skip > m->vocab.longest) return -1;
    const size_t room = m->vocab.longest - skip, top = n < room ? n : room;
    hash[0] = inside ? m->prefix_hash : FT_VOCAB_HASH;
    for (size_t i = 0; i < top; i++) hash[i + 1] = ft_vocab_hash(hash[i], s[i]);

    for (size_t at = top; at > 0; at--) {
        if (at < n && !begins_char(s[at])) continue;
        const int32_t id = ft_vocab_find(&m->vocab, hash[at], m->prefix, skip, s, at);
        if (id >= 0) {
            *len = at;
            return id;
        }
    }
    return -1;
}

static ft_status wordpiece_split(const void *model, const char *word, size_t n, ft_pieces *out, ft_err *e)
{
    const wordpiece *m = model;
    const int small = n <= m->max_chars || ft_utf8_count(word, n) <= m->max_chars;
    size_t at = 0, len = 0;
    const ft_status s = ft_pieces_reserve(out, small ? n : 1, e);

    if (s) return s;
    out->n = 0;
    while (small && at < n) {
        const int32_t id = longest(m, word + at, n - at, at > 0, &len);
        if (id < 0) break;
        out->at[out->n++] = (ft_piece){ id, (uint32_t)at, (uint32_t)(at + len) };
        at += len;
    }
    if (at < n) {
        out->at[0] = (ft_piece){ m->unk_id, 0, (uint32_t)n };
        out->n = 1;
    }
    return FT_OK;
}

static const ft_vocab *wordpiece_vocab(const void *model) { return &((const wordpiece *)model)->vocab; }
static const char *wordpiece_prefix(const void *model) { return ((const wordpiece *)model)->prefix; }
static const char *wordpiece_unk(const void *model) { return ((const wordpiece *)model)->unk; }

const ft_model_kind ft_model_wordpiece = {
    .type = "WordPiece",
    .load = wordpiece_load,
    .free = wordpiece_free,
    .split = wordpiece_split,
    .vocab = wordpiece_vocab,
    .unk = wordpiece_unk,
    .prefix = wordpiece_prefix,
};
