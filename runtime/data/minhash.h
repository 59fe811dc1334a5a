/* runtime/data/minhash.h - groups of texts that say nearly the same.
 *
 * A text is the set of its runs of five bytes, after letters of ASCII are made small and everything between words is one
 * space. Two texts are near when their sets' Jaccard similarity reaches a limit. Candidates are found by MinHash (Broder
 * 1997, "On the resemblance and containment of documents") in 24 bands of 4, then compared exactly, so that what is
 * reported is true; at a similarity of 0.8 one pair in 300,000 is missed, at 0.7 one in 700. Results are the same everywhere.
 */
#ifndef FT_DATA_MINHASH_H
#define FT_DATA_MINHASH_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* group[i] becomes the smallest index of the texts that i is near to, directly or through others; i itself where there is
 * none. least: Jaccard similarity, above 0 and at most 1. Texts that are equal are always in one group. */
ft_status ft_near_groups(const char *const *texts, const size_t *lengths, int32_t n, double least, int32_t *group,
                         ft_err *e);

/* The similarity of two texts, as above. */
ft_status ft_near_similarity(const char *a, size_t a_len, const char *b, size_t b_len, double *similarity, ft_err *e);

#endif
