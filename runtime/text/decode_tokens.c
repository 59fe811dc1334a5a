/* runtime/text/decode_tokens.c - decoders of a few lines: BPEDecoder, ByteFallback, Fuse and Strip. */
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/part.h"
#include "text/unicode.h"

/* ==== BPEDecoder: the suffix of words becomes a blank, or nothing at the end ==== */

static ft_status bpe_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    const char *text;
    size_t n;
    const ft_status s = ft_json_text(&text, &n, o, "suffix", where, e);

    if (s) return s;
    if (!n) return ft_fail(e, FT_EDATA, "%s.suffix: empty", where);
    *out = ft_strndup(text, n);
    return *out ? FT_OK : ft_fail_mem(e, n);
}

static ft_status bpe_decode(const void *self, const ft_strings *in, ft_strings *out, ft_err *e)
{
    const char *suffix = self;
    const size_t len = strlen(suffix);
    ft_status s = FT_OK;

    ft_strings_clear(out);
    for (size_t i = 0; i < in->n && !s; i++) {
        size_t n;
        const char *token = ft_strings_get(in, i, &n), *found;
        s = ft_strings_begin(out, e);
        while (!s && (found = memmem(token, n, suffix, len))) {
            s = ft_strings_put(out, token, (size_t)(found - token), e);
            if (!s && i + 1 < in->n) s = ft_strings_put(out, " ", 1, e);
            n -= (size_t)(found - token) + len;
            token = found + len;
        }
        if (!s) s = ft_strings_put(out, token, n, e);
    }
    return s;
}

/* ==== ByteFallback: runs of "<0xE2>" become characters, or one U+FFFD each ==== */

static int nibble(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    const int low = c | 0x20;
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Also "<0x+9>", which the reference's reading of numbers takes. */
static int byte_of(const char *s, size_t n)
{
    if (n != 6 || memcmp(s, "<0x", 3) || s[5] != '>') return -1;
    const int high = s[3] == '+' ? 0 : nibble(s[3]), low = nibble(s[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static ft_status end_run(ft_buf *run, ft_strings *out, ft_err *e)
{
    ft_status s = FT_OK;

    if (!run->len) return FT_OK;
    if (!ft_utf8_check(run->data, run->len, NULL)) {
        s = ft_strings_add(out, run->data, run->len, e);
    } else {
        for (size_t i = 0; i < run->len && !s; i++) s = ft_strings_add(out, "\xEF\xBF\xBD", 3, e);
    }
    ft_buf_clear(run);
    return s;
}

static ft_status byte_fallback_decode(const void *self, const ft_strings *in, ft_strings *out, ft_err *e)
{
    ft_buf run = { 0 };
    ft_status s = FT_OK;

    (void)self;
    ft_strings_clear(out);
    for (size_t i = 0; i < in->n && !s; i++) {
        size_t n;
        const char *token = ft_strings_get(in, i, &n);
        const int byte = byte_of(token, n);
        if (byte >= 0) {
            s = ft_buf_putc(&run, (char)byte, e);
        } else {
            s = end_run(&run, out, e);
            if (!s) s = ft_strings_add(out, token, n, e);
        }
    }
    if (!s) s = end_run(&run, out, e);
    ft_buf_free(&run);
    return s;
}

/* ==== Fuse: all into one ==== */

static ft_status fuse_decode(const void *self, const ft_strings *in, ft_strings *out, ft_err *e)
{
    (void)self;
    ft_strings_clear(out);
    return ft_strings_add(out, in->bytes.data ? in->bytes.data : "", in->n ? in->at[in->n] : 0, e);
}

/* ==== Strip: up to so many of one character from both ends ==== */

typedef struct strip {
    char content[4];
    size_t len;
    int64_t start, stop;
} strip;

static ft_status strip_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    const char *text;
    size_t n;
    strip *x = *out = ft_calloc(1, sizeof *x);

    if (!x) return ft_fail_mem(e, sizeof *x);
    ft_status s = ft_json_text(&text, &n, o, "content", where, e);
    if (!s && (!n || ft_utf8_count(text, n) != 1)) s = ft_fail(e, FT_EDATA, "%s.content: want one character", where);
    if (!s) s = ft_json_int(&x->start, o, "start", 0, INT32_MAX, where, e);
    if (!s) s = ft_json_int(&x->stop, o, "stop", 0, INT32_MAX, where, e);
    if (!s) memcpy(x->content, text, x->len = n);
    return s;
}

static ft_status strip_decode(const void *self, const ft_strings *in, ft_strings *out, ft_err *e)
{
    const strip *x = self;
    ft_status s = FT_OK;

    ft_strings_clear(out);
    for (size_t i = 0; i < in->n && !s; i++) {
        size_t n;
        const char *t = ft_strings_get(in, i, &n);
        for (int64_t k = 0; k < x->start && n >= x->len && !memcmp(t, x->content, x->len); k++) {
            t += x->len;
            n -= x->len;
        }
        for (int64_t k = 0; k < x->stop && n >= x->len && !memcmp(t + n - x->len, x->content, x->len); k++) n -= x->len;
        s = ft_strings_add(out, t, n, e);
    }
    return s;
}

const ft_part_kind ft_decode_bpe = { .type = "BPEDecoder", .load = bpe_load, .decode = bpe_decode };
const ft_part_kind ft_decode_byte_fallback = { .type = "ByteFallback", .decode = byte_fallback_decode };
const ft_part_kind ft_decode_fuse = { .type = "Fuse", .decode = fuse_decode };
const ft_part_kind ft_decode_strip = { .type = "Strip", .load = strip_load, .decode = strip_decode };
