/* runtime/tensor/zip.c - the central directory of a zip archive, read in place.
 *
 * The local header in front of a member is read for its length alone; sizes come from the central directory, as writers
 * that stream leave them out in front.
 */
#include "tensor/zip.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { END = 22, END64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30, COMMENT = 65535 };

typedef struct bytes {
    const unsigned char *data;
    size_t size;
} bytes;

static uint64_t number(const unsigned char *p, int n)
{
    uint64_t x = 0;

    for (int i = n - 1; i >= 0; i--) x = x << 8 | p[i];
    return x;
}

/* Is there room for n bytes at `at`, and do they begin with this signature? */
static int is_at(const bytes *b, uint64_t at, size_t n, const char *signature)
{
    return b->size >= n && at <= b->size - n && !memcmp(b->data + at, signature, 4);
}

/* ==== The end of the archive ==== */

static ft_status find_end(const bytes *b, size_t *end, ft_err *e)
{
    const size_t least = b->size > END + COMMENT ? b->size - END - COMMENT : 0;

    for (size_t at = b->size; at-- > least;) {
        if (!is_at(b, at, END, "PK\5\6")) continue;
        *end = at;
        return FT_OK;
    }
    return ft_fail(e, FT_EDATA, "not a whole zip archive: its directory, which is at its end, is missing");
}

/* How many members there are, and where the directory begins. */
static ft_status read_end(const bytes *b, size_t end, uint64_t *n, uint64_t *directory, ft_err *e)
{
    const unsigned char *p = b->data + end;
    uint64_t volume = number(p + 4, 2) | number(p + 6, 2);

    *n = number(p + 10, 2);
    *directory = number(p + 16, 4);
    if (end >= LOCATOR && is_at(b, end - LOCATOR, LOCATOR, "PK\6\7")) {
        const uint64_t at = number(p - LOCATOR + 8, 8);
        if (!is_at(b, at, END64, "PK\6\6"))
            return ft_fail(e, FT_EDATA, "byte %zu: its zip64 directory is not at byte %llu", end - LOCATOR,
                           (unsigned long long)at);
        volume = number(b->data + at + 16, 4) | number(b->data + at + 20, 4);
        *n = number(b->data + at + 32, 8);
        *directory = number(b->data + at + 48, 8);
    }
    if (volume) return ft_fail(e, FT_EDATA, "byte %zu: a zip archive of several volumes", end);
    if (*n > b->size / CENTRAL)
        return ft_fail(e, FT_EDATA, "byte %zu: %llu members do not fit in a file of %zu bytes", end,
                       (unsigned long long)*n, b->size);
    return FT_OK;
}

/* ==== Members ==== */

typedef struct record {
    size_t at; /* in the directory */
    unsigned flags, method;
    uint64_t packed, size, local;
    const unsigned char *name, *extra;
    size_t name_length, extra_length;
} record;

/* Sizes and places of 4 GB and more are in the field of kind 1, in this order, where their own field is all ones. */
static ft_status widen(record *r, ft_err *e)
{
    uint64_t *const wide[] = { &r->size, &r->packed, &r->local };
    const unsigned char *p = r->extra, *stop = p + r->extra_length;

    while (stop - p >= 4) {
        const size_t kind = (size_t)number(p, 2), n = (size_t)number(p + 2, 2);
        p += 4;
        if (n > (size_t)(stop - p)) break;
        const unsigned char *q = p, *last = p + n;
        for (int i = 0; kind == 1 && i < 3; i++) {
            if (*wide[i] != 0xffffffff) continue;
            if (last - q < 8) return ft_fail(e, FT_EDATA, "byte %zu: a zip64 field is too short", r->at);
            *wide[i] = number(q, 8);
            q += 8;
        }
        p = last;
    }
    return FT_OK;
}

static ft_status read_record(const bytes *b, size_t at, record *r, ft_err *e)
{
    if (!is_at(b, at, CENTRAL, "PK\1\2")) return ft_fail(e, FT_EDATA, "byte %zu: no entry of a zip directory", at);
    const unsigned char *p = b->data + at;
    *r = (record){ .at = at,
                   .flags = (unsigned)number(p + 8, 2),
                   .method = (unsigned)number(p + 10, 2),
                   .packed = number(p + 20, 4),
                   .size = number(p + 24, 4),
                   .local = number(p + 42, 4),
                   .name = p + CENTRAL,
                   .name_length = (size_t)number(p + 28, 2),
                   .extra = p + CENTRAL + number(p + 28, 2),
                   .extra_length = (size_t)number(p + 30, 2) };
    if (r->name_length + r->extra_length + number(p + 32, 2) > b->size - at - CENTRAL)
        return ft_fail(e, FT_EDATA, "byte %zu: an entry of the zip directory is cut off", at);
    return widen(r, e);
}

static ft_status read_member(const bytes *b, const record *r, ft_zip_member *m, ft_err *e)
{
    const int shown = (int)(r->name_length < 60 ? r->name_length : 60);
    const char *name = (const char *)r->name;

    if (r->flags & 1u) return ft_fail(e, FT_EDATA, "byte %zu: member '%.*s' is encrypted", r->at, shown, name);
    if (r->method != 0 || r->packed != r->size)
        return ft_fail(e, FT_EDATA,
                       "byte %zu: member '%.*s' is compressed (method %u); PyTorch stores them as they are", r->at,
                       shown, name, r->method);
    if (!is_at(b, r->local, LOCAL, "PK\3\4"))
        return ft_fail(e, FT_EDATA, "byte %zu: member '%.*s' does not begin at byte %llu, where it should", r->at,
                       shown, name, (unsigned long long)r->local);
    const unsigned char *p = b->data + r->local;
    const uint64_t begin = r->local + LOCAL + number(p + 26, 2) + number(p + 28, 2);
    if (begin > b->size || r->size > b->size - begin)
        return ft_fail(e, FT_EDATA, "truncated: member '%.*s' has %llu bytes from byte %llu on, the file has %zu",
                       shown, name, (unsigned long long)r->size, (unsigned long long)begin, b->size);
    *m = (ft_zip_member){ name, r->name_length, (size_t)begin, (size_t)r->size };
    return FT_OK;
}

static int compare(const char *a, size_t n, const char *b, size_t m)
{
    const int order = memcmp(a, b, n < m ? n : m);

    return order ? order : (n > m) - (n < m);
}

static int by_name(const void *pa, const void *pb)
{
    const ft_zip_member *a = pa, *b = pb;

    return compare(a->name, a->name_length, b->name, b->name_length);
}

static ft_status check_names(const ft_zip *z, ft_err *e)
{
    for (size_t i = 1; i < z->n; i++)
        if (!by_name(&z->members[i - 1], &z->members[i]))
            return ft_fail(e, FT_EDATA, "member '%.*s' is there twice", (int)z->members[i].name_length % 61,
                           z->members[i].name);
    return FT_OK;
}

ft_status ft_zip_open(ft_zip *z, const unsigned char *data, size_t size, ft_err *e)
{
    const bytes b = { data, size };
    uint64_t n = 0, directory = 0;
    size_t end = 0;

    *z = (ft_zip){ 0 };
    ft_status s = find_end(&b, &end, e);
    if (!s) s = read_end(&b, end, &n, &directory, e);
    if (s) return s;
    z->members = ft_calloc((size_t)n + 1, sizeof *z->members);
    if (!z->members) return ft_fail_mem(e, ((size_t)n + 1) * sizeof *z->members);
    for (uint64_t i = 0; i < n; i++) {
        record r;
        s = read_record(&b, (size_t)directory, &r, e);
        if (s) return s;
        directory += CENTRAL + r.name_length + r.extra_length + number(data + directory + 32, 2);
        if (r.name_length && r.name[r.name_length - 1] == '/') continue;
        s = read_member(&b, &r, &z->members[z->n], e);
        if (s) return s;
        z->n++;
    }
    if (z->n) qsort(z->members, z->n, sizeof *z->members, by_name);
    return check_names(z, e);
}

void ft_zip_free(ft_zip *z)
{
    ft_free(z->members);
    *z = (ft_zip){ 0 };
}

/* Compare a member's name with prefix + name. */
static int order_of(const ft_zip_member *m, const char *prefix, size_t prefix_length, const char *name, size_t n)
{
    const size_t common = m->name_length < prefix_length ? m->name_length : prefix_length;
    const int order = compare(m->name, common, prefix, prefix_length);

    if (order) return order;
    return compare(m->name + prefix_length, m->name_length - prefix_length, name, n);
}

const ft_zip_member *ft_zip_find(const ft_zip *z, const char *prefix, size_t prefix_length, const char *name, size_t n)
{
    size_t low = 0, high = z->n;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = order_of(&z->members[mid], prefix, prefix_length, name, n);
        if (!order) return &z->members[mid];
        if (order > 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}
