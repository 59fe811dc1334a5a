/* runtime/core/nearest.h - the choice a user probably meant ("did you mean").
 *
 * Letter case of ASCII does not count, so "Label" finds "label" at distance 0.
 */
#ifndef FT_CORE_NEAREST_H
#define FT_CORE_NEAREST_H

#include <stddef.h>

/* Damerau-Levenshtein distance in its optimal-string-alignment form (insert, delete, replace, swap two
 * neighbours), in bytes. Words above 64 bytes are not compared: the result is then SIZE_MAX. */
size_t ft_edit_distance(const char *a, const char *b);

/* The one of choices[0..n-1] with the smallest distance to word, the first of equals; but where that is more than 1 and a single
 * choice begins with word (3 bytes or more), that. NULL when none is close: more than a third of the longer word's bytes (rounded
 * up) would have to change, or all of the word. */
const char *ft_nearest(const char *word, const char *const *choices, size_t n);

#endif
