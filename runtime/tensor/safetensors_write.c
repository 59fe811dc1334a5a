/* runtime/tensor/safetensors_write.c - writing safetensors files, streaming and atomic.
 *
 * The header is laid out before the first byte is written, so tensors go from where
 * they lie to the file; where they change dtype, a small buffer at a time.
 */
#include "tensor/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"
#include "tensor/safetensors_file.h"

enum { HEADER_MAX = 100000000, CHUNK = 4096 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are written as they lie in memory");

typedef struct item {
    const char *name;
    const ft_tensor *tensor;
    ft_dtype dtype; /* in the file */
    size_t bytes;
} item;

/* Names in the file, and where each dtype comes in the data. */
static const struct {
    const char *name;
    int place;
} stored[] = {
    [FT_I64] = { "I64", 0 },   [FT_F32] = { "F32", 1 }, [FT_I32] = { "I32", 2 },
    [FT_BF16] = { "BF16", 3 }, [FT_F16] = { "F16", 4 }, [FT_U8] = { "U8", 5 },
};

/* ==== Names ==== */

/* Bytes of the UTF-8 character at s (RFC 3629: shortest form, no surrogates, up to U+10FFFF), or 0. */
size_t ft_safetensors_utf8(const unsigned char *s)
{
    const size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0u) != 0x80u) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return n;
}

/* s in quotes. FT_EUSAGE when it is not UTF-8. */
static ft_status put_string(ft_buf *b, const char *s, ft_err *e)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    ft_status status = ft_buf_putc(b, '"', e);

    while (!status && *s) {
        const char *special = strchr(from, *s);
        const size_t n = ft_safetensors_utf8((const unsigned char *)s);
        if (n == 0)
            status = ft_fail(e, FT_EUSAGE, "a name or value is not UTF-8");
        else if (special)
            status = ft_buf_printf(b, e, "\\%c", to[special - from]);
        else if ((unsigned char)*s < 32)
            status = ft_buf_printf(b, e, "\\u%04x", (unsigned)*s);
        else
            status = ft_buf_add(b, s, n, e);
        s += n;
    }
    return status ? status : ft_buf_putc(b, '"', e);
}

static int by_name(const void *pa, const void *pb)
{
    const item *a = pa, *b = pb;
    return strcmp(a->name, b->name);
}

static int by_place(const void *pa, const void *pb)
{
    const item *a = pa, *b = pb;
    const int place = stored[a->dtype].place - stored[b->dtype].place;
    return place ? place : strcmp(a->name, b->name);
}

/* ==== Layout ==== */

static int is_float(ft_dtype t) { return t == FT_F32 || t == FT_F16 || t == FT_BF16; }

static ft_status lay_out(item *items, size_t n, const char *const names[], ft_tensor *const tensors[],
                         const ft_dtype *floats, ft_err *e)
{
    for (size_t i = 0; i < n; i++) {
        const ft_tensor *t = tensors[i];
        if (t->bytes && !t->data) return ft_fail(e, FT_ESTATE, "tensor '%s' has no data", names[i]);
        if (!strcmp(names[i], "__metadata__")) return ft_fail(e, FT_EUSAGE, "a tensor cannot be named __metadata__");
        items[i] = (item){ names[i], t, floats && is_float(t->dtype) ? *floats : t->dtype, 0 };
        items[i].bytes = (size_t)ft_shape_count(&t->shape) * ft_dtype_size(items[i].dtype);
    }
    if (n) qsort(items, n, sizeof *items, by_name);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(items[i - 1].name, items[i].name))
            return ft_fail(e, FT_EUSAGE, "two tensors are named '%s'", items[i].name);
    if (n) qsort(items, n, sizeof *items, by_place);
    return FT_OK;
}

static ft_status put_metadata(ft_buf *b, size_t n, const char *const keys[], const char *const values[], ft_err *e)
{
    ft_status s = ft_buf_puts(b, "\"__metadata__\":{", e);

    for (size_t i = 0; !s && i < n; i++) {
        for (size_t j = 0; j < i; j++)
            if (!strcmp(keys[i], keys[j])) return ft_fail(e, FT_EUSAGE, "metadata has the key '%s' twice", keys[i]);
        if (i) s = ft_buf_putc(b, ',', e);
        if (!s) s = put_string(b, keys[i], e);
        if (!s) s = ft_buf_putc(b, ':', e);
        if (!s) s = put_string(b, values[i], e);
    }
    return s ? s : ft_buf_putc(b, '}', e);
}

static ft_status put_item(ft_buf *b, const item *t, size_t begin, ft_err *e)
{
    ft_status s = put_string(b, t->name, e);

    if (!s) s = ft_buf_printf(b, e, ":{\"dtype\":\"%s\",\"shape\":[", stored[t->dtype].name);
    for (int i = 0; !s && i < t->tensor->shape.rank; i++)
        s = ft_buf_printf(b, e, "%s%lld", i ? "," : "", (long long)t->tensor->shape.dim[i]);
    return s ? s : ft_buf_printf(b, e, "],\"data_offsets\":[%zu,%zu]}", begin, begin + t->bytes);
}

/* The JSON, filled up with spaces so that the data starts at a multiple of 8. */
static ft_status put_header(ft_buf *b, const item *items, size_t n, size_t n_meta, const char *const keys[],
                            const char *const values[], ft_err *e)
{
    size_t begin = 0;
    ft_status s = ft_buf_putc(b, '{', e);

    if (!s && n_meta) s = put_metadata(b, n_meta, keys, values, e);
    for (size_t i = 0; !s && i < n; i++) {
        if (i || n_meta) s = ft_buf_putc(b, ',', e);
        if (!s) s = put_item(b, &items[i], begin, e);
        begin += items[i].bytes;
    }
    if (!s) s = ft_buf_putc(b, '}', e);
    while (!s && b->len % 8) s = ft_buf_putc(b, ' ', e);
    if (!s && b->len > HEADER_MAX)
        s = ft_fail(e, FT_EUSAGE, "the header would have %zu bytes, above the limit of %d", b->len, HEADER_MAX);
    return s;
}

/* ==== Bytes ==== */

static ft_status write_length(ft_atomic *a, size_t n, ft_err *e)
{
    unsigned char bytes[8];

    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)n >> 8 * i);
    return ft_atomic_write(a, bytes, sizeof bytes, e);
}

static ft_status write_converted(ft_atomic *a, const item *t, ft_err *e)
{
    float buffer[CHUNK]; /* of which f16 and bf16 use half */
    const int64_t count = ft_shape_count(&t->tensor->shape);
    const size_t in = ft_dtype_size(t->tensor->dtype), out = ft_dtype_size(t->dtype);
    ft_status s = FT_OK;

    for (int64_t at = 0; !s && at < count; at += CHUNK) {
        const int64_t n = count - at < CHUNK ? count - at : CHUNK;
        const ft_shape shape = ft_shape_of(1, n, 1, 1, 1);
        const ft_tensor from = { .dtype = t->tensor->dtype,
                                 .shape = shape,
                                 .bytes = (size_t)n * in,
                                 .data = (char *)t->tensor->data + (size_t)at * in };
        ft_tensor to = { .dtype = t->dtype, .shape = shape, .bytes = (size_t)n * out, .data = buffer };
        s = ft_tensor_convert(&to, &from, e);
        if (!s) s = ft_atomic_write(a, buffer, to.bytes, e);
    }
    return s;
}

static ft_status write_file(const char *path, const ft_buf *header, const item *items, size_t n, ft_err *e)
{
    ft_atomic a;

    ft_status s = ft_atomic_open(&a, path, e);
    if (s) return s;
    s = write_length(&a, header->len, e);
    if (!s) s = ft_atomic_write(&a, header->data, header->len, e);
    for (size_t i = 0; !s && i < n; i++)
        s = items[i].dtype == items[i].tensor->dtype ? ft_atomic_write(&a, items[i].tensor->data, items[i].bytes, e)
                                                     : write_converted(&a, &items[i], e);
    if (!s) return ft_atomic_commit(&a, e);
    ft_atomic_abandon(&a);
    return s;
}

/* floats NULL: every tensor keeps its dtype. */
static ft_status write_all(const char *path, const ft_dtype *floats, size_t n, const char *const names[],
                           ft_tensor *const tensors[], size_t n_meta, const char *const keys[],
                           const char *const values[], ft_err *e)
{
    ft_buf header = { 0 };
    item *items = ft_calloc(n, sizeof *items);

    if (!items) return ft_fail_mem(e, n * sizeof *items);
    ft_status s = lay_out(items, n, names, tensors, floats, e);
    if (!s) s = put_header(&header, items, n, n_meta, keys, values, e);
    if (s)
        ft_context(e, "%s", path);
    else
        s = write_file(path, &header, items, n, e);
    ft_buf_free(&header);
    ft_free(items);
    return s;
}

ft_status ft_safetensors_write(const char *path, size_t n, const char *const names[], ft_tensor *const tensors[],
                               size_t n_meta, const char *const keys[], const char *const values[], ft_err *e)
{
    return write_all(path, NULL, n, names, tensors, n_meta, keys, values, e);
}

ft_status ft_safetensors_write_as(const char *path, ft_dtype floats, size_t n, const char *const names[],
                                  ft_tensor *const tensors[], size_t n_meta, const char *const keys[],
                                  const char *const values[], ft_err *e)
{
    if (!is_float(floats))
        return ft_fail(e, FT_EUSAGE, "%s: weights cannot be stored as %s", path, ft_dtype_name(floats));
    return write_all(path, &floats, n, names, tensors, n_meta, keys, values, e);
}
