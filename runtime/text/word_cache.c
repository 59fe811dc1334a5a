/* runtime/text/word_cache.c - open addressing over entries that lie end to end.
 *
 * An entry is its header, its pieces, and the word's bytes, filled up to a multiple of 4.
 */
#include "text/word_cache.h"

#include <string.h>

#include "core/mem.h"

enum { SLOTS = 1 << 16, MOST = SLOTS / 2 };

typedef struct entry {
    uint32_t len, n_pieces;
    ft_piece pieces[];
} entry;

void ft_word_cache_free(ft_word_cache *c)
{
    ft_free(c->slots);
    ft_free(c->data);
    memset(c, 0, sizeof *c);
}

static uint64_t hash_of(const char *s, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ n, part;

    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&part, s, 8);
        h = (h ^ part) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    part = 0;
    memcpy(&part, s, n);
    h = (h ^ part) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 29;
}

static ft_status start(ft_word_cache *c, ft_err *e)
{
    if (!c->data) c->data = ft_malloc(FT_WORD_CACHE_BYTES);
    if (!c->slots) c->slots = ft_calloc(SLOTS, sizeof *c->slots);
    return c->data && c->slots ? FT_OK : ft_fail_mem(e, FT_WORD_CACHE_BYTES);
}

static void empty(ft_word_cache *c)
{
    memset(c->slots, 0, SLOTS * sizeof *c->slots);
    c->used = c->n = 0;
}

static entry *entry_at(const ft_word_cache *c, uint32_t at) { return (entry *)(void *)(c->data + at - 1); }

/* The slot that holds the word, or the free one where it belongs. */
static size_t slot_of(const ft_word_cache *c, uint64_t h, const char *word, size_t n)
{
    size_t i = (size_t)h & (SLOTS - 1);

    for (; c->slots[i].at; i = (i + 1) & (SLOTS - 1)) {
        if (c->slots[i].tag != (uint32_t)(h >> 32)) continue;
        const entry *x = entry_at(c, c->slots[i].at);
        if (x->len == n && !memcmp((const char *)(x->pieces + x->n_pieces), word, n)) break;
    }
    return i;
}

static void keep(ft_word_cache *c, size_t slot, uint64_t h, const char *word, size_t n, const ft_pieces *p)
{
    const size_t size = (sizeof(entry) + p->n * sizeof *p->at + n + 3) & ~(size_t)3;

    if (size > FT_WORD_CACHE_BYTES) return;
    if (c->used + size > FT_WORD_CACHE_BYTES || c->n == MOST) {
        empty(c);
        slot = (size_t)h & (SLOTS - 1);
    }
    entry *x = (entry *)(void *)(c->data + c->used);
    x->len = (uint32_t)n;
    x->n_pieces = (uint32_t)p->n;
    if (p->n) memcpy(x->pieces, p->at, p->n * sizeof *p->at);
    memcpy((char *)(x->pieces + p->n), word, n);
    c->slots[slot] = (ft_cache_slot){ (uint32_t)(h >> 32), (uint32_t)c->used + 1 };
    c->used += size;
    c->n++;
}

ft_status ft_word_cache_split(ft_word_cache *c, const ft_model_kind *kind, const void *model, const char *word,
                              size_t n, ft_pieces *out, ft_err *e)
{
    if (n > FT_WORD_CACHE_LONGEST) return kind->split(model, word, n, out, e);
    ft_status s = c->slots && c->data ? FT_OK : start(c, e);
    if (s) return s;
    const uint64_t h = hash_of(word, n);
    const size_t slot = slot_of(c, h, word, n);
    if (c->slots[slot].at) {
        const entry *x = entry_at(c, c->slots[slot].at);
        s = ft_pieces_reserve(out, x->n_pieces, e);
        if (s) return s;
        if (x->n_pieces) memcpy(out->at, x->pieces, x->n_pieces * sizeof *out->at);
        out->n = x->n_pieces;
        return FT_OK;
    }
    s = kind->split(model, word, n, out, e);
    if (!s) keep(c, slot, h, word, n, out);
    return s;
}
