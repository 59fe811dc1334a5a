/* runtime/data/tokens.c - flat storage of token ids, growing by doubling. */
#include "data/tokens.h"

#include <string.h>

#include "core/mem.h"

void ft_tokens_free(ft_tokens *t)
{
    if (!t->map.data) ft_free(t->ids);
    ft_map_close(&t->map);
    ft_free(t->types);
    ft_free(t->offset);
    memset(t, 0, sizeof *t);
}

static ft_status grow(void **p, size_t size, ft_err *e)
{
    void *q = ft_realloc(*p, size);
    if (!q) return ft_fail_mem(e, size);
    *p = q;
    return FT_OK;
}

static ft_status reserve(ft_tokens *t, int64_t len, ft_err *e)
{
    ft_status s = FT_OK;

    if (t->n + 2 > t->cap_n) {
        const int64_t cap = t->cap_n ? t->cap_n * 2 : 1024;
        s = grow((void **)&t->offset, (size_t)cap * sizeof *t->offset, e);
        if (s) return s;
        t->cap_n = cap;
    }
    if (t->total + len > t->cap_total) {
        int64_t cap = t->cap_total ? t->cap_total : 16384;
        while (cap < t->total + len) cap *= 2;
        s = grow((void **)&t->ids, (size_t)cap * sizeof *t->ids, e);
        if (!s) s = grow((void **)&t->types, (size_t)cap * sizeof *t->types, e);
        if (!s) t->cap_total = cap;
    }
    return s;
}

ft_status ft_tokens_add(ft_tokens *t, const int32_t *ids, const int32_t *types, int64_t len, ft_err *e)
{
    if (t->map.data) return ft_fail(e, FT_ESTATE, "these tokens are those of a file: none can be added");
    if (t->n >= INT32_MAX - 1) return ft_fail(e, FT_EDATA, "more than 2^31 examples");
    const ft_status s = reserve(t, len, e);
    if (s) return s;

    const size_t bytes = (size_t)len * sizeof *ids;
    if (len) memcpy(t->ids + t->total, ids, bytes);
    if (types && len)
        memcpy(t->types + t->total, types, bytes);
    else if (len)
        memset(t->types + t->total, 0, bytes);
    if (t->n == 0) t->offset[0] = 0;
    t->total += len;
    t->offset[++t->n] = t->total;
    return FT_OK;
}

void ft_token_batch_release(ft_token_batch *b)
{
    ft_tensor_release(b->ids);
    ft_tensor_release(b->types);
    ft_tensor_release(b->positions);
    ft_ragged_release(b->rows);
    memset(b, 0, sizeof *b);
}

static void fill(const ft_tokens *t, const int32_t *index, int32_t n, const ft_token_batch *b)
{
    int32_t *ids = b->ids->data, *types = b->types->data, *positions = b->positions->data;

    for (int32_t k = 0; k < n; k++) {
        const int64_t from = t->offset[index[k]], len = t->offset[index[k] + 1] - from;
        const int32_t at = b->rows->offsets[k];
        memcpy(ids + at, t->ids + from, (size_t)len * sizeof *ids);
        if (t->types)
            memcpy(types + at, t->types + from, (size_t)len * sizeof *types);
        else
            memset(types + at, 0, (size_t)len * sizeof *types);
        for (int32_t p = 0; p < (int32_t)len; p++) positions[at + p] = p;
    }
}

ft_status ft_tokens_batch(const ft_tokens *t, const int32_t *index, int32_t n, ft_token_batch *out, ft_err *e)
{
    ft_status s = FT_OK;
    int32_t *len = ft_malloc((size_t)(n > 0 ? n : 1) * sizeof *len);

    memset(out, 0, sizeof *out);
    if (!len) return ft_fail_mem(e, (size_t)n * sizeof *len);
    for (int32_t k = 0; k < n && !s; k++) {
        if (index[k] < 0 || index[k] >= t->n)
            s = ft_fail(e, FT_EUSAGE, "example %d is outside 0..%lld", index[k], (long long)t->n - 1);
        else
            len[k] = (int32_t)(t->offset[index[k] + 1] - t->offset[index[k]]);
    }
    if (!s) s = ft_ragged_new(&out->rows, n, len, index, NULL, e);
    ft_free(len);
    if (!s) {
        const ft_shape shape = ft_shape_of(1, out->rows->n_tokens, 0, 0, 0);
        s = ft_tensor_new(&out->ids, FT_I32, &shape, e);
        if (!s) s = ft_tensor_new(&out->types, FT_I32, &shape, e);
        if (!s) s = ft_tensor_new(&out->positions, FT_I32, &shape, e);
    }
    if (!s)
        fill(t, index, n, out);
    else
        ft_token_batch_release(out);
    return s;
}

ft_status ft_tokens_take(const ft_tokens *t, const ft_tensor *all, const int32_t *index, int32_t n, ft_tensor **out,
                         ft_err *e)
{
    ft_shape shape = all->shape;
    int64_t total = 0;

    if (shape.rank < 1 || shape.dim[0] != t->total)
        return ft_fail(e, FT_ESHAPE, "%lld rows are not one for each of %lld tokens", (long long)shape.dim[0],
                       (long long)t->total);
    for (int32_t k = 0; k < n; k++) {
        if (index[k] < 0 || index[k] >= t->n)
            return ft_fail(e, FT_EUSAGE, "example %d is outside 0..%lld", index[k], (long long)t->n - 1);
        total += t->offset[index[k] + 1] - t->offset[index[k]];
    }
    shape.dim[0] = total;
    const ft_status s = ft_tensor_new(out, all->dtype, &shape, e);
    if (s) return s;
    const size_t each = t->total ? all->bytes / (size_t)t->total : 0;
    char *to = (*out)->data;
    for (int32_t k = 0; k < n; k++) {
        const int64_t from = t->offset[index[k]];
        const size_t bytes = (size_t)(t->offset[index[k] + 1] - from) * each;
        memcpy(to, (const char *)all->data + (size_t)from * each, bytes);
        to += bytes;
    }
    return FT_OK;
}
