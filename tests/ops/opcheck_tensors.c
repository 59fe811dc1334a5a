/* tests/ops/opcheck_tensors.c - what ops are tested with: tensors and rows that live until oc_release. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "opcheck.h"

static ft_tensor *made[512];
static int n_made;
static ft_ragged *made_rows[64];
static int n_made_rows;

ft_tensor *oc_new(ft_dtype dtype, ft_shape shape)
{
    ft_err e = { 0 };

    if (n_made == (int)(sizeof made / sizeof *made)) fail_msg("opcheck: more than %d tensors in one test", n_made);
    if (ft_tensor_new(&made[n_made], dtype, &shape, &e)) fail_msg("opcheck: %s", e.msg);
    return made[n_made++];
}

ft_tensor *oc_random(ft_shape shape, uint64_t seed)
{
    ft_tensor *t = oc_new(FT_F32, shape);
    ft_rng_normal(ft_rng_site(seed, "opcheck"), t->data, (size_t)ft_shape_count(&shape), 1.0f);
    return t;
}

ft_tensor *oc_uniform(ft_shape shape, uint64_t seed, double low, double high)
{
    ft_tensor *t = oc_new(FT_F32, shape);
    float *x = t->data;
    const int64_t n = ft_shape_count(&shape);

    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(low + (high - low) * ft_rng_uniform(ft_rng_site(seed, "opcheck"), (uint64_t)i));
    return t;
}

ft_tensor *oc_ints(ft_shape shape, uint64_t seed, int32_t below)
{
    ft_tensor *t = oc_new(FT_I32, shape);
    int32_t *x = t->data;
    const int64_t n = ft_shape_count(&shape);

    for (int64_t i = 0; i < n; i++)
        x[i] = (int32_t)ft_rng_below(ft_rng_site(seed, "opcheck"), (uint64_t)i, (uint64_t)below);
    return t;
}

ft_tensor *oc_floats(ft_shape shape, const float *values)
{
    ft_tensor *t = oc_new(FT_F32, shape);
    memcpy(t->data, values, t->bytes);
    return t;
}

ft_tensor *oc_int_values(ft_shape shape, const int32_t *values)
{
    ft_tensor *t = oc_new(FT_I32, shape);
    memcpy(t->data, values, t->bytes);
    return t;
}

ft_ragged *oc_ragged(const int32_t *lengths)
{
    ft_err e = { 0 };
    int32_t n = 0;

    while (lengths[n] >= 0) n++;
    if (n_made_rows == (int)(sizeof made_rows / sizeof *made_rows)) fail_msg("opcheck: too many raggeds in one test");
    if (ft_ragged_new(&made_rows[n_made_rows], n, lengths, NULL, NULL, &e)) fail_msg("opcheck: %s", e.msg);
    return made_rows[n_made_rows++];
}

int oc_release(void **state)
{
    (void)state;
    while (n_made > 0) ft_tensor_release(made[--n_made]);
    while (n_made_rows > 0) ft_ragged_release(made_rows[--n_made_rows]);
    return 0;
}

void oc_close(const ft_tensor *got, const float *want, double tolerance)
{
    const float *x = got->data;
    const int64_t n = ft_shape_count(&got->shape);

    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)x[i] - (double)want[i]) <= tolerance * (1 + fabs((double)want[i]))))
            fail_msg("element %lld is %.9g, not %.9g", (long long)i, (double)x[i], (double)want[i]);
}
