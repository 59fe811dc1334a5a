/* tests/ops/test_fused_loss.c - cross entropy against plain loops in double, and its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "opcheck.h"

static double plain(const float *x, int64_t C, int32_t label, double smooth)
{
    double sum = 0, mean = 0, most = -INFINITY;

    for (int64_t c = 0; c < C; c++) most = fmax(most, (double)x[c]);
    for (int64_t c = 0; c < C; c++) {
        sum += exp((double)x[c] - most);
        mean += (double)x[c] / (double)C;
    }
    const double lse = most + log(sum);
    return label == -100 ? 0 : (1 - smooth) * (lse - (double)x[label]) + smooth * (lse - mean);
}

static void losses_equal_plain_loops(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = { { 1, 1 }, { 5, 2 }, { 9, 3 }, { 4, 17 }, { 30, 1000 }, { 3, 30522 } };
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int i = 0; i < n; i++) {
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for (int smooth = 0; smooth < 2; smooth++) {
                const int64_t R = sizes[s][0], C = sizes[s][1];
                const oc_case k = { .op = "cross_entropy",
                                    .attr = { .f = { smooth * 0.1 } },
                                    .in = { oc_uniform(oc_2(R, C), s, -20, 20), oc_ints(oc_1(R), s, (int32_t)C) } };
                int32_t *label = k.in[1]->data;
                if (R > 1) label[1] = -100;
                const float *loss = oc_forward(&k)->data;
                for (int64_t r = 0; r < R; r++) {
                    const double want = plain((const float *)k.in[0]->data + r * C, C, label[r], smooth * 0.1);
                    if (!(fabs((double)loss[r] - want) <= 4e-6 * (1 + fabs(want))))
                        fail_msg("%s: loss is %.9g, not %.9g", names[i], (double)loss[r], want);
                }
            }
        }
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

static void promises_to_the_tape_hold(void **state)
{
    (void)state;
    const int32_t labels[] = { 0, -100, 4, 2, -100, 4, 1 };
    const ft_op_attr smooth = { .f = { 0.2 } };
    ft_tensor *x = oc_random(oc_2(7, 5), 1), *label = oc_int_values(oc_1(7), labels);

    oc_check(&(oc_case){ .op = "cross_entropy", .in = { x, label } });
    oc_check(&(oc_case){ .op = "cross_entropy", .in = { x, label }, .attr = smooth });
    oc_check(&(oc_case){ .op = "cross_entropy", .in = { oc_random(oc_2(0, 5), 1), oc_ints(oc_1(0), 1, 5) } });
    oc_check(&(oc_case){ .op = "cross_entropy",
                         .in = { oc_random(oc_2(40, 600), 1), oc_ints(oc_1(40), 1, 600) },
                         .points = 40,
                         .tolerance = 3e-2 });
}

static void huge_logits_are_safe(void **state)
{
    (void)state;
    const float x[] = { 1e30f, -1e30f, 3e38f, 3e38f, -INFINITY, 1 }, want[] = { 0, 0.6931472f, 0 };
    const int32_t labels[] = { 0, 1, 1 };
    const oc_case k = { .op = "cross_entropy", .in = { oc_floats(oc_2(3, 2), x), oc_int_values(oc_1(3), labels) } };
    const float one[] = { 1, 1, 1 };
    ft_tensor *d[FT_OP_IN];

    const float *loss = oc_forward(&k)->data;
    assert_true(loss[0] == want[0] && loss[2] == want[2]);
    assert_true(loss[1] >= 0 && isfinite(loss[1]));
    oc_backward(&k, oc_floats(oc_1(3), one), d);
    for (int i = 0; i < 6; i++) assert_true(isfinite(((const float *)d[0]->data)[i]));
}

static void nan_is_not_hidden(void **state)
{
    (void)state;
    const float x[] = { 1, NAN, 1, 2, NAN, 1 };
    const int32_t labels[] = { 0, 1, 1 };
    const float *loss = oc_forward(&(oc_case){ .op = "cross_entropy",
                                               .in = { oc_floats(oc_2(3, 2), x), oc_int_values(oc_1(3), labels) } })
                            ->data;
    assert_true(isnan(loss[0]) && !isnan(loss[1]) && isnan(loss[2]));
}

static void a_label_outside_the_classes_is_named(void **state)
{
    (void)state;
    const int32_t high[] = { 0, 3 }, low[] = { -1, 0 };
    ft_tensor *x = oc_random(oc_2(2, 3), 1), *fine = oc_ints(oc_1(2), 1, 3);

    oc_fails(&(oc_case){ .op = "cross_entropy", .in = { x, oc_int_values(oc_1(2), high) } }, FT_EUSAGE, "label 3",
             "3 classes");
    oc_fails(&(oc_case){ .op = "cross_entropy", .in = { x, oc_int_values(oc_1(2), low) } }, FT_EUSAGE, "label -1",
             "row 0");
    oc_fails(&(oc_case){ .op = "cross_entropy", .in = { x, oc_ints(oc_1(3), 1, 3) } }, FT_ESHAPE, "(2,3)", "(3)");
    oc_fails(&(oc_case){ .op = "cross_entropy", .in = { x, fine }, .attr = { .f = { 2 } } }, FT_EUSAGE, "smoothing",
             "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(losses_equal_plain_loops),
        oc_test(promises_to_the_tape_hold),
        oc_test(huge_logits_are_safe),
        oc_test(nan_is_not_hidden),
        oc_test(a_label_outside_the_classes_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
