/* runtime/tensor/torch_file.c - from the records of a pickle to the entries of a checkpoint.
 *
 * Several tensors may share a storage (tied weights); none may reach beyond it or have more elements than it, so that a
 * small file cannot ask for much memory.
 */
#include "tensor/torch_file.h"

#include <string.h>

#include "core/mem.h"
#include "tensor/pickle.h"
#include "tensor/safetensors_file.h"
#include "tensor/zip.h"

#define PICKLE "data.pkl"

static const unsigned char legacy_magic[] = { 0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                              0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.' };
enum { LEGACY_VERSION = 1001 };

static const struct {
    const char *name;
    size_t size;
    int tensor;
} dtypes[] = {
    { "F32", 4, FT_F32 },
    { "F16", 2, FT_F16 },
    { "BF16", 2, FT_BF16 },
    { "F64", 8, FT_SAFETENSORS_F64 },
    { "I64", 8, FT_I64 },
    { "I32", 4, FT_I32 },
    { "U8", 1, FT_U8 },
    { "I16", 2, FT_SAFETENSORS_UNREADABLE },
    { "I8", 1, FT_SAFETENSORS_UNREADABLE },
    { "BOOL", 1, FT_SAFETENSORS_UNREADABLE },
};

static size_t dtype_of(const char *name)
{
    size_t i = 0;

    while (strcmp(dtypes[i].name, name)) i++;
    return i;
}

typedef struct span {
    const ft_pickle_value *key; /* legacy files: of the storage there */
    size_t begin, size;
} span;

typedef struct reader {
    ft_safetensors_file *f;
    ft_pickle pickle;
    ft_pickle_value top;
    ft_zip zip; /* with the folder that its members are in: */
    const char *folder;
    size_t folder_length;
    span *spans; /* or of a legacy file the storages */
    size_t n_spans;
} reader;

/* ==== Storages ==== */

static ft_status find_member(const reader *r, const ft_pickle_storage *storage, span *out, ft_err *e)
{
    char name[128] = "data/";
    const size_t n = storage->key.n;

    if (n < sizeof name - 5) {
        memcpy(name + 5, storage->key.text, n);
        const ft_zip_member *m = ft_zip_find(&r->zip, r->folder, r->folder_length, name, n + 5);
        if (m) {
            *out = (span){ NULL, m->begin, m->size };
            return FT_OK;
        }
    }
    return ft_fail(e, FT_EDATA, "its storage '%.*s' is not in the archive", (int)(n < 60 ? n : 60), storage->key.text);
}

static ft_status find_span(const reader *r, const ft_pickle_storage *storage, span *out, ft_err *e)
{
    const ft_pickle_value key = storage->key;

    for (size_t i = 0; i < r->n_spans; i++) {
        const ft_pickle_value *k = r->spans[i].key;
        if (k->n != key.n || memcmp(k->text, key.text, key.n)) continue;
        *out = r->spans[i];
        return FT_OK;
    }
    return ft_fail(e, FT_EDATA, "its storage '%.*s' is not in the file", (int)(key.n < 60 ? key.n : 60), key.text);
}

/* ==== Tensors ==== */

/* Elements of t and whether they lie one behind the other; all within `have` elements. */
static ft_status measure(const ft_pickle_tensor *t, uint64_t have, uint64_t *count, int *strided, ft_err *e)
{
    uint64_t n = 1, last = (uint64_t)t->first, contiguous = 1, part;
    int over = 0;

    *strided = 0;
    for (int i = t->rank - 1; i >= 0; i--) {
        const uint64_t d = (uint64_t)t->dim[i], stride = (uint64_t)t->stride[i];
        if (d > 1 && stride != contiguous) *strided = 1;
        over |= __builtin_mul_overflow(n, d, &n);
        over |= __builtin_mul_overflow(contiguous, d ? d : 1, &contiguous);
        over |= __builtin_mul_overflow(d ? d - 1 : 0, stride, &part);
        over |= __builtin_add_overflow(last, part, &last);
    }
    *count = n;
    if (!over && n == 0) {
        *strided = 0;
        return FT_OK;
    }
    if (over || last >= have || n > have)
        return ft_fail(e, FT_EDATA, "it reaches beyond its storage of %llu elements", (unsigned long long)have);
    return FT_OK;
}

static ft_status place(const reader *r, const ft_pickle_tensor *t, ft_safetensors_entry *out, ft_err *e)
{
    const ft_pickle_storage *storage = &r->pickle.storages[t->storage];
    const size_t dtype = dtype_of(storage->dtype), size = dtypes[dtype].size;
    uint64_t count = 0, bytes = 0;
    span at = { 0 };

    ft_status s = r->spans ? find_span(r, storage, &at, e) : find_member(r, storage, &at, e);
    if (s) return s;
    if (__builtin_mul_overflow((uint64_t)storage->count, size, &bytes) || bytes > at.size)
        return ft_fail(e, FT_EDATA, "its storage should have %lld elements of %s, and has %zu bytes",
                       (long long)storage->count, storage->dtype, at.size);
    s = measure(t, (uint64_t)storage->count, &count, &out->strided, e);
    if (s) return s;
    out->info.dtype = dtypes[dtype].name;
    out->info.rank = t->rank;
    out->info.bytes = (size_t)count * size;
    for (int i = 0; i < t->rank; i++) out->info.dim[i] = t->dim[i];
    for (int i = 0; i < t->rank; i++) out->stride[i] = t->stride[i];
    out->tensor = dtypes[dtype].tensor;
    out->begin = at.begin + (count ? (size_t)t->first * size : 0);
    out->end = out->begin + out->info.bytes;
    return FT_OK;
}

static int is_utf8(const char *s)
{
    size_t n = 1;

    while (*s && n) s += n = ft_safetensors_utf8((const unsigned char *)s);
    return n > 0;
}

/* A name that may be used in messages and as a C string. Keys of the header own the names. */
static ft_status name_of(json_t *header, ft_pickle_value key, const char **out, ft_err *e)
{
    if (key.kind != FT_PICKLE_TEXT) return ft_fail(e, FT_EDATA, "not a state dictionary: a key is no text");
    char *copy = ft_strndup(key.text, key.n);
    ft_status s = copy ? FT_OK : ft_fail_mem(e, key.n);
    if (!s && memchr(key.text, 0, key.n)) s = ft_fail(e, FT_EDATA, "the name of a tensor holds a zero byte");
    if (!s && json_object_get(header, copy)) s = ft_fail(e, FT_EDATA, "tensor '%.60s' is there twice", copy);
    if (!s && !is_utf8(copy)) s = ft_fail(e, FT_EDATA, "the name of a tensor is not UTF-8");
    if (!s) {
        json_t *text = json_string(copy);
        if (!text || json_object_set_new(header, copy, text))
            s = ft_fail_mem(e, key.n);
        else
            *out = json_string_value(text);
    }
    ft_free(copy);
    return s;
}

static ft_status add_entry(reader *r, const ft_pickle_link *link, ft_err *e)
{
    ft_safetensors_entry *t = &r->f->entries[r->f->n];
    char shown[128];

    ft_status s = name_of(r->f->header, link->key, &t->info.name, e);
    if (s) return s;
    if (link->value.kind != FT_PICKLE_TENSOR)
        return ft_fail(e, FT_EDATA,
                       "not a state dictionary: '%s' is no tensor (a checkpoint of a training run holds more "
                       "than weights)",
                       ft_safetensors_shown(t->info.name, shown));
    t->file = r->f;
    s = place(r, &r->pickle.tensors[link->value.i], t, e);
    if (s) return ft_context(e, "tensor '%s'", ft_safetensors_shown(t->info.name, shown));
    r->f->n++;
    return FT_OK;
}

static ft_status add_entries(reader *r, ft_err *e)
{
    if (r->top.kind != FT_PICKLE_DICT) return ft_fail(e, FT_EDATA, "not a state dictionary, from names to tensors");
    const ft_pickle_chain *c = &r->pickle.chains[r->top.i];
    r->f->header = json_object();
    r->f->entries = ft_calloc(c->n + 1, sizeof *r->f->entries);
    if (!r->f->header || !r->f->entries) return ft_fail_mem(e, (c->n + 1) * sizeof *r->f->entries);
    for (size_t at = c->first; at; at = r->pickle.links[at - 1].next) {
        const ft_status s = add_entry(r, &r->pickle.links[at - 1], e);
        if (s) return s;
    }
    return FT_OK;
}

/* ==== Zip archives ==== */

/* The member FOLDER/data.pkl; there is one folder. */
static ft_status find_pickle(reader *r, const ft_zip_member **out, ft_err *e)
{
    const size_t n = sizeof PICKLE - 1;

    for (size_t i = 0; i < r->zip.n; i++) {
        const ft_zip_member *m = &r->zip.members[i];
        if (m->name_length <= n || memcmp(m->name + m->name_length - n, PICKLE, n)) continue;
        if (memchr(m->name, '/', m->name_length) != m->name + m->name_length - n - 1) continue;
        r->folder = m->name;
        r->folder_length = m->name_length - n;
        *out = m;
        return FT_OK;
    }
    return ft_fail(e, FT_EDATA, "a zip archive without " PICKLE ": not written by torch.save");
}

static ft_status open_zip(reader *r, ft_err *e)
{
    const ft_zip_member *m = NULL;

    ft_status s = ft_zip_open(&r->zip, r->f->map.data, r->f->map.size, e);
    if (!s) s = find_pickle(r, &m, e);
    if (s) return s;
    const ft_zip_member *order = ft_zip_find(&r->zip, r->folder, r->folder_length, "byteorder", 9);
    if (order && order->size == 3 && !memcmp(r->f->map.data + order->begin, "big", 3))
        return ft_fail(e, FT_EDATA, "written on a big-endian machine");
    r->pickle = (ft_pickle){ .data = r->f->map.data + m->begin, .size = m->size };
    s = ft_pickle_load(&r->pickle, &r->top, e);
    return s ? ft_context(e, "%.*s", (int)(m->name_length < 80 ? m->name_length : 80), m->name) : FT_OK;
}

/* ==== Legacy files ==== */

static const ft_pickle_storage *storage_called(const ft_pickle *p, ft_pickle_value key)
{
    for (size_t i = 0; i < p->n_storages; i++)
        if (p->storages[i].key.n == key.n && !memcmp(p->storages[i].key.text, key.text, key.n)) return &p->storages[i];
    return NULL;
}

/* Behind the last pickle: the storages in the order of their keys, each behind its number of elements. */
static ft_status read_spans(reader *r, ft_pickle_value keys, ft_err *e)
{
    const ft_pickle *p = &r->pickle;
    size_t at = p->at;

    if (keys.kind != FT_PICKLE_LIST) return ft_fail(e, FT_EDATA, "byte %zu: the keys of the storages are no list", at);
    const ft_pickle_chain *c = &p->chains[keys.i];
    if (c->n > p->n_storages)
        return ft_fail(e, FT_EDATA, "byte %zu: %zu storages, of which %zu are used", at, c->n, p->n_storages);
    r->spans = ft_calloc(c->n + 1, sizeof *r->spans);
    if (!r->spans) return ft_fail_mem(e, (c->n + 1) * sizeof *r->spans);
    for (size_t l = c->first; l; l = p->links[l - 1].next) {
        const ft_pickle_value *key = &p->links[l - 1].value;
        const ft_pickle_storage *storage = key->kind == FT_PICKLE_TEXT ? storage_called(p, *key) : NULL;
        uint64_t count, bytes;
        if (!storage) return ft_fail(e, FT_EDATA, "byte %zu: a storage that no tensor uses", at);
        if (p->size - at < 8) return ft_fail(e, FT_EDATA, "byte %zu: truncated: a storage is missing", at);
        memcpy(&count, p->data + at, 8);
        at += 8;
        if (__builtin_mul_overflow(count, dtypes[dtype_of(storage->dtype)].size, &bytes) || bytes > p->size - at)
            return ft_fail(e, FT_EDATA,
                           "byte %zu: truncated: a storage of %llu elements of %s, the file has %zu more bytes", at,
                           (unsigned long long)count, storage->dtype, p->size - at);
        r->spans[r->n_spans++] = (span){ key, at, (size_t)bytes };
        at += (size_t)bytes;
    }
    return FT_OK;
}

/* Facts of the machine that wrote the file: all but the order of bytes is passed over. */
static ft_status check_machine(const ft_pickle *p, ft_pickle_value facts, ft_err *e)
{
    if (facts.kind != FT_PICKLE_DICT)
        return ft_fail(e, FT_EDATA, "byte %zu: the facts of the machine are no dictionary", p->at);
    for (size_t at = p->chains[facts.i].first; at; at = p->links[at - 1].next) {
        const ft_pickle_link *l = &p->links[at - 1];
        if (ft_pickle_is(l->key, "little_endian") && (l->value.kind != FT_PICKLE_TRUTH || !l->value.i))
            return ft_fail(e, FT_EDATA, "written on a big-endian machine");
    }
    return FT_OK;
}

static ft_status open_legacy(reader *r, ft_err *e)
{
    ft_pickle_value version = { 0 }, facts = { 0 }, keys = { 0 };
    ft_pickle *p = &r->pickle;

    *p = (ft_pickle){ .data = r->f->map.data, .size = r->f->map.size, .at = sizeof legacy_magic };
    ft_status s = ft_pickle_load(p, &version, e);
    if (!s && (version.kind != FT_PICKLE_INT || version.i != LEGACY_VERSION))
        s = ft_fail(e, FT_EDATA, "byte %zu: not version %d of PyTorch's format", sizeof legacy_magic, LEGACY_VERSION);
    if (!s) s = ft_pickle_load(p, &facts, e);
    if (!s) s = check_machine(p, facts, e);
    if (!s) s = ft_pickle_load(p, &r->top, e);
    if (!s) s = ft_pickle_load(p, &keys, e);
    return s ? s : read_spans(r, keys, e);
}

/* ==== Opening ==== */

static ft_status parse(ft_safetensors_file *f, ft_err *e)
{
    reader r = { .f = f };
    const ft_map *m = &f->map;
    ft_status s;

    f->data = m->data;
    if (m->size >= 4 && !memcmp(m->data, "PK\3\4", 4))
        s = open_zip(&r, e);
    else if (m->size >= sizeof legacy_magic && !memcmp(m->data, legacy_magic, sizeof legacy_magic))
        s = open_legacy(&r, e);
    else
        s = ft_fail(e, FT_EDATA, "not written by torch.save: neither a zip archive nor the form before PyTorch 1.6");
    if (!s) s = add_entries(&r, e);
    ft_pickle_free(&r.pickle);
    ft_zip_free(&r.zip);
    ft_free(r.spans);
    return s ? ft_context(e, "%s", f->path) : FT_OK;
}

ft_status ft_torch_open(ft_safetensors **out, const char *path, ft_err *e)
{
    return ft_safetensors_open_as(out, parse, path, e);
}

ft_status ft_torch_open_bytes(ft_safetensors **out, const void *bytes, size_t n, const char *label, ft_err *e)
{
    return ft_safetensors_open_bytes_as(out, parse, bytes, n, label, e);
}
