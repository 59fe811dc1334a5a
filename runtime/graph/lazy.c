/* runtime/graph/lazy.c - notes of weight decay, and settling all of them. */
#include "graph/lazy.h"

#include "core/mem.h"

static int64_t blocks_of(int64_t n) { return (n + FT_OPTIM_BLOCK - 1) / FT_OPTIM_BLOCK; }

ft_status ft_lazy_new(ft_lazy **out, int64_t n, ft_err *e)
{
    const size_t bytes = sizeof(ft_lazy) + (size_t)blocks_of(n);

    *out = ft_calloc(1, bytes);
    return *out ? FT_OK : ft_fail_mem(e, bytes);
}

static void settle(ft_lazy *z, const ft_tensor *t)
{
    const int64_t n = ft_shape_count(&t->shape);

    if (z->n == 0) return;
    ft_op_active()->settle(z, t->data, n, 0, blocks_of(n));
    for (int64_t b = 0; b < blocks_of(n); b++)
        if (z->since[b] != FT_LAZY_NEVER) z->since[b] = 0;
    z->n = 0;
}

void ft_lazy_settle(const ft_tensor *t)
{
    for (; t; t = t->base != t ? t->base : NULL)
        if (t->lazy) settle(t->lazy, t);
}
