/* runtime/text/json_get.c - jansson, with our errors. */
#include "text/json_get.h"

ft_status ft_json_parse(json_t **out, const char *bytes, size_t n, ft_err *e)
{
    json_error_t why;

    *out = json_loadb(bytes ? bytes : "", n, 0, &why);
    /* "No limit" is written as the integer 1e30 by some tools: read numbers as doubles then. */
    if (!*out && json_error_code(&why) == json_error_numeric_overflow)
        *out = json_loadb(bytes ? bytes : "", n, JSON_DECODE_INT_AS_REAL, &why);
    if (*out) return FT_OK;
    if (json_error_code(&why) == json_error_out_of_memory) return ft_fail(e, FT_EMEM, "out of memory: reading JSON");
    return ft_fail(e, FT_EDATA, "line %d, column %d: %s", why.line, why.column, why.text);
}

struct sink {
    ft_buf *b;
    ft_err *e;
};

static int pour(const char *bytes, size_t n, void *to)
{
    const struct sink *s = to;
    return ft_buf_add(s->b, bytes, n, s->e) ? -1 : 0;
}

ft_status ft_json_print(ft_buf *b, const json_t *v, ft_err *e)
{
    struct sink s = { b, e };

    if (json_dump_callback(v, pour, &s, JSON_INDENT(2))) return ft_fail(e, FT_EMEM, "out of memory: writing JSON");
    return ft_buf_putc(b, '\n', e);
}

static const char *type_name(json_type t)
{
    switch (t) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    default: return "another value";
    }
}

ft_status ft_json_member(json_t **out, const json_t *o, const char *key, json_type type, const char *where, ft_err *e)
{
    *out = json_object_get(o, key);
    if (!*out) return ft_fail(e, FT_EDATA, "%s: has no \"%s\"", where, key);
    if (json_typeof(*out) != type) return ft_fail(e, FT_EDATA, "%s.%s: want %s", where, key, type_name(type));
    return FT_OK;
}

ft_status ft_json_text(const char **out, size_t *len, const json_t *o, const char *key, const char *where, ft_err *e)
{
    json_t *v;
    const ft_status s = ft_json_member(&v, o, key, JSON_STRING, where, e);

    if (s) return s;
    *out = json_string_value(v);
    *len = json_string_length(v);
    return FT_OK;
}

ft_status ft_json_flag(bool *out, const json_t *o, const char *key, const char *where, ft_err *e)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_boolean(v)) return ft_fail(e, FT_EDATA, "%s.%s: want true or false", where, key);
    *out = json_is_true(v);
    return FT_OK;
}

ft_status ft_json_int(int64_t *out, const json_t *o, const char *key, int64_t min, int64_t max, const char *where,
                      ft_err *e)
{
    json_t *v;
    const ft_status s = ft_json_member(&v, o, key, JSON_INTEGER, where, e);

    if (s) return s;
    *out = json_integer_value(v);
    if (*out < min || *out > max)
        return ft_fail(e, FT_EDATA, "%s.%s: %lld is not %lld to %lld", where, key, (long long)*out, (long long)min,
                       (long long)max);
    return FT_OK;
}

ft_status ft_json_kind(const char **out, const json_t *o, const char *where, ft_err *e)
{
    size_t len;
    return ft_json_text(out, &len, o, "type", where, e);
}
