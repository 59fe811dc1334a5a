/* runtime/text/trie.h - all tokens that a string begins with, in one walk.
 *
 * Nodes lie in the order of breadth, so the children of one are neighbours, and their bytes too: a step is a memchr.
 */
#ifndef FT_TEXT_TRIE_H
#define FT_TEXT_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct ft_trie_node {
    uint32_t first, n; /* children */
    int32_t value;     /* of the string that ends here, or -1 */
} ft_trie_node;

/* Start from `ft_trie t = { 0 }`. */
typedef struct ft_trie {
    ft_trie_node *nodes; /* node 0 is the root */
    uint8_t *byte;       /* that leads to each node */
    size_t n, cap;
} ft_trie;

typedef struct ft_trie_key {
    const char *s;
    uint32_t len;
    int32_t value;
} ft_trie_key;

/* Build from n keys, which are sorted on the way; of equal ones the greatest value counts. */
ft_status ft_trie_build(ft_trie *t, ft_trie_key *keys, size_t n, ft_err *e);
void ft_trie_free(ft_trie *t);

/* The child of a node by a byte, or 0. */
uint32_t ft_trie_step(const ft_trie *t, uint32_t node, char byte);

#endif
