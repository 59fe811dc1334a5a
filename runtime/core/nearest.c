/* runtime/core/nearest.c - edit distance with three rows on the stack; nothing is allocated. */
#include "core/nearest.h"

#include <stdint.h>
#include <string.h>

enum { LONGEST = 64 };

static int fold(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; }

static size_t min2(size_t a, size_t b) { return a < b ? a : b; }

size_t ft_edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    size_t rows[3][LONGEST + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    if (n > LONGEST || m > LONGEST) return SIZE_MAX;
    for (size_t j = 0; j <= m; j++) above[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const int same = fold(a[i - 1]) == fold(b[j - 1]);
            row[j] = min2(min2(above[j], row[j - 1]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                row[j] = min2(row[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[m];
}

/* The only choice that begins with the word: somebody left the rest out. */
static const char *completion(const char *word, const char *const *choices, size_t n)
{
    const size_t len = strlen(word);
    const char *found = NULL;

    for (size_t i = 0; i < n && len > 2 && len <= LONGEST; i++) {
        if (strncmp(word, choices[i], len) != 0) continue;
        if (found) return NULL;
        found = choices[i];
    }
    return found;
}

const char *ft_nearest(const char *word, const char *const *choices, size_t n)
{
    const size_t len = strlen(word);
    const char *best = NULL, *begun = completion(word, choices, n);
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < n; i++) {
        const size_t other = strlen(choices[i]), longer = len > other ? len : other;
        const size_t d = ft_edit_distance(word, choices[i]);
        if (d < least && d <= (longer + 2) / 3 && d < longer) {
            least = d;
            best = choices[i];
        }
    }
    return begun && least > 1 ? begun : best;
}
