/* runtime/text/word_rule.h - how the tokens of a tokeniser show where words begin.
 *
 * A word is what the pre-tokeniser makes one. Which tokens are of one word can be told from the tokens themselves: by a prefix
 * inside of words ("##"), by a mark that words begin with (U+2581), or, in byte-level vocabularies, by a blank or a change
 * between letters, numbers and other characters.
 */
#ifndef FT_TEXT_WORD_RULE_H
#define FT_TEXT_WORD_RULE_H

#include "text/tokenizer.h"

typedef enum ft_word_rule {
    FT_WORDS_PREFIXED, /* a token with the prefix goes on with a word, any other begins one */
    FT_WORDS_MARKED,   /* a token with the mark begins a word, any other goes on with one */
    FT_WORDS_SORTED,   /* a token with a blank begins a word; any other, where its sort differs from what was before */
    FT_WORDS_TOKENS    /* nothing shows it: every token is taken for a word */
} ft_word_rule;

typedef enum ft_word_role {
    FT_BEGINS_WORD,
    FT_CONTINUES_WORD, /* or, at a row's beginning and with FT_WORDS_SORTED, maybe begins one */
    FT_UNKNOWN_WORD,   /* the unknown token: a word, or with a mark or sorts maybe a part of one */
    FT_NO_WORD         /* special tokens, and ids of no token */
} ft_word_role;

/* Of each token of a vocabulary. */
typedef struct ft_word_kinds {
    ft_word_rule rule;
    uint8_t *role;  /* (vocab) ft_word_role */
    uint8_t *edges; /* (vocab) with FT_WORDS_SORTED: sort of the first character, and of the last one << 4 */
    int32_t vocab;
} ft_word_kinds;

/* Fill k, which is to be freed also after an error. */
ft_status ft_word_kinds_of(ft_word_kinds *k, const ft_tokenizer *t, ft_err *e);
void ft_word_kinds_free(ft_word_kinds *k);

/* Whether a word begins at place `at` of a row of ids, all of the vocabulary. */
bool ft_word_begins(const ft_word_kinds *k, const int32_t *ids, int64_t at);

#endif
