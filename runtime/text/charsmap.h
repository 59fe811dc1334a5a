/* runtime/text/charsmap.h - SentencePiece's precompiled rules: what strings of characters are written as.
 *
 * The file is u32 size of the trie in bytes, the trie as u32 units (a double array as in Darts-clone), then all
 * replacements, each ended by a NUL. Little-endian. A hostile one may point anywhere: no search leaves the arrays, and what
 * it finds is always whole characters.
 */
#ifndef FT_TEXT_CHARSMAP_H
#define FT_TEXT_CHARSMAP_H

#include "core/buf.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ft_charsmap {
    uint32_t *units; /* (n_units) */
    size_t n_units;
    char *texts; /* (n_texts) checked UTF-8 */
    size_t n_texts;
} ft_charsmap;

/* From its bytes in base64. FT_EDATA; m is to be freed also after an error. */
ft_status ft_charsmap_read(ft_charsmap *m, const char *base64, size_t n, ft_err *e);
void ft_charsmap_free(ft_charsmap *m);

/* The replacement of the shortest beginning of s that has one; borrowed, maybe empty. False: none. */
bool ft_charsmap_find(const ft_charsmap *m, const char *s, size_t n, const char **text, size_t *len);

#endif
