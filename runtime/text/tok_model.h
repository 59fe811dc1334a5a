/* runtime/text/tok_model.h - the seam for tokenizer models: one file tok_x.c each.
 *
 * A model cuts one word, already normalised and pre-tokenised, into pieces of its
 * vocabulary. To add one: write tok_x.c and name its table in ft_model_kinds.
 */
#ifndef FT_TEXT_TOK_MODEL_H
#define FT_TEXT_TOK_MODEL_H

#include <stdbool.h>

#include "text/vocab.h"

struct json_t;

typedef struct ft_piece {
    int32_t id;
    uint32_t begin, end; /* bytes of the word */
} ft_piece;

typedef struct ft_pieces {
    ft_piece *at;
    size_t n, cap;
    void *work; /* memory of the model, kept from word to word */
    size_t work_cap;
} ft_pieces;

typedef struct ft_model_kind {
    const char *type; /* the "type" of "model" in tokenizer.json */
    bool cached;      /* splitting a word costs more than looking up what it became the last time */

    /* Make a model from that JSON object; *out is freed by free, also after an error. */
    ft_status (*load)(void **out, const struct json_t *o, ft_err *e);
    void (*free)(void *model); /* NULL is fine */

    /* Replace out with the pieces of a word of n bytes, n > 0. Threads may call it at once. */
    ft_status (*split)(const void *model, const char *word, size_t n, ft_pieces *out, ft_err *e);

    /* Bytes that a word (n > 0) begins with which are split as if they were alone, at least 1: what a cache can hold of a
     * text that is one word. NULL: all n. */
    size_t (*alone)(const void *model, const char *word, size_t n);

    const ft_vocab *(*vocab)(const void *model);
    const char *(*unk)(const void *model);    /* the unknown token, or NULL */
    const char *(*prefix)(const void *model); /* of tokens inside of words, or NULL; the function may be NULL */
} ft_model_kind;

extern const ft_model_kind ft_model_wordpiece, ft_model_bpe, ft_model_unigram;

/* NULL-terminated. */
extern const ft_model_kind *const ft_model_kinds[];

/* The kind that a "model" of tokenizer.json names or, in old files without a type, shows by its members. FT_EDATA: none. */
ft_status ft_model_kind_of(const ft_model_kind **out, const struct json_t *o, ft_err *e);

/* Room for n pieces in all. */
ft_status ft_pieces_reserve(ft_pieces *p, size_t n, ft_err *e);

/* p->work has room for n bytes, whatever is in them; aligned for any type. */
ft_status ft_pieces_work(ft_pieces *p, size_t n, ft_err *e);
void ft_pieces_free(ft_pieces *p);

#endif
