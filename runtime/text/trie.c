/* runtime/text/trie.c - built level by level from sorted keys. */
#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void ft_trie_free(ft_trie *t)
{
    ft_free(t->nodes);
    ft_free(t->byte);
    memset(t, 0, sizeof *t);
}

static int by_bytes(const void *x, const void *y)
{
    const ft_trie_key *a = x, *b = y;
    const int c = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);

    if (c) return c;
    if (a->len != b->len) return a->len < b->len ? -1 : 1;
    return a->value < b->value ? -1 : a->value > b->value;
}

/* The keys below a node while its children are not there yet. */
typedef struct range {
    uint32_t low, high;
} range;

typedef struct builder {
    ft_trie *t;
    range *ranges; /* of each node */
    const ft_trie_key *keys;
} builder;

static ft_status add_node(builder *b, uint8_t byte, uint32_t low, uint32_t high, ft_err *e)
{
    ft_trie *t = b->t;

    if (t->n == t->cap) {
        const size_t cap = t->cap ? t->cap * 2 : 1024;
        ft_trie_node *nodes = ft_realloc(t->nodes, cap * sizeof *nodes);
        if (!nodes) return ft_fail_mem(e, cap * sizeof *nodes);
        t->nodes = nodes;
        uint8_t *bytes = ft_realloc(t->byte, cap);
        if (!bytes) return ft_fail_mem(e, cap);
        t->byte = bytes;
        range *ranges = ft_realloc(b->ranges, cap * sizeof *ranges);
        if (!ranges) return ft_fail_mem(e, cap * sizeof *ranges);
        b->ranges = ranges;
        t->cap = cap;
    }
    if (t->n > UINT32_MAX / 2) return ft_fail(e, FT_EDATA, "the vocabulary is too large");
    t->nodes[t->n] = (ft_trie_node){ 0, 0, -1 };
    t->byte[t->n] = byte;
    b->ranges[t->n++] = (range){ low, high };
    return FT_OK;
}

/* Keys that end at depth come first; the rest falls into a child for each next byte. */
static ft_status add_children(builder *b, size_t node, uint32_t depth, ft_err *e)
{
    const range r = b->ranges[node];
    uint32_t i = r.low;

    for (; i < r.high && b->keys[i].len == depth; i++) b->t->nodes[node].value = b->keys[i].value;
    b->t->nodes[node].first = (uint32_t)b->t->n;
    while (i < r.high) {
        const char byte = b->keys[i].s[depth];
        const uint32_t low = i;
        while (i < r.high && b->keys[i].s[depth] == byte) i++;
        const ft_status s = add_node(b, (uint8_t)byte, low, i, e);
        if (s) return s;
        b->t->nodes[node].n++;
    }
    return FT_OK;
}

ft_status ft_trie_build(ft_trie *t, ft_trie_key *keys, size_t n, ft_err *e)
{
    builder b = { .t = t, .keys = keys };

    if (n) qsort(keys, n, sizeof *keys, by_bytes);
    ft_status s = add_node(&b, 0, 0, (uint32_t)n, e);
    for (size_t node = 0, depth = 0, level = t->n; !s && node < t->n; node++) {
        if (node == level) { /* all nodes of one depth are done */
            level = t->n;
            depth++;
        }
        s = add_children(&b, node, (uint32_t)depth, e);
    }
    ft_free(b.ranges);
    return s;
}

uint32_t ft_trie_step(const ft_trie *t, uint32_t node, char byte)
{
    const ft_trie_node *at = &t->nodes[node];
    const uint8_t *bytes = t->byte + at->first, *found;

    if (!at->n) return 0;
    found = memchr(bytes, (unsigned char)byte, at->n);
    return found ? at->first + (uint32_t)(found - bytes) : 0;
}
