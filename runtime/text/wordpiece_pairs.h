/* runtime/text/wordpiece_pairs.h - pairs of neighbouring pieces: how frequent each is, and in which words.
 *
 * For this floor only. A queue hands them out by count. Its entries are not corrected when
 * a count falls, only when they come up: counts fall far more often than they are asked for.
 */
#ifndef FT_TEXT_WORDPIECE_PAIRS_H
#define FT_TEXT_WORDPIECE_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

enum { FT_PAIR_WORDS = 3 };

typedef struct ft_pair {
    int32_t a, b;
    int64_t count;
    uint32_t head; /* its latest chunk of words, or 0 */
    uint8_t in_head;
    bool gained; /* since ft_pairs_queue */
} ft_pair;

/* Words in which a pair stands, or stood. Chunk 0 is none. */
typedef struct ft_pair_chunk {
    uint32_t next, word[FT_PAIR_WORDS];
} ft_pair_chunk;

typedef struct ft_pair_entry {
    int64_t count;
    uint64_t ids; /* a, b: the lower of equal counts comes first */
    uint32_t pair;
} ft_pair_entry;

/* Start from `ft_pairs p = { .min_count = ... }`. */
typedef struct ft_pairs {
    int64_t min_count; /* pairs below it are not handed out */
    ft_pair *at;
    uint32_t *slots; /* index + 1 of a pair, 0: empty; mask + 1 of them */
    ft_pair_chunk *chunks;
    ft_pair_entry *queue; /* a binary heap */
    uint32_t *gained;
    size_t n, cap, mask, n_chunks, chunk_cap, n_queue, queue_cap, n_gained, gained_cap;
    uint32_t unused; /* first of the chunks to use again, or 0 */
} ft_pairs;

/* Add to the count of a pair; where it gains, remember the word. */
ft_status ft_pairs_change(ft_pairs *p, int32_t a, int32_t b, int64_t by, uint32_t word, ft_err *e);

/* After changes: put the pairs that gained into the queue. */
ft_status ft_pairs_queue(ft_pairs *p, ft_err *e);

/* Take the most frequent pair out of the queue; false: there is none. */
bool ft_pairs_best(ft_pairs *p, uint32_t *pair);

/* Take up to FT_PAIR_WORDS words from a pair's list; returns how many, 0 at its end. A word may come again. */
int ft_pairs_words(ft_pairs *p, uint32_t pair, uint32_t word[FT_PAIR_WORDS]);
void ft_pairs_free(ft_pairs *p);

#endif
