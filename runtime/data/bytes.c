/* runtime/data/bytes.c - UTF-8 check, eight ASCII bytes at a time. */
#include "data/bytes.h"

#include <string.h>

/* Length of the well-formed sequence of two or more bytes at p (n bytes there), 0 if it is none. */
static size_t sequence(const unsigned char *p, size_t n)
{
    const unsigned c = p[0];
    unsigned low = 0x80, high = 0xBF;
    size_t len;

    if (c >= 0xC2 && c <= 0xDF)
        len = 2;
    else if (c >= 0xE0 && c <= 0xEF)
        len = 3;
    else if (c >= 0xF0 && c <= 0xF4)
        len = 4;
    else
        return 0;
    if (len > n) return 0;
    if (c == 0xE0) low = 0xA0;  /* no overlong form */
    if (c == 0xED) high = 0x9F; /* no surrogate */
    if (c == 0xF0) low = 0x90;
    if (c == 0xF4) high = 0x8F; /* not above U+10FFFF */
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return len;
}

size_t ft_bytes_check(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    size_t i = 0;

    while (i < n) {
        uint64_t v;
        while (i + 8 <= n) {
            memcpy(&v, p + i, 8);
            if ((v | (v - ones)) & tops) break; /* a byte above 127, or one that may be 0 */
            i += 8;
        }
        if (i >= n) break;
        if (p[i] == 0) return i;
        if (p[i] < 0x80) {
            i++;
        } else {
            const size_t len = sequence(p + i, n - i);
            if (!len) return i;
            i += len;
        }
    }
    return n;
}

int64_t ft_bytes_lines(const char *p, size_t n)
{
    const char *end = p + n;
    int64_t lines = 0;

    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        lines++;
        p++;
    }
    return lines;
}
