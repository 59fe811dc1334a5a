/* runtime/text/charsmap.c - reading a precompiled charsmap, and searching it. */
#include "text/charsmap.h"

#include <string.h>

#include "core/mem.h"
#include "text/unicode.h"

/* ==== Base 64 (RFC 4648) ==== */

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Bytes written to out, which has room for n / 4 * 3; or -1. */
static int64_t decode(unsigned char *out, const char *s, size_t n)
{
    int64_t len = 0;

    if (n % 4) return -1;
    for (size_t i = 0; i < n; i += 4) {
        const int fill = i + 4 < n ? 0 : (s[i + 3] == '=') + (s[i + 3] == '=' && s[i + 2] == '=');
        uint32_t bits = 0;
        for (int k = 0; k < 4; k++) {
            const int d = k >= 4 - fill ? 0 : digit(s[i + (size_t)k]);
            if (d < 0) return -1;
            bits = bits << 6 | (uint32_t)d;
        }
        for (int k = 0; k < 3 - fill; k++) out[len++] = (unsigned char)(bits >> (16 - 8 * k));
    }
    return len;
}

/* ==== Reading ==== */

static uint32_t u32(const unsigned char *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static ft_status parse(ft_charsmap *m, const unsigned char *bytes, size_t n, ft_err *e)
{
    const size_t trie = n >= 4 ? u32(bytes) / 4 * 4 : 0;

    if (n < 4 || trie < 4 || trie > n - 4) return ft_fail(e, FT_EDATA, "precompiled_charsmap: the trie is cut short");
    m->n_units = trie / 4;
    m->n_texts = n - 4 - trie;
    m->units = ft_malloc(trie);
    m->texts = ft_strndup((const char *)bytes + 4 + trie, m->n_texts);
    if (!m->units || !m->texts) return ft_fail_mem(e, n);
    for (size_t i = 0; i < m->n_units; i++) m->units[i] = u32(bytes + 4 + 4 * i);
    const ft_status s = ft_utf8_check(m->texts, m->n_texts, e);
    return s ? ft_context(e, "precompiled_charsmap") : FT_OK;
}

ft_status ft_charsmap_read(ft_charsmap *m, const char *base64, size_t n, ft_err *e)
{
    unsigned char *bytes = ft_malloc(n / 4 * 3 + 1);

    if (!bytes) return ft_fail_mem(e, n);
    const int64_t len = decode(bytes, base64, n);
    const ft_status s =
        len < 0 ? ft_fail(e, FT_EDATA, "precompiled_charsmap: not base 64") : parse(m, bytes, (size_t)len, e);
    ft_free(bytes);
    return s;
}

void ft_charsmap_free(ft_charsmap *m)
{
    ft_free(m->units);
    ft_free(m->texts);
    memset(m, 0, sizeof *m);
}

/* ==== Searching ==== */

static uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }
static bool has_leaf(uint32_t unit) { return unit >> 8 & 1; }

/* Where the replacement of the shortest beginning of s lies, or -1. */
static int64_t value_of(const ft_charsmap *m, const char *s, size_t n)
{
    size_t at = offset_of(m->units[0]);

    for (size_t i = 0; i < n && s[i]; i++) {
        const unsigned char c = (unsigned char)s[i];
        at ^= c;
        if (at >= m->n_units || (m->units[at] & (1u << 31 | 0xFF)) != c) return -1;
        const uint32_t unit = m->units[at];
        at ^= offset_of(unit);
        if (at >= m->n_units) return -1;
        if (has_leaf(unit)) return m->units[at] & ((1u << 31) - 1);
    }
    return -1;
}

bool ft_charsmap_find(const ft_charsmap *m, const char *s, size_t n, const char **text, size_t *len)
{
    const int64_t at = value_of(m, s, n);

    if (at < 0 || (size_t)at > m->n_texts) return false;
    *text = m->texts + at;
    if (((unsigned char)**text & 0xC0) == 0x80) return false; /* in the midst of a character */
    *len = strlen(*text);
    return true;
}
