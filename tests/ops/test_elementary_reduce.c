/* tests/ops/test_elementary_reduce.c - sums, means, maxima, softmax and products of matrices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "opcheck.h"

static ft_shape scalar(void) { return ft_shape_of(0, 0, 0, 0, 0); }

/* ==== Reductions ==== */

/* Up to 61 different numbers in no order, at least 0.1 apart: no step of a difference changes which is the largest. */
static ft_tensor *far_apart(ft_shape shape, uint64_t seed)
{
    ft_tensor *t = oc_random(shape, seed);
    for (int64_t i = 0; i < ft_shape_count(&shape); i++)
        ((float *)t->data)[i] = 0.1f * (float)((i * 37 + (int64_t)seed * 11) % 61) - 3;
    return t;
}

/* Every axis of every rank, kept or not, and all axes at once. */
static void check_axes(const char *op, ft_tensor *(*numbers)(ft_shape, uint64_t))
{
    const ft_shape shapes[] = { scalar(), oc_1(6), oc_2(3, 5), oc_3(2, 4, 3), oc_4(2, 3, 2, 4) };

    for (int s = 0; s < 5; s++)
        for (int axis = -1; axis < shapes[s].rank; axis++)
            for (int keep = 0; keep < 2; keep++)
                oc_check(&(oc_case){
                    .op = op, .in = { numbers(shapes[s], (uint64_t)s) }, .attr.i = { axis, keep }, .points = 12 });
}

/* Long enough for the parallel loops. `skip` as in oc_case. */
static void check_large(const char *op, unsigned skip)
{
    const ft_shape shapes[] = { oc_1(100003), oc_2(301, 257), oc_2(301, 257), oc_3(37, 41, 67) };
    const int axis[] = { -1, 0, 1, 1 };

    for (int s = 0; s < 4; s++)
        oc_check(&(oc_case){ .op = op,
                             .in = { oc_random(shapes[s], (uint64_t)s) },
                             .attr.i = { axis[s] },
                             .points = 3,
                             .tolerance = 1e-2,
                             .skip = skip });
}

static void sum_and_mean_over_any_axis(void **state)
{
    (void)state;
    check_axes("sum", oc_random);
    check_axes("mean", oc_random);
    check_large("sum", 0);
}

static void sums_of_known_numbers(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, 6 }, down[] = { 5, 7, 9 }, across[] = { 6, 15 }, all[] = { 21 };
    const float mean_down[] = { 2.5f, 3.5f, 4.5f }, mean_all[] = { 3.5f };
    oc_case k = { .op = "sum", .in = { oc_floats(oc_2(2, 3), x) }, .attr.i = { 0, 1 } };
    const ft_tensor *y = oc_forward(&k);

    assert_true(y->shape.rank == 2 && y->shape.dim[0] == 1 && y->shape.dim[1] == 3);
    oc_close(y, down, 0);
    k.attr.i[0] = 1;
    k.attr.i[1] = 0;
    y = oc_forward(&k);
    assert_true(y->shape.rank == 1 && y->shape.dim[0] == 2);
    oc_close(y, across, 0);
    k.attr.i[0] = -1;
    y = oc_forward(&k);
    assert_int_equal(y->shape.rank, 0);
    oc_close(y, all, 0);
    k.op = "mean";
    oc_close(oc_forward(&k), mean_all, 0);
    k.attr.i[0] = 0;
    oc_close(oc_forward(&k), mean_down, 0);
}

static void long_sums_lose_no_digits(void **state)
{
    (void)state;
    ft_tensor *x = oc_uniform(oc_1(200001), 3, 0, 1);
    double want = 0;

    for (int i = 0; i < 200001; i++) want += (double)((float *)x->data)[i];
    for (int form = 0; form < 3; form++) {
        x->shape = form == 0 ? oc_1(200001) : form == 1 ? oc_2(200001, 1) : oc_2(1, 200001);
        const ft_tensor *y = oc_forward(&(oc_case){ .op = "sum", .in = { x }, .attr.i = { form == 2 } });
        assert_true(fabs((double)*(float *)y->data - want) <= 2e-7 * want);
    }
}

static void max_over_any_axis(void **state)
{
    (void)state;
    check_axes("max", far_apart);
    check_large("max", 1); /* among so many numbers some lie closer than the step */
}

static void the_first_of_equal_maxima_gets_the_gradient(void **state)
{
    (void)state;
    const float x[] = { 1, 3, 3, 2, 5, 5 }, dy[] = { 1, 2 }, want[] = { 0, 1, 0, 0, 2, 0 }, top[] = { 3, 5 };
    ft_tensor *d[FT_OP_IN];
    const oc_case k = { .op = "max", .in = { oc_floats(oc_2(2, 3), x) }, .attr.i = { 1 } };

    oc_close(oc_forward(&k), top, 0);
    oc_backward(&k, oc_floats(oc_1(2), dy), d);
    oc_close(d[0], want, 0);
}

static void nan_is_the_maximum(void **state)
{
    (void)state;
    const float x[] = { 1, NAN, 3, NAN, 2, 1, 1, 2, NAN }, dy[] = { 1, 1, 1 }, want[] = { 0, 1, 0, 1, 0, 0, 0, 0, 1 };
    ft_tensor *d[FT_OP_IN];
    const oc_case k = { .op = "max", .in = { oc_floats(oc_2(3, 3), x) }, .attr.i = { 1 } };
    const float *y = oc_forward(&k)->data;

    assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]));
    oc_backward(&k, oc_floats(oc_1(3), dy), d);
    oc_close(d[0], want, 0);
}

static void axes_that_are_not_there_are_named(void **state)
{
    (void)state;
    static const char *const names[] = { "sum", "mean", "max" };
    ft_tensor *x = oc_random(oc_2(2, 3), 1), *none = oc_random(oc_2(2, 0), 1);

    for (int i = 0; i < 3; i++) {
        oc_fails(&(oc_case){ .op = names[i], .in = { x }, .attr.i = { 2 } }, FT_ESHAPE, "axis 2", "(2,3)");
        oc_fails(&(oc_case){ .op = names[i], .in = { x }, .attr.i = { -2 } }, FT_ESHAPE, "axis -2", "(2,3)");
        oc_fails(&(oc_case){ .op = names[i], .in = { oc_ints(oc_1(4), 1, 3) } }, FT_ESHAPE, "i32", "(4)");
        if (i > 0) oc_fails(&(oc_case){ .op = names[i], .in = { none }, .attr.i = { 1 } }, FT_ESHAPE, "(2,0)", NULL);
    }
    assert_true(*(float *)oc_forward(&(oc_case){ .op = "sum", .in = { none }, .attr.i = { -1 } })->data == 0.0f);
}

/* ==== Softmax ==== */

static void softmax_over_the_last_axis(void **state)
{
    (void)state;
    static const char *const names[] = { "softmax", "log_softmax" };

    for (int i = 0; i < 2; i++) {
        oc_check(&(oc_case){ .op = names[i], .in = { oc_random(oc_1(5), 1) } });
        oc_check(&(oc_case){ .op = names[i], .in = { oc_random(oc_2(7, 9), 2) } });
        oc_check(&(oc_case){ .op = names[i], .in = { oc_random(oc_4(2, 3, 2, 4), 3) } });
        oc_check(&(oc_case){ .op = names[i], .in = { oc_random(oc_2(4, 1), 3) } });
        oc_check(&(oc_case){ .op = names[i], .in = { oc_random(oc_2(331, 127), 4) }, .points = 4, .tolerance = 1e-2 });
    }
}

static void softmax_survives_large_numbers(void **state)
{
    (void)state;
    const float x[] = { 1000, 1001, -1e30f, -1000, -1001, -INFINITY };
    const float p[] = { 0.26894142f, 0.73105858f, 0, 0.73105858f, 0.26894142f, 0 };
    const oc_case k = { .op = "softmax", .in = { oc_floats(oc_2(2, 3), x) }, .any_value = 1 };
    const oc_case log_k = { .op = "log_softmax", .in = { k.in[0] }, .any_value = 1 };

    oc_close(oc_forward(&k), p, 1e-6);
    const float *y = oc_forward(&log_k)->data;
    assert_true(fabsf(y[1] + 0.31326169f) < 1e-6f && fabsf(y[3] + 0.31326169f) < 1e-6f);
    assert_true(y[5] == -INFINITY);
}

static void softmax_needs_an_axis(void **state)
{
    (void)state;
    oc_fails(&(oc_case){ .op = "softmax", .in = { oc_random(scalar(), 1) } }, FT_ESHAPE, "()", NULL);
    oc_fails(&(oc_case){ .op = "log_softmax", .in = { oc_random(oc_2(3, 0), 1) } }, FT_ESHAPE, "(3,0)", NULL);
}

/* ==== Products ==== */

static ft_shape turned(ft_shape s, int turn)
{
    if (turn) {
        const int64_t last = s.dim[s.rank - 1];
        s.dim[s.rank - 1] = s.dim[s.rank - 2];
        s.dim[s.rank - 2] = last;
    }
    return s;
}

static void matmul_is_the_plain_product(const oc_case *k, int64_t S, int64_t M, int64_t N, int64_t K)
{
    const float *a = k->in[0]->data, *b = k->in[1]->data, *y = oc_forward(k)->data;
    const int ta = k->attr.i[0] != 0, tb = k->attr.i[1] != 0;

    for (int64_t s = 0; s < S; s++)
        for (int64_t m = 0; m < M; m++)
            for (int64_t n = 0; n < N; n++) {
                double want = 0;
                for (int64_t i = 0; i < K; i++)
                    want += (double)a[s * M * K + (ta ? i * M + m : m * K + i)] *
                            (double)b[s * K * N + (tb ? n * K + i : i * N + n)];
                assert_true(fabs((double)y[(s * M + m) * N + n] - want) <= 1e-5 * (double)K);
            }
}

static void matmul_in_all_four_forms(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = { { 3, 4, 5 }, { 1, 7, 2 }, { 6, 1, 3 }, { 4, 5, 1 }, { 1, 1, 1 } };

    for (int form = 0; form < 4; form++)
        for (int z = 0; z < 5; z++) {
            const int64_t M = sizes[z][0], N = sizes[z][1], K = sizes[z][2];
            const oc_case k = { .op = "matmul",
                                .in = { oc_random(turned(oc_2(M, K), form & 1), 1),
                                        oc_random(turned(oc_2(K, N), form >> 1), 2) },
                                .attr.i = { form & 1, form >> 1 } };
            matmul_is_the_plain_product(&k, 1, M, N, K);
            oc_check(&k);
        }
}

static void matmul_of_stacks(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++)
        for (int64_t S = 1; S <= 6; S += 5) {
            const oc_case k = { .op = "matmul",
                                .in = { oc_random(turned(oc_3(S, 3, 4), form & 1), 1),
                                        oc_random(turned(oc_3(S, 4, 2), form >> 1), 2) },
                                .attr.i = { form & 1, form >> 1 } };
            matmul_is_the_plain_product(&k, S, 3, 2, 4);
            oc_check(&k);
        }
}

static void large_products_have_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++)
        oc_check(&(oc_case){
            .op = "matmul",
            .in = { oc_random(turned(oc_2(260, 150), form & 1), 1), oc_random(turned(oc_2(150, 410), form >> 1), 2) },
            .attr.i = { form & 1, form >> 1 },
            .points = 2,
            .tolerance = 1e-2 });
}

static void factors_that_do_not_fit_are_named(void **state)
{
    (void)state;
    ft_tensor *a = oc_random(oc_2(2, 3), 1), *b = oc_random(oc_2(4, 2), 1), *c = oc_random(oc_3(2, 3, 2), 1);

    oc_fails(&(oc_case){ .op = "matmul", .in = { a, b } }, FT_ESHAPE, "(2,3)", "(4,2)");
    oc_fails(&(oc_case){ .op = "matmul", .in = { a, b }, .attr.i = { 1, 0 } }, FT_ESHAPE, "(2,3) transposed", "(4,2)");
    oc_fails(&(oc_case){ .op = "matmul", .in = { a, b }, .attr.i = { 0, 1 } }, FT_ESHAPE, "(2,3)", "(4,2) transposed");
    oc_fails(&(oc_case){ .op = "matmul", .in = { a, c } }, FT_ESHAPE, "(2,3)", "(2,3,2)");
    oc_fails(&(oc_case){ .op = "matmul", .in = { c, oc_random(oc_3(3, 2, 5), 1) } }, FT_ESHAPE, "(2,3,2)", "(3,2,5)");
    oc_fails(&(oc_case){ .op = "matmul", .in = { oc_random(oc_1(3), 1), b } }, FT_ESHAPE, "(3)", "(4,2)");
    oc_fails(&(oc_case){ .op = "matmul", .in = { oc_random(oc_2(2, 0), 1), oc_random(oc_2(0, 2), 1) } }, FT_ESHAPE,
             "(2,0)", "(0,2)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(sum_and_mean_over_any_axis),
        oc_test(sums_of_known_numbers),
        oc_test(long_sums_lose_no_digits),
        oc_test(max_over_any_axis),
        oc_test(the_first_of_equal_maxima_gets_the_gradient),
        oc_test(nan_is_the_maximum),
        oc_test(axes_that_are_not_there_are_named),
        oc_test(softmax_over_the_last_axis),
        oc_test(softmax_survives_large_numbers),
        oc_test(softmax_needs_an_axis),
        oc_test(matmul_in_all_four_forms),
        oc_test(matmul_of_stacks),
        oc_test(large_products_have_the_same_bits_on_any_number_of_threads),
        oc_test(factors_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
