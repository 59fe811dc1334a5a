/* runtime/text/tokenizer.h - text to token ids and back, as Hugging Face `tokenizers` does it.
 *
 * Reads tokenizer.json, vocab.txt, or vocab.json and merges.txt, the latter with tokenizer_config.json. The padding and
 * truncation settings in tokenizer.json are ignored: batches are ragged, and the caller
 * says max_length. What may surprise: token offsets count code points, not bytes.
 */
#ifndef FT_TEXT_TOKENIZER_H
#define FT_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

typedef struct ft_tokenizer ft_tokenizer;

/* ==== Life ==== */

/* Load from a directory (its tokenizer.json, else its vocab.txt, else its vocab.json and merges.txt), a tokenizer.json, or a vocab.txt. The
 * directory's tokenizer_config.json and special_tokens_map.json name the special tokens and, for vocab.txt,
 * give do_lower_case, strip_accents, tokenize_chinese_chars and added_tokens_decoder.
 * One reference in *out, NULL after an error. FT_EIO; FT_EDATA names file, place and what is not supported. */
ft_status ft_tokenizer_load(ft_tokenizer **out, const char *dir_or_file, ft_err *e);
ft_tokenizer *ft_tokenizer_retain(ft_tokenizer *t);
void ft_tokenizer_release(ft_tokenizer *t); /* NULL is fine */

/* Write the files it was loaded from into dir (made if need be), byte for byte. A tokenizer loaded from
 * vocab.txt writes a tokenizer.json as well that gives the same ids. */
ft_status ft_tokenizer_save(const ft_tokenizer *t, const char *dir, ft_err *e);

/* ==== Vocabulary ==== */

/* The greatest id + 1: the rows an embedding needs. */
int32_t ft_tokenizer_vocab_size(const ft_tokenizer *t);

/* The id of a token, or -1. */
int32_t ft_tokenizer_id(const ft_tokenizer *t, const char *token, size_t len);

/* The token of an id (borrowed, not NUL-terminated), or NULL. */
const char *ft_tokenizer_token(const ft_tokenizer *t, int32_t id, size_t *len);

typedef enum ft_special { FT_PAD, FT_UNK, FT_CLS, FT_SEP, FT_MASK, FT_SPECIALS } ft_special;

/* The id of a special token, or -1 if the tokenizer has none. */
int32_t ft_tokenizer_special(const ft_tokenizer *t, ft_special which);

/* ==== Encoding ==== */

/* Which text of a pair gives way when the two are too long together. */
typedef enum ft_truncation { FT_LONGEST_FIRST, FT_ONLY_FIRST, FT_ONLY_SECOND } ft_truncation;

typedef struct ft_encode_opts {
    size_t max_length; /* tokens of a window, special ones included; 0: no limit */
    ft_truncation truncation;
    bool add_special;   /* put [CLS], [SEP] ... around the texts */
    bool want_offsets;  /* fill begin and end */
    bool windows;       /* keep what does not fit as further windows, instead of dropping it */
    size_t stride;      /* tokens that one window shares with the next; below the text's room in a window */
    bool stride_yields; /* where it is not below that room, half of the room instead of an error */
} ft_encode_opts;

/* One encoded example. Reused from call to call; start from `ft_encoding x = { 0 }` or init.
 * T tokens in all; window w owns tokens window_at[w] .. window_at[w+1]. Without opts.windows there is one. */
typedef struct ft_encoding {
    int32_t *ids;          /* (T) */
    int32_t *type_ids;     /* (T) 0, or 1 for the second text and its [SEP] */
    int8_t *sequence;      /* (T) 0 or 1: of the first or second text; -1: added around them */
    uint32_t *begin, *end; /* (T) code points of that text, [begin, end); 0, 0 where sequence is -1.
                                  NULL until asked for, and only meaningful then */
    size_t *window_at;     /* (n_windows + 1) */
    size_t n, n_windows;   /* T; windows */
    bool truncated;        /* not all fits into one window */
    size_t full_length;    /* tokens it would have without max_length */
    size_t cap, cap_offsets, cap_windows;
} ft_encoding;

void ft_encoding_init(ft_encoding *x);
void ft_encoding_clear(ft_encoding *x); /* no tokens, memory kept */
void ft_encoding_free(ft_encoding *x);

/* Encode a text of len bytes, and a second one (pair NULL: none). Replaces what out holds; after an error out is
 * cleared. Any number of threads may encode with one tokenizer, each into its own out.
 * FT_EDATA: text is not UTF-8, with the byte. FT_EUSAGE: max_length leaves no room, or the truncation cannot
 * reach it (only_first and only_second shorten one text only, and not to nothing). */
ft_status ft_tokenizer_encode(const ft_tokenizer *t, const char *text, size_t len, const char *pair, size_t pair_len,
                              const ft_encode_opts *opts, ft_encoding *out, ft_err *e);

/* Take white space off both ends of the spans of x's tokens of one sequence (0 or 1), which is this text: some tokenizers
 * count the blank before a word to its first token. A token of white space alone then has none of the text. */
void ft_encoding_trim(ft_encoding *x, int sequence, const char *text, size_t len);

typedef struct ft_text {
    const char *data; /* NULL in pairs: no second text */
    size_t len;
} ft_text;

/* Encode texts[0..n-1] (pairs NULL: none has a second text) into out[0..n-1] on OpenMP's threads. The result does
 * not depend on their number. An error is that of the first bad text, with its index from 0; all of out is then
 * cleared. */
ft_status ft_tokenizer_encode_batch(const ft_tokenizer *t, const ft_text *texts, const ft_text *pairs, size_t n,
                                    const ft_encode_opts *opts, ft_encoding *out, ft_err *e);

/* ==== Decoding ==== */

/* Append the text of n ids, as tokenizer.json's decoder makes it; without one, tokens joined by blanks. Ids of no token are
 * left out. */
ft_status ft_tokenizer_decode(const ft_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, ft_buf *out,
                              ft_err *e);

#endif
