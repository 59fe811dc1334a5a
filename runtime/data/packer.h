/* runtime/data/packer.h - unlabelled text as windows of token ids, packed full and kept in a file.
 *
 * The tokens of all documents follow each other, [SEP] behind each document, and are cut into windows
 * of `length` tokens: [CLS], length - 2 of the stream, [SEP]. A document may begin in one window and end in
 * a later one; no padding and no tokens lost. Only the last window may be shorter. This is the packing
 * of RoBERTa's FULL-SENTENCES (Liu et al. 2019, arXiv:1907.11692, section 4.2).
 *
 * Or, without packing, each text is a window of its own, cut at `length`: for what needs its texts apart (distillation).
 *
 * The file holds little-endian int32 ids and nothing else: window i begins at id i * length, or, without
 * packing, where the file <path>.lengths (int32, one for each window) says. It is written through
 * a small buffer and mapped for reading, so neither side needs memory for the corpus.
 */
#ifndef FT_DATA_PACKER_H
#define FT_DATA_PACKER_H

#include "data/tokens.h"
#include "text/tokenizer.h"

typedef struct ft_packer ft_packer;

/* Begin a file of windows of `length` tokens, at least 3. The file appears under its name when finished. One object
 * in *out, which holds a reference of the tokenizer; NULL after an error. FT_EUSAGE: length, or the tokenizer has no
 * [CLS] or [SEP]. */
ft_status ft_packer_new(ft_packer **out, const char *path, ft_tokenizer *t, int32_t length, bool packs, ft_err *e);

/* Add texts[0..n-1] in order; they are tokenised on OpenMP's threads. An entry whose data is NULL ends the document.
 * FT_EDATA: a text is not UTF-8; nothing of these texts was added then. */
ft_status ft_packer_add(ft_packer *p, const ft_text *texts, size_t n, ft_err *e);

typedef struct ft_packed {
    int64_t windows, tokens; /* tokens: all ids of the file, [CLS] and [SEP] included */
    int64_t documents;       /* that have a token */
} ft_packed;

/* End the last document, write the last window and give the file its name. */
ft_status ft_packer_finish(ft_packer *p, ft_packed *out, ft_err *e);

void ft_packer_free(ft_packer *p); /* NULL is fine; without finish nothing is left behind */

/* Map a finished file; *t is replaced, and its types are all 0. length 0: what was not packed. FT_EDATA: not a whole number of ids, or an id
 * that is not in [0, vocab) (all are looked at once). */
ft_status ft_packed_open(ft_tokens *t, const char *path, int32_t length, int32_t vocab, ft_err *e);

#endif
