/* runtime/text/wordpiece_train.h - a WordPiece vocabulary learnt from text.
 *
 * Two parts: count the words of any amount of text, then join characters to ever longer
 * pieces. What is kept is the distinct words with their counts, never the text. What may
 * surprise: WordPiece here names the form of the vocabulary ("##" begins what continues a
 * word); it is learnt as byte-pair encoding is (Sennrich, Haddow and Birch, "Neural machine
 * translation of rare words with subword units", ACL 2016), as the WordPieceTrainer of
 * Hugging Face `tokenizers` does:
 *
 *   1. ids 0 to 4 are [PAD] [UNK] [CLS] [SEP] [MASK];
 *   2. the alphabet follows: the limit_alphabet most frequent characters, at equal counts
 *      those of lower code points, in the order of code points. Other characters are left
 *      out of the words they stand in;
 *   3. then "##c" for each character c of the alphabet that stands behind the beginning of
 *      a word, in the order of code points;
 *   4. the pair of neighbouring pieces with the greatest count over all words (overlapping
 *      ones count each) becomes one piece wherever it stands, from the left of each word;
 *      at equal counts the pair with the lower first id, then the lower second id. The
 *      piece gets the next id. Again, until the vocabulary has its size or no pair is as
 *      frequent as min_frequency.
 *
 * The result depends on the text alone, not on its order, its parts or the threads. It
 * differs from that library's in two points: step 3 there goes by the order of a hash
 * table, and so do equal counts in step 2; and words of more than FT_WORD_MAX_CHARS
 * characters, which are unknown to the tokeniser whatever its vocabulary is, are not
 * learnt from here.
 */
#ifndef FT_TEXT_WORDPIECE_TRAIN_H
#define FT_TEXT_WORDPIECE_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/vocab.h"

enum { FT_WORD_MAX_CHARS = 100 }; /* of a word that WordPiece does not give up */

/* ==== Counting ==== */

typedef struct ft_word_counts ft_word_counts;

/* BertNormalizer's settings; text is always cleaned. */
typedef struct ft_word_opts {
    bool lowercase;
    int strip_accents; /* 1, 0; -1: as lowercase */
    bool cjk;          /* ideographs are words of their own */
} ft_word_opts;

/* One object in *out, NULL after an error. */
ft_status ft_words_new(ft_word_counts **out, const ft_word_opts *opts, ft_err *e);
void ft_words_free(ft_word_counts *w); /* NULL is fine */

/* Count the words of n bytes; no word goes on in the next call. Long texts are cut at line breaks for OpenMP's
 * threads (8 at most), each of which keeps its own table of words. FT_EDATA: not UTF-8, with the byte; nothing
 * of it is counted then. After FT_EMEM, here and below, the counts are not to be used. */
ft_status ft_words_add(ft_word_counts *w, const char *text, size_t n, ft_err *e);

/* Count the words of a file piece by piece, so that the caller can show progress or stop: open, step until *read
 * is 0, which closes it. With `doc`, lines that begin with "<doc " or "</doc>" are left out (the form of
 * WikiExtractor). An error closes the file too and names it, and the line that is not UTF-8. */
ft_status ft_words_open(ft_word_counts *w, const char *path, bool doc, ft_err *e);
ft_status ft_words_step(ft_word_counts *w, size_t *read, ft_err *e); /* read: bytes of this piece */

typedef struct ft_word_totals {
    uint64_t words;    /* occurrences */
    uint64_t distinct; /* words kept in memory */
    uint64_t too_long; /* occurrences of words above FT_WORD_MAX_CHARS, which are not among `words` */
} ft_word_totals;

/* Brings the threads' tables together. */
ft_status ft_words_totals(ft_word_counts *w, ft_word_totals *out, ft_err *e);

/* Word i below totals.distinct, in no particular order (borrowed until the next add or step). */
const char *ft_words_get(const ft_word_counts *w, uint64_t i, size_t *len, uint64_t *count);

/* ==== Learning ==== */

typedef struct ft_wordpiece_opts {
    int64_t size;           /* tokens wanted in all */
    int64_t min_frequency;  /* a pair less frequent is not joined; at least 1 */
    int64_t limit_alphabet; /* characters kept; at least 1 */
    int64_t min_word_count; /* words less frequent are left out altogether, characters too; 1: none is */
} ft_wordpiece_opts;

typedef struct ft_wordpiece_vocab {
    ft_vocab vocab;     /* sealed; tokens in the order of their ids, without holes */
    ft_word_opts opts;  /* that the words were counted with */
    int64_t characters; /* distinct ones in the text */
    int64_t alphabet;   /* of them, kept */
    int64_t joined;     /* pairs joined */
    int64_t last_count; /* how frequent the last of them was; 0: none */
} ft_wordpiece_vocab;

/* Learn a vocabulary into out, which is replaced; start from `ft_wordpiece_vocab v = { 0 }`, free it also after an
 * error. It is smaller than asked where pairs run out. Words that are counted stay, so that it can be done again.
 * FT_EUSAGE: an option is out of range, or size has no room for special tokens and alphabet (with the least that
 * has). FT_EDATA: there are no words. */
ft_status ft_wordpiece_learn(ft_word_counts *w, const ft_wordpiece_opts *opts, ft_wordpiece_vocab *out, ft_err *e);
void ft_wordpiece_free(ft_wordpiece_vocab *v);

/* Write vocab.txt, tokenizer.json and tokenizer_config.json into dir (made if need be): a BERT tokeniser for
 * ft_tokenizer_load and for `tokenizers` and `transformers`. */
ft_status ft_wordpiece_save(const ft_wordpiece_vocab *v, const char *dir, ft_err *e);

#endif
