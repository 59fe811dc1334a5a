/* runtime/tensor/safetensors_header.c - the check of everything a safetensors header promises.
 *
 * Nothing here trusts the file: a header that passes makes every later access of
 * the data safe. Messages say neither file nor tensor; the callers put them before.
 */
#include "tensor/safetensors_header.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static const struct {
    const char *name;
    unsigned bits;
    int tensor;
} dtypes[] = {
    { "F32", 32, FT_F32 },
    { "F16", 16, FT_F16 },
    { "BF16", 16, FT_BF16 },
    { "I32", 32, FT_I32 },
    { "I64", 64, FT_I64 },
    { "U8", 8, FT_U8 },
    { "F64", 64, FT_SAFETENSORS_F64 },
    { "BOOL", 8, FT_SAFETENSORS_UNREADABLE },
    { "I8", 8, FT_SAFETENSORS_UNREADABLE },
    { "I16", 16, FT_SAFETENSORS_UNREADABLE },
    { "U16", 16, FT_SAFETENSORS_UNREADABLE },
    { "U32", 32, FT_SAFETENSORS_UNREADABLE },
    { "U64", 64, FT_SAFETENSORS_UNREADABLE },
    { "C64", 64, FT_SAFETENSORS_UNREADABLE },
    { "F8_E4M3", 8, FT_SAFETENSORS_UNREADABLE },
    { "F8_E5M2", 8, FT_SAFETENSORS_UNREADABLE },
    { "F8_E8M0", 8, FT_SAFETENSORS_UNREADABLE },
    { "F8_E4M3FNUZ", 8, FT_SAFETENSORS_UNREADABLE },
    { "F8_E5M2FNUZ", 8, FT_SAFETENSORS_UNREADABLE },
    { "F6_E2M3", 6, FT_SAFETENSORS_UNREADABLE },
    { "F6_E3M2", 6, FT_SAFETENSORS_UNREADABLE },
    { "F4", 4, FT_SAFETENSORS_UNREADABLE },
};

const char *ft_safetensors_shown(const char *name, char buf[128])
{
    size_t n = strlen(name);
    const int cut = n > 120;

    if (cut) {
        n = 120;
        while (n && ((unsigned char)name[n] & 0xc0u) == 0x80u) n--; /* not within a character of UTF-8 */
    }
    for (size_t i = 0; i < n; i++) buf[i] = (unsigned char)name[i] < 32 || name[i] == 127 ? '?' : name[i];
    memcpy(buf + n, cut ? "..." : "", cut ? 4 : 1);
    return buf;
}

/* Did jansson run out of memory? It may say so, say nothing, or (2.14, within a string) complain of a token
 * that is the very string it asks for. */
static int ran_out(const json_error_t *why)
{
    return json_error_code(why) == json_error_out_of_memory || why->text[0] == '\0' ||
           strstr(why->text, "string or '}' expected near '\"") == why->text ||
           strstr(why->text, "invalid token near '\"") == why->text;
}

ft_status ft_safetensors_json(json_t **out, const char *bytes, size_t n, ft_err *e)
{
    json_error_t why = { .line = 0 };
    json_t *root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &why);
    char shown[128];

    if (!root) {
        if (ran_out(&why)) return ft_fail_mem(e, n);
        return ft_fail(e, FT_EDATA, "not valid JSON: %s (byte %d)", ft_safetensors_shown(why.text, shown),
                       why.position);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return ft_fail(e, FT_EDATA, "not a JSON object");
    }
    *out = root;
    return FT_OK;
}

/* ==== The whole file ==== */

/* What a file that is no safetensors file probably is, from its first bytes. */
static const char *likely(const ft_map *m)
{
    static const char lfs[] = "version https://git-lfs";

    if (m->size >= sizeof lfs - 1 && !memcmp(m->data, lfs, sizeof lfs - 1))
        return " (it is a Git LFS pointer: the real file was not downloaded)";
    if (m->size >= 4 && !memcmp(m->data, "PK\3\4", 4)) return " (it is a zip archive, as PyTorch's pickled files are)";
    if (m->size >= 2 && m->data[0] == 0x80 && m->data[1] <= 5) return " (it may be a Python pickle)";
    return "";
}

ft_status ft_safetensors_length(const ft_map *m, size_t *length, ft_err *e)
{
    uint64_t n = 0;

    if (m->size < 8)
        return ft_fail(e, FT_EDATA, "truncated: %zu bytes, and the length of the header alone takes 8", m->size);
    for (int i = 7; i >= 0; i--) n = n << 8 | m->data[i];
    if (n > FT_SAFETENSORS_HEADER_MAX)
        return ft_fail(e, FT_EDATA, "not a safetensors file: its header would have %llu bytes, above the limit of %d%s",
                       (unsigned long long)n, FT_SAFETENSORS_HEADER_MAX, likely(m));
    if (n > m->size - 8)
        return ft_fail(e, FT_EDATA, "truncated: the header should have %llu bytes, the file has %zu%s",
                       (unsigned long long)n, m->size - 8, likely(m));
    if (n == 0 || m->data[8] != '{') return ft_fail(e, FT_EDATA, "the header does not start with '{'");
    *length = (size_t)n;
    return FT_OK;
}

ft_status ft_safetensors_check_metadata(const json_t *meta, ft_err *e)
{
    const char *key;
    json_t *value;
    char shown[128];

    if (!json_is_object(meta)) return ft_fail(e, FT_EDATA, "__metadata__ is not an object");
    json_object_foreach ((json_t *)(uintptr_t)meta, key, value) {
        if (!json_is_string(value))
            return ft_fail(e, FT_EDATA, "__metadata__: the value of '%s' is not a string",
                           ft_safetensors_shown(key, shown));
    }
    return FT_OK;
}

/* ==== One tensor ==== */

static ft_status check_keys(json_t *v, ft_err *e)
{
    const char *key;
    json_t *value;
    char shown[128];

    if (!json_is_object(v)) return ft_fail(e, FT_EDATA, "not an object");
    json_object_foreach (v, key, value) {
        if (strcmp(key, "dtype") && strcmp(key, "shape") && strcmp(key, "data_offsets"))
            return ft_fail(e, FT_EDATA, "unknown key '%s'", ft_safetensors_shown(key, shown));
    }
    if (json_object_size(v) == 3) return FT_OK;
    return ft_fail(e, FT_EDATA, "%s is missing",
                   !json_object_get(v, "dtype")   ? "dtype"
                   : !json_object_get(v, "shape") ? "shape"
                                                  : "data_offsets");
}

static ft_status read_dtype(ft_safetensors_entry *t, unsigned *bits, const json_t *v, ft_err *e)
{
    const char *name = json_string_value(v);
    char shown[128];

    if (!name) return ft_fail(e, FT_EDATA, "dtype is not a string");
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(name, dtypes[i].name)) continue;
        t->info.dtype = dtypes[i].name;
        t->tensor = dtypes[i].tensor;
        *bits = dtypes[i].bits;
        return FT_OK;
    }
    return ft_fail(e, FT_EDATA, "unknown dtype '%s'", ft_safetensors_shown(name, shown));
}

static ft_status read_shape(ft_safetensors_info *info, const json_t *v, ft_err *e)
{
    if (!json_is_array(v)) return ft_fail(e, FT_EDATA, "shape is not an array");
    const size_t rank = json_array_size(v);
    if (rank > FT_SAFETENSORS_MAX_RANK)
        return ft_fail(e, FT_EDATA, "%zu dimensions, above the limit of %d", rank, FT_SAFETENSORS_MAX_RANK);
    info->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *d = json_array_get(v, i);
        if (!json_is_integer(d)) return ft_fail(e, FT_EDATA, "dimension %zu is not an integer", i);
        if (json_integer_value(d) < 0)
            return ft_fail(e, FT_EDATA, "dimension %zu is negative: %lld", i, (long long)json_integer_value(d));
        info->dim[i] = json_integer_value(d);
    }
    return FT_OK;
}

/* bytes = product of the dimensions * bits / 8, whole and representable. */
static ft_status count_bytes(ft_safetensors_info *info, unsigned bits, ft_err *e)
{
    uint64_t n = 1;
    int over = 0;

    for (int i = 0; i < info->rank; i++) over |= __builtin_mul_overflow(n, (uint64_t)info->dim[i], &n);
    over |= __builtin_mul_overflow(n, (uint64_t)bits, &n);
    if (over || n / 8 > SIZE_MAX / 2) return ft_fail(e, FT_EDATA, "the product of its dimensions overflows");
    if (n % 8) return ft_fail(e, FT_EDATA, "%llu bits of %s are no whole bytes", (unsigned long long)n, info->dtype);
    info->bytes = (size_t)(n / 8);
    return FT_OK;
}

static ft_status read_offsets(ft_safetensors_entry *t, const json_t *v, ft_err *e)
{
    const json_t *b = json_array_get(v, 0), *n = json_array_get(v, 1);

    if (json_array_size(v) != 2 || !json_is_integer(b) || !json_is_integer(n))
        return ft_fail(e, FT_EDATA, "data_offsets is not a pair of integers");
    const json_int_t begin = json_integer_value(b), end = json_integer_value(n);
    if (begin < 0) return ft_fail(e, FT_EDATA, "data_offsets begin at %lld", (long long)begin);
    if (end < begin)
        return ft_fail(e, FT_EDATA, "data_offsets end at %lld, before they begin at %lld", (long long)end,
                       (long long)begin);
    t->begin = (size_t)begin;
    t->end = (size_t)end;
    return FT_OK;
}

ft_status ft_safetensors_read_entry(ft_safetensors_entry *t, json_t *v, ft_err *e)
{
    unsigned bits = 0;

    ft_status s = check_keys(v, e);
    if (!s) s = read_dtype(t, &bits, json_object_get(v, "dtype"), e);
    if (!s) s = read_shape(&t->info, json_object_get(v, "shape"), e);
    if (!s) s = count_bytes(&t->info, bits, e);
    if (!s) s = read_offsets(t, json_object_get(v, "data_offsets"), e);
    if (!s && t->end - t->begin != t->info.bytes)
        s = ft_fail(e, FT_EDATA, "data_offsets span %zu bytes, its shape and dtype %s need %zu", t->end - t->begin,
                    t->info.dtype, t->info.bytes);
    return s;
}

/* ==== All tensors together ==== */

static int by_offset(const void *pa, const void *pb)
{
    const ft_safetensors_entry *a = pa, *b = pb;

    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end) return a->end < b->end ? -1 : 1;
    return strcmp(a->info.name, b->info.name);
}

ft_status ft_safetensors_check_cover(ft_safetensors_entry *t, size_t n, size_t have, ft_err *e)
{
    size_t at = 0;
    char a[128], b[128];

    if (n) qsort(t, n, sizeof *t, by_offset);
    for (size_t i = 0; i < n; i++) {
        if (t[i].begin < at)
            return ft_fail(e, FT_EDATA, "tensor '%s': its data at byte %zu overlaps that of '%s', which ends at %zu",
                           ft_safetensors_shown(t[i].info.name, a), t[i].begin,
                           ft_safetensors_shown(t[i - 1].info.name, b), at);
        if (t[i].begin > at)
            return ft_fail(e, FT_EDATA, "tensor '%s': bytes %zu to %zu before its data belong to no tensor",
                           ft_safetensors_shown(t[i].info.name, a), at, t[i].begin);
        at = t[i].end;
    }
    if (at > have) return ft_fail(e, FT_EDATA, "truncated: header promises %zu bytes of data, file has %zu", at, have);
    if (at < have)
        return ft_fail(e, FT_EDATA, "%zu bytes follow the last tensor: header promises %zu bytes of data, file has %zu",
                       have - at, at, have);
    return FT_OK;
}
