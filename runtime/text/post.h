/* runtime/text/post.h - post-processors: which special tokens go around the sequences.
 *
 * TemplateProcessing, BertProcessing and none are all kept as two templates, one for a
 * single text and one for a pair.
 */
#ifndef FT_TEXT_POST_H
#define FT_TEXT_POST_H

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
} ft_post;

ft_status ft_template_add(ft_template *t, int sequence, int32_t id, int32_t type_id, ft_err *e);

/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP], the second text with type 1. */
ft_status ft_post_bert(ft_post *p, int32_t cls, int32_t sep, ft_err *e);

/* No special tokens. */
ft_status ft_post_none(ft_post *p, ft_err *e);
void ft_post_free(ft_post *p);

#endif
