/* runtime/text/wordpiece_pairs.c - a hash table of pairs, one pool for all lists of words, and a heap. */
#include "text/wordpiece_pairs.h"

#include <string.h>

#include "core/mem.h"

/* p with room for n + 1 things of `each` bytes, or NULL, when p is as it was. */
static void *roomy(void *p, size_t n, size_t *cap, size_t each, ft_err *e)
{
    if (n < *cap) return p;
    const size_t more = *cap ? *cap * 2 : 1024;
    void *q = ft_realloc(p, more * each);
    if (q)
        *cap = more;
    else
        ft_fail_mem(e, more * each);
    return q;
}

/* ==== The table ==== */

static size_t slot_of(const ft_pairs *p, int32_t a, int32_t b)
{
    const uint64_t h = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) * 0x9e3779b97f4a7c15u;
    return (size_t)(h ^ h >> 32) & p->mask;
}

static ft_status more_slots(ft_pairs *p, ft_err *e)
{
    const size_t size = p->slots ? (p->mask + 1) * 2 : 4096;
    uint32_t *slots = ft_calloc(size, sizeof *slots);

    if (!slots) return ft_fail_mem(e, size * sizeof *slots);
    ft_free(p->slots);
    p->slots = slots;
    p->mask = size - 1;
    for (size_t k = 0; k < p->n; k++) {
        size_t i = slot_of(p, p->at[k].a, p->at[k].b);
        while (slots[i]) i = (i + 1) & p->mask;
        slots[i] = (uint32_t)k + 1;
    }
    return FT_OK;
}

/* Find a pair, or make it. */
static ft_status find(ft_pairs *p, int32_t a, int32_t b, ft_pair **out, ft_err *e)
{
    if (!p->slots || p->n >= (p->mask + 1) / 2) {
        const ft_status s = more_slots(p, e);
        if (s) return s;
    }
    size_t i = slot_of(p, a, b);
    for (; p->slots[i]; i = (i + 1) & p->mask) {
        *out = &p->at[p->slots[i] - 1];
        if ((*out)->a == a && (*out)->b == b) return FT_OK;
    }
    if (p->n >= UINT32_MAX - 1) return ft_fail(e, FT_EDATA, "too many pairs of pieces");
    ft_pair *at = roomy(p->at, p->n, &p->cap, sizeof *at, e);
    if (!at) return FT_EMEM;
    p->at = at;
    *out = &at[p->n++];
    **out = (ft_pair){ .a = a, .b = b };
    p->slots[i] = (uint32_t)p->n;
    return FT_OK;
}

/* ==== Words of a pair ==== */

static ft_status new_chunk(ft_pairs *p, ft_pair *x, ft_err *e)
{
    uint32_t c = p->unused;

    if (c) {
        p->unused = p->chunks[c].next;
    } else {
        if (!p->n_chunks) p->n_chunks = 1;
        if (p->n_chunks >= UINT32_MAX) return ft_fail(e, FT_EDATA, "too many places of pairs");
        ft_pair_chunk *chunks = roomy(p->chunks, p->n_chunks, &p->chunk_cap, sizeof *chunks, e);
        if (!chunks) return FT_EMEM;
        p->chunks = chunks;
        c = (uint32_t)p->n_chunks++;
    }
    p->chunks[c].next = x->head;
    x->head = c;
    x->in_head = 0;
    return FT_OK;
}

static ft_status remember(ft_pairs *p, ft_pair *x, uint32_t word, ft_err *e)
{
    if (x->head && p->chunks[x->head].word[x->in_head - 1] == word) return FT_OK;
    if (!x->head || x->in_head == FT_PAIR_WORDS) {
        const ft_status s = new_chunk(p, x, e);
        if (s) return s;
    }
    p->chunks[x->head].word[x->in_head++] = word;
    return FT_OK;
}

int ft_pairs_words(ft_pairs *p, uint32_t pair, uint32_t word[FT_PAIR_WORDS])
{
    ft_pair *x = &p->at[pair];
    const uint32_t c = x->head;
    const int n = c ? x->in_head : 0;

    if (!c) return 0;
    memcpy(word, p->chunks[c].word, sizeof p->chunks[c].word);
    x->head = p->chunks[c].next;
    x->in_head = FT_PAIR_WORDS;
    p->chunks[c].next = p->unused;
    p->unused = c;
    return n;
}

ft_status ft_pairs_change(ft_pairs *p, int32_t a, int32_t b, int64_t by, uint32_t word, ft_err *e)
{
    ft_pair *x = NULL;
    ft_status s = find(p, a, b, &x, e);

    if (s) return s;
    x->count += by;
    if (by <= 0) return FT_OK;
    s = remember(p, x, word, e);
    if (s || x->gained) return s;
    uint32_t *gained = roomy(p->gained, p->n_gained, &p->gained_cap, sizeof *gained, e);
    if (!gained) return FT_EMEM;
    p->gained = gained;
    gained[p->n_gained++] = (uint32_t)(x - p->at);
    x->gained = true;
    return FT_OK;
}

/* ==== The queue ==== */

static bool before(const ft_pair_entry *x, const ft_pair_entry *y)
{
    return x->count != y->count ? x->count > y->count : x->ids < y->ids;
}

/* Let x sink from the top, which is free. */
static void sink(ft_pairs *p, ft_pair_entry x)
{
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < p->n_queue; i = child) {
        if (child + 1 < p->n_queue && before(&p->queue[child + 1], &p->queue[child])) child++;
        if (!before(&p->queue[child], &x)) break;
        p->queue[i] = p->queue[child];
    }
    p->queue[i] = x;
}

static ft_status push(ft_pairs *p, uint32_t pair, ft_err *e)
{
    const ft_pair *x = &p->at[pair];
    const ft_pair_entry new = { x->count, (uint64_t)x->a << 32 | (uint32_t)x->b, pair };
    ft_pair_entry *q = roomy(p->queue, p->n_queue, &p->queue_cap, sizeof *q, e);

    if (!q) return FT_EMEM;
    p->queue = q;
    size_t i = p->n_queue++;
    for (; i > 0 && before(&new, &q[(i - 1) / 2]); i = (i - 1) / 2) q[i] = q[(i - 1) / 2];
    q[i] = new;
    return FT_OK;
}

ft_status ft_pairs_queue(ft_pairs *p, ft_err *e)
{
    ft_status s = FT_OK;

    for (size_t k = 0; k < p->n_gained && !s; k++) {
        ft_pair *x = &p->at[p->gained[k]];
        x->gained = false;
        if (x->count >= p->min_count) s = push(p, p->gained[k], e);
    }
    p->n_gained = 0;
    return s;
}

bool ft_pairs_best(ft_pairs *p, uint32_t *pair)
{
    while (p->n_queue) {
        ft_pair_entry top = p->queue[0];
        const int64_t count = p->at[top.pair].count;
        if (top.count == count) *pair = top.pair;
        if (top.count == count || count < p->min_count) {
            const ft_pair_entry last = p->queue[--p->n_queue];
            if (p->n_queue) sink(p, last);
            if (top.count == count) return true;
        } else {
            top.count = count;
            sink(p, top);
        }
    }
    return false;
}

void ft_pairs_free(ft_pairs *p)
{
    ft_free(p->at);
    ft_free(p->slots);
    ft_free(p->chunks);
    ft_free(p->queue);
    ft_free(p->gained);
    memset(p, 0, sizeof *p);
}
