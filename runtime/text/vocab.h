/* runtime/text/vocab.h - tokens and their ids: a hash table over byte strings.
 *
 * The hash can be computed byte by byte (FNV-1a), so that all prefixes of a word are
 * hashed in one pass; a token may be looked up as prefix + rest without joining them.
 */
#ifndef FT_TEXT_VOCAB_H
#define FT_TEXT_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

enum { FT_VOCAB_MAX_BYTES = 512, FT_VOCAB_MAX_ID = (1 << 24) - 1 }; /* of one token; the greatest id */

typedef struct ft_vocab_token {
    uint32_t at, len; /* in bytes.data */
    int32_t id;
} ft_vocab_token;

typedef struct ft_vocab_slot {
    uint32_t tag;  /* upper half of the hash */
    int32_t token; /* index into tokens, or -1 */
} ft_vocab_slot;

/* Start from `ft_vocab v = { 0 }`. */
typedef struct ft_vocab {
    ft_buf bytes;
    ft_vocab_token *tokens;
    ft_vocab_slot *slots;
    int32_t *by_id;      /* (ids) index into tokens, or -1 for a hole */
    size_t n, cap, mask; /* tokens; mask + 1 slots */
    int32_t ids;         /* greatest id + 1 */
    uint32_t longest;    /* bytes of the longest token */
} ft_vocab;

/* Add a token; one that is there gets the new id. FT_EDATA: too long, or the id is out of range. */
ft_status ft_vocab_add(ft_vocab *v, const char *token, size_t len, int64_t id, ft_err *e);

/* Add all of the "vocab" of a model in tokenizer.json, an object of tokens and ids, and seal. */
struct json_t;
ft_status ft_vocab_read(ft_vocab *v, const struct json_t *model, ft_err *e);

/* After the last add, before ft_vocab_token_of: build the way from ids to tokens. */
ft_status ft_vocab_seal(ft_vocab *v, ft_err *e);
void ft_vocab_free(ft_vocab *v);

/* The id of a token, or -1. */
int32_t ft_vocab_id(const ft_vocab *v, const char *token, size_t len);

/* The token of an id (borrowed, not NUL-terminated), or NULL. */
const char *ft_vocab_token_of(const ft_vocab *v, int32_t id, size_t *len);

/* Hash of no bytes, and of one byte more. */
#define FT_VOCAB_HASH 0xcbf29ce484222325u
static inline uint64_t ft_vocab_hash(uint64_t h, char byte) { return (h ^ (unsigned char)byte) * 0x100000001b3u; }

/* The id of the token a + b, whose hash is h, or -1. */
int32_t ft_vocab_find(const ft_vocab *v, uint64_t h, const char *a, size_t a_len, const char *b, size_t b_len);

#endif
