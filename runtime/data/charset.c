/* runtime/data/charset.c - names and marks of encodings, and the way to UTF-8. */
#include "data/charset.h"

#include <string.h>
#include <strings.h>

#include "core/nearest.h"

static const struct name {
    const char *name;
    ft_charset charset;
} names[] = {
    { "auto", FT_CHARSET_AUTO },         { "utf-8", FT_CHARSET_UTF8 },     { "utf8", FT_CHARSET_UTF8 },
    { "utf-16", FT_CHARSET_UTF16 },      { "utf16", FT_CHARSET_UTF16 },    { "utf-16le", FT_CHARSET_UTF16LE },
    { "utf-16be", FT_CHARSET_UTF16BE },  { "latin-1", FT_CHARSET_LATIN1 }, { "latin1", FT_CHARSET_LATIN1 },
    { "iso-8859-1", FT_CHARSET_LATIN1 },
};

enum { N_NAMES = sizeof names / sizeof *names };

ft_status ft_charset_find(ft_charset *out, const char *name, ft_err *e)
{
    const char *known[N_NAMES], *near;

    *out = FT_CHARSET_AUTO;
    if (!name) return FT_OK;
    for (size_t i = 0; i < N_NAMES; i++) {
        known[i] = names[i].name;
        if (strcasecmp(name, names[i].name) != 0) continue;
        *out = names[i].charset;
        return FT_OK;
    }
    near = ft_nearest(name, known, N_NAMES);
    return ft_fail(e, FT_EUSAGE,
                   "encoding \"%s\" is not known; choose auto, utf-8, utf-16, utf-16le, utf-16be or latin-1%s%s%s",
                   name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

/* The encoding that a byte order mark says, and the mark's length. */
static ft_charset marked(const char *p, size_t n, size_t *mark)
{
    *mark = n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3) ? 3 : 0;
    if (*mark) return FT_CHARSET_UTF8;
    *mark = n >= 2 && (!memcmp(p, "\xff\xfe", 2) || !memcmp(p, "\xfe\xff", 2)) ? 2 : 0;
    if (!*mark) return FT_CHARSET_AUTO;
    return p[0] == '\xff' ? FT_CHARSET_UTF16LE : FT_CHARSET_UTF16BE;
}

const char *ft_charset_settle(ft_charset *charset, const char *bytes, size_t n, size_t *mark)
{
    const ft_charset said = marked(bytes, n, mark), asked = *charset;

    if (n >= 4 && !memcmp(bytes, "\xff\xfe\0\0", 4)) return "this is UTF-32; convert it to UTF-8";
    if (said == FT_CHARSET_AUTO) {
        if (asked == FT_CHARSET_UTF16) return "UTF-16 without a byte order mark; say encoding = utf-16le or utf-16be";
        *charset = asked == FT_CHARSET_AUTO ? FT_CHARSET_UTF8 : asked;
        return NULL;
    }
    if (asked == FT_CHARSET_AUTO || asked == said || (asked == FT_CHARSET_UTF16 && said != FT_CHARSET_UTF8)) {
        *charset = said;
        return NULL;
    }
    return said == FT_CHARSET_UTF8 ? "it begins with the byte order mark of UTF-8, but another encoding was asked for"
           : said == FT_CHARSET_UTF16LE ? "it begins with the byte order mark of UTF-16 (little-endian), but another "
                                          "encoding was asked for"
                                        : "it begins with the byte order mark of UTF-16 (big-endian), but another "
                                          "encoding was asked for";
}

/* A code point, also half of a surrogate pair (three bytes that are not UTF-8). */
static size_t put(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

static unsigned unit_at(const unsigned char *p, int big)
{
    return big ? (unsigned)p[0] << 8 | p[1] : p[0] | (unsigned)p[1] << 8;
}

static size_t decode_utf16(const unsigned char *p, size_t n, int big, int at_end, char *out, size_t *used)
{
    size_t i = 0, len = 0;

    while (i + 2 <= n) {
        unsigned c = unit_at(p + i, big);
        size_t step = 2;
        if (c >= 0xD800 && c < 0xDC00) {
            if (i + 4 > n && !at_end) break;
            const unsigned low = i + 4 <= n ? unit_at(p + i + 2, big) : 0;
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                step = 4;
            }
        }
        len += put(out + len, c);
        i += step;
    }
    if (at_end && i < n) {
        out[len++] = '\xff'; /* half a unit */
        i = n;
    }
    *used = i;
    return len;
}

size_t ft_charset_decode(ft_charset charset, const char *bytes, size_t n, int at_end, char *out, size_t *used)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t len = 0;

    if (charset != FT_CHARSET_LATIN1) return decode_utf16(p, n, charset == FT_CHARSET_UTF16BE, at_end, out, used);
    for (size_t i = 0; i < n; i++) len += put(out + len, p[i]);
    *used = n;
    return len;
}
