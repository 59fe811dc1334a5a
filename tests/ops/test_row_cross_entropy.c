/* tests/ops/test_row_cross_entropy.c - the loss of pointing at a token, against plain loops in double, and its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "opcheck.h"

static double plain(const float *x, int64_t n, int64_t C, int32_t label, double smooth)
{
    double sum = 0, mean = 0, most = -INFINITY;

    if (label == -100) return 0;
    for (int64_t t = 0; t < n; t++) most = fmax(most, (double)x[t * C]);
    for (int64_t t = 0; t < n; t++) {
        sum += exp((double)x[t * C] - most);
        mean += (double)x[t * C] / (double)n;
    }
    const double lse = most + log(sum);
    return (1 - smooth) * (lse - (double)x[label * C]) + smooth * (lse - mean);
}

static void losses_equal_plain_loops(void **state)
{
    (void)state;
    const int32_t lengths[] = { 1, 7, 400, 0, 33, -1 };
    ft_ragged *rows = oc_ragged(lengths);
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int i = 0; i < n; i++) {
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        for (int smooth = 0; smooth < 2; smooth++) {
            const int32_t labels[] = { 0, 0, 6, 0, 399, -100, -100, -100, 2, 31 };
            const oc_case k = { .op = "row_cross_entropy",
                                .attr = { .rows = rows, .f = { smooth * 0.1 } },
                                .in = { oc_uniform(oc_2(441, 2), 5, -20, 20), oc_int_values(oc_2(5, 2), labels) } };
            const float *loss = oc_forward(&k)->data, *x = k.in[0]->data;
            for (int b = 0; b < 5; b++) {
                for (int c = 0; c < 2; c++) {
                    const double want =
                        plain(x + rows->offsets[b] * 2 + c, lengths[b], 2, labels[b * 2 + c], smooth * 0.1);
                    const double got = (double)loss[b * 2 + c];
                    if (!(fabs(got - want) <= 4e-6 * (1 + fabs(want))))
                        fail_msg("%s: loss is %.9g, not %.9g", names[i], got, want);
                }
            }
        }
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

static void promises_to_the_tape_hold(void **state)
{
    (void)state;
    const int32_t labels[] = { 3, 0, -100, -100, 0, 0, 8, -100 };
    const ft_op_attr even = { .rows = oc_ragged((const int32_t[]){ 4, 0, 1, 9, -1 }) };
    const ft_op_attr smooth = { .rows = even.rows, .f = { 0.2 } };
    ft_tensor *x = oc_random(oc_2(14, 2), 1), *label = oc_int_values(oc_2(4, 2), labels);

    oc_check(&(oc_case){ .op = "row_cross_entropy", .in = { x, label }, .attr = even });
    oc_check(&(oc_case){ .op = "row_cross_entropy", .in = { x, label }, .attr = smooth });
    const ft_op_attr none = { .rows = oc_ragged((const int32_t[]){ -1 }) };
    oc_check(&(oc_case){
        .op = "row_cross_entropy", .in = { oc_random(oc_2(0, 2), 1), oc_ints(oc_2(0, 2), 1, 5) }, .attr = none });
    const ft_op_attr many = { .rows = oc_ragged((const int32_t[]){ 3000, 5000, 2000, -1 }) };
    oc_check(&(oc_case){ .op = "row_cross_entropy",
                         .in = { oc_random(oc_2(10000, 2), 1), oc_ints(oc_2(3, 2), 1, 2000) },
                         .attr = many,
                         .points = 40,
                         .tolerance = 3e-2 });
}

static void huge_logits_are_safe_and_nan_is_not_hidden(void **state)
{
    (void)state;
    const float x[] = { 1e30f, -1e30f, 3e38f, 3e38f, 1, NAN, 2 };
    const int32_t labels[] = { 0, 0, 0 };
    const oc_case k = { .op = "row_cross_entropy",
                        .in = { oc_floats(oc_2(7, 1), x), oc_int_values(oc_2(3, 1), labels) },
                        .attr = { .rows = oc_ragged((const int32_t[]){ 2, 2, 3, -1 }) } };
    const float *loss = oc_forward(&k)->data;

    assert_true(loss[0] == 0.0f);
    assert_true(loss[1] >= 0 && isfinite(loss[1]));
    assert_true(isnan(loss[2]));
}

static void a_label_outside_the_row_is_named(void **state)
{
    (void)state;
    const ft_op_attr a = { .rows = oc_ragged((const int32_t[]){ 2, 3, -1 }) };
    const int32_t high[] = { 0, 3 }, low[] = { -1, 0 };
    ft_tensor *x = oc_random(oc_2(5, 1), 1);

    oc_fails(&(oc_case){ .op = "row_cross_entropy", .in = { x, oc_int_values(oc_2(2, 1), high) }, .attr = a },
             FT_EUSAGE, "label 3 of row 1", "3 tokens");
    oc_fails(&(oc_case){ .op = "row_cross_entropy", .in = { x, oc_int_values(oc_2(2, 1), low) }, .attr = a }, FT_EUSAGE,
             "label -1", "row 0");
    oc_fails(&(oc_case){ .op = "row_cross_entropy", .in = { x, oc_ints(oc_2(3, 1), 1, 2) }, .attr = a }, FT_ESHAPE,
             "(2,C)", "(3,1)");
    oc_fails(&(oc_case){ .op = "row_cross_entropy", .in = { x, oc_ints(oc_2(2, 1), 1, 2) } }, FT_EUSAGE, "rows", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(losses_equal_plain_loops),
        oc_test(promises_to_the_tape_hold),
        oc_test(huge_logits_are_safe_and_nan_is_not_hidden),
        oc_test(a_label_outside_the_row_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
