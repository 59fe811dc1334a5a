/* runtime/text/wordpiece_words.h - what counted words are kept in; for this floor only. */
#ifndef FT_TEXT_WORDPIECE_WORDS_H
#define FT_TEXT_WORDPIECE_WORDS_H

#include <stdio.h>

#include "text/norm.h"
#include "text/word_table.h"
#include "text/wordpiece_train.h"

enum { FT_WORD_THREADS = 8 };

/* One thread's share. */
typedef struct ft_word_part {
    ft_word_table table;
    ft_normal normal;
    uint64_t too_long;
    ft_err error;
} ft_word_part;

struct ft_word_counts {
    ft_word_opts opts;
    ft_bert_norm norm;
    uint8_t kind[256]; /* how a byte is treated, see wordpiece_count.c */
    char low[256];     /* an ASCII byte in lower case, if that is wanted */
    ft_word_part part[FT_WORD_THREADS];
    FILE *file; /* the file being read, or NULL */
    char *path;
    ft_buf block;     /* read, but not counted yet */
    bool doc, inside; /* inside: the block begins in the midst of a line */
    int64_t line;     /* that the block begins in, from 1 */
};

#endif
