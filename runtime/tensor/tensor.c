/* runtime/tensor/tensor.c - counted dense arrays, views, and half-precision conversion. */
#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#include "core/mem.h"

/* ==== dtypes and shapes ==== */

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [FT_F32] = { "f32", 4 }, [FT_BF16] = { "bf16", 2 }, [FT_F16] = { "f16", 2 },
    [FT_I32] = { "i32", 4 }, [FT_I64] = { "i64", 8 },   [FT_U8] = { "u8", 1 },
};

size_t ft_dtype_size(ft_dtype t) { return dtypes[t].size; }
const char *ft_dtype_name(ft_dtype t) { return dtypes[t].name; }

ft_shape ft_shape_of(int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t dim[FT_MAX_RANK] = { a, b, c, d };
    ft_shape s = { .rank = rank };

    for (int i = 0; i < FT_MAX_RANK; i++) s.dim[i] = i < rank ? dim[i] : 1;
    return s;
}

int64_t ft_shape_count(const ft_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->dim[i];
    return n;
}

int ft_shape_equal(const ft_shape *a, const ft_shape *b)
{
    if (a->rank != b->rank) return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return 0;
    return 1;
}

const char *ft_shape_text(const ft_shape *s, char buf[96])
{
    size_t n = 0;

    buf[n++] = '(';
    for (int i = 0; i < s->rank; i++)
        n += (size_t)snprintf(buf + n, 96 - n, i ? ",%lld" : "%lld", (long long)s->dim[i]);
    snprintf(buf + n, 96 - n, ")");
    return buf;
}

void ft_tensor_touch_all(ft_tensor *t)
{
    if (t->touched) memset(t->touched, 1, (size_t)(ft_shape_count(&t->shape) + FT_TOUCH - 1) / FT_TOUCH);
}

/* ==== Life ==== */

ft_status ft_tensor_shape_only(ft_tensor **out, ft_dtype dtype, const ft_shape *shape, ft_err *e)
{
    size_t bytes = ft_dtype_size(dtype);

    if (shape->rank < 0 || shape->rank > FT_MAX_RANK)
        return ft_fail(e, FT_ESHAPE, "a tensor has 0 to %d dimensions, not %d", FT_MAX_RANK, shape->rank);
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 0 || (shape->dim[i] > 0 && bytes > (SIZE_MAX / 8) / (size_t)shape->dim[i]))
            return ft_fail(e, FT_ESHAPE, "impossible size %lld in a shape", (long long)shape->dim[i]);
        bytes *= (size_t)shape->dim[i];
    }
    ft_tensor *t = ft_calloc(1, sizeof *t);
    if (!t) return ft_fail_mem(e, sizeof *t);
    t->refs = 1;
    t->dtype = dtype;
    t->shape = *shape;
    for (int i = shape->rank; i < FT_MAX_RANK; i++) t->shape.dim[i] = 1;
    t->bytes = bytes;
    *out = t;
    return FT_OK;
}

static ft_status make(ft_tensor **out, ft_dtype dtype, const ft_shape *shape, void *(*alloc)(size_t), ft_err *e)
{
    ft_tensor *t;
    const ft_status s = ft_tensor_shape_only(&t, dtype, shape, e);
    if (s) return s;

    t->data = alloc(t->bytes);
    if (!t->data) {
        const size_t bytes = t->bytes;
        ft_tensor_release(t);
        return ft_fail_mem(e, bytes);
    }
    *out = t;
    return FT_OK;
}

ft_status ft_tensor_new(ft_tensor **out, ft_dtype dtype, const ft_shape *shape, ft_err *e)
{
    return make(out, dtype, shape, ft_block_alloc, e);
}

ft_status ft_tensor_zeros(ft_tensor **out, ft_dtype dtype, const ft_shape *shape, ft_err *e)
{
    return make(out, dtype, shape, ft_block_zeros, e);
}

ft_status ft_tensor_view(ft_tensor **out, ft_tensor *base, int64_t first, const ft_shape *shape, ft_err *e)
{
    ft_tensor *t;
    const int64_t total = ft_shape_count(&base->shape);
    const ft_status s = ft_tensor_shape_only(&t, base->dtype, shape, e);
    if (s) return s;

    const int64_t count = ft_shape_count(shape);
    if (first < 0 || first > total || count > total - first) {
        ft_tensor_release(t);
        return ft_fail(e, FT_ESHAPE, "view of %lld elements at %lld leaves its base of %lld", (long long)count,
                       (long long)first, (long long)total);
    }
    if (base->data) t->data = (char *)base->data + (size_t)first * ft_dtype_size(base->dtype);
    t->base = ft_tensor_retain(base);
    *out = t;
    return FT_OK;
}

ft_status ft_tensor_wrap(ft_tensor **out, ft_dtype dtype, const ft_shape *shape, void *data, void (*drop)(void *),
                         void *ctx, ft_err *e)
{
    const ft_status s = ft_tensor_shape_only(out, dtype, shape, e);
    if (s) return s;
    (*out)->data = data;
    (*out)->drop = drop;
    (*out)->ctx = ctx;
    if (!drop) (*out)->base = *out; /* marks storage that is not ours to free; see release */
    return FT_OK;
}

ft_tensor *ft_tensor_retain(ft_tensor *t)
{
    if (t) t->refs++;
    return t;
}

void ft_tensor_release(ft_tensor *t)
{
    if (!t || --t->refs > 0) return;
    if (t->drop)
        t->drop(t->ctx);
    else if (!t->base)
        ft_block_free(t->data, t->bytes);
    else if (t->base != t)
        ft_tensor_release(t->base);
    ft_free(t);
}

/* ==== Half precision ==== */

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

uint16_t ft_bf16_from(float x)
{
    const uint32_t u = bits_of(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u); /* NaN stays NaN */
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

float ft_bf16_to(uint16_t x) { return float_of((uint32_t)x << 16); }

uint16_t ft_f16_from(float x)
{
    const uint32_t u = bits_of(x), sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;

    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to infinity */
    if (a < 0x38800000u) {                                   /* subnormal: let the adder round */
        const uint32_t r = bits_of(float_of(a) + 0.5f) - 0x3f000000u;
        return (uint16_t)(sign | r);
    }
    const uint32_t r = a + 0xfffu + (a >> 13 & 1u) - 0x38000000u;
    return (uint16_t)(sign | r >> 13);
}

float ft_f16_to(uint16_t x)
{
    const uint32_t sign = (uint32_t)(x & 0x8000u) << 16, a = x & 0x7fffu;

    if (a >= 0x7c00u) return float_of(sign | 0x7f800000u | (a & 0x3ffu) << 13);
    if (a >= 0x0400u) return float_of(sign | ((a << 13) + 0x38000000u));
    const float small = (float)a * 0x1p-24f;
    return sign ? -small : small;
}

static float load(const ft_tensor *t, int64_t i)
{
    if (t->dtype == FT_F32) return ((const float *)t->data)[i];
    const uint16_t h = ((const uint16_t *)t->data)[i];
    return t->dtype == FT_BF16 ? ft_bf16_to(h) : ft_f16_to(h);
}

static void store(ft_tensor *t, int64_t i, float x)
{
    if (t->dtype == FT_F32)
        ((float *)t->data)[i] = x;
    else
        ((uint16_t *)t->data)[i] = t->dtype == FT_BF16 ? ft_bf16_from(x) : ft_f16_from(x);
}

ft_status ft_tensor_convert(ft_tensor *dst, const ft_tensor *src, ft_err *e)
{
    char a[96], b[96];

    if (!ft_shape_equal(&dst->shape, &src->shape))
        return ft_fail(e, FT_ESHAPE, "cannot copy %s into %s", ft_shape_text(&src->shape, a),
                       ft_shape_text(&dst->shape, b));
    if (src->bytes && (!src->data || !dst->data)) return ft_fail(e, FT_ESTATE, "cannot copy a tensor without data");
    if (dst->dtype == src->dtype) {
        if (src->bytes) memcpy(dst->data, src->data, src->bytes);
        return FT_OK;
    }
    if (dst->dtype > FT_F16 || src->dtype > FT_F16)
        return ft_fail(e, FT_ESHAPE, "cannot convert %s to %s", ft_dtype_name(src->dtype), ft_dtype_name(dst->dtype));
    const int64_t n = ft_shape_count(&src->shape);
    for (int64_t i = 0; i < n; i++) store(dst, i, load(src, i));
    return FT_OK;
}

/* ==== Weights ==== */

static uint64_t weights_count;

void ft_weights_changed(void) { weights_count++; }
uint64_t ft_weights_count(void) { return weights_count; }
