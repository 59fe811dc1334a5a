/* runtime/tensor/safetensors.c - opening safetensors files and making tensors of them.
 *
 * The file outlives the handle: each zero-copy tensor holds a reference to the
 * mapping it points into. The memory is mapped read-only.
 */
#include "tensor/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/nearest.h"
#include "tensor/safetensors_file.h"
#include "tensor/safetensors_header.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are used as they lie in the file");

/* ==== Files ==== */

static void file_release(void *ctx)
{
    ft_safetensors_file *f = ctx;

    if (!f || --f->refs > 0) return;
    ft_free(f->entries);
    json_decref(f->header);
    if (!f->borrowed) ft_map_close(&f->map);
    ft_free(f->path);
    ft_free(f);
}

static ft_status file_new(ft_safetensors_file **out, const char *path, ft_err *e)
{
    ft_safetensors_file *f = ft_calloc(1, sizeof *f);

    if (!f) return ft_fail_mem(e, sizeof *f);
    f->refs = 1;
    f->path = ft_strdup(path);
    if (!f->path) {
        file_release(f);
        return ft_fail_mem(e, strlen(path));
    }
    *out = f;
    return FT_OK;
}

static ft_status read_entries(ft_safetensors_file *f, ft_err *e)
{
    ft_status s = FT_OK;
    const char *name;
    json_t *value;
    char shown[128];
    const size_t most = json_object_size(f->header);

    f->entries = ft_calloc(most, sizeof *f->entries);
    if (!f->entries) return ft_fail_mem(e, most * sizeof *f->entries);
    json_object_foreach (f->header, name, value) {
        if (!strcmp(name, "__metadata__")) {
            s = ft_safetensors_check_metadata(value, e);
        } else {
            ft_safetensors_entry *t = &f->entries[f->n++];
            t->info.name = name;
            t->file = f;
            s = ft_safetensors_read_entry(t, value, e);
            if (s) ft_context(e, "tensor '%s'", ft_safetensors_shown(name, shown));
        }
        if (s) return s;
    }
    return FT_OK;
}

static ft_status file_parse(ft_safetensors_file *f, ft_err *e)
{
    size_t length;

    ft_status s = ft_safetensors_length(&f->map, &length, e);
    if (!s) {
        s = ft_safetensors_json(&f->header, (const char *)f->map.data + 8, length, e);
        if (s) ft_context(e, "header");
    }
    if (!s) s = read_entries(f, e);
    if (!s) {
        f->data = f->map.data + 8 + length;
        s = ft_safetensors_check_cover(f->entries, f->n, f->map.size - 8 - length, e);
    }
    if (s) ft_context(e, "%s", f->path);
    return s;
}

/* ==== Handles ==== */

ft_status ft_safetensors_handle(ft_safetensors **out, size_t files, size_t entries, ft_err *e)
{
    ft_safetensors *st = ft_calloc(1, sizeof *st);

    if (!st) return ft_fail_mem(e, sizeof *st);
    st->refs = 1;
    st->files = ft_calloc(files, sizeof(void *));
    st->list = ft_calloc(entries, sizeof(void *));
    st->by_name = ft_calloc(entries, sizeof(void *));
    if (!st->files || !st->list || !st->by_name) {
        ft_safetensors_release(st);
        return ft_fail_mem(e, (files + 2 * entries) * sizeof(void *));
    }
    *out = st;
    return FT_OK;
}

ft_safetensors *ft_safetensors_retain(ft_safetensors *st)
{
    if (st) st->refs++;
    return st;
}

void ft_safetensors_release(ft_safetensors *st)
{
    if (!st || --st->refs > 0) return;
    for (size_t i = 0; i < st->n_files; i++) file_release(st->files[i]);
    ft_free(st->files);
    ft_free(st->list);
    ft_free(st->by_name);
    ft_free(st);
}

static int by_name(const void *pa, const void *pb)
{
    const ft_safetensors_entry *const *a = pa, *const *b = pb;
    return strcmp((*a)->info.name, (*b)->info.name);
}

void ft_safetensors_sort(ft_safetensors *st)
{
    for (size_t i = 0; i < st->n; i++) st->by_name[i] = st->list[i];
    if (st->n) qsort(st->by_name, st->n, sizeof *st->by_name, by_name);
}

/* A handle on one file; takes over the reference f, also on failure. */
static ft_status handle_of(ft_safetensors **out, ft_safetensors_file *f, ft_err *e)
{
    ft_safetensors *st = NULL;

    const ft_status s = ft_safetensors_handle(&st, 1, f->n, e);
    if (s) {
        file_release(f);
        return s;
    }
    st->files[st->n_files++] = f;
    for (size_t i = 0; i < f->n; i++) st->list[st->n++] = &f->entries[i];
    ft_safetensors_sort(st);
    *out = st;
    return FT_OK;
}

ft_status ft_safetensors_open_as(ft_safetensors **out, ft_safetensors_parser parse, const char *path, ft_err *e)
{
    ft_safetensors_file *f = NULL;

    ft_status s = file_new(&f, path, e);
    if (!s) s = ft_map_open(&f->map, path, e);
    if (!s) s = parse(f, e);
    if (!s) return handle_of(out, f, e);
    file_release(f);
    return s;
}

ft_status ft_safetensors_open_bytes_as(ft_safetensors **out, ft_safetensors_parser parse, const void *bytes, size_t n,
                                       const char *label, ft_err *e)
{
    ft_safetensors_file *f = NULL;

    ft_status s = file_new(&f, label, e);
    if (!s) {
        f->borrowed = 1;
        f->map = (ft_map){ .data = bytes, .size = n };
        s = parse(f, e);
    }
    if (!s) return handle_of(out, f, e);
    file_release(f);
    return s;
}

ft_status ft_safetensors_open(ft_safetensors **out, const char *path, ft_err *e)
{
    return ft_safetensors_open_as(out, file_parse, path, e);
}

ft_status ft_safetensors_open_bytes(ft_safetensors **out, const void *bytes, size_t n, const char *label, ft_err *e)
{
    return ft_safetensors_open_bytes_as(out, file_parse, bytes, n, label, e);
}

/* ==== Looking up ==== */

size_t ft_safetensors_count(const ft_safetensors *st) { return st->n; }
const char *ft_safetensors_name(const ft_safetensors *st, size_t i) { return st->list[i]->info.name; }

const ft_safetensors_entry *ft_safetensors_entry_of(const ft_safetensors *st, const char *name)
{
    size_t low = 0, high = st->n;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = strcmp(name, st->by_name[mid]->info.name);
        if (order == 0) return st->by_name[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const ft_safetensors_info *ft_safetensors_find(const ft_safetensors *st, const char *name)
{
    const ft_safetensors_entry *t = ft_safetensors_entry_of(st, name);
    return t ? &t->info : NULL;
}

const char *ft_safetensors_metadata(const ft_safetensors *st, const char *key)
{
    for (size_t i = 0; i < st->n_files; i++) {
        const json_t *meta = json_object_get(st->files[i]->header, "__metadata__");
        const char *value = json_string_value(json_object_get(meta, key));
        if (value) return value;
    }
    return NULL;
}

static ft_status no_such(const ft_safetensors *st, const char *name, ft_err *e)
{
    const char *best = NULL;
    char a[128], b[128];

    for (size_t i = 0; i < st->n; i++) {
        const char *pair[2] = { best ? best : st->list[i]->info.name, st->list[i]->info.name };
        best = ft_nearest(name, pair, 2);
    }
    return ft_fail(e, FT_EDATA, "%s: no tensor '%s'%s%s%s", st->n_files ? st->files[0]->path : "checkpoint",
                   ft_safetensors_shown(name, a), best ? "; did you mean '" : "",
                   best ? ft_safetensors_shown(best, b) : "", best ? "'?" : "");
}

/* ==== Tensors ==== */

/* Elements of `size` bytes, gathered by the strides of t into row-major order. */
static void gather(unsigned char *to, const ft_safetensors_entry *t, size_t size)
{
    const unsigned char *from = t->file->data + t->begin;
    int64_t at[FT_SAFETENSORS_MAX_RANK] = { 0 }, place = 0;

    for (size_t done = 0; done < t->info.bytes; done += size) {
        memcpy(to + done, from + (size_t)place * size, size);
        for (int i = t->info.rank - 1; i >= 0; i--) {
            place += t->stride[i];
            if (++at[i] < t->info.dim[i]) break;
            place -= at[i] * t->stride[i];
            at[i] = 0;
        }
    }
}

static ft_status copy_f64(ft_tensor **out, const ft_shape *shape, const ft_safetensors_entry *t, ft_err *e)
{
    if (t->strided) return ft_fail(e, FT_EDATA, "its elements do not lie one behind the other, which F64 must");
    const unsigned char *from = t->file->data + t->begin;
    const ft_status s = ft_tensor_new(out, FT_F32, shape, e);
    if (s) return s;

    float *to = (*out)->data;
    const int64_t n = ft_shape_count(shape);
    for (int64_t i = 0; i < n; i++) {
        double x;
        memcpy(&x, from + (size_t)i * sizeof x, sizeof x);
        to[i] = (float)x;
    }
    return FT_OK;
}

static ft_status view_or_copy(ft_tensor **out, const ft_safetensors_entry *t, const ft_shape *shape, ft_err *e)
{
    const ft_dtype dtype = (ft_dtype)t->tensor;
    unsigned char *from = (unsigned char *)(uintptr_t)t->file->data + t->begin;

    if (!t->strided && (uintptr_t)from % ft_dtype_size(dtype) == 0) {
        const ft_status s = ft_tensor_wrap(out, dtype, shape, from, file_release, t->file, e);
        if (!s) t->file->refs++;
        return s;
    }
    const ft_status s = ft_tensor_new(out, dtype, shape, e);
    if (s) return s;
    if (t->strided)
        gather((*out)->data, t, ft_dtype_size(dtype));
    else
        memcpy((*out)->data, from, t->info.bytes);
    return FT_OK;
}

ft_status ft_safetensors_tensor(ft_safetensors *st, const char *name, ft_tensor **out, ft_err *e)
{
    const ft_safetensors_entry *t = ft_safetensors_entry_of(st, name);
    char shown[128];

    if (!t) return no_such(st, name, e);
    ft_shape shape = { .rank = t->info.rank, .dim = { 1, 1, 1, 1 } };
    ft_status s = FT_OK;
    if (t->info.rank > FT_MAX_RANK) {
        s = ft_fail(e, FT_EDATA, "%d dimensions, and a tensor has at most %d", t->info.rank, FT_MAX_RANK);
    } else if (t->tensor == FT_SAFETENSORS_UNREADABLE) {
        s = ft_fail(e, FT_EDATA, "dtype %s cannot be used: F32, F16, BF16, F64, I32, I64 and U8 can", t->info.dtype);
    } else {
        for (int i = 0; i < t->info.rank; i++) shape.dim[i] = t->info.dim[i];
        s = t->tensor == FT_SAFETENSORS_F64 ? copy_f64(out, &shape, t, e) : view_or_copy(out, t, &shape, e);
    }
    if (s) {
        ft_context(e, "tensor '%s'", ft_safetensors_shown(name, shown));
        ft_context(e, "%s", t->file->path);
    }
    return s;
}

/* ==== Private pages ==== */

#define PRIVATE_FROM ((size_t)256 << 10) /* bytes below which copying costs less than a mapping */

typedef struct pages {
    void *at, *own;
    size_t bytes;
    int written; /* at `at` */
} pages;

static void pages_release(void *ctx)
{
    pages *p = ctx;

    ft_private_close(p->at, p->bytes);
    if (p->own)
        ft_block_free(p->own, p->bytes);
    else
        ft_mem_give_up(p->bytes);
    ft_free(p);
}

void ft_safetensors_own(ft_tensor *t)
{
    if (t->drop != pages_release) return;
    pages *p = t->ctx;

    if (p->own) return;
    p->own = ft_block_alloc(p->bytes);
    if (!p->own) {
        p->written = 1;
        return;
    }
    memcpy(p->own, t->data, p->bytes);
    t->data = p->own;
    ft_mem_give_up(p->bytes);
}

static pages *pages_of(const ft_tensor *t)
{
    while (t->base && t->base != t) t = t->base;
    return t->drop == pages_release ? t->ctx : NULL;
}

static int is_at(const ft_tensor *t, const pages *p)
{
    return (uintptr_t)t->data >= (uintptr_t)p->at && (uintptr_t)t->data < (uintptr_t)p->at + p->bytes;
}

void ft_safetensors_written(ft_tensor *t)
{
    pages *p = pages_of(t);

    if (p && is_at(t, p)) p->written = 1;
}

int ft_safetensors_untouched(const ft_tensor *t)
{
    const pages *p = pages_of(t);

    return p && is_at(t, p) && !p->written;
}

ft_status ft_safetensors_private(ft_safetensors *st, const char *name, ft_tensor **out, ft_err *e)
{
    const ft_safetensors_entry *t = ft_safetensors_entry_of(st, name);

    *out = NULL;
    if (!t) return no_such(st, name, e);
    const size_t at = (size_t)(t->file->data - t->file->map.data) + t->begin, bytes = t->info.bytes;
    if (t->tensor != FT_F32 || t->strided || t->file->borrowed || t->info.rank > FT_MAX_RANK || bytes < PRIVATE_FROM ||
        at % sizeof(float))
        return FT_OK;

    ft_shape shape = { .rank = t->info.rank, .dim = { 1, 1, 1, 1 } };
    for (int i = 0; i < t->info.rank; i++) shape.dim[i] = t->info.dim[i];
    pages *p = ft_malloc(sizeof *p);
    if (!p) return ft_fail_mem(e, sizeof *p);
    const int counted = ft_mem_claim(bytes);
    *p = (pages){ counted ? ft_map_private(&t->file->map, t->file->path, at, bytes) : NULL, NULL, bytes, 0 };
    if (!p->at) {
        if (counted) ft_mem_give_up(bytes);
        ft_free(p);
        return FT_OK;
    }
    const ft_status s = ft_tensor_wrap(out, FT_F32, &shape, p->at, pages_release, p, e);
    if (s)
        pages_release(p);
    else
        (*out)->writable = 1;
    return s;
}
