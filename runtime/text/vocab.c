/* runtime/text/vocab.c - open addressing with linear probing, at most half full. */
#include "text/vocab.h"

#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"

/* FNV's low bits are weak for short strings: spread the hash before it picks a slot. */
static uint64_t spread(uint64_t h)
{
    h ^= h >> 32;
    h *= 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t hash_all(const char *s, size_t n)
{
    uint64_t h = FT_VOCAB_HASH;

    for (size_t i = 0; i < n; i++) h = ft_vocab_hash(h, s[i]);
    return h;
}

/* The slot that holds a + b, or the free one where it belongs. The table has a free slot. */
static size_t slot_of(const ft_vocab *v, uint64_t h, const char *a, size_t a_len, const char *b, size_t b_len)
{
    const uint64_t k = spread(h);
    size_t at = (size_t)k & v->mask;

    for (; v->slots[at].token >= 0; at = (at + 1) & v->mask) {
        if (v->slots[at].tag != (uint32_t)(k >> 32)) continue;
        const ft_vocab_token *t = &v->tokens[v->slots[at].token];
        const char *s = v->bytes.data + t->at;
        if (t->len == a_len + b_len && (!a_len || !memcmp(s, a, a_len)) && !memcmp(s + a_len, b, b_len)) break;
    }
    return at;
}

static void place(ft_vocab *v, size_t index)
{
    const ft_vocab_token *t = &v->tokens[index];
    const char *s = v->bytes.data + t->at;
    const uint64_t h = hash_all(s, t->len);
    const size_t at = slot_of(v, h, "", 0, s, t->len);

    v->slots[at].tag = (uint32_t)(spread(h) >> 32);
    v->slots[at].token = (int32_t)index;
}

/* Room for one more token. */
static ft_status grow(ft_vocab *v, ft_err *e)
{
    if (v->n < v->cap) return FT_OK;
    const size_t cap = v->cap ? v->cap * 2 : 1024, slots = cap * 2;
    ft_vocab_token *t = ft_realloc(v->tokens, cap * sizeof *t);
    if (!t) return ft_fail_mem(e, cap * sizeof *t);
    v->tokens = t;
    ft_vocab_slot *s = ft_malloc(slots * sizeof *s);
    if (!s) return ft_fail_mem(e, slots * sizeof *s);
    for (size_t i = 0; i < slots; i++) s[i].token = -1;
    ft_free(v->slots);
    v->slots = s;
    v->cap = cap;
    v->mask = slots - 1;
    for (size_t i = 0; i < v->n; i++) place(v, i);
    return FT_OK;
}

ft_status ft_vocab_add(ft_vocab *v, const char *token, size_t len, int64_t id, ft_err *e)
{
    const int shown = len < 80 ? (int)len : 80;

    if (len > FT_VOCAB_MAX_BYTES)
        return ft_fail(e, FT_EDATA, "token \"%.*s...\" has %zu bytes, more than %d", shown, token, len,
                       FT_VOCAB_MAX_BYTES);
    if (id < 0 || id > FT_VOCAB_MAX_ID)
        return ft_fail(e, FT_EDATA, "token \"%.*s\" has id %lld, not 0 to %d", shown, token, (long long)id,
                       FT_VOCAB_MAX_ID);

    ft_status s = grow(v, e);
    if (s) return s;
    const size_t at = slot_of(v, hash_all(token, len), "", 0, token, len);
    if (v->slots[at].token >= 0) {
        v->tokens[v->slots[at].token].id = (int32_t)id;
    } else {
        const size_t where = v->bytes.len;
        if (where > UINT32_MAX - FT_VOCAB_MAX_BYTES) return ft_fail(e, FT_EDATA, "the vocabulary is too large");
        s = ft_buf_add(&v->bytes, token, len, e);
        if (s) return s;
        v->tokens[v->n] = (ft_vocab_token){ (uint32_t)where, (uint32_t)len, (int32_t)id };
        place(v, v->n++);
    }
    if (id >= v->ids) v->ids = (int32_t)id + 1;
    if (len > v->longest) v->longest = (uint32_t)len;
    return FT_OK;
}

ft_status ft_vocab_read(ft_vocab *v, const json_t *model, ft_err *e)
{
    json_t *vocab, *id;
    const char *token;
    ft_status s = ft_json_member(&vocab, model, "vocab", JSON_OBJECT, "model", e);

    if (s) return s;
    json_object_foreach (vocab, token, id) {
        if (!json_is_integer(id)) return ft_fail(e, FT_EDATA, "model.vocab: the id of \"%.80s\" is no integer", token);
        s = ft_vocab_add(v, token, strlen(token), json_integer_value(id), e);
        if (s) return ft_context(e, "model.vocab");
    }
    return ft_vocab_seal(v, e);
}

ft_status ft_vocab_seal(ft_vocab *v, ft_err *e)
{
    const size_t size = (size_t)v->ids * sizeof *v->by_id;

    ft_free(v->by_id);
    v->by_id = ft_malloc(size ? size : 1);
    if (!v->by_id) return ft_fail_mem(e, size);
    for (int32_t i = 0; i < v->ids; i++) v->by_id[i] = -1;
    for (size_t i = 0; i < v->n; i++) v->by_id[v->tokens[i].id] = (int32_t)i;
    return FT_OK;
}

void ft_vocab_free(ft_vocab *v)
{
    ft_buf_free(&v->bytes);
    ft_free(v->tokens);
    ft_free(v->slots);
    ft_free(v->by_id);
    memset(v, 0, sizeof *v);
}

int32_t ft_vocab_find(const ft_vocab *v, uint64_t h, const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (!v->n) return -1;
    const int32_t token = v->slots[slot_of(v, h, a, a_len, b, b_len)].token;
    return token < 0 ? -1 : v->tokens[token].id;
}

int32_t ft_vocab_id(const ft_vocab *v, const char *token, size_t len)
{
    return ft_vocab_find(v, hash_all(token, len), "", 0, token, len);
}

const char *ft_vocab_token_of(const ft_vocab *v, int32_t id, size_t *len)
{
    if (id < 0 || id >= v->ids || v->by_id[id] < 0) return NULL;
    const ft_vocab_token *t = &v->tokens[v->by_id[id]];
    *len = t->len;
    return v->bytes.data + t->at;
}
