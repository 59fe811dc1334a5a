/* tests/ops/test_vmath.c - the vector functions against libm in double, on grids that cover all of float32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "opcheck.h"
#include "ops/activation.h"
#include "ops/vmath.h"

#define STRIDE 251 /* of bit patterns: 17 million numbers, every exponent */

/* Largest error over all finite floats, relative to the true value or to `floor`, whichever is larger. */
static double worst(float (*f)(float), double (*g)(double), double least, double largest, double floor)
{
    double most = 0;

    for (uint64_t u = 0; u < 0x100000000u; u += STRIDE) {
        const float x = ft_bits_float((uint32_t)u);
        if (!isfinite(x)) continue;
        const double want = g((double)x);
        if (fabs(want) < least || fabs(want) > largest) continue;
        const double off = fabs((double)f(x) - want) / fmax(fabs(want), floor);
        if (!(off <= most)) most = off;
    }
    return most;
}

static void exp_is_within_two_ulp_wherever_it_is_normal(void **state)
{
    (void)state;
    assert_true(worst(ft_expf, exp, 1.17549436e-38, 3.4028234e38, 0) <= 2 * 5.97e-8);
    assert_true(ft_expf(0.0f) == 1.0f);
    assert_true(ft_expf(-104.0f) == 0.0f);
    assert_true(isinf(ft_expf(88.73f)));
    assert_true(isfinite(ft_expf(88.72f)));
}

static void erf_and_tanh_are_within_their_bounds(void **state)
{
    (void)state;
    assert_true(worst(ft_erff, erf, 1e-37, 2, 0) <= 5e-7);
    assert_true(worst(ft_tanhf, tanh, 1e-37, 2, 0) <= 4e-7);
}

static void log_is_within_its_bound_on_normal_numbers(void **state)
{
    (void)state;
    for (uint64_t u = 0x00800000u; u < 0x7f800000u; u += STRIDE) {
        const float x = ft_bits_float((uint32_t)u);
        const double want = log((double)x);
        if (!(fabs((double)ft_logf(x) - want) <= 3e-7 * fmax(1, fabs(want)))) fail_msg("log(%.9g)", (double)x);
    }
    assert_true(ft_logf(1.0f) == 0.0f && isinf(ft_logf(INFINITY)) && isnan(ft_logf(NAN)));
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double cdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752); }
static double slope(double x) { return cdf(x) + x * exp(-0.5 * x * x) * 0.3989422804014327; }

static void gelu_for_bf16_is_within_its_bounds(void **state)
{
    (void)state;
    double off = 0, off_slope = 0;
    for (int i = -60000; i <= 60000; i++) {
        const float x = (float)i * 1e-3f;
        off = fmax(off, fabs((double)ft_normal_cdf_short(x) - cdf((double)x)));
        off_slope = fmax(off_slope, fabs((double)ft_gelu_slope_short(x) - slope((double)x)));
    }
    assert_true(off <= 2e-5 && off_slope <= 3e-4);
    assert_true(ft_gelu_short(0.0f) == 0.0f && ft_gelu_short(1e30f) == 1e30f && fabsf(ft_gelu_short(-1e30f)) <= 1e24f);
    assert_true(isnan(ft_gelu_short(NAN)) && isnan(ft_gelu_slope_short(NAN)));
}
static double pdf(double x) { return 0.39894228040143268 * exp(-x * x / 2); }

static void functions_made_of_them_are_close(void **state)
{
    (void)state;
    assert_true(worst(ft_sigmoidf, sigmoid, 1e-37, 2, 0) <= 4e-7);
    assert_true(worst(ft_normal_cdf, cdf, 0, 2, 1) <= 2e-7);
    assert_true(worst(ft_normal_pdf, pdf, 0, 2, 1) <= 2e-7);
}

static void limits_are_kept(void **state)
{
    (void)state;
    const float inf = INFINITY;

    assert_true(isinf(ft_expf(inf)) && ft_expf(-inf) == 0.0f && isnan(ft_expf(NAN)));
    assert_true(fabsf(ft_erff(inf) - 1) < 2e-7f && fabsf(ft_erff(-inf) + 1) < 2e-7f && isnan(ft_erff(NAN)));
    assert_true(fabsf(ft_tanhf(inf) - 1) < 2e-7f && fabsf(ft_tanhf(-3e38f) + 1) < 2e-7f && isnan(ft_tanhf(NAN)));
    assert_true(ft_sigmoidf(inf) == 1.0f && ft_sigmoidf(-inf) == 0.0f && isnan(ft_sigmoidf(NAN)));
    assert_true(ft_erff(0.0f) == 0.0f && ft_tanhf(0.0f) == 0.0f && signbit(ft_tanhf(-0.0f)));
}

static void results_stay_within_one(void **state)
{
    (void)state;
    for (uint64_t u = 0; u < 0x7f800000u; u += STRIDE) {
        const float x = ft_bits_float((uint32_t)u);
        if (!(ft_erff(x) <= 1.0f && ft_erff(-x) >= -1.0f && ft_tanhf(x) <= 1.0f && ft_tanhf(-x) >= -1.0f))
            fail_msg("beyond one at %g", (double)x);
    }
}

static void the_vector_form_of_exp_agrees_below_its_bound(void **state)
{
    (void)state;
    for (int i = 0; i < 2000000; i++) {
        float x[FT_LANES], y[FT_LANES];
        for (int j = 0; j < FT_LANES; j++) x[j] = -1e-4f * (float)i + 1e-5f * (float)j + 88.0f;
        const ft_vf v = ft_vexp_bounded(*(const ft_vf *)x);
        memcpy(y, &v, sizeof y);
        for (int j = 0; j < FT_LANES; j++)
            if (!(fabsf(y[j] - ft_expf(x[j])) <= 2.4e-7f * y[j]))
                fail_msg("exp(%.9g) is %.9g", (double)x[j], (double)y[j]);
    }
    const ft_vf low = ft_vexp_bounded(ft_vsplat(-INFINITY)), nan = ft_vexp_bounded(ft_vsplat(NAN));
    assert_true(low[0] == 0.0f && isnan(nan[0]));
}

static void sums_and_maxima_of_a_vector(void **state)
{
    (void)state;
    float x[FT_LANES], sum = 0;

    for (int at = 0; at < FT_LANES; at++) {
        sum = 0;
        for (int j = 0; j < FT_LANES; j++) sum += x[j] = j == at ? 3.0f : -(float)j;
        assert_true(ft_vsum(*(const ft_vf *)x)[at] == sum);
        assert_true(ft_vlargest(*(const ft_vf *)x)[FT_LANES - 1 - at] == 3.0f);
    }
}

/* The same functions inside the kernels of every instruction set. */
static void every_instruction_set_agrees(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        double (*f)(double);
    } all[] = { { "tanh", tanh }, { "sigmoid", sigmoid } };
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);
    ft_tensor *x = oc_uniform(oc_1(100003), 5, -12, 12);

    for (int i = 0; i < n; i++) {
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
            const float *y = oc_forward(&(oc_case){ .op = all[k].op, .in = { x } })->data, *u = x->data;
            for (int j = 0; j < 100003; j++)
                if (!(fabs((double)y[j] - all[k].f((double)u[j])) <= 4e-7 * fabs(all[k].f((double)u[j]))))
                    fail_msg("%s %s(%.9g) is %.9g", names[i], all[k].op, (double)u[j], (double)y[j]);
        }
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(exp_is_within_two_ulp_wherever_it_is_normal),
        oc_test(erf_and_tanh_are_within_their_bounds),
        oc_test(gelu_for_bf16_is_within_its_bounds),
        oc_test(log_is_within_its_bound_on_normal_numbers),
        oc_test(functions_made_of_them_are_close),
        oc_test(limits_are_kept),
        oc_test(results_stay_within_one),
        oc_test(the_vector_form_of_exp_agrees_below_its_bound),
        oc_test(sums_and_maxima_of_a_vector),
        oc_test(every_instruction_set_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
