/* runtime/text/gpt2_words.c - GPT-2's words, by one look at each character. */
#include "text/gpt2_words.h"

#include <string.h>

#include "text/unicode.h"

ft_sort ft_sort_of(uint32_t cp)
{
    if (cp < 0x80) {
        const uint32_t low = cp | 0x20;
        if (low >= 'a' && low <= 'z') return FT_SORT_LETTER;
        if (cp >= '0' && cp <= '9') return FT_SORT_NUMBER;
        return cp == ' ' || (cp >= '\t' && cp <= '\r') ? FT_SORT_SPACE : FT_SORT_OTHER;
    }
    if (ft_uc_is_letter(cp)) return FT_SORT_LETTER;
    if (ft_uc_is_number(cp)) return FT_SORT_NUMBER;
    return ft_uc_class(cp) & FT_UC_SPACE ? FT_SORT_SPACE : FT_SORT_OTHER;
}

/* Where the run of one sort of characters ends that goes on at `at`. */
static size_t run(const char *s, size_t n, size_t at, ft_sort sort)
{
    size_t used;

    while (at < n && ft_sort_of(ft_utf8_get(s + at, &used)) == sort) at += used;
    return at;
}

/* Bytes of the ending that an apostrophe begins, or 0. */
static size_t ending(const char *s, size_t n)
{
    if (n < 2) return 0;
    if (s[1] == 's' || s[1] == 't' || s[1] == 'm' || s[1] == 'd') return 2;
    if (n < 3) return 0;
    if ((s[1] == 'r' || s[1] == 'v') && s[2] == 'e') return 3;
    return s[1] == 'l' && s[2] == 'l' ? 3 : 0;
}

/* White space goes without its last character where something follows, which that character then belongs to. `more`:
 * there is white space before s. */
static size_t spaces(const char *s, size_t n, int more)
{
    size_t used;
    const size_t end = run(s, n, 0, FT_SORT_SPACE);

    if (end == n) return end;
    ft_utf8_before(s, end, &used);
    return end > used || more ? end - used : end;
}

size_t ft_gpt2_word(const char *s, size_t n)
{
    size_t used, at = 0;

    if (s[0] == '\'') {
        const size_t len = ending(s, n);
        if (len) return len;
    }
    if (s[0] == ' ' && n > 1) at = 1;
    const ft_sort sort = ft_sort_of(ft_utf8_get(s + at, &used));
    return sort == FT_SORT_SPACE ? spaces(s, n, 0) : run(s, n, at + used, sort);
}

size_t ft_gpt2_word_behind_blank(const char *s, size_t n)
{
    size_t used;
    const ft_sort sort = ft_sort_of(ft_utf8_get(s, &used));

    return sort == FT_SORT_SPACE ? spaces(s, n, 1) : run(s, n, used, sort);
}
