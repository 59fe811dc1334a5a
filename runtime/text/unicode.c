/* runtime/text/unicode.c - UTF-8, character classes, decomposition, lower case.
 *
 * Decompositions, combining classes and lower case come from utf8proc. Where the
 * reference knows less (its NFD is of Unicode 12) the recorded class says so; where it
 * knows more (its lower case is of Unicode 17) newer_lower below adds it.
 */
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

/* ==== UTF-8 ==== */

/* Length of the valid sequence at s (n bytes are left), or 0: Unicode 15, table 3-7. */
static size_t valid_sequence(const unsigned char *s, size_t n)
{
    unsigned low = 0x80, high = 0xBF;
    size_t want;

    if (s[0] >= 0xC2 && s[0] <= 0xDF) {
        want = 2;
    } else if ((s[0] & 0xF0) == 0xE0) {
        want = 3;
        if (s[0] == 0xE0) low = 0xA0;
        if (s[0] == 0xED) high = 0x9F;
    } else if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        want = 4;
        if (s[0] == 0xF0) low = 0x90;
        if (s[0] == 0xF4) high = 0x8F;
    } else {
        return 0;
    }
    if (want > n || s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < want; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    return want;
}

bool ft_utf8_next(const char *text, size_t n, size_t *used)
{
    const unsigned char *s = (const unsigned char *)text;

    *used = s[0] < 0x80 ? 1 : valid_sequence(s, n);
    if (*used) return true;
    *used = 1;
    for (size_t k = 2; k <= 3 && k <= n; k++) { /* does some further byte make a longer beginning whole? */
        unsigned char longer[4] = { s[0], s[1], k > 2 ? s[2] : 0x80, 0x80 };
        if (!valid_sequence(longer, 4) || (s[k - 1] & 0xC0) != 0x80) break;
        *used = k;
    }
    return false;
}

ft_status ft_utf8_check(const char *text, size_t n, ft_err *e)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t i = 0;

    while (i < n) {
        uint64_t eight;
        if (n - i >= 8 && (memcpy(&eight, s + i, 8), !(eight & 0x8080808080808080u))) {
            i += 8;
        } else if (s[i] < 0x80) {
            i++;
        } else {
            const size_t used = valid_sequence(s + i, n - i);
            if (!used) return ft_fail(e, FT_EDATA, "text is not UTF-8: byte %zu is 0x%02x", i, s[i]);
            i += used;
        }
    }
    return FT_OK;
}

uint32_t ft_utf8_get(const char *text, size_t *used)
{
    const unsigned char *s = (const unsigned char *)text;

    if (s[0] < 0x80) {
        *used = 1;
        return s[0];
    }
    if (s[0] < 0xE0) {
        *used = 2;
        return (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);
    }
    if (s[0] < 0xF0) {
        *used = 3;
        return (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
    }
    *used = 4;
    return (s[0] & 0x07u) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
}

uint32_t ft_utf8_before(const char *s, size_t n, size_t *used)
{
    size_t at = n - 1;

    while (at > 0 && ((unsigned char)s[at] & 0xC0) == 0x80) at--;
    return ft_utf8_get(s + at, used);
}

size_t ft_utf8_put(char *s, uint32_t cp)
{
    if (cp < 0x80) {
        s[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        s[0] = (char)(0xC0 | cp >> 6);
        s[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        s[0] = (char)(0xE0 | cp >> 12);
        s[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        s[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    s[0] = (char)(0xF0 | cp >> 18);
    s[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    s[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    s[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

size_t ft_utf8_count(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

/* ==== Classes ==== */

enum { PAGED = 0x30000 }; /* ft_uc_page covers the code points below this, and its own end */

unsigned ft_uc_class(uint32_t cp)
{
    uint32_t low = ft_uc_page[PAGED / 256], high = ft_uc_runs - 1;

    if (cp < PAGED) {
        low = ft_uc_page[cp >> 8];
        high = ft_uc_page[(cp >> 8) + 1];
    }
    while (low < high) { /* the last run that begins at or before cp */
        const uint32_t mid = (low + high + 1) / 2;
        if (ft_uc_run[mid] >> 8 <= cp)
            low = mid;
        else
            high = mid - 1;
    }
    return ft_uc_run[low] & 0xFF;
}

/* ==== Decomposition and case ==== */

int ft_uc_decompose(uint32_t cp, uint32_t out[FT_UC_MAX_DECOMP])
{
    utf8proc_int32_t parts[FT_UC_MAX_DECOMP] = { 0 };
    int boundary = 0;
    const utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)cp, parts, FT_UC_MAX_DECOMP, UTF8PROC_DECOMPOSE, &boundary);

    if (n < 1 || n > FT_UC_MAX_DECOMP) {
        out[0] = cp;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++) out[i] = (uint32_t)parts[i];
    return (int)n;
}

int ft_uc_decompose_if(uint32_t cp, uint32_t *out)
{
    out[0] = cp;
    return ft_uc_class(cp) & FT_UC_NFD ? ft_uc_decompose(cp, out) : 1;
}

int ft_uc_decompose_compat(uint32_t cp, uint32_t out[FT_UC_MAX_COMPAT])
{
    utf8proc_int32_t parts[FT_UC_MAX_COMPAT] = { 0 };
    int boundary = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)cp, parts, FT_UC_MAX_COMPAT,
                                                       UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);

    out[0] = cp;
    if (n < 1 || n > FT_UC_MAX_COMPAT) return 1;
    for (utf8proc_ssize_t i = 0; i < n; i++) out[i] = (uint32_t)parts[i];
    return (int)n;
}

uint32_t ft_uc_compose(uint32_t a, uint32_t b)
{
    utf8proc_int32_t both[3] = { (utf8proc_int32_t)a, (utf8proc_int32_t)b, 0 };
    const utf8proc_ssize_t n = utf8proc_normalize_utf32(both, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);

    return n == 1 ? (uint32_t)both[0] : 0;
}

unsigned ft_uc_combining(uint32_t cp)
{
    if (!(ft_uc_class(cp) & FT_UC_NFD)) return 0;
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)cp)->combining_class;
}

/* Upper-case letters younger than Unicode 15: first, last, what lower case adds. */
static const struct newer {
    uint32_t first, last;
    int32_t add;
} newer_lower[] = {
    { 0x1C89, 0x1C89, 1 },      { 0xA7CB, 0xA7CB, -0xA567 }, { 0xA7CC, 0xA7CC, 1 }, { 0xA7CE, 0xA7CE, 1 },
    { 0xA7D2, 0xA7D2, 1 },      { 0xA7D4, 0xA7D4, 1 },       { 0xA7DA, 0xA7DA, 1 }, { 0xA7DC, 0xA7DC, -0xA641 },
    { 0x10D50, 0x10D65, 0x20 }, { 0x16EA0, 0x16EB8, 27 },
};

int ft_uc_lower(uint32_t cp, uint32_t out[2])
{
    if (cp == 0x130) { /* I with a dot above keeps its dot: SpecialCasing.txt */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    for (size_t i = 0; cp >= 0x1C89 && i < sizeof newer_lower / sizeof *newer_lower; i++) {
        const struct newer *r = &newer_lower[i];
        if (cp < r->first || cp > r->last) continue;
        out[0] = (uint32_t)((int32_t)cp + r->add);
        return 1;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
    return 1;
}

/* ==== General categories ==== */

bool ft_uc_is_letter(uint32_t cp)
{
    const utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool ft_uc_is_number(uint32_t cp)
{
    const utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

bool ft_uc_is_alnum(uint32_t cp) { return ft_uc_is_letter(cp) || ft_uc_is_number(cp); }

bool ft_uc_is_mark(uint32_t cp)
{
    const utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME;
}

bool ft_uc_is_cased(uint32_t cp)
{
    const utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    if (c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT) return true;
    if (cp >= 0x1F130 && cp <= 0x1F189) return (cp - 0x1F130) % 0x20 < 26; /* letters in boxes */
    return cp == 0xAA || cp == 0xBA || utf8proc_tolower((utf8proc_int32_t)cp) != (utf8proc_int32_t)cp ||
           utf8proc_toupper((utf8proc_int32_t)cp) != (utf8proc_int32_t)cp;
}

bool ft_uc_case_ignorable(uint32_t cp)
{
    static const uint32_t marks[] = { '\'', '.', ':', 0xB7, 0x387, 0x2018, 0x2019, 0x2024, 0x2027 };

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (cp == marks[i]) return true;
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return false;
    }
}

bool ft_uc_breaks(uint32_t before, uint32_t after, ft_uc_cluster *state)
{
    utf8proc_int32_t s = state->state;
    const bool ends = utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)after, &s);

    state->state = s;
    return ends;
}
