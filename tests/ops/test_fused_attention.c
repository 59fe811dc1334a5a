/* tests/ops/test_fused_attention.c - attention against plain loops in double, over lengths, heads and head sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "opcheck.h"

typedef struct plain {
    double *out, *d_in;
} plain;

/* Factor of one probability: 0 or 1 / keep, from the definition of the draws. */
static double factor(const ft_op_attr *a, int64_t head, int32_t row, int64_t query, int64_t key)
{
    const uint32_t threshold = (uint32_t)lround(a->f[1] * 65536);
    const uint32_t counter[4] = { (uint32_t)(head << 16 | key / 8),
                                  (uint32_t)query | (uint32_t)a->rows->window[row] << 16,
                                  (uint32_t)a->rows->example[row], (uint32_t)a->update };
    uint32_t word[4];

    if (!a->training || threshold == 0) return 1;
    ft_rng_block(a->key, counter, word);
    const uint32_t draw = word[key % 8 / 2] >> (key % 2 ? 16 : 0) & 0xffff;
    return draw >= threshold ? 1 / (1 - threshold / 65536.0) : 0;
}

/* One head of one row; q0 is its first token. */
static void plain_head(const ft_op_attr *a, int64_t H, const float *qkv, const float *d_out, int32_t row, int64_t head,
                       plain *r)
{
    const int64_t d = H / a->i[0], q0 = a->rows->offsets[row], L = a->rows->offsets[row + 1] - q0;
    const double scale = a->f[0] > 0 ? a->f[0] : 1 / sqrt((double)d);
    double *p = calloc((size_t)(2 * L + 1), sizeof *p), *dp = p + L;

    for (int64_t i = 0; i < L; i++) {
        const float *q = qkv + (q0 + i) * 3 * H + head * d;
        const float *g = d_out + (q0 + i) * H + head * d;
        double largest = -INFINITY, sum = 0, dot = 0;
        for (int64_t j = 0; j < L; j++) {
            const float *k = qkv + (q0 + j) * 3 * H + H + head * d;
            p[j] = 0;
            for (int64_t c = 0; c < d; c++) p[j] += scale * (double)q[c] * (double)k[c];
            if (a->i[1] > 0 && llabs(i - j) > a->i[1]) p[j] = -INFINITY;
            largest = fmax(largest, p[j]);
        }
        for (int64_t j = 0; j < L; j++) sum += p[j] = exp(p[j] - largest);
        for (int64_t j = 0; j < L; j++) {
            const float *v = qkv + (q0 + j) * 3 * H + 2 * H + head * d;
            const double m = factor(a, head, row, i, j);
            p[j] /= sum;
            dp[j] = 0;
            for (int64_t c = 0; c < d; c++) {
                r->out[(q0 + i) * H + head * d + c] += p[j] * m * (double)v[c];
                r->d_in[(q0 + j) * 3 * H + 2 * H + head * d + c] += p[j] * m * (double)g[c];
                dp[j] += m * (double)g[c] * (double)v[c];
            }
            dot += p[j] * dp[j];
        }
        for (int64_t j = 0; j < L; j++) {
            const double ds = scale * p[j] * (dp[j] - dot);
            for (int64_t c = 0; c < d; c++) {
                r->d_in[(q0 + i) * 3 * H + head * d + c] += ds * (double)qkv[(q0 + j) * 3 * H + H + head * d + c];
                r->d_in[(q0 + j) * 3 * H + H + head * d + c] += ds * (double)q[c];
            }
        }
    }
    free(p);
}

static void compare(const char *isa, const char *what, const ft_tensor *t, const double *want)
{
    const float *got = t->data;
    for (int64_t i = 0; i < ft_shape_count(&t->shape); i++)
        if (!(fabs((double)got[i] - want[i]) <= 2e-5 * (1 + fabs(want[i]))))
            fail_msg("%s: %s is %.8g at %lld, not %.8g", isa, what, (double)got[i], (long long)i, want[i]);
}

static void check_all(const ft_op_attr *attr, int64_t H)
{
    const int64_t T = attr->rows->n_tokens;
    const oc_case k = { .op = "attention", .in = { oc_random(oc_2(T, 3 * H), 1) }, .attr = *attr };
    ft_tensor *d_out = oc_random(oc_2(T, H), 2), *d[FT_OP_IN];
    plain r = { calloc((size_t)(T * H + 1), sizeof(double)), calloc((size_t)(3 * T * H + 1), sizeof(double)) };
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int32_t b = 0; b < attr->rows->n_rows; b++)
        for (int64_t h = 0; h < attr->i[0]; h++) plain_head(attr, H, k.in[0]->data, d_out->data, b, h, &r);
    for (int i = 0; i < n; i++) {
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        compare(names[i], "ctx", oc_forward(&k), r.out);
        oc_backward(&k, d_out, d);
        compare(names[i], "the gradient", d[0], r.d_in);
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
    free(r.out);
    free(r.d_in);
}

static const ft_rng_key key = { { 0x12345678, 0x9abcdef0 } };

static void every_head_size_and_length_equals_plain_loops(void **state)
{
    (void)state;
    static const int64_t sizes[] = { 1, 3, 8, 16, 20, 32, 48, 64, 96, 128 };
    const int32_t lengths[] = { 1, 13, 0, 2, 16, 17, 31, 0, 49, 7, -1 };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const ft_op_attr a = { .i = { 2 }, .rows = oc_ragged(lengths) };
        check_all(&a, 2 * sizes[i]);
    }
}

static void long_rows_equal_plain_loops(void **state)
{
    (void)state;
    check_all(&(ft_op_attr){ .i = { 2 }, .rows = oc_ragged((const int32_t[]){ 128, 200, -1 }) }, 64);
    check_all(&(ft_op_attr){ .i = { 1 }, .rows = oc_ragged((const int32_t[]){ 5, 512, 129, -1 }) }, 24);
    check_all(&(ft_op_attr){ .i = { 1 }, .rows = oc_ragged((const int32_t[]){ 700, -1 }) }, 16);
}

static void dropout_equals_plain_loops(void **state)
{
    (void)state;
    ft_op_attr a = { .i = { 3 },
                     .f = { 0, 0.1 },
                     .rows = oc_ragged((const int32_t[]){ 13, 0, 1, 130, 40, 300, -1 }),
                     .key = key,
                     .update = 77,
                     .training = 1 };

    for (int b = 0; b < 6; b++) {
        a.rows->example[b] = 1000 - 7 * b;
        a.rows->window[b] = b;
    }
    check_all(&a, 3 * 20);
    a.f[1] = 0.5;
    check_all(&a, 3 * 32);
    a.f[1] = 1;
    check_all(&a, 3 * 8);
}

static void a_window_hides_what_is_far(void **state)
{
    (void)state;
    check_all(&(ft_op_attr){ .i = { 2, 3 }, .rows = oc_ragged((const int32_t[]){ 1, 4, 33, 150, -1 }) }, 2 * 12);
    check_all(
        &(ft_op_attr){
            .i = { 1, 140 }, .f = { 0.3, 0.2 }, .rows = oc_ragged((const int32_t[]){ 290, -1 }), .training = 1 },
        16);
}

static void promises_to_the_tape_hold(void **state)
{
    (void)state;
    ft_op_attr a = { .i = { 2 }, .rows = oc_ragged((const int32_t[]){ 3, 0, 1, 18, -1 }) };

    oc_check(&(oc_case){ .op = "attention", .in = { oc_random(oc_2(22, 3 * 10), 1) }, .attr = a, .points = 60 });
    a = (ft_op_attr){
        .i = { 1 }, .f = { 0.2, 0.3 }, .rows = oc_ragged((const int32_t[]){ 50, 140, -1 }), .key = key, .training = 1
    };
    oc_check(&(oc_case){ .op = "attention", .in = { oc_random(oc_2(190, 3 * 32), 1) }, .attr = a, .points = 20 });
}

static void empty_batches_are_fine(void **state)
{
    (void)state;
    ft_op_attr a = { .i = { 2 }, .rows = oc_ragged((const int32_t[]){ -1 }) };

    oc_check(&(oc_case){ .op = "attention", .in = { oc_random(oc_2(0, 12), 1) }, .attr = a });
    a.rows = oc_ragged((const int32_t[]){ 0, 0, -1 });
    oc_check(&(oc_case){ .op = "attention", .in = { oc_random(oc_2(0, 12), 1) }, .attr = a });
}

/* The same example alone and among others: the same numbers, to the bit. */
static void another_batching_changes_no_bit(void **state)
{
    (void)state;
    enum { H = 24, L = 37 };
    ft_op_attr a = { .i = { 2 },
                     .f = { 0, 0.4 },
                     .rows = oc_ragged((const int32_t[]){ 11, L, 5, -1 }),
                     .key = key,
                     .update = 3,
                     .training = 1 };
    ft_tensor *all = oc_random(oc_2(11 + L + 5, 3 * H), 9);

    a.rows->example[1] = 42;
    const float *among = oc_forward(&(oc_case){ .op = "attention", .in = { all }, .attr = a })->data;
    a.rows = oc_ragged((const int32_t[]){ L, -1 });
    a.rows->example[0] = 42;
    ft_tensor *one = oc_floats(oc_2(L, 3 * H), (const float *)all->data + 11 * 3 * H);
    const float *alone = oc_forward(&(oc_case){ .op = "attention", .in = { one }, .attr = a })->data;
    assert_memory_equal(among + 11 * H, alone, sizeof(float) * L * H);
}

/* Some tokens ask: the bits of all asking, with a gradient of zero for those that were not asked. */
static void chosen_queries_have_the_bits_of_all(void **state)
{
    (void)state;
    enum { H = 40, T = 9 + 0 + 130 + 1 + 260, M = 9 };
    static const int32_t places[M] = { 0, 9, 12, 56, 57, 138, 140, 300, 399 };
    ft_op_attr a = { .i = { 2 },
                     .f = { 0, 0.3 },
                     .rows = oc_ragged((const int32_t[]){ 9, 0, 130, 1, 260, -1 }),
                     .key = key,
                     .update = 3,
                     .training = 1 };
    ft_tensor *qkv = oc_random(oc_2(T, 3 * H), 1), *d_few = oc_random(oc_2(M, H), 2), *d_all = oc_random(oc_2(T, H), 3);
    ft_tensor *d[FT_OP_IN], *want[FT_OP_IN];
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    memset(d_all->data, 0, d_all->bytes);
    for (int64_t i = 0; i < M; i++)
        memcpy((float *)d_all->data + places[i] * H, (float *)d_few->data + i * H, sizeof(float) * H);
    for (int windowed = 0; windowed < 2; windowed++)
        for (int k = 0; k < n; k++) {
            a.i[1] = windowed ? 20 : 0;
            const oc_case all = { .op = "attention", .in = { qkv }, .attr = a };
            const oc_case few = { .op = "attention", .in = { qkv, oc_int_values(oc_1(M), places) }, .attr = a };
            assert_int_equal(ft_op_select(names[k], NULL), FT_OK);
            const float *x = oc_forward(&all)->data, *y = oc_forward(&few)->data;
            for (int64_t i = 0; i < M; i++) assert_memory_equal(x + places[i] * H, y + i * H, sizeof(float) * H);
            oc_backward(&all, d_all, want);
            oc_backward(&few, d_few, d);
            for (int64_t i = 0; i < T * 3 * H; i++)
                assert_true(((const float *)d[0]->data)[i] == ((const float *)want[0]->data)[i]);
        }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

static void chosen_queries_keep_the_promises_too(void **state)
{
    (void)state;
    const int32_t places[] = { 1, 4, 5, 21 };
    const ft_op_attr a = {
        .i = { 2 }, .f = { 0, 0.3 }, .rows = oc_ragged((const int32_t[]){ 3, 0, 1, 18, -1 }), .key = key, .training = 1
    };
    ft_tensor *qkv = oc_random(oc_2(22, 30), 1);

    oc_check(&(oc_case){
        .op = "attention", .in = { qkv, oc_int_values(oc_1(4), places) }, .attr = a, .skip = 2, .points = 60 });
    oc_check(&(oc_case){ .op = "attention", .in = { qkv, oc_int_values(oc_1(0), places) }, .attr = a, .skip = 2 });
    oc_fails(&(oc_case){ .op = "attention", .in = { qkv, oc_random(oc_1(4), 1) }, .attr = a }, FT_ESHAPE, "places (M)",
             "(4)");
    const int32_t twice[] = { 4, 4 }, beyond[] = { 4, 22 };
    oc_fails(&(oc_case){ .op = "attention", .in = { qkv, oc_int_values(oc_1(2), twice) }, .attr = a }, FT_ESHAPE,
             "place 4 at 1", "ascending");
    oc_fails(&(oc_case){ .op = "attention", .in = { qkv, oc_int_values(oc_1(2), beyond) }, .attr = a }, FT_ESHAPE,
             "place 22 at 1", "22 tokens");
}

static void large_scores_do_not_overflow(void **state)
{
    (void)state;
    const ft_op_attr a = { .i = { 1 }, .f = { 1 }, .rows = oc_ragged((const int32_t[]){ 2, -1 }) };
    const float qkv[] = { 300, 300, 7, 300, -300, 9 }, want[] = { 7, 7 };

    oc_close(oc_forward(&(oc_case){ .op = "attention", .in = { oc_floats(oc_2(2, 3), qkv) }, .attr = a }), want, 1e-6);
}

static void nan_is_not_hidden(void **state)
{
    (void)state;
    const ft_op_attr a = { .i = { 1 }, .f = { 1 }, .rows = oc_ragged((const int32_t[]){ 3, -1 }) };
    const float qkv[] = { 1, 1, 1, NAN, 1, 1, 1, 1, 1 };
    const float *y = oc_forward(&(oc_case){ .op = "attention", .in = { oc_floats(oc_2(3, 3), qkv) }, .attr = a })->data;

    assert_true(isnan(y[1]) && y[0] == 1.0f && y[2] == 1.0f);
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    ft_op_attr a = { .i = { 2 }, .rows = oc_ragged((const int32_t[]){ 3, -1 }) };
    ft_tensor *x = oc_random(oc_2(3, 12), 1);

    oc_fails(&(oc_case){ .op = "attention", .in = { oc_random(oc_2(4, 12), 1) }, .attr = a }, FT_ESHAPE, "(3,3H)",
             "(4,12)");
    oc_fails(&(oc_case){ .op = "attention", .in = { oc_random(oc_2(3, 13), 1) }, .attr = a }, FT_ESHAPE, "2 heads",
             "(3,13)");
    oc_fails(&(oc_case){ .op = "attention", .in = { x }, .attr = { .i = { 2 } } }, FT_EUSAGE, "rows", NULL);
    a.i[0] = 0;
    oc_fails(&(oc_case){ .op = "attention", .in = { x }, .attr = a }, FT_ESHAPE, "0 heads", NULL);
    a.i[0] = 2;
    a.f[1] = 1.5;
    oc_fails(&(oc_case){ .op = "attention", .in = { x }, .attr = a }, FT_EUSAGE, "1.5", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(every_head_size_and_length_equals_plain_loops),
        oc_test(long_rows_equal_plain_loops),
        oc_test(dropout_equals_plain_loops),
        oc_test(a_window_hides_what_is_far),
        oc_test(promises_to_the_tape_hold),
        oc_test(empty_batches_are_fine),
        oc_test(another_batching_changes_no_bit),
        oc_test(chosen_queries_have_the_bits_of_all),
        oc_test(chosen_queries_keep_the_promises_too),
        oc_test(large_scores_do_not_overflow),
        oc_test(nan_is_not_hidden),
        oc_test(what_does_not_fit_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
