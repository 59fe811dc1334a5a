/* runtime/text/word_rule.c - which tokens begin words. */
#include "text/word_rule.h"

#include <string.h>

#include "core/mem.h"
#include "text/byte_char.h"
#include "text/gpt2_words.h"
#include "text/metaspace.h"
#include "text/tok_internal.h"
#include "text/unicode.h"

/* Sorts of characters at the edges of byte-level tokens, beside ft_sort: a blank, and a part of a character. */
enum { BLANK = FT_SORT_SPACE + 1, PART };

typedef struct mark {
    const char *s;
    size_t n;
} mark;

void ft_word_kinds_free(ft_word_kinds *k)
{
    ft_free(k->role);
    ft_free(k->edges);
    memset(k, 0, sizeof *k);
}

/* ==== The rule ==== */

static ft_word_rule rule_of(const ft_tokenizer *t, mark *m)
{
    static const char blank[] = "\xC4\xA0", space[] = "\xE2\x96\x81";
    const ft_part *meta = ft_parts_find(&t->pretok, &ft_pretok_metaspace);

    if (t->kind->prefix && t->kind->prefix(t->model)) {
        *m = (mark){ t->kind->prefix(t->model), strlen(t->kind->prefix(t->model)) };
        if (m->n) return FT_WORDS_PREFIXED;
    }
    if (ft_parts_find(&t->pretok, &ft_pretok_byte_level) || ft_parts_find(&t->norm, &ft_norm_byte_level)) {
        *m = (mark){ blank, sizeof blank - 1 };
        return FT_WORDS_SORTED;
    }
    if (meta) {
        const ft_metaspace *settings = meta->self;
        *m = (mark){ settings->mark, settings->mark_len };
        return FT_WORDS_MARKED;
    }
    *m = (mark){ space, sizeof space - 1 };
    return ft_parts_find(&t->norm, &ft_norm_prepend) || ft_parts_find(&t->norm, &ft_norm_replace) ? FT_WORDS_MARKED
                                                                                                  : FT_WORDS_TOKENS;
}

static ft_word_role role_of(ft_word_rule rule, const mark *m, const char *s, size_t n)
{
    const bool has = n >= m->n && !memcmp(s, m->s, m->n);

    switch (rule) {
    case FT_WORDS_PREFIXED: return has && n > m->n ? FT_CONTINUES_WORD : FT_BEGINS_WORD;
    case FT_WORDS_TOKENS: return FT_BEGINS_WORD;
    default: return has ? FT_BEGINS_WORD : FT_CONTINUES_WORD;
    }
}

/* ==== Edges of byte-level tokens ==== */

static unsigned sort_at(const char *s, size_t n)
{
    size_t used;

    if (!ft_utf8_next(s, n, &used)) return PART;
    return s[0] == ' ' ? BLANK : (unsigned)ft_sort_of(ft_utf8_get(s, &used));
}

static unsigned edges_of(const char *token, size_t len)
{
    char bytes[FT_VOCAB_MAX_BYTES];
    size_t n = 0, used;

    for (size_t i = 0; i < len && n < sizeof bytes; i += used) {
        const int byte = ft_byte_of_char(ft_utf8_get(token + i, &used));
        if (byte < 0) return PART | PART << 4; /* no token of bytes */
        bytes[n++] = (char)byte;
    }
    if (!n) return PART | PART << 4;
    size_t last = n - 1;
    while (last && ((unsigned char)bytes[last] & 0xC0) == 0x80 && n - last < 4) last--;
    return sort_at(bytes, n) | sort_at(bytes + last, n - last) << 4;
}

/* ==== The whole ==== */

ft_status ft_word_kinds_of(ft_word_kinds *k, const ft_tokenizer *t, ft_err *e)
{
    mark m;
    const size_t size = (size_t)ft_tokenizer_vocab_size(t);

    *k = (ft_word_kinds){ .rule = rule_of(t, &m), .vocab = ft_tokenizer_vocab_size(t) };
    k->role = ft_malloc(size ? size : 1);
    k->edges = ft_calloc(size ? size : 1, 1);
    if (!k->role || !k->edges) return ft_fail_mem(e, size);
    for (int32_t id = 0; id < k->vocab; id++) {
        size_t n = 0;
        const char *s = ft_vocab_token_of(t->vocab, id, &n);
        k->role[id] = (uint8_t)(s ? role_of(k->rule, &m, s, n) : FT_NO_WORD);
        if (s && k->rule == FT_WORDS_SORTED) k->edges[id] = (uint8_t)edges_of(s, n);
    }
    for (size_t i = 0; i < t->added.n; i++) {
        const ft_added_token *a = &t->added.tokens[i];
        k->role[a->id] = (uint8_t)(a->special ? FT_NO_WORD : FT_BEGINS_WORD);
        k->edges[a->id] = PART | PART << 4;
    }
    for (int i = 0; i < FT_SPECIALS; i++) {
        const int32_t id = ft_tokenizer_special(t, (ft_special)i);
        if (id >= 0) k->role[id] = i == FT_UNK ? FT_UNKNOWN_WORD : FT_NO_WORD;
    }
    return FT_OK;
}

bool ft_word_begins(const ft_word_kinds *k, const int32_t *ids, int64_t at)
{
    const uint8_t role = k->role[ids[at]];

    if (role == FT_BEGINS_WORD) return true;
    if (role == FT_UNKNOWN_WORD && (k->rule == FT_WORDS_PREFIXED || k->rule == FT_WORDS_TOKENS)) return true;
    if (role == FT_NO_WORD || k->rule == FT_WORDS_PREFIXED) return false;
    if (at == 0 || k->role[ids[at - 1]] == FT_NO_WORD) return true;
    if (k->rule == FT_WORDS_MARKED) return false;
    const unsigned before = k->edges[ids[at - 1]] >> 4, here = k->edges[ids[at]] & 0xF;
    return before != here && before != BLANK && before != PART && here != PART;
}
