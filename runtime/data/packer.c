/* runtime/data/packer.c - tokenises texts, cuts the stream of tokens into windows, writes and maps their file. */
#include "data/packer.h"

#include <string.h>

#include "core/fs.h"
#include "core/mem.h"

enum { CHUNK = 256 }; /* texts tokenised at a time */

struct ft_packer {
    ft_tokenizer *tokenizer;
    ft_atomic file;
    int32_t *window; /* (length), with [CLS] in front and `used` ids so far */
    int32_t length, used, cls, sep;
    bool open; /* the document has tokens */
    ft_packed so_far;
    ft_encoding encoded[CHUNK];
};

ft_status ft_packer_new(ft_packer **out, const char *path, ft_tokenizer *t, int32_t length, ft_err *e)
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
    ft_status s = p->window ? ft_atomic_open(&p->file, path, e) : ft_fail_mem(e, (size_t)length * sizeof *p->window);
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
    const ft_status s = ft_atomic_write(&p->file, p->window, (size_t)p->used * sizeof *p->window, e);
    p->used = 1;
    return s;
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
    ft_text given[CHUNK];
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
        s = put(p, x->ids, x->n, e);
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

ft_status ft_packed_open(ft_tokens *t, const char *path, int32_t length, int32_t vocab, ft_err *e)
{
    ft_map map = { 0 };

    if (length < 3) return ft_fail(e, FT_EUSAGE, "windows of %d tokens: at least 3 are needed", length);
    ft_status s = ft_map_open(&map, path, e);
    if (s) return s;
    const int64_t total = (int64_t)(map.size / sizeof(int32_t)), n = (total + length - 1) / length;
    if (map.size % sizeof(int32_t) || total % length == 1 || total % length == 2)
        s = ft_fail(e, FT_EDATA, "%s: %zu bytes are no windows of %d tokens", path, map.size, length);
    if (!s && n >= INT32_MAX) s = ft_fail(e, FT_EDATA, "%s: more than 2^31 windows", path);
    if (!s) s = check_ids((const int32_t *)(const void *)map.data, total, vocab, path, e);
    int64_t *offset = s ? NULL : ft_malloc((size_t)(n + 1) * sizeof *offset);
    if (!s && !offset) s = ft_fail_mem(e, (size_t)(n + 1) * sizeof *offset);
    if (s) {
        ft_map_close(&map);
        return s;
    }
    for (int64_t i = 0; i < n; i++) offset[i] = i * length;
    offset[n] = total;
    ft_tokens_free(t);
    *t = (ft_tokens){ .offset = offset, .n = n, .total = total, .map = map };
    t->ids = (int32_t *)(uintptr_t)map.data;
    return FT_OK;
}
