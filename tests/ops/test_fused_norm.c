/* tests/ops/test_fused_norm.c - both layer normalisations against plain loops in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "opcheck.h"

static const ft_rng_key key = { { 3, 4 } };

/* dropout(x + bias) + residual, normalised: one row. example and position say which draws. */
static void plain_row(const ft_op_attr *a, double p, int64_t C, const float *x, const float *bias,
                      const float *residual, const float *gamma, const float *beta, uint32_t where, uint32_t example,
                      double *y)
{
    const uint32_t threshold = a->training ? (uint32_t)lround(p * 65536) : 0;
    double mean = 0, var = 0;

    for (int64_t c = 0; c < C; c++) {
        const uint32_t counter[4] = { (uint32_t)(c / 8), where, example, (uint32_t)a->update };
        uint32_t word[4];
        ft_rng_block(a->key, counter, word);
        const uint32_t draw = word[c % 8 / 2] >> (c % 2 ? 16 : 0) & 0xffff;
        y[c] = (double)x[c] + (bias ? (double)bias[c] : 0);
        if (threshold) y[c] = draw >= threshold ? y[c] / (1 - threshold / 65536.0) : 0;
        if (residual) y[c] += (double)residual[c];
        mean += y[c] / (double)C;
    }
    for (int64_t c = 0; c < C; c++) var += (y[c] - mean) * (y[c] - mean) / (double)C;
    for (int64_t c = 0; c < C; c++) y[c] = (y[c] - mean) / sqrt(var + a->f[0]) * (double)gamma[c] + (double)beta[c];
}

static void compare(const char *isa, const ft_tensor *t, const double *want)
{
    const float *got = t->data;
    for (int64_t i = 0; i < ft_shape_count(&t->shape); i++)
        if (!(fabs((double)got[i] - want[i]) <= 5e-6 * (1 + fabs(want[i]))))
            fail_msg("%s: %.8g at %lld, not %.8g", isa, (double)got[i], (long long)i, want[i]);
}

static void check_residual(const ft_op_attr *a, int64_t C, int with_bias)
{
    const int64_t R = a->rows->n_tokens;
    const oc_case k = { .op = "residual_layer_norm",
                        .attr = *a,
                        .in = { oc_random(oc_2(R, C), 1), oc_random(oc_2(R, C), 2), oc_random(oc_1(C), 3),
                                oc_random(oc_1(C), 4), with_bias ? oc_random(oc_1(C), 5) : NULL } };
    double *want = calloc((size_t)(R * C + 1), sizeof *want);
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int64_t r = 0; r < R; r++) {
        const int32_t b = a->rows->row_of[r];
        plain_row(a, a->f[1], C, (const float *)k.in[0]->data + r * C, with_bias ? k.in[4]->data : NULL,
                  (const float *)k.in[1]->data + r * C, k.in[2]->data, k.in[3]->data,
                  (uint32_t)(r - a->rows->offsets[b]) | (uint32_t)a->rows->window[b] << 16,
                  (uint32_t)a->rows->example[b], want + r * C);
    }
    for (int i = 0; i < n; i++) {
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        compare(names[i], oc_forward(&k), want);
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
    free(want);
}

static void residual_equals_plain_loops(void **state)
{
    (void)state;
    static const int64_t sizes[] = { 2, 7, 16, 33, 384, 1030 };
    ft_op_attr a = {
        .f = { 1e-5, 0 }, .rows = oc_ragged((const int32_t[]){ 1, 0, 5, 2, -1 }), .key = key, .update = 9
    };

    for (int b = 0; b < 4; b++) {
        a.rows->example[b] = 50 + b * b;
        a.rows->window[b] = 3 - b;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        a.training = 0;
        a.f[1] = 0.1;
        check_residual(&a, sizes[i], 1);
        a.training = 1;
        check_residual(&a, sizes[i], 0);
        a.f[1] = 0.5;
        check_residual(&a, sizes[i], 1);
    }
}

static void plain_norm_equals_plain_loops(void **state)
{
    (void)state;
    static const int64_t sizes[] = { 1, 3, 16, 31, 384, 769 };
    const ft_op_attr a = { .f = { 1e-12 } };
    double want[5 * 769];
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t C = sizes[i];
        const oc_case k = { .op = "layer_norm",
                            .attr = { .f = { C == 1 ? 1e-3 : 1e-12 } },
                            .in = { oc_random(oc_2(5, C), 1), oc_random(oc_1(C), 3), oc_random(oc_1(C), 4) } };
        for (int r = 0; r < 5; r++)
            plain_row(C == 1 ? &k.attr : &a, 0, C, (const float *)k.in[0]->data + r * C, NULL, NULL, k.in[1]->data,
                      k.in[2]->data, 0, 0, want + r * C);
        for (int j = 0; j < n; j++) {
            assert_int_equal(ft_op_select(names[j], NULL), FT_OK);
            compare(names[j], oc_forward(&k), want);
        }
        assert_int_equal(ft_op_select(before, NULL), FT_OK);
    }
}

/* A mean far from 0 costs no precision: differences are squared, not numbers. */
static void a_large_mean_is_no_trouble(void **state)
{
    (void)state;
    const float x[] = { 10000, 10001, 10002, 10003 }, one[] = { 1, 1, 1, 1 }, zero[] = { 0, 0, 0, 0 };
    const float want[] = { -1.3416407f, -0.4472136f, 0.4472136f, 1.3416407f };

    oc_close(
        oc_forward(&(oc_case){ .op = "layer_norm",
                               .attr = { .f = { 1e-12 } },
                               .in = { oc_floats(oc_2(1, 4), x), oc_floats(oc_1(4), one), oc_floats(oc_1(4), zero) } }),
        want, 1e-5);
}

static void promises_to_the_tape_hold(void **state)
{
    (void)state;
    oc_check(&(oc_case){ .op = "layer_norm",
                         .attr = { .f = { 1e-5 } },
                         .in = { oc_random(oc_2(70, 19), 1), oc_random(oc_1(19), 2), oc_random(oc_1(19), 3) },
                         .points = 60,
                         .tolerance = 4e-3 });
    oc_check(&(oc_case){ .op = "layer_norm",
                         .attr = { .f = { 1e-5 } },
                         .in = { oc_random(oc_2(0, 8), 1), oc_random(oc_1(8), 2), oc_random(oc_1(8), 3) } });
    ft_op_attr a = {
        .f = { 1e-5, 0.3 }, .rows = oc_ragged((const int32_t[]){ 3, 0, 1, 16, -1 }), .key = key, .training = 1
    };
    for (int bias = 0; bias < 2; bias++)
        oc_check(&(oc_case){ .op = "residual_layer_norm",
                             .attr = a,
                             .in = { oc_random(oc_2(20, 21), 1), oc_random(oc_2(20, 21), 2), oc_random(oc_1(21), 3),
                                     oc_random(oc_1(21), 4), bias ? oc_random(oc_1(21), 5) : NULL },
                             .points = 40,
                             .tolerance = 4e-3 });
    a.rows = NULL;
    oc_check(&(oc_case){
        .op = "residual_layer_norm",
        .attr = a,
        .in = { oc_random(oc_2(1, 40), 1), oc_random(oc_2(1, 40), 2), oc_random(oc_1(40), 3), oc_random(oc_1(40), 4) },
        .tolerance = 4e-3 });
}

static void enough_rows_for_several_threads(void **state)
{
    (void)state;
    const ft_op_attr a = { .f = { 1e-5, 0.1 }, .key = key, .training = 1 };
    oc_check(&(oc_case){ .op = "residual_layer_norm",
                         .attr = a,
                         .in = { oc_random(oc_2(301, 130), 1), oc_random(oc_2(301, 130), 2), oc_random(oc_1(130), 3),
                                 oc_random(oc_1(130), 4), oc_random(oc_1(130), 5) },
                         .points = 4,
                         .tolerance = 1e-2,
                         .skip = 3 });
    oc_check(&(oc_case){ .op = "layer_norm",
                         .attr = a,
                         .in = { oc_random(oc_2(301, 130), 1), oc_random(oc_1(130), 3), oc_random(oc_1(130), 4) },
                         .points = 4,
                         .tolerance = 1e-2,
                         .skip = 1 });
}

/* Rows that stand for some tokens of a batch: the same draws, hence the same bits, as among all tokens. */
static void chosen_rows_have_the_bits_of_all(void **state)
{
    (void)state;
    enum { C = 37, T = 14, M = 3 };
    static const int32_t places[M] = { 0, 8, 13 };
    const ft_op_attr a = { .f = { 1e-5, 0.4 },
                           .rows = oc_ragged((const int32_t[]){ 5, 9, -1 }),
                           .key = { { 7, 8 } },
                           .update = 2,
                           .training = 1 };
    ft_tensor *v = oc_random(oc_1(C), 3), *x[3], *few[3], *d[FT_OP_IN], *want[FT_OP_IN];

    for (int k = 0; k < 3; k++) {
        x[k] = oc_random(oc_2(T, C), 10 + (uint64_t)k);
        few[k] = oc_new(FT_F32, oc_2(M, C));
        for (int64_t i = 0; i < M; i++)
            memcpy((float *)few[k]->data + i * C, (float *)x[k]->data + places[i] * C, sizeof(float) * C);
    }
    ft_tensor *at = oc_int_values(oc_1(M), places);
    const oc_case all = { .op = "residual_layer_norm", .in = { x[0], x[1], v, v, v }, .attr = a };
    const oc_case some = { .op = "residual_layer_norm", .in = { few[0], few[1], v, v, v, at }, .attr = a };
    const float *y = oc_forward(&all)->data, *z = oc_forward(&some)->data;
    oc_backward(&all, x[2], want);
    oc_backward(&some, few[2], d);
    for (int64_t i = 0; i < M; i++) {
        assert_memory_equal(y + places[i] * C, z + i * C, sizeof(float) * C);
        for (int k = 0; k < 2; k++)
            assert_memory_equal((float *)want[k]->data + places[i] * C, (float *)d[k]->data + i * C, sizeof(float) * C);
    }
    oc_check(&(oc_case){ .op = "residual_layer_norm", .in = { few[0], few[1], v, v, v, at }, .attr = a, .skip = 32 });
    oc_fails(&(oc_case){ .op = "residual_layer_norm", .in = { x[0], x[1], v, v, v, at }, .attr = a }, FT_ESHAPE,
             "places (14)", "(3)");
    static const int32_t beyond[M] = { 0, 8, 14 };
    oc_fails(&(oc_case){ .op = "residual_layer_norm",
                         .in = { few[0], few[1], v, v, v, oc_int_values(oc_1(M), beyond) },
                         .attr = a },
             FT_ESHAPE, "place 14", "14 tokens");
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    ft_tensor *x = oc_random(oc_2(3, 4), 1), *v = oc_random(oc_1(4), 2), *w = oc_random(oc_1(5), 2);
    const ft_op_attr a = { .f = { 1e-5, 0.1 }, .rows = oc_ragged((const int32_t[]){ 2, 5, -1 }), .training = 1 };

    oc_fails(&(oc_case){ .op = "layer_norm", .attr = a, .in = { x, v, w } }, FT_ESHAPE, "(4)", "(5)");
    oc_fails(&(oc_case){ .op = "layer_norm", .in = { x, v, v } }, FT_EUSAGE, "eps", "0");
    oc_fails(&(oc_case){ .op = "residual_layer_norm", .attr = a, .in = { x, x, v, v, w } }, FT_ESHAPE, "(4)", "(5)");
    oc_fails(&(oc_case){ .op = "residual_layer_norm", .attr = a, .in = { x, oc_random(oc_2(4, 3), 1), v, v } },
             FT_ESHAPE, "(3,4)", "(4,3)");
    oc_fails(&(oc_case){ .op = "residual_layer_norm", .attr = a, .in = { x, x, v, v } }, FT_ESHAPE, "3 rows",
             "7 tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(chosen_rows_have_the_bits_of_all), oc_test(residual_equals_plain_loops),
        oc_test(plain_norm_equals_plain_loops),    oc_test(a_large_mean_is_no_trouble),
        oc_test(promises_to_the_tape_hold),        oc_test(enough_rows_for_several_threads),
        oc_test(what_does_not_fit_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
