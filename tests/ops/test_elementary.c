/* tests/ops/test_elementary.c - elementwise ops: arithmetic with broadcasting, functions of one number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "opcheck.h"

/* Pairs of shapes that broadcast: equal, row, column, scalar, outer, middle axis, both ways, one missing axis. */
static const struct {
    ft_shape a, b;
} pairs[] = {
    { { 2, { 3, 5, 1, 1 } }, { 2, { 3, 5, 1, 1 } } },   { { 2, { 3, 5, 1, 1 } }, { 1, { 5, 1, 1, 1 } } },
    { { 2, { 3, 5, 1, 1 } }, { 2, { 3, 1, 1, 1 } } },   { { 2, { 3, 5, 1, 1 } }, { 0, { 1, 1, 1, 1 } } },
    { { 2, { 4, 1, 1, 1 } }, { 2, { 1, 3, 1, 1 } } },   { { 3, { 2, 3, 4, 1 } }, { 3, { 2, 1, 4, 1 } } },
    { { 4, { 2, 3, 2, 3 } }, { 4, { 1, 3, 1, 3 } } },   { { 4, { 2, 1, 2, 1 } }, { 3, { 3, 1, 4, 1 } } },
    { { 0, { 1, 1, 1, 1 } }, { 4, { 2, 1, 3, 2 } } },   { { 4, { 2, 3, 2, 3 } }, { 2, { 2, 1, 1, 1 } } },
    { { 1, { 1, 1, 1, 1 } }, { 1, { 1, 1, 1, 1 } } },   { { 4, { 1, 3, 1, 2 } }, { 4, { 2, 3, 2, 1 } } },
    { { 2, { 2, 600, 1, 1 } }, { 2, { 2, 1, 1, 1 } } }, { { 2, { 2, 600, 1, 1 } }, { 1, { 600, 1, 1, 1 } } },
};

#define N_PAIRS (sizeof pairs / sizeof *pairs)

static int64_t index_in(const ft_shape *s, const int64_t at[4])
{
    int64_t index = 0;
    for (int i = 0; i < s->rank; i++) {
        const int64_t digit = at[4 - s->rank + i];
        index = index * s->dim[i] + (s->dim[i] == 1 ? 0 : digit);
    }
    return index;
}

static double plain(const char *op, double a, double b)
{
    if (!strcmp(op, "add")) return a + b;
    if (!strcmp(op, "sub")) return a - b;
    if (!strcmp(op, "mul")) return a * b;
    if (!strcmp(op, "div")) return a / b;
    if (!strcmp(op, "minimum")) return fmin(a, b);
    if (!strcmp(op, "maximum")) return fmax(a, b);
    if (!strcmp(op, "greater")) return a > b;
    if (!strcmp(op, "less")) return a < b;
    return a == b;
}

/* The op on every pair of shapes against one number at a time. */
static void against_plain(const char *op, double low, double high)
{
    for (size_t p = 0; p < N_PAIRS; p++) {
        const oc_case k = {
            .op = op, .in = { oc_uniform(pairs[p].a, 2 * p, low, high), oc_uniform(pairs[p].b, 2 * p + 1, low, high) }
        };
        const ft_tensor *y = oc_forward(&k);
        const float *a = k.in[0]->data, *b = k.in[1]->data;
        int64_t d[4] = { 1, 1, 1, 1 }, at[4], n = 0;
        for (int i = 0; i < y->shape.rank; i++) d[4 - y->shape.rank + i] = y->shape.dim[i];
        for (at[0] = 0; at[0] < d[0]; at[0]++)
            for (at[1] = 0; at[1] < d[1]; at[1]++)
                for (at[2] = 0; at[2] < d[2]; at[2]++)
                    for (at[3] = 0; at[3] < d[3]; at[3]++, n++) {
                        const double want =
                            plain(op, (double)a[index_in(&pairs[p].a, at)], (double)b[index_in(&pairs[p].b, at)]);
                        assert_true(fabs((double)((float *)y->data)[n] - want) <= 1e-6 * (1 + fabs(want)));
                    }
        assert_int_equal(n, ft_shape_count(&y->shape));
    }
}

static void check_pairs(const char *op, double low_a, double high_a, double low_b, double high_b)
{
    for (size_t p = 0; p < N_PAIRS; p++)
        oc_check(&(oc_case){
            .op = op,
            .in = { oc_uniform(pairs[p].a, 20 + p, low_a, high_a), oc_uniform(pairs[p].b, 90 + p, low_b, high_b) },
            .points = 24 });
}

/* Long enough for every parallel loop: equal shapes, and sums over rows and over columns. */
static void check_large(const char *op)
{
    const ft_shape shapes[] = { oc_2(210, 331), oc_1(331), oc_2(210, 1), oc_2(1, 331) };

    for (size_t i = 0; i < 4; i++)
        oc_check(&(oc_case){ .op = op,
                             .in = { oc_uniform(shapes[0], i, 1, 2), oc_uniform(shapes[i], i + 9, 3, 4) },
                             .points = 4,
                             .tolerance = 1e-2 });
}

static void arithmetic_gives_every_element(void **state)
{
    (void)state;
    against_plain("add", -2, 2);
    against_plain("sub", -2, 2);
    against_plain("mul", -2, 2);
    against_plain("div", 0.5, 2);
    against_plain("minimum", -2, 2);
    against_plain("maximum", -2, 2);
}

static void sums_and_differences_broadcast(void **state)
{
    (void)state;
    check_pairs("add", -2, 2, -2, 2);
    check_pairs("sub", -2, 2, -2, 2);
}

static void products_broadcast(void **state)
{
    (void)state;
    check_pairs("mul", -2, 2, -2, 2);
}

static void quotients_broadcast(void **state)
{
    (void)state;
    check_pairs("div", -2, 2, 0.8, 2);
    check_pairs("div", -2, 2, -2, -0.8);
}

static void long_rows_have_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    check_large("add");
    check_large("mul");
    check_large("div");
}

/* Values apart by more than the step of the differences, so that no choice flips. */
static void apart(ft_tensor *a, const ft_tensor *b)
{
    float *x = a->data;
    const float *y = b->data;
    for (int64_t i = 0; i < ft_shape_count(&a->shape); i++)
        if (fabsf(x[i] - y[i]) < 0.1f) x[i] += 0.2f;
}

static void the_chosen_one_gets_the_gradient(void **state)
{
    (void)state;
    const char *const names[] = { "minimum", "maximum" };

    for (int i = 0; i < 2; i++) {
        ft_tensor *a = oc_random(oc_2(5, 7), 1), *b = oc_random(oc_2(5, 7), 2);
        apart(a, b);
        oc_check(&(oc_case){ .op = names[i], .in = { a, b } });
        oc_check(
            &(oc_case){ .op = names[i], .in = { oc_uniform(oc_2(5, 7), 3, 1, 2), oc_uniform(oc_1(7), 4, 0, 0.9) } });
        oc_check(
            &(oc_case){ .op = names[i], .in = { oc_uniform(oc_2(5, 7), 3, 0, 0.9), oc_uniform(oc_2(5, 1), 4, 1, 2) } });
    }
}

static void a_tie_is_shared_in_halves(void **state)
{
    (void)state;
    const float a[] = { 1, 2, 3 }, b[] = { 1, 5, 0 }, dy[] = { 8, 8, 8 };
    const float to_smaller[] = { 4, 8, 0 }, to_larger[] = { 4, 0, 8 }; /* of a; b gets the other */
    ft_tensor *d[FT_OP_IN];
    oc_case k = { .op = "minimum", .in = { oc_floats(oc_1(3), a), oc_floats(oc_1(3), b) } };

    oc_backward(&k, oc_floats(oc_1(3), dy), d);
    oc_close(d[0], to_smaller, 0);
    oc_close(d[1], to_larger, 0);
    k.op = "maximum";
    oc_backward(&k, oc_floats(oc_1(3), dy), d);
    oc_close(d[0], to_larger, 0);
    oc_close(d[1], to_smaller, 0);
}

static void nan_wins_over_every_number(void **state)
{
    (void)state;
    const float a[] = { NAN, 1 }, b[] = { 1, NAN };
    const char *const names[] = { "minimum", "maximum" };

    for (int i = 0; i < 2; i++) {
        const ft_tensor *y =
            oc_forward(&(oc_case){ .op = names[i], .in = { oc_floats(oc_1(2), a), oc_floats(oc_1(2), b) } });
        assert_true(isnan(((float *)y->data)[0]) && isnan(((float *)y->data)[1]));
    }
}

static void comparisons_are_zero_or_one(void **state)
{
    (void)state;
    const float a[] = { 1, 2, 3, NAN }, b[] = { 2, 2, 2, NAN };
    const float greater[] = { 0, 0, 1, 0 }, less[] = { 1, 0, 0, 0 }, equal[] = { 0, 1, 0, 0 };
    oc_case k = { .op = "greater", .in = { oc_floats(oc_1(4), a), oc_floats(oc_1(4), b) } };

    oc_close(oc_forward(&k), greater, 0);
    k.op = "less";
    oc_close(oc_forward(&k), less, 0);
    k.op = "equal";
    oc_close(oc_forward(&k), equal, 0);
    for (int i = 0; i < 3; i++) against_plain((const char *const[]){ "greater", "less", "equal" }[i], 0, 1);
    check_pairs("greater", -1, 1, -1, 1);
    assert_null(ft_op_find("less")->backward);
}

static void where_chooses_and_splits_the_gradient(void **state)
{
    (void)state;
    const float cond[] = { 0, 1, -2, 0, 0, 3 };

    oc_check(&(oc_case){ .op = "where",
                         .in = { oc_floats(oc_2(2, 3), cond), oc_random(oc_2(2, 3), 1), oc_random(oc_2(2, 3), 2) } });
    oc_check(&(oc_case){ .op = "where",
                         .in = { oc_floats(oc_3(2, 3, 1), cond), oc_random(oc_1(4), 1), oc_random(oc_2(3, 1), 2) } });
    oc_check(&(oc_case){ .op = "where",
                         .in = { oc_floats(oc_2(6, 1), cond), oc_random(oc_2(1, 1), 1), oc_random(oc_2(6, 5), 2) } });
    const float a[] = { 1, 1, 1, 1, 1, 1 }, b[] = { 5, NAN, INFINITY, 6, 7, NAN }, want[] = { 5, 1, 1, 6, 7, 1 };
    oc_close(oc_forward(&(oc_case){ .op = "where",
                                    .in = { oc_floats(oc_1(6), cond), oc_floats(oc_1(6), a), oc_floats(oc_1(6), b) } }),
             want, 0);
}

/* ==== Functions of one number ==== */

static double plain_1(const char *op, double x)
{
    if (!strcmp(op, "neg")) return -x;
    if (!strcmp(op, "exp")) return exp(x);
    if (!strcmp(op, "log")) return log(x);
    if (!strcmp(op, "sqrt")) return sqrt(x);
    if (!strcmp(op, "abs")) return fabs(x);
    if (!strcmp(op, "square")) return x * x;
    return 1 / x;
}

static void check_1(const char *op, double low, double high)
{
    const ft_shape shapes[] = { ft_shape_of(0, 0, 0, 0, 0), oc_1(1), oc_2(7, 9), oc_4(2, 3, 1, 5) };

    for (size_t i = 0; i < 4; i++) {
        const oc_case k = { .op = op, .in = { oc_uniform(shapes[i], i, low, high) } };
        const ft_tensor *y = oc_forward(&k);
        for (int64_t j = 0; j < ft_shape_count(&shapes[i]); j++) {
            const double want = plain_1(op, (double)((float *)k.in[0]->data)[j]);
            assert_true(fabs((double)((float *)y->data)[j] - want) <= 1e-6 * (1 + fabs(want)));
        }
        oc_check(&k);
    }
    oc_check(
        &(oc_case){ .op = op, .in = { oc_uniform(oc_2(300, 301), 5, low, high) }, .points = 3, .tolerance = 1e-2 });
}

static void functions_of_one_number(void **state)
{
    (void)state;
    check_1("neg", -2, 2);
    check_1("exp", -2, 2);
    check_1("log", 0.5, 3);
    check_1("sqrt", 0.5, 3);
    check_1("abs", 0.1, 3);
    check_1("abs", -3, -0.1);
    check_1("square", -2, 2);
    check_1("reciprocal", 0.7, 3);
    check_1("reciprocal", -3, -0.7);
}

static void the_gradient_of_abs_at_zero_is_zero(void **state)
{
    (void)state;
    const float x[] = { 0, -0.0f }, dy[] = { 3, 3 }, want[] = { 0, 0 };
    ft_tensor *d[FT_OP_IN];

    oc_backward(&(oc_case){ .op = "abs", .in = { oc_floats(oc_1(2), x) } }, oc_floats(oc_1(2), dy), d);
    oc_close(d[0], want, 0);
}

static void powers_of_positive_numbers(void **state)
{
    (void)state;
    const double p[] = { 0.5, 1, 2, 3, -1, -0.5, 2.7, 0 };

    for (size_t i = 0; i < sizeof p / sizeof *p; i++)
        oc_check(&(oc_case){ .op = "pow", .in = { oc_uniform(oc_2(5, 8), i, 0.7, 2) }, .attr.f = { p[i] } });
}

static void whole_powers_of_negative_numbers(void **state)
{
    (void)state;
    const float x[] = { -2, -3, 0, 1 }, cube[] = { -8, -27, 0, 1 }, slope[] = { 12, 27, 0, 3 }, one[] = { 1, 1, 1, 1 };
    ft_tensor *d[FT_OP_IN];
    oc_case k = { .op = "pow", .in = { oc_floats(oc_1(4), x) }, .attr.f = { 3 } };

    oc_close(oc_forward(&k), cube, 1e-6);
    oc_backward(&k, oc_floats(oc_1(4), one), d);
    oc_close(d[0], slope, 1e-6);
    for (int p = 2; p <= 5; p++)
        oc_check(&(oc_case){ .op = "pow", .in = { oc_uniform(oc_1(20), 3, -1.5, -0.5) }, .attr.f = { p } });
    k.attr.f[0] = 1;
    oc_backward(&k, oc_floats(oc_1(4), one), d);
    oc_close(d[0], one, 0);
    k.attr.f[0] = 0.5;
    assert_true(isnan(((float *)oc_forward(&k)->data)[0]));
}

static void the_power_zero_is_one_with_no_slope(void **state)
{
    (void)state;
    const float x[] = { 0, -1, 2 }, ones[] = { 1, 1, 1 }, none[] = { 0, 0, 0 };
    ft_tensor *d[FT_OP_IN];
    const oc_case k = { .op = "pow", .in = { oc_floats(oc_1(3), x) } };

    oc_close(oc_forward(&k), ones, 0);
    oc_backward(&k, oc_floats(oc_1(3), ones), d);
    oc_close(d[0], none, 0);
}

static void scale_multiplies_and_shifts(void **state)
{
    (void)state;
    const float x[] = { 1, -2 }, want[] = { 2.5f, -5 };
    const oc_case k = { .op = "scale", .in = { oc_floats(oc_1(2), x) }, .attr.f = { 2.5, 0 } };

    oc_close(oc_forward(&k), want, 1e-6);
    oc_check(&(oc_case){ .op = "scale", .in = { oc_random(oc_3(2, 3, 4), 1) }, .attr.f = { -1.5, 0.25 } });
    oc_check(&(oc_case){ .op = "scale",
                         .in = { oc_random(oc_2(201, 301), 1) },
                         .attr.f = { -1.5, 0.25 },
                         .points = 3,
                         .tolerance = 1e-2 });
}

static void clamp_limits_and_blocks_the_gradient(void **state)
{
    (void)state;
    const float x[] = { -3, -1, 0.5f, 1, 4, NAN }, want[] = { -1, -1, 0.5f, 1, 1 };
    const float dy[] = { 1, 1, 1, 1, 1, 1 }, dx[] = { 0, 1, 1, 1, 0, 1 };
    ft_tensor *d[FT_OP_IN];
    const oc_case k = { .op = "clamp", .in = { oc_floats(oc_1(6), x) }, .attr.f = { -1, 1 } };
    const float *y = oc_forward(&k)->data;

    for (int i = 0; i < 5; i++) assert_true(y[i] == want[i]);
    assert_true(isnan(y[5]));
    oc_backward(&k, oc_floats(oc_1(6), dy), d);
    oc_close(d[0], dx, 0);
    oc_check(&(oc_case){ .op = "clamp", .in = { oc_uniform(oc_1(30), 1, -0.9, 0.9) }, .attr.f = { -1, 1 } });
    oc_check(&(oc_case){ .op = "clamp", .in = { oc_uniform(oc_1(30), 1, 1.1, 2) }, .attr.f = { -INFINITY, 1 } });
}

static void shapes_that_do_not_fit_are_named(void **state)
{
    (void)state;
    static const char *const names[] = { "add", "sub", "mul", "div", "minimum", "maximum", "greater", "less", "equal" };
    ft_tensor *a = oc_random(oc_2(2, 3), 1), *b = oc_random(oc_2(2, 4), 1), *ids = oc_ints(oc_2(2, 3), 1, 5);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        oc_fails(&(oc_case){ .op = names[i], .in = { a, b } }, FT_ESHAPE, "(2,3)", "(2,4)");
        oc_fails(&(oc_case){ .op = names[i], .in = { a, ids } }, FT_ESHAPE, "i32", "(2,3)");
    }
    oc_fails(&(oc_case){ .op = "where", .in = { a, b, a } }, FT_ESHAPE, "(2,3)", "(2,4)");
    oc_fails(&(oc_case){ .op = "where", .in = { a, a, oc_random(oc_1(7), 1) } }, FT_ESHAPE, "(2,3)", "(7)");
    oc_fails(&(oc_case){ .op = "where", .in = { ids, a, a } }, FT_ESHAPE, "i32", "f32");
    oc_fails(&(oc_case){ .op = "exp", .in = { ids } }, FT_ESHAPE, "i32", "(2,3)");
    oc_fails(&(oc_case){ .op = "clamp", .in = { a }, .attr.f = { 2, 1 } }, FT_EUSAGE, "2", "1");
    oc_fails(&(oc_case){ .op = "clamp", .in = { a }, .attr.f = { NAN, 1 } }, FT_EUSAGE, "nan", NULL);
}

static void nothing_broadcasts_to_nothing(void **state)
{
    (void)state;
    oc_check(&(oc_case){ .op = "add", .in = { oc_random(oc_2(0, 3), 1), oc_random(oc_1(3), 2) } });
    oc_check(&(oc_case){ .op = "mul", .in = { oc_random(oc_2(3, 0), 1), oc_random(oc_2(3, 1), 2) } });
    oc_check(&(oc_case){ .op = "exp", .in = { oc_random(oc_2(3, 0), 1) } });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(arithmetic_gives_every_element),
        oc_test(sums_and_differences_broadcast),
        oc_test(products_broadcast),
        oc_test(quotients_broadcast),
        oc_test(long_rows_have_the_same_bits_on_any_number_of_threads),
        oc_test(the_chosen_one_gets_the_gradient),
        oc_test(a_tie_is_shared_in_halves),
        oc_test(nan_wins_over_every_number),
        oc_test(comparisons_are_zero_or_one),
        oc_test(where_chooses_and_splits_the_gradient),
        oc_test(functions_of_one_number),
        oc_test(the_gradient_of_abs_at_zero_is_zero),
        oc_test(powers_of_positive_numbers),
        oc_test(whole_powers_of_negative_numbers),
        oc_test(the_power_zero_is_one_with_no_slope),
        oc_test(scale_multiplies_and_shifts),
        oc_test(clamp_limits_and_blocks_the_gradient),
        oc_test(shapes_that_do_not_fit_are_named),
        oc_test(nothing_broadcasts_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
