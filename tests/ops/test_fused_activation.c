/* tests/ops/test_fused_activation.c - the activation functions against libm in double, with and without a bias. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "opcheck.h"

static double gelu(double u) { return 0.5 * u * erfc(-u * sqrt(0.5)); }
static double gelu_tanh(double u) { return 0.5 * u * (1 + tanh(sqrt(2 / acos(-1.0)) * (u + 0.044715 * u * u * u))); }
static double silu(double u) { return u / (1 + exp(-u)); }
static double relu(double u) { return fmax(u, 0); }
static double sigmoid(double u) { return 1 / (1 + exp(-u)); }

static const struct {
    const char *op;
    double (*f)(double);
} all[] = { { "gelu", gelu }, { "gelu_tanh", gelu_tanh }, { "silu", silu },
            { "relu", relu }, { "tanh", tanh },           { "sigmoid", sigmoid } };
#define COUNT (sizeof all / sizeof *all)

static void compare(size_t i, const char *isa, const ft_tensor *x, const ft_tensor *bias, int64_t C)
{
    const oc_case k = { .op = all[i].op, .in = { (ft_tensor *)x, (ft_tensor *)bias } };
    const float *y = oc_forward(&k)->data, *u = x->data, *b = bias ? bias->data : NULL;

    for (int64_t j = 0; j < ft_shape_count(&x->shape); j++) {
        const double v = (double)u[j] + (b ? (double)b[j % C] : 0), want = all[i].f(v);
        if (!(fabs((double)y[j] - want) <= 1e-6 * fmax(1, fabs(v))))
            fail_msg("%s %s(%.9g) is %.9g, not %.9g", isa, all[i].op, v, (double)y[j], want);
    }
}

static void values_are_right_in_every_instruction_set(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = { { 1, 1 }, { 3, 5 }, { 7, 16 }, { 2, 1100 }, { 40, 511 } };
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int isa = 0; isa < n; isa++) {
        assert_int_equal(ft_op_select(names[isa], NULL), FT_OK);
        for (size_t i = 0; i < COUNT; i++) {
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                ft_tensor *x = oc_uniform(oc_2(sizes[s][0], sizes[s][1]), 3 + s, -10, 10);
                compare(i, names[isa], x, NULL, 1);
                compare(i, names[isa], x, oc_random(oc_1(sizes[s][1]), 8), sizes[s][1]);
            }
            oc_release(NULL);
        }
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

static void promises_to_the_tape_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        /* Away from relu's kink, whose difference would be neither of its slopes. */
        ft_tensor *x = oc_uniform(oc_3(5, 4, 19), 2, 0.1, 3), *b = oc_uniform(oc_1(19), 3, -0.05, 0.05);
        float *u = x->data;
        for (int j = 0; j < 380; j += 2) u[j] = -u[j];
        oc_check(&(oc_case){ .op = all[i].op, .in = { x }, .points = 50 });
        oc_check(&(oc_case){ .op = all[i].op, .in = { x, b }, .points = 50 });
        oc_release(NULL);
    }
}

static void any_shape_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        const float one[] = { 0.5f };
        oc_check(&(oc_case){ .op = all[i].op, .in = { oc_floats(ft_shape_of(0, 0, 0, 0, 0), one) } });
        oc_check(&(oc_case){ .op = all[i].op, .in = { oc_random(oc_2(0, 6), 1) } });
        oc_check(&(oc_case){ .op = all[i].op, .in = { oc_random(oc_2(0, 6), 1), oc_random(oc_1(6), 1) } });
        oc_check(&(oc_case){ .op = all[i].op,
                             .in = { oc_uniform(oc_4(2, 1, 3, 1), 1, 1, 2), oc_uniform(oc_1(1), 1, 1, 2) } });
    }
}

static void many_rows_have_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        oc_check(&(oc_case){ .op = all[i].op,
                             .in = { oc_random(oc_2(150, 1300), 1), oc_random(oc_1(1300), 2) },
                             .points = 1,
                             .skip = 3 });
        oc_check(&(oc_case){ .op = all[i].op, .in = { oc_random(oc_1(100001), 1) }, .points = 1, .skip = 1 });
        oc_release(NULL);
    }
}

static void limits_and_nan(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        const float x[] = { NAN, 100, -100, 1e30f, 0 };
        const float *y = oc_forward(&(oc_case){ .op = all[i].op, .in = { oc_floats(oc_1(5), x) } })->data;
        assert_true(isnan(y[0]));
        assert_true(fabs((double)y[1] - all[i].f(100)) < 1e-4 && fabs((double)y[2] - all[i].f(-100)) < 1e-4);
        assert_true(fabs((double)y[3] / all[i].f(1e30) - 1) < 1e-6);
        assert_true(fabs((double)y[4] - all[i].f(0)) < 1e-7);
    }
}

static void a_bias_of_another_length_is_named(void **state)
{
    (void)state;
    oc_fails(&(oc_case){ .op = "gelu", .in = { oc_random(oc_2(2, 3), 1), oc_random(oc_1(2), 1) } }, FT_ESHAPE, "(2,3)",
             "(2)");
    oc_fails(&(oc_case){ .op = "tanh", .in = { oc_random(oc_2(2, 3), 1), oc_random(oc_2(1, 3), 1) } }, FT_ESHAPE,
             "(1,3)", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(values_are_right_in_every_instruction_set),
        oc_test(promises_to_the_tape_hold),
        oc_test(any_shape_is_taken),
        oc_test(many_rows_have_the_same_bits_on_any_number_of_threads),
        oc_test(limits_and_nan),
        oc_test(a_bias_of_another_length_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
