/* runtime/text/part.h - the seam for normalisers, pre-tokenisers and decoders: one file norm_x.c, pretok_x.c, decode_x.c each.
 *
 * A part is named by its "type" in tokenizer.json. To add one: write its file and name its table in part.c. "Sequence" is no
 * part of its own: its members become steps of one list.
 */
#ifndef FT_TEXT_PART_H
#define FT_TEXT_PART_H

#include "text/norm.h"
#include "text/strings.h"
#include "text/chunks.h"

struct json_t;

typedef struct ft_part_kind {
    const char *type;

    /* Make one from its JSON object; *out is freed by free (NULL: by ft_free), also after an error. `where` is its place
     * in the file, for errors. NULL: it has no settings, self is NULL below. */
    ft_status (*load)(void **out, const struct json_t *o, const char *where, ft_err *e);
    void (*free)(void *self);

    /* What it can be; NULL where it cannot. Threads may call at once.
     * normalise: replace out with `in` normalised. cut: cut the parts of x further, or change their text. decode: replace
     * out with what the strings of `in` become. in and out differ. */
    ft_status (*normalise)(const void *self, const ft_normal *in, ft_normal *out, ft_err *e);
    ft_status (*cut)(const void *self, ft_chunks *x, ft_err *e);
    ft_status (*decode)(const void *self, const ft_strings *in, ft_strings *out, ft_err *e);
} ft_part_kind;

typedef struct ft_part {
    const ft_part_kind *kind;
    void *self;
} ft_part;

/* Steps in their order. Start from `ft_parts p = { 0 }`. */
typedef struct ft_parts {
    ft_part *at;
    size_t n, cap;
} ft_parts;

typedef enum ft_role { FT_NORMALIZER, FT_PRE_TOKENIZER, FT_DECODER, FT_ROLES } ft_role;

/* The steps of the member of a tokenizer.json for that role; none where it is absent or null. FT_EDATA names what is not
 * supported. p is to be freed also after an error. */
ft_status ft_parts_load(ft_parts *p, const struct json_t *root, ft_role role, ft_err *e);
void ft_parts_free(ft_parts *p);

/* The settings of the first step of a kind, or NULL; `only` wants it to be the only step. */
const ft_part *ft_parts_find(const ft_parts *p, const ft_part_kind *kind);
bool ft_parts_only(const ft_parts *p, const ft_part_kind *kind);

/* Normalise x in place through all steps; spare is used on the way. */
ft_status ft_parts_normalise(const ft_parts *p, ft_normal *x, ft_normal *spare, ft_err *e);

extern const ft_part_kind ft_norm_bert_part, ft_norm_lowercase, ft_norm_nfc, ft_norm_nfd, ft_norm_nfkc, ft_norm_nfkd,
    ft_norm_strip, ft_norm_strip_accents, ft_norm_prepend, ft_norm_replace, ft_norm_precompiled, ft_norm_byte_level;
extern const ft_part_kind ft_pretok_bert, ft_pretok_byte_level, ft_pretok_metaspace, ft_pretok_split,
    ft_pretok_whitespace, ft_pretok_whitespace_split, ft_pretok_punctuation, ft_pretok_digits, ft_pretok_delimiter;
extern const ft_part_kind ft_decode_wordpiece, ft_decode_byte_level, ft_decode_metaspace, ft_decode_bpe,
    ft_decode_byte_fallback, ft_decode_fuse, ft_decode_strip;

#endif
