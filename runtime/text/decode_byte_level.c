/* runtime/text/decode_byte_level.c - ByteLevel: characters back to bytes, all tokens into one string.
 *
 * A token with a character that stands for no byte is taken as it is. Bytes that are no UTF-8 become U+FFFD, one for each
 * longest beginning of a character (Unicode 15, section 3.9, "substitution of maximal subparts").
 */
#include "text/byte_char.h"
#include "text/part.h"
#include "text/unicode.h"

static bool all_bytes(const char *s, size_t n)
{
    size_t used;

    for (size_t i = 0; i < n; i += used)
        if (ft_byte_of_char(ft_utf8_get(s + i, &used)) < 0) return false;
    return true;
}

static ft_status put_bytes(ft_buf *b, const char *s, size_t n, ft_err *e)
{
    ft_status status = FT_OK;
    size_t used;

    if (!all_bytes(s, n)) return ft_buf_add(b, s, n, e);
    for (size_t i = 0; i < n && !status; i += used)
        status = ft_buf_putc(b, (char)ft_byte_of_char(ft_utf8_get(s + i, &used)), e);
    return status;
}

static ft_status byte_level_decode(const void *self, const ft_strings *in, ft_strings *out, ft_err *e)
{
    ft_buf bytes = { 0 };
    ft_status s = FT_OK;

    (void)self;
    ft_strings_clear(out);
    for (size_t i = 0; i < in->n && !s; i++) {
        size_t n;
        const char *token = ft_strings_get(in, i, &n);
        s = put_bytes(&bytes, token, n, e);
    }
    if (!s) s = ft_strings_begin(out, e);
    for (size_t i = 0; i < bytes.len && !s;) {
        size_t n;
        const bool valid = ft_utf8_next(bytes.data + i, bytes.len - i, &n);
        s = valid ? ft_strings_put(out, bytes.data + i, n, e) : ft_strings_put(out, "\xEF\xBF\xBD", 3, e);
        i += n;
    }
    ft_buf_free(&bytes);
    return s;
}

const ft_part_kind ft_decode_byte_level = { .type = "ByteLevel", .decode = byte_level_decode };
