/* runtime/text/post.h - post-processors: which special tokens go around the sequences.
 *
 * TemplateProcessing, BertProcessing, RobertaProcessing and none are all kept as two templates, one for a
 * single text and one for a pair. Trimming of offsets, which ByteLevel and RobertaProcessing do, comes before.
 */
#ifndef FT_TEXT_POST_H
#define FT_TEXT_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct ft_post_piece {
    int8_t sequence; /* 0 or 1: the tokens of that text; -1: the special token `id` */
    int32_t id, type_id;
} ft_post_piece;

typedef struct ft_template {
    ft_post_piece *pieces;
    size_t n, cap;
    size_t n_special; /* pieces that are special tokens */
} ft_template;

typedef struct ft_post {
    ft_template single, pair;
    bool trim;   /* offsets leave out white space at both ends of tokens ... */
    bool prefix; /* ... but not the blank that was put before the text, which no character stands for */
} ft_post;

struct ft_tokenizer;
struct json_t;

/* Read the "post_processor" of a tokenizer.json into t->post, once the vocabulary is there. */
ft_status ft_post_load(struct ft_tokenizer *t, const struct json_t *root, ft_err *e);

ft_status ft_template_add(ft_template *t, int sequence, int32_t id, int32_t type_id, ft_err *e);

/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP], the second text with type 1. */
ft_status ft_post_bert(ft_post *p, int32_t cls, int32_t sep, ft_err *e);

/* <s> A </s> and <s> A </s></s> B </s>, all of type 0. */
ft_status ft_post_roberta(ft_post *p, int32_t cls, int32_t sep, ft_err *e);

/* No special tokens. */
ft_status ft_post_none(ft_post *p, ft_err *e);
void ft_post_free(ft_post *p);

#endif
