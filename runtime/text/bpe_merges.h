/* runtime/text/bpe_merges.h - which pairs of tokens byte pair encoding joins, into what, and which first. */
#ifndef FT_TEXT_BPE_MERGES_H
#define FT_TEXT_BPE_MERGES_H

#include "text/vocab.h"

struct json_t;

typedef struct ft_bpe_merge {
    int32_t left, right; /* ids; left -1: a free slot */
    int32_t id;          /* what they become */
    uint32_t rank;       /* the smallest is joined first */
} ft_bpe_merge;

/* A hash table, at most half full. Start from `ft_bpe_merges m = { 0 }`. */
typedef struct ft_bpe_merges {
    ft_bpe_merge *slots;
    size_t n, mask;
} ft_bpe_merges;

/* Read the "merges" of a model ("a b", or ["a", "b"]); of a pair that is there twice the last counts. The right token
 * loses its first prefix_len bytes in what the two become. FT_EDATA: a token that the vocabulary lacks. */
ft_status ft_bpe_merges_read(ft_bpe_merges *m, const ft_vocab *v, size_t prefix_len, const struct json_t *model,
                             ft_err *e);
void ft_bpe_merges_free(ft_bpe_merges *m);

/* NULL: they are not joined. */
static inline const ft_bpe_merge *ft_bpe_merges_find(const ft_bpe_merges *m, int32_t left, int32_t right)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    const ft_bpe_merge *s;

    if (!m->slots) return NULL;
    for (h ^= h >> 32;; h++) {
        s = &m->slots[h & m->mask];
        if (s->left < 0) return NULL;
        if (s->left == left && s->right == right) return s;
    }
}

#endif
