/* runtime/text/answer.c - the normal form of answers.
 *
 * The reference is a Python program, so words, blanks and lower case are Python's. What may surprise: punctuation is
 * dropped before the articles are looked for, so that "a.m." becomes "am" and keeps its a, while "a-b" has no article;
 * and a combining accent is no part of a word, so that an "a" before one is taken for the article.
 */
#include "text/answer.h"

#include <string.h>

#include "text/unicode.h"

static bool is_blank(uint32_t cp) { return (ft_uc_class(cp) & FT_UC_SPACE) || (cp >= 0x1C && cp <= 0x1F); }

static bool is_word(uint32_t cp) { return cp == '_' || ft_uc_is_alnum(cp); }

static bool is_dropped(uint32_t cp) { return cp < 0x80 && (ft_uc_class(cp) & FT_UC_PUNCT); }

/* ==== Lower case ==== */

/* Whether a cased letter stands at the end of the n bytes before (or, with forward, at the beginning of those after),
 * passing over what has no case of its own. */
static bool cased_beside(const char *s, size_t n, bool forward)
{
    while (n) {
        size_t used;
        const uint32_t cp = forward ? ft_utf8_get(s, &used) : ft_utf8_before(s, n, &used);
        if (!ft_uc_case_ignorable(cp)) return ft_uc_is_cased(cp);
        n -= used;
        if (forward) s += used;
    }
    return false;
}

/* A capital sigma at the end of a word has a small form of its own: SpecialCasing.txt. */
static int lower(const char *text, size_t n, size_t at, size_t used, uint32_t cp, uint32_t out[2])
{
    if (cp != 0x3A3) return ft_uc_lower(cp, out);
    const bool last = cased_beside(text, at, false) && !cased_beside(text + at + used, n - at - used, true);
    out[0] = last ? 0x3C2 : 0x3C3;
    return 1;
}

/* Lower case without ASCII punctuation. */
static ft_status plain(const char *text, size_t n, ft_buf *out, ft_err *e)
{
    ft_status s = FT_OK;

    for (size_t at = 0, used; !s && at < n; at += used) {
        uint32_t low[2];
        char bytes[8];
        size_t len = 0;
        const uint32_t cp = ft_utf8_get(text + at, &used);
        if (is_dropped(cp)) continue;
        const int parts = lower(text, n, at, used, cp, low);
        for (int i = 0; i < parts; i++) len += ft_utf8_put(bytes + len, low[i]);
        s = ft_buf_add(out, bytes, len, e);
    }
    return s;
}

/* ==== Words ==== */

static bool is_article(const char *s, size_t n)
{
    return (n == 1 && s[0] == 'a') || (n == 2 && !memcmp(s, "an", 2)) || (n == 3 && !memcmp(s, "the", 3));
}

/* Length of the run of word characters (or, if it begins with another, of that one character); *blank: it is one. */
static size_t run_at(const char *s, size_t n, bool *blank)
{
    size_t used;
    uint32_t cp = ft_utf8_get(s, &used);
    size_t len = used;

    *blank = is_blank(cp);
    if (!is_word(cp)) return len;
    while (len < n) {
        cp = ft_utf8_get(s + len, &used);
        if (!is_word(cp)) break;
        len += used;
    }
    return len;
}

ft_status ft_answer_normalise(const char *text, size_t n, ft_buf *out, ft_err *e)
{
    ft_buf low = { 0 };
    bool gap = false;
    const size_t before = out->len;
    ft_status s = ft_utf8_check(text, n, e);

    if (!s) s = plain(text, n, &low, e);
    for (size_t at = 0, len; !s && at < low.len; at += len) {
        bool blank;
        len = run_at(low.data + at, low.len - at, &blank);
        if (blank || is_article(low.data + at, len)) {
            gap = true;
            continue;
        }
        if (gap && out->len > before) s = ft_buf_putc(out, ' ', e);
        if (!s) s = ft_buf_add(out, low.data + at, len, e);
        gap = false;
    }
    ft_buf_free(&low);
    return s;
}

/* ==== Characters as readers see them ==== */

bool ft_text_cuts(const char *text, size_t n, size_t at)
{
    size_t from = at, used;

    if (at == 0 || at >= n) return false;
    if (((unsigned char)text[at] & 0xC0) == 0x80) return true;
    do from--;
    while (from > 0 && (unsigned char)text[from] >= 0x80); /* a character begins at every byte of ASCII */
    ft_uc_cluster state = { 0 };
    for (uint32_t cp = ft_utf8_get(text + from, &used); from + used <= at;) {
        const uint32_t next = ft_utf8_get(text + (from += used), &used);
        const bool ends = ft_uc_breaks(cp, next, &state);
        if (from == at) return !ends;
        cp = next;
    }
    return false;
}
