/* runtime/text/tok_internal.h - what a tokenizer is made of; for the files of this floor only. */
#ifndef FT_TEXT_TOK_INTERNAL_H
#define FT_TEXT_TOK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "text/added.h"
#include "text/norm.h"
#include "text/post.h"
#include "text/pretok.h"
#include "text/tok_model.h"
#include "text/tokenizer.h"

/* The tokens of one text before truncation and special tokens. */
typedef struct ft_raw {
    int32_t *ids;   /* (n) */
    ft_span *spans; /* (n) code points */
    size_t n, cap;
} ft_raw;

/* What one encoding thread needs; kept by the tokenizer for the next call. */
typedef struct ft_scratch {
    struct ft_scratch *next;
    ft_normal normal;
    ft_pieces pieces;
    ft_raw raw[2];
} ft_scratch;

enum { FT_FILE_TOKENIZER, FT_FILE_VOCAB, FT_FILE_CONFIG, FT_FILE_SPECIAL, FT_TOKENIZER_FILES };

struct ft_tokenizer {
    atomic_int refs;
    const ft_model_kind *kind;
    void *model;
    const ft_vocab *vocab; /* the model's */
    ft_added added;
    ft_norm norm;
    ft_pretok *pretok;
    ft_post post;
    struct {
        bool wordpiece, cleanup; /* false, false: tokens are joined by blanks */
        char *prefix;
        size_t prefix_len;
    } decoder;
    int32_t special[FT_SPECIALS];
    bool fast;          /* ASCII words may go straight to the model */
    uint8_t ascii[128]; /* with fast: how a byte is treated, see encode.c */
    ft_buf files[FT_TOKENIZER_FILES];
    pthread_mutex_t lock; /* of idle */
    ft_scratch *idle;
};

/* Names of the files above. */
extern const char *const ft_tokenizer_file[FT_TOKENIZER_FILES];

/* tok_json.c: build t from the text of a tokenizer.json. */
ft_status ft_tokenizer_from_json(ft_tokenizer *t, const char *bytes, size_t n, ft_err *e);

/* tok_vocab.c: parse tokenizer_config.json and special_tokens_map.json where they are there. References, or NULL,
 * also after an error. */
struct json_t;
ft_status ft_tokenizer_configs(struct json_t **config, struct json_t **special, const ft_buf *files, ft_err *e);

/* tok_vocab.c: append the tokenizer.json that a vocab.txt and these amount to. */
ft_status ft_tokenizer_json_of_vocab(ft_buf *out, const ft_buf *vocab, const struct json_t *config,
                                     const struct json_t *special, ft_err *e);

/* tok_vocab.c: the name that the configs give a special token, "[PAD]" and so on by default; borrowed from them.
 * NULL where they say null. */
const char *ft_special_name(const struct json_t *config, const struct json_t *special, ft_special which);

/* encode.c: fill fast and ascii, once the rest is set. */
void ft_tokenizer_plan(ft_tokenizer *t);

/* encode.c: the tokens of one text. */
ft_status ft_tokenizer_raw(const ft_tokenizer *t, const char *s, size_t n, ft_scratch *scratch, ft_raw *raw, ft_err *e);
void ft_scratch_free(ft_scratch *s);

#endif
