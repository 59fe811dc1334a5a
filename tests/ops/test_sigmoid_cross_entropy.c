/* tests/ops/test_sigmoid_cross_entropy.c - losses of several labels at once against plain loops in double, and their edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "opcheck.h"

#define OP "sigmoid_cross_entropy"

static double plain(const float *x, const int32_t *y, int64_t C, double smooth)
{
    double sum = 0;

    for (int64_t c = 0; c < C; c++) {
        const double v = (double)x[c], t = (1 - smooth) * y[c] + smooth / 2;
        sum += fmax(v, 0) + log1p(exp(-fabs(v))) - t * v;
    }
    return sum / (double)C;
}

static void losses_equal_plain_loops(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = { { 1, 1 }, { 5, 2 }, { 9, 3 }, { 4, 28 }, { 70, 1000 } };

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int smooth = 0; smooth < 2; smooth++) {
            const int64_t R = sizes[s][0], C = sizes[s][1];
            const oc_case k = { .op = OP,
                                .attr = { .f = { smooth * 0.1 } },
                                .in = { oc_uniform(oc_2(R, C), s, -20, 20), oc_ints(oc_2(R, C), s, 2) } };
            const float *loss = oc_forward(&k)->data;
            for (int64_t r = 0; r < R; r++) {
                const double want = plain((const float *)k.in[0]->data + r * C, (const int32_t *)k.in[1]->data + r * C,
                                          C, smooth * 0.1);
                if (!(fabs((double)loss[r] - want) <= 4e-6 * (1 + fabs(want))))
                    fail_msg("loss is %.9g, not %.9g", (double)loss[r], want);
            }
        }
    }
}

static void promises_to_the_tape_hold(void **state)
{
    (void)state;
    const ft_op_attr smooth = { .f = { 0.2 } };
    ft_tensor *x = oc_random(oc_2(7, 5), 1), *y = oc_ints(oc_2(7, 5), 2, 2);

    oc_check(&(oc_case){ .op = OP, .in = { x, y } });
    oc_check(&(oc_case){ .op = OP, .in = { x, y }, .attr = smooth });
    oc_check(&(oc_case){ .op = OP, .in = { oc_random(oc_2(0, 5), 1), oc_ints(oc_2(0, 5), 1, 2) } });
    oc_check(&(oc_case){ .op = OP,
                         .in = { oc_random(oc_2(300, 30), 1), oc_ints(oc_2(300, 30), 1, 2) },
                         .points = 40,
                         .tolerance = 3e-2 });
}

static void huge_logits_are_safe(void **state)
{
    (void)state;
    const float x[] = { 1e30f, -1e30f, 200, -200, 0, 0 }, want[] = { 0, 200, 0.69314718f };
    const int32_t y[] = { 1, 0, 0, 1, 0, 1 };
    const float one[] = { 1, 1, 1 }, gradient[] = { 0, 0, 0.5f, -0.5f, 0.25f, -0.25f };
    const oc_case k = { .op = OP, .in = { oc_floats(oc_2(3, 2), x), oc_int_values(oc_2(3, 2), y) } };
    ft_tensor *d[FT_OP_IN];

    oc_close(oc_forward(&k), want, 1e-6);
    oc_backward(&k, oc_floats(oc_1(3), one), d);
    oc_close(d[0], gradient, 1e-6);
}

static void nan_is_not_hidden(void **state)
{
    (void)state;
    const float x[] = { 1, NAN, 1, 2 };
    const int32_t y[] = { 0, 1, 1, 0 };
    const oc_case k = { .op = OP, .in = { oc_floats(oc_2(2, 2), x), oc_int_values(oc_2(2, 2), y) } };
    const float *loss = oc_forward(&k)->data;

    assert_true(isnan(loss[0]) && !isnan(loss[1]));
}

static void what_is_no_label_is_named(void **state)
{
    (void)state;
    const int32_t two[] = { 0, 1, 1, 2 };
    ft_tensor *x = oc_random(oc_2(2, 2), 1), *fine = oc_ints(oc_2(2, 2), 1, 2);

    oc_fails(&(oc_case){ .op = OP, .in = { x, oc_int_values(oc_2(2, 2), two) } }, FT_EUSAGE, "label 1 of row 1",
             "is 2");
    oc_fails(&(oc_case){ .op = OP, .in = { x, oc_ints(oc_1(2), 1, 2) } }, FT_ESHAPE, "(2,2)", "(2)");
    oc_fails(&(oc_case){ .op = OP, .in = { x, fine }, .attr = { .f = { 2 } } }, FT_EUSAGE, "smoothing", "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(losses_equal_plain_loops), oc_test(promises_to_the_tape_hold), oc_test(huge_logits_are_safe),
        oc_test(nan_is_not_hidden),        oc_test(what_is_no_label_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
