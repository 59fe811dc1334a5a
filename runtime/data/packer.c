/* runtime/data/packer.c - tokenises texts, cuts the stream of tokens into windows, writes and maps their file. */
#include "data/packer.h"

#include <string.h>

#include "core/fs.h"
#include "core/mem.h"

enum { CHUNK = 1024 }; /* texts tokenised at a time */

struct ft_packer {
    ft_tokenizer *tokenizer;
    ft_atomic file, lengths; /* lengths: only where nothing is packed */
    bool packs;
    int32_t *window; /* (length), with [CLS] in front and `used` ids so far */
    int32_t length, used, cls, sep;
    bool open; /* the document has tokens */
    ft_packed so_far;
    ft_encoding encoded[CHUNK];
};

static ft_status lengths_path(ft_buf *b, const char *path, ft_err *e)
{
    ft_status s = ft_buf_add(b, path, strlen(path), e);
    if (!s) s = ft_buf_add(b, ".lengths", sizeof ".lengths", e);
    return s;
}

static ft_status open_lengths(ft_packer *p, const char *path, ft_err *e)
{
    ft_buf name = { 0 };
    ft_status s = lengths_path(&name, path, e);
    if (!s) s = ft_atomic_open(&p->lengths, name.data, e);
    ft_buf_free(&name);
    return s;
}

ft_status ft_packer_new(ft_packer **out, const char *path, ft_tokenizer *t, int32_t length, bool packs, ft_err *e)
{
    const int32_t cls = ft_tokenizer_special(t, FT_CLS), sep = ft_tokenizer_special(t, FT_SEP);

    *out = NULL;
    if (length < 3) return ft_fail(e, FT_EUSAGE, "windows of %d tokens: at least 3 are needed", length);
    if (cls < 0 || sep < 0) return ft_fail(e, FT_EUSAGE, "the tokeniser has no %s", cls < 0 ? "[CLS]" : "[SEP]");
    ft_packer *p = ft_calloc(1, sizeof *p);
    if (!p) return ft_fail_mem(e, sizeof *p);
    p->tokenizer = ft_tokenizer_retain(t);
    p->length = length;
    p->cls = cls;
    p->sep = sep;
    p->used = 1;
    p->window = ft_malloc((size_t)length * sizeof *p->window);
    p->packs = packs;
    ft_status s = p->window ? ft_atomic_open(&p->file, path, e) : ft_fail_mem(e, (size_t)length * sizeof *p->window);
    if (!s && !packs) s = open_lengths(p, path, e);
    if (s) {
        ft_packer_free(p);
        return s;
    }
    p->window[0] = cls;
    *out = p;
    return FT_OK;
}

void ft_packer_free(ft_packer *p)
{
    if (!p) return;
    ft_atomic_abandon(&p->file);
    ft_atomic_abandon(&p->lengths);
    for (size_t i = 0; i < CHUNK; i++) ft_encoding_free(&p->encoded[i]);
    ft_tokenizer_release(p->tokenizer);
    ft_free(p->window);
    ft_free(p);
}

/* ==== Writing ==== */

static ft_status end_window(ft_packer *p, ft_err *e)
{
    p->window[p->used++] = p->sep;
    p->so_far.windows++;
    p->so_far.tokens += p->used;
    ft_status s = ft_atomic_write(&p->file, p->window, (size_t)p->used * sizeof *p->window, e);
    if (!s && !p->packs) s = ft_atomic_write(&p->lengths, &p->used, sizeof p->used, e);
    p->used = 1;
    return s;
}

/* A text as a window of its own, cut where it is too long. */
static ft_status put_alone(ft_packer *p, const ft_encoding *x, ft_err *e)
{
    const size_t room = (size_t)(p->length - 2), n = x->n < room ? x->n : room;
    memcpy(p->window + 1, x->ids, n * sizeof *x->ids);
    p->used = (int32_t)n + 1;
    return end_window(p, e);
}

static ft_status put(ft_packer *p, const int32_t *ids, size_t n, ft_err *e)
{
    while (n) {
        const size_t room = (size_t)(p->length - 1 - p->used), now = n < room ? n : room;
        memcpy(p->window + p->used, ids, now * sizeof *ids);
        p->used += (int32_t)now;
        ids += now;
        n -= now;
        if (p->used == p->length - 1) {
            const ft_status s = end_window(p, e);
            if (s) return s;
        }
    }
    return FT_OK;
}

/* [SEP] behind the document, unless a window has just ended there. */
static ft_status end_document(ft_packer *p, ft_err *e)
{
    if (!p->open) return FT_OK;
    p->open = false;
    p->so_far.documents++;
    return p->used > 1 ? put(p, &p->sep, 1, e) : FT_OK;
}

static ft_status add_chunk(ft_packer *p, const ft_text *texts, size_t n, ft_err *e)
{
    static const ft_encode_opts plain = { 0 };
    ft_text given[CHUNK] = { { NULL, 0 } };
    size_t m = 0, k = 0;

    for (size_t i = 0; i < n; i++)
        if (texts[i].data) given[m++] = texts[i];
    ft_status s = ft_tokenizer_encode_batch(p->tokenizer, given, NULL, m, &plain, p->encoded, e);
    for (size_t i = 0; i < n && !s; i++) {
        if (!texts[i].data) {
            s = end_document(p, e);
            continue;
        }
        const ft_encoding *x = &p->encoded[k++];
        p->open |= x->n > 0;
        s = p->packs ? put(p, x->ids, x->n, e) : put_alone(p, x, e);
    }
    return s;
}

ft_status ft_packer_add(ft_packer *p, const ft_text *texts, size_t n, ft_err *e)
{
    ft_status s = FT_OK;
    for (size_t i = 0; i < n && !s; i += CHUNK) s = add_chunk(p, texts + i, n - i < CHUNK ? n - i : CHUNK, e);
    return s;
}

ft_status ft_packer_finish(ft_packer *p, ft_packed *out, ft_err *e)
{
    ft_status s = FT_OK;

    /* the document's [SEP] would stand before the window's own */
    if (p->open) p->so_far.documents++;
    p->open = false;
    if (p->used > 1) {
        if (p->window[p->used - 1] == p->sep) p->used--;
        if (p->used > 1) s = end_window(p, e);
    }
    if (!s) s = ft_atomic_commit(&p->file, e);
    if (!s && !p->packs) s = ft_atomic_commit(&p->lengths, e);
    *out = p->so_far;
    return s;
}

/* ==== Reading ==== */

static ft_status check_ids(const int32_t *ids, int64_t n, int32_t vocab, const char *path, ft_err *e)
{
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return ft_fail(e, FT_EDATA, "%s: id %d at place %lld is none of the %d tokens", path, ids[i], (long long)i,
                           vocab);
    return FT_OK;
}

/* Where windows of one length begin. */
static ft_status equal_windows(ft_tokens *t, int32_t length, const char *path, ft_err *e)
{
    const int64_t n = (t->total + length - 1) / length;

    if (length < 3) return ft_fail(e, FT_EUSAGE, "windows of %d tokens: at least 3 are needed", length);
    if (t->total % length == 1 || t->total % length == 2)
        return ft_fail(e, FT_EDATA, "%s: %lld ids are no windows of %d tokens", path, (long long)t->total, length);
    if (n >= INT32_MAX) return ft_fail(e, FT_EDATA, "%s: more than 2^31 windows", path);
    t->n = n;
    t->offset = ft_malloc((size_t)(n + 1) * sizeof *t->offset);
    if (!t->offset) return ft_fail_mem(e, (size_t)(n + 1) * sizeof *t->offset);
    for (int64_t i = 0; i < n; i++) t->offset[i] = i * length;
    t->offset[n] = t->total;
    return FT_OK;
}

/* Where they begin by the file of their lengths. */
static ft_status listed_windows(ft_tokens *t, const char *path, ft_err *e)
{
    ft_buf name = { 0 };
    ft_map map = { 0 };
    int64_t at = 0;

    ft_status s = lengths_path(&name, path, e);
    if (!s) s = ft_map_open(&map, name.data, e);
    if (s) goto out;
    const int32_t *length = (const int32_t *)(const void *)map.data;
    t->n = (int64_t)(map.size / sizeof *length);
    if (map.size % sizeof *length || t->n >= INT32_MAX) s = ft_fail(e, FT_EDATA, "%s: no list of lengths", name.data);
    if (!s) t->offset = ft_malloc((size_t)(t->n + 1) * sizeof *t->offset);
    if (!s && !t->offset) s = ft_fail_mem(e, (size_t)(t->n + 1) * sizeof *t->offset);
    for (int64_t i = 0; i < t->n && !s; i++) {
        t->offset[i] = at;
        at += length[i];
        if (length[i] < 2 || at > t->total) s = ft_fail(e, FT_EDATA, "%s: the lengths do not fit the ids", name.data);
    }
    if (!s && at != t->total) s = ft_fail(e, FT_EDATA, "%s: the lengths do not fit the ids", name.data);
    if (!s) t->offset[t->n] = at;
out:
    ft_map_close(&map);
    ft_buf_free(&name);
    return s;
}

ft_status ft_packed_open(ft_tokens *t, const char *path, int32_t length, int32_t vocab, ft_err *e)
{
    ft_tokens got = { 0 };

    ft_status s = ft_map_open(&got.map, path, e);
    if (s) return s;
    got.ids = (int32_t *)(uintptr_t)got.map.data;
    got.total = (int64_t)(got.map.size / sizeof *got.ids);
    if (got.map.size % sizeof *got.ids) s = ft_fail(e, FT_EDATA, "%s: %zu bytes are no ids", path, got.map.size);
    if (!s) s = length ? equal_windows(&got, length, path, e) : listed_windows(&got, path, e);
    if (!s) s = check_ids(got.ids, got.total, vocab, path, e);
    ft_tokens_free(s ? &got : t);
    if (!s) *t = got;
    return s;
}
