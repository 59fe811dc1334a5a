/* runtime/text/word_table.h - a hash table from words to counts; for this floor only.
 *
 * Made for many millions of look-ups: the hash comes from the caller, who has it from
 * reading the word; slots hold half of it, so that a look-up that finds another word
 * there seldom reads that word.
 */
#ifndef FT_TEXT_WORD_TABLE_H
#define FT_TEXT_WORD_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

typedef struct ft_word {
    size_t at; /* in bytes.data */
    uint64_t count;
    uint32_t len, hash; /* hash: the upper half */
} ft_word;

typedef struct ft_word_slot {
    uint32_t tag;  /* upper half of the hash */
    uint32_t word; /* index + 1; 0: empty */
} ft_word_slot;

/* Start from `ft_word_table t = { 0 }`. */
typedef struct ft_word_table {
    ft_buf bytes;
    ft_word *words; /* (n) */
    ft_word_slot *slots;
    size_t n, cap, mask; /* mask + 1 slots */
} ft_word_table;

/* Hash of no bytes, of one byte more, and what ft_word_table_add wants of the result. */
#define FT_WORD_HASH 0x9e3779b97f4a7c15u
static inline uint64_t ft_word_hash(uint64_t h, char byte) { return (h ^ (unsigned char)byte) * 0x100000001b3u; }
static inline uint32_t ft_word_hash_end(uint64_t h) { return (uint32_t)((h ^ h >> 29) * 0xbf58476d1ce4e5b9u >> 32); }

/* Add to the count of a word. */
ft_status ft_word_table_add(ft_word_table *t, const char *word, size_t len, uint32_t hash, uint64_t count, ft_err *e);

/* Add all of `from`, which is freed when that succeeds. */
ft_status ft_word_table_take(ft_word_table *t, ft_word_table *from, ft_err *e);
void ft_word_table_free(ft_word_table *t);

#endif
