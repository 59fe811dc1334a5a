/* ops/product/kept.c - a short list of kept layouts, searched from the front. */
#include "ops/product/kept.h"

#include "core/mem.h"
#include "graph/op.h"
#include "tensor/tensor.h"

typedef struct kept {
    uint64_t weight, count;
    enum ft_layout layout;
    void *data;
    size_t bytes;
} kept;

static struct {
    kept *at;
    size_t n, bytes;
} keeps;

static void drop(size_t i)
{
    keeps.bytes -= keeps.at[i].bytes;
    ft_block_free(keeps.at[i].data, keeps.at[i].bytes);
    keeps.at[i] = keeps.at[--keeps.n];
}

void ft_kept_forget(void)
{
    while (keeps.n) drop(keeps.n - 1);
    ft_free(keeps.at);
    keeps.at = NULL;
}

static kept *find(uint64_t weight, enum ft_layout layout, size_t bytes)
{
    for (size_t i = 0; i < keeps.n; i++)
        if (keeps.at[i].weight == weight && keeps.at[i].layout == layout && keeps.at[i].bytes == bytes)
            return &keeps.at[i];
    return NULL;
}

int ft_kept_there(uint64_t weight, enum ft_layout layout, size_t bytes) { return find(weight, layout, bytes) != NULL; }

/* A new entry for this layout; NULL where there is no room. */
static kept *make(uint64_t weight, enum ft_layout layout, size_t bytes)
{
    for (size_t i = keeps.n; i-- > 0;) /* of models that are gone, most likely; others come back */
        if (keeps.at[i].count != ft_weights_count()) drop(i);
    if (keeps.bytes + bytes > FT_KEPT_MOST) return NULL;
    kept *more = ft_realloc(keeps.at, (keeps.n + 1) * sizeof *more);
    if (!more) return NULL;
    keeps.at = more;
    void *data = ft_block_new(bytes);
    if (!data) return NULL;
    keeps.at[keeps.n] =
        (kept){ .weight = weight, .count = ft_weights_count() - 1, .layout = layout, .data = data, .bytes = bytes };
    keeps.bytes += bytes;
    return &keeps.at[keeps.n++];
}

void *ft_kept(uint64_t weight, enum ft_layout layout, size_t bytes, int *fresh)
{
    kept *k = find(weight, layout, bytes);

    if (!k) k = make(weight, layout, bytes);
    if (!k) return NULL;
    *fresh = k->count == ft_weights_count();
    k->count = ft_weights_count();
    return k->data;
}

void *ft_kept_renew(uint64_t weight, enum ft_layout layout, size_t bytes)
{
    kept *k = find(weight, layout, bytes);

    if (!k || k->count != ft_weights_count()) return NULL;
    k->count++;
    return k->data;
}
