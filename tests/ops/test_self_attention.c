/* tests/ops/test_self_attention.c - attention with its map in bf16 against the two float32 ops it stands for.
 *
 * On a processor without matrix instructions only the refusals are tested; the others are skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opcheck.h"
#include "ops/product/product.h"

static int available(void)
{
    ft_err e = { 0 };

    unsetenv("FTPIPE_NO_BF16");
    if (!ft_product_select("onednn", NULL, &e) && !ft_product_bf16(&e)) {
        if (ft_op_active()->tiles) return 1;
        snprintf(e.msg, sizeof e.msg, "no tiles with the kernels %s", ft_op_active()->isa);
    }
    print_message("skipped: %s\n", e.msg);
    return 0;
}

static double apart(const ft_tensor *got, const ft_tensor *want)
{
    double sum = 0, size = 0;

    for (int64_t i = 0; i < ft_shape_count(&got->shape); i++) {
        const double w = (double)((const float *)want->data)[i], d = (double)((const float *)got->data)[i] - w;
        sum += d * d;
        size += w * w;
    }
    return sqrt(sum) / (sqrt(size) + 1e-4);
}

/* Rounded, so neither far nor the same. */
static void near(const char *what, const oc_case *k, const ft_tensor *got, const ft_tensor *want)
{
    const double d = apart(got, want);

    if (!(d <= 1.5e-2) || (got->shape.dim[0] > 40 && k->attr.f[1] < 1 && d < 1e-5))
        fail_msg("%s of %d tokens, %d heads: off by %g in the norm", what, (int)k->in[0]->shape.dim[0],
                 (int)k->attr.i[0], d);
}

static void compare(const oc_case *k)
{
    const int64_t H = k->in[0]->shape.dim[1];
    oc_case linear = { .op = "linear", .in = { k->in[0], k->in[1], k->in[2] } };
    oc_case attention = { .op = "attention", .in = { oc_forward(&linear), k->in[3] }, .attr = k->attr };
    ft_tensor *got[FT_OP_IN], *d_qkv[FT_OP_IN], *d[FT_OP_IN], *want = oc_forward(&attention);
    ft_tensor *d_out = oc_random(oc_2(want->shape.dim[0], H), 9);

    near("the context", k, oc_forward(k), want);
    oc_backward(k, d_out, got);
    attention.attr.bf16 = 0;
    oc_backward(&attention, d_out, d_qkv);
    oc_backward(&linear, d_qkv[0], d);
    near("dx", k, got[0], d[0]);
    near("dW", k, got[1], d[1]);
    near("db", k, got[2], d[2]);
}

static const ft_rng_key key = { { 0x12345678, 0x9abcdef0 } };

static oc_case of(const int32_t *lengths, int64_t heads, int64_t d)
{
    const int64_t H = heads * d;
    ft_ragged *rows = oc_ragged(lengths);
    ft_tensor *w = oc_random(oc_2(3 * H, H), 2);

    for (int64_t i = 0; i < 3 * H * H; i++) ((float *)w->data)[i] /= sqrtf((float)H);
    for (int32_t b = 0; b < rows->n_rows; b++) {
        rows->example[b] = 1000 - 7 * b;
        rows->window[b] = b;
    }
    return (oc_case){ .op = "self_attention",
                      .in = { oc_random(oc_2(rows->n_tokens, H), 1), w, oc_random(oc_1(3 * H), 3) },
                      .attr = { .i = { heads }, .rows = rows, .key = key, .update = 77, .training = 1, .bf16 = 1 },
                      .skip = 0xf,
                      .isa = "v4amx" };
}

static void head_sizes_and_lengths(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = { { 4, 16 }, { 3, 24 }, { 2, 32 }, { 2, 40 }, { 1, 64 }, { 1, 70 }, { 1, 128 } };
    static const int32_t lengths[] = { 1, 13, 0, 2, 16, 17, 31, 0, 49, 7, 33, -1 };

    if (!available()) skip();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const oc_case k = of(lengths, sizes[i][0], sizes[i][1]);
        compare(&k);
        oc_release(NULL);
    }
}

/* Keys are taken 128 at a time, rows of the map 960. */
static void long_rows_and_many(void **state)
{
    (void)state;
    if (!available()) skip();
    oc_case k = of((const int32_t[]){ 128, 200, 129, -1 }, 2, 32);
    compare(&k);
    k = of((const int32_t[]){ 5, 512, 127, 300, 40, -1 }, 2, 32);
    compare(&k);
    k = of((const int32_t[]){ 700, 361, -1 }, 2, 34);
    compare(&k);
}

static void dropout_and_windows(void **state)
{
    (void)state;
    if (!available()) skip();
    oc_case k = of((const int32_t[]){ 13, 0, 1, 130, 40, 300, -1 }, 3, 24);
    k.attr.f[1] = 0.1;
    compare(&k);
    k.attr.f[1] = 0.5;
    k.attr.f[0] = 0.3;
    k.attr.i[1] = 20;
    compare(&k);
    k.attr.f[1] = 1;
    compare(&k);
}

static void chosen_queries(void **state)
{
    (void)state;
    static const int32_t places[] = { 0, 9, 12, 56, 57, 138, 140, 300, 399 };

    if (!available()) skip();
    oc_case k = of((const int32_t[]){ 9, 0, 130, 1, 260, -1 }, 2, 40);
    k.in[3] = oc_int_values(oc_1(9), places);
    k.attr.f[1] = 0.3;
    compare(&k);
    oc_check(&k);
    k.in[3] = oc_int_values(oc_1(0), places);
    oc_check(&k);
}

static void promises_to_the_tape_hold(void **state)
{
    (void)state;
    if (!available()) skip();
    oc_case k = of((const int32_t[]){ 3, 0, 1, 18, 70, 140, -1 }, 2, 33);
    k.attr.f[1] = 0.3;
    oc_check(&k);
    k = of((const int32_t[]){ 500, 480, 60, -1 }, 1, 64);
    oc_check(&k);
    k = of((const int32_t[]){ 0, 0, -1 }, 1, 64);
    oc_check(&k);
}

static void nan_is_not_hidden(void **state)
{
    (void)state;
    if (!available()) skip();
    const oc_case k = of((const int32_t[]){ 3, 4, -1 }, 1, 64);
    ((float *)k.in[0]->data)[4 * 64 + 5] = NAN;
    const float *y = oc_forward(&k)->data;
    assert_true(isnan(y[3 * 64]) && isnan(y[6 * 64]) && !isnan(y[2 * 64]));
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    if (!available()) {
        const oc_case k = of((const int32_t[]){ 3, -1 }, 2, 32);
        oc_fails(&k, FT_EUSAGE, "bf16 tiles", NULL);
        return;
    }
    oc_case k = of((const int32_t[]){ 3, -1 }, 2, 32);
    k.attr.i[0] = 3;
    oc_fails(&k, FT_ESHAPE, "3 heads", "(3,64)");
    k.attr.i[0] = 2;
    k.attr.bf16 = 0;
    oc_fails(&k, FT_EUSAGE, "bf16 tiles", NULL);
    k.attr.bf16 = 1;
    k.in[2] = oc_random(oc_1(64), 1);
    oc_fails(&k, FT_ESHAPE, "a bias (3H)", "(64)");
    k = of((const int32_t[]){ 3, -1 }, 2, 32);
    k.in[3] = oc_int_values(oc_1(2), (const int32_t[]){ 2, 3 });
    oc_fails(&k, FT_ESHAPE, "place 3 at 1", "3 tokens");
    k.in[3] = NULL;
    k.attr.rows = NULL;
    oc_fails(&k, FT_EUSAGE, "rows", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(head_sizes_and_lengths),     oc_test(long_rows_and_many),
        oc_test(dropout_and_windows),        oc_test(chosen_queries),
        oc_test(promises_to_the_tape_hold),  oc_test(nan_is_not_hidden),
        oc_test(what_does_not_fit_is_named),
    };
    return cmocka_run_group_tests_name("self_attention", tests, NULL, NULL);
}
