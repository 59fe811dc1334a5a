/* runtime/data/tagging.h - labels of words: which token answers for which word, and the best tags of whole rows.
 *
 * A row is a text and its words. Long rows are read in overlapping windows; each word is answered for once, by its
 * first token in the window that shows most of what is around it. What may surprise: a word without any token (a control
 * character, for instance) stays a word; it learns nothing and takes whatever tag suits its neighbours.
 */
#ifndef FT_DATA_TAGGING_H
#define FT_DATA_TAGGING_H

#include "data/tokens.h"
#include "text/tokenizer.h"

/* ==== Words among tokens ==== */

typedef struct ft_tagging {
    int32_t *row;  /* (n) the row of each window, from 0 */
    int32_t *word; /* (total) of each token: the word of its row that it answers for, from 0, or -1 */
    int64_t n, total;
    int64_t cap_n, cap_total;
} ft_tagging;

void ft_tagging_free(ft_tagging *g); /* leaves g empty */

/* Add all windows of an encoding that has offsets, of row `row`, to g and to tokens. Word i of the row is code points
 * [spans[2 i], spans[2 i + 1]) of the text; words ascend and do not overlap. */
ft_status ft_tagging_add(ft_tagging *g, ft_tokens *tokens, const ft_encoding *x, int32_t row, const uint32_t *spans,
                         int32_t n_words, ft_err *e);

/* ==== Tags ==== */

enum { FT_TAG_OUTSIDE, FT_TAG_BEGIN, FT_TAG_INSIDE, FT_TAG_END, FT_TAG_SINGLE };

/* What C tags mean and which may follow which. */
typedef struct ft_tag_rules {
    int32_t n;                   /* C */
    const unsigned char *kind;   /* (C) FT_TAG_* */
    const int32_t *type;         /* (C) number of the entity's type */
    const unsigned char *start;  /* (C) may be a row's first tag */
    const unsigned char *stop;   /* (C) may be its last */
    const unsigned char *follow; /* (C,C) [a, b]: b may follow a */
} ft_tag_rules;

/* Log-probabilities (C) of logits (C). Returns 0 where they are not finite. */
int ft_tag_log_softmax(const float *logits, int32_t n, float *out);

/* In an array of log-probabilities (words, C): this as a word's first number says that it has none. */
#define FT_TAG_UNSEEN 1.0f

/* The most probable sequence of tags that the rules allow (Viterbi 1967), of words with log-probabilities x (n, C); among
 * equals the earlier tag. Rules must allow one. work: 2 C doubles, back: (n, C), path: (n). */
void ft_tag_viterbi(const ft_tag_rules *r, const float *x, int32_t n, double *work, int32_t *back, int32_t *path);

/* An entity: words [first, last] from 0, and the mean probability of their tags (1 where no word of it has any). */
typedef struct ft_tag_span {
    int32_t first, last, type;
    double score;
} ft_tag_span;

/* The entity that begins at word *at or behind it; *at is moved behind its last word. 0: there is no more. */
int ft_tag_next_span(const ft_tag_rules *r, const float *x, const int32_t *path, int32_t n, int32_t *at,
                     ft_tag_span *out);

#endif
