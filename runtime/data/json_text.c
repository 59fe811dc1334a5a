/* runtime/data/json_text.c - a compact JSON writer over jansson's values.
 *
 * jansson's own writer prints 0.1 with 17 digits as 0.10000000000000001, which is
 * why there is one here. Its parser bounds the depth to 2048, and so this recursion.
 */
#include "data/json_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static ft_status put_escape(ft_buf *b, unsigned char c, ft_err *e)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = c ? strchr(named, c) : NULL;

    if (!at) return ft_buf_printf(b, e, "\\u%04x", c);
    const char pair[2] = { '\\', letters[at - named] };
    return ft_buf_add(b, pair, 2, e);
}

ft_status ft_json_put_string(ft_buf *b, const char *p, size_t n, ft_err *e)
{
    size_t from = 0;
    ft_status s = ft_buf_putc(b, '"', e);

    for (size_t i = 0; !s && i < n; i++) {
        const unsigned char c = (unsigned char)p[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        s = ft_buf_add(b, p + from, i - from, e);
        if (!s) s = put_escape(b, c, e);
        from = i + 1;
    }
    if (!s) s = ft_buf_add(b, p + from, n - from, e);
    return s ? s : ft_buf_putc(b, '"', e);
}

static ft_status put_real(ft_buf *b, double x, ft_err *e)
{
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    const ft_status s = ft_buf_puts(b, text, e);
    return s || strpbrk(text, ".e") ? s : ft_buf_puts(b, ".0", e);
}

static ft_status put_array(ft_buf *b, const json_t *value, ft_err *e)
{
    const size_t n = json_array_size(value);
    ft_status s = ft_buf_putc(b, '[', e);

    for (size_t i = 0; !s && i < n; i++) {
        if (i) s = ft_buf_putc(b, ',', e);
        if (!s) s = ft_json_put_value(b, json_array_get(value, i), e);
    }
    return s ? s : ft_buf_putc(b, ']', e);
}

static ft_status put_object(ft_buf *b, const json_t *value, ft_err *e)
{
    json_t *object = (json_t *)(uintptr_t)value; /* jansson's iterators want it writable */
    ft_status s = ft_buf_putc(b, '{', e);
    int first = 1;

    for (void *it = json_object_iter(object); !s && it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        if (!first) s = ft_buf_putc(b, ',', e);
        if (!s) s = ft_json_put_string(b, key, strlen(key), e);
        if (!s) s = ft_buf_putc(b, ':', e);
        if (!s) s = ft_json_put_value(b, json_object_iter_value(it), e);
        first = 0;
    }
    return s ? s : ft_buf_putc(b, '}', e);
}

ft_status ft_json_put_value(ft_buf *b, const json_t *value, ft_err *e)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return put_object(b, value, e);
    case JSON_ARRAY: return put_array(b, value, e);
    case JSON_STRING: return ft_json_put_string(b, json_string_value(value), json_string_length(value), e);
    case JSON_INTEGER: return ft_buf_printf(b, e, "%lld", (long long)json_integer_value(value));
    case JSON_REAL: return put_real(b, json_real_value(value), e);
    case JSON_TRUE: return ft_buf_puts(b, "true", e);
    case JSON_FALSE: return ft_buf_puts(b, "false", e);
    default: return ft_buf_puts(b, "null", e);
    }
}
