/* runtime/text/tok_internal.h - what a tokenizer is made of; for the files of this floor only. */
#ifndef FT_TEXT_TOK_INTERNAL_H
#define FT_TEXT_TOK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "text/added.h"
#include "text/part.h"
#include "text/post.h"
#include "text/tok_model.h"
#include "text/tokenizer.h"
#include "text/word_cache.h"

/* White space of a token, in characters: at its beginning, and at its end. */
typedef struct ft_blanks {
    uint16_t lead, trail;
} ft_blanks;

/* The tokens of one text before truncation and special tokens. */
typedef struct ft_raw {
    int32_t *ids;      /* (n) */
    ft_span *spans;    /* (n) code points */
    ft_blanks *blanks; /* (n) where the post-processor trims */
    size_t n, cap;
} ft_raw;

/* What one encoding thread needs; kept by the tokenizer for the next call. */
typedef struct ft_scratch {
    struct ft_scratch *next;
    ft_chunks words;
    ft_pieces pieces;
    ft_word_cache cache;
    ft_raw raw[2];
} ft_scratch;

enum {
    FT_FILE_TOKENIZER,
    FT_FILE_VOCAB,
    FT_FILE_VOCAB_JSON,
    FT_FILE_MERGES,
    FT_FILE_CONFIG,
    FT_FILE_SPECIAL,
    FT_TOKENIZER_FILES
};

struct ft_tokenizer {
    atomic_int refs;
    const ft_model_kind *kind;
    void *model;
    const ft_vocab *vocab; /* the model's */
    ft_added added;
    ft_parts norm, pretok, decoder;
    ft_post post;
    int32_t special[FT_SPECIALS];
    ft_blanks *blanks;  /* (vocab->ids) of the vocabulary's tokens, where the post-processor trims; or NULL */
    bool fast, lower;   /* ASCII words may go straight to the model, in lower case */
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

/* tok_merges.c: append the tokenizer.json that a vocab.json and a merges.txt (GPT-2, RoBERTa) amount to. */
ft_status ft_tokenizer_json_of_merges(ft_buf *out, const ft_buf *vocab, const ft_buf *merges,
                                      const struct json_t *config, const struct json_t *special, ft_err *e);

/* tok_vocab.c: the name that the configs give a special token, borrowed from them. NULL where they say null or, with
 * *said false, nothing. */
const char *ft_special_name(const struct json_t *config, const struct json_t *special, ft_special which, bool *said);

/* tok_vocab.c: what it is called where nothing is said: "[CLS]" and so on, or "<s>". */
enum { FT_STYLE_BERT, FT_STYLE_ROBERTA, FT_STYLES };
const char *ft_special_default(ft_special which, int style);

/* tok_vocab.c: append to an array what "added_tokens" has to hold: those of the configs, and all special ones. */
ft_status ft_added_of_configs(struct json_t *list, const struct json_t *config, const struct json_t *special,
                              const ft_vocab *v, int style, ft_err *e);

/* encode.c: fill blanks, fast, lower and ascii, once the rest is set. */
ft_status ft_tokenizer_plan(ft_tokenizer *t, ft_err *e);

/* encode.c: the tokens of one text. */
ft_status ft_tokenizer_raw(const ft_tokenizer *t, const char *s, size_t n, ft_scratch *scratch, ft_raw *raw, ft_err *e);
void ft_scratch_free(ft_scratch *s);

#endif
