/* runtime/tensor/pickle_names.c - ordered dictionaries, storages and tensors, as pickles of PyTorch call them.
 *
 * Nothing is called: a "call" checks the arguments and notes what the tensor would be. Whether its storage is there is the
 * caller's question.
 */
#include "tensor/pickle_names.h"

#include <string.h>

#include "core/mem.h"

enum { DICT = 1, TENSOR, OLD_TENSOR, PARAMETER, STORAGE };

static const struct {
    const char *module, *name;
    int what;
    const char *dtype;
} names[] = {
    { "collections", "OrderedDict", DICT, NULL },
    { "torch._utils", "_rebuild_tensor_v2", TENSOR, NULL },
    { "torch._utils", "_rebuild_tensor", OLD_TENSOR, NULL },
    { "torch._utils", "_rebuild_parameter", PARAMETER, NULL },
    { "torch", "FloatStorage", STORAGE, "F32" },
    { "torch", "HalfStorage", STORAGE, "F16" },
    { "torch", "BFloat16Storage", STORAGE, "BF16" },
    { "torch", "DoubleStorage", STORAGE, "F64" },
    { "torch", "LongStorage", STORAGE, "I64" },
    { "torch", "IntStorage", STORAGE, "I32" },
    { "torch", "ShortStorage", STORAGE, "I16" },
    { "torch", "CharStorage", STORAGE, "I8" },
    { "torch", "ByteStorage", STORAGE, "U8" },
    { "torch", "BoolStorage", STORAGE, "BOOL" },
};

static int same(const char *known, const char *s, size_t n) { return strlen(known) == n && !memcmp(known, s, n); }

int ft_pickle_name(const char *module, size_t module_length, const char *name, size_t name_length)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (same(names[i].module, module, module_length) && same(names[i].name, name, name_length)) return (int)i;
    return -1;
}

ft_status ft_pickle_grow(void *list, size_t *cap, size_t n, size_t size, ft_err *e)
{
    void **place = list;

    if (n < *cap) return FT_OK;
    const size_t more = *cap ? *cap * 2 : 64;
    void *new = ft_realloc(*place, more * size);
    if (!new) return ft_fail_mem(e, more * size);
    memset((char *)new + *cap *size, 0, (more - *cap) * size);
    *place = new;
    *cap = more;
    return FT_OK;
}

ft_status ft_pickle_chain_new(ft_pickle *p, ft_pickle_kind kind, ft_pickle_value *out, ft_err *e)
{
    const ft_status s = ft_pickle_grow(&p->chains, &p->cap_chains, p->n_chains, sizeof *p->chains, e);

    if (!s) *out = (ft_pickle_value){ .kind = kind, .i = (int64_t)p->n_chains++ };
    return s;
}

/* ==== Tensors ==== */

static ft_status sizes(const ft_pickle *p, ft_pickle_value v, const char *what, int64_t out[], int *rank, ft_err *e)
{
    if (v.kind != FT_PICKLE_TUPLE) return ft_fail(e, FT_EDATA, "the %s of a tensor is no tuple", what);
    if (v.n > FT_PICKLE_MAX_RANK)
        return ft_fail(e, FT_EDATA, "a tensor of %u dimensions, above the limit of %d", v.n, FT_PICKLE_MAX_RANK);
    for (uint32_t k = 0; k < v.n; k++) {
        const ft_pickle_value d = p->items[(size_t)v.i + k];
        if (d.kind != FT_PICKLE_INT || d.i < 0)
            return ft_fail(e, FT_EDATA, "number %u of the %s of a tensor is negative or no integer", k, what);
        out[k] = d.i;
    }
    *rank = (int)v.n;
    return FT_OK;
}

/* (storage, first element, size, stride, ...) */
static ft_status tensor_of(ft_pickle *p, ft_pickle_value a, ft_pickle_value *out, ft_err *e)
{
    const ft_pickle_value *item = a.n ? &p->items[a.i] : NULL;
    int strides = 0;

    if (a.n < 4 || item[0].kind != FT_PICKLE_STORAGE || item[1].kind != FT_PICKLE_INT || item[1].i < 0)
        return ft_fail(e, FT_EDATA, "a tensor is not made of a storage, a place, a size and a stride");
    ft_status s = ft_pickle_grow(&p->tensors, &p->cap_tensors, p->n_tensors, sizeof *p->tensors, e);
    if (s) return s;
    ft_pickle_tensor *t = &p->tensors[p->n_tensors];
    *t = (ft_pickle_tensor){ .storage = (size_t)item[0].i, .first = item[1].i };
    s = sizes(p, item[2], "size", t->dim, &t->rank, e);
    if (!s) s = sizes(p, item[3], "stride", t->stride, &strides, e);
    if (!s && strides != t->rank)
        s = ft_fail(e, FT_EDATA, "a tensor of %d dimensions has %d strides", t->rank, strides);
    if (!s) *out = (ft_pickle_value){ .kind = FT_PICKLE_TENSOR, .i = (int64_t)p->n_tensors++ };
    return s;
}

ft_status ft_pickle_call(ft_pickle *p, int name, ft_pickle_value a, ft_pickle_value *out, ft_err *e)
{
    if (a.kind != FT_PICKLE_TUPLE) return ft_fail(e, FT_EDATA, "the arguments of a call are no tuple");
    switch (names[name].what) {
    case DICT:
        if (a.n) return ft_fail(e, FT_EDATA, "an ordered dictionary is made of %u arguments, not of none", a.n);
        return ft_pickle_chain_new(p, FT_PICKLE_DICT, out, e);
    case TENSOR:
    case OLD_TENSOR: return tensor_of(p, a, out, e);
    case PARAMETER:
        if (!a.n || p->items[a.i].kind != FT_PICKLE_TENSOR) return ft_fail(e, FT_EDATA, "a parameter holds no tensor");
        *out = p->items[a.i];
        return FT_OK;
    default:
        return ft_fail(e, FT_EDATA, "calls '%s.%s', which stands for a kind of storage", names[name].module,
                       names[name].name);
    }
}

ft_status ft_pickle_persistent(ft_pickle *p, ft_pickle_value id, ft_pickle_value *out, ft_err *e)
{
    const ft_pickle_value *item = id.kind == FT_PICKLE_TUPLE && id.n ? &p->items[id.i] : NULL;

    if (id.kind != FT_PICKLE_TUPLE || id.n < 5 || !ft_pickle_is(item[0], "storage") || item[1].kind != FT_PICKLE_NAME ||
        names[item[1].i].what != STORAGE || item[2].kind != FT_PICKLE_TEXT || item[4].kind != FT_PICKLE_INT ||
        item[4].i < 0)
        return ft_fail(e, FT_EDATA, "a persistent object is not (\"storage\", class, key, device, elements)");
    if (id.n > 5 && item[5].kind != FT_PICKLE_OTHER)
        return ft_fail(e, FT_EDATA, "a storage is a part of another one, as PyTorch before 0.4 wrote them");
    const ft_status s = ft_pickle_grow(&p->storages, &p->cap_storages, p->n_storages, sizeof *p->storages, e);
    if (s) return s;
    p->storages[p->n_storages] = (ft_pickle_storage){ names[item[1].i].dtype, item[2], item[4].i };
    *out = (ft_pickle_value){ .kind = FT_PICKLE_STORAGE, .i = (int64_t)p->n_storages++ };
    return FT_OK;
}
