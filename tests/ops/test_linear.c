/* tests/ops/test_linear.c - the affine map, and the op tester on its first customer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "opcheck.h"

static void with_and_without_bias(void **state)
{
    (void)state;
    oc_check(&(oc_case){ .op = "linear", .in = { oc_random(oc_2(7, 5), 1), oc_random(oc_2(3, 5), 2) } });
    oc_check(&(oc_case){ .op = "linear",
                         .in = { oc_random(oc_2(7, 5), 1), oc_random(oc_2(3, 5), 2), oc_random(oc_1(3), 3) } });
}

static void single_row_and_single_column(void **state)
{
    (void)state;
    oc_check(&(oc_case){ .op = "linear", .in = { oc_random(oc_2(1, 9), 1), oc_random(oc_2(4, 9), 2) } });
    oc_check(&(oc_case){ .op = "linear",
                         .in = { oc_random(oc_2(6, 1), 1), oc_random(oc_2(1, 1), 2), oc_random(oc_1(1), 3) } });
}

static void many_panels_have_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    oc_check(&(oc_case){ .op = "linear",
                         .in = { oc_random(oc_2(300, 70), 1), oc_random(oc_2(400, 70), 2), oc_random(oc_1(400), 3) },
                         .points = 6 });
}

/* On both sides of the cuts of a gradient whose rows of dy are turned first: 1,024 outputs, blocks of 192, sums of 512. */
static void many_outputs(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {
        { 1, 1023, 3 }, { 1, 1024, 3 }, { 30, 1030, 7 }, { 512, 1152, 5 }, { 530, 1153, 9 }
    };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t R = sizes[i][0], O = sizes[i][1], I = sizes[i][2];
        oc_check(
            &(oc_case){ .op = "linear",
                        .in = { oc_random(oc_2(R, I), i), oc_random(oc_2(O, I), i + 9), oc_random(oc_1(O), i + 18) },
                        .points = 6 });
    }
}

static void known_numbers(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4 }, w[] = { 1, 0, 1, 1, 0, -1 }, b[] = { 10, 20, 30 };
    const float y[] = { 11, 23, 28, 13, 27, 26 }, dy[] = { 1, 0, 0, 0, 1, 0 };
    const float dx[] = { 1, 0, 1, 1 }, dw[] = { 1, 2, 3, 4, 0, 0 }, db[] = { 1, 1, 0 };
    ft_tensor *d[FT_OP_IN];
    const oc_case k = { .op = "linear",
                        .in = { oc_floats(oc_2(2, 2), x), oc_floats(oc_2(3, 2), w), oc_floats(oc_1(3), b) } };

    oc_close(oc_forward(&k), y, 1e-6);
    oc_backward(&k, oc_floats(oc_2(2, 3), dy), d);
    oc_close(d[0], dx, 1e-6);
    oc_close(d[1], dw, 1e-6);
    oc_close(d[2], db, 1e-6);
}

static void shapes_that_do_not_fit_are_named(void **state)
{
    (void)state;
    ft_tensor *x = oc_random(oc_2(2, 3), 1);

    oc_fails(&(oc_case){ .op = "linear", .in = { x, oc_random(oc_2(4, 5), 2) } }, FT_ESHAPE, "(2,3)", "(4,5)");
    oc_fails(&(oc_case){ .op = "linear", .in = { x, oc_random(oc_1(3), 2) } }, FT_ESHAPE, "(2,3)", "(3)");
    oc_fails(&(oc_case){ .op = "linear", .in = { x, oc_random(oc_2(4, 3), 2), oc_random(oc_1(3), 2) } }, FT_ESHAPE,
             "(4)", "(3)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(with_and_without_bias),
        oc_test(single_row_and_single_column),
        oc_test(many_panels_have_the_same_bits_on_any_number_of_threads),
        oc_test(many_outputs),
        oc_test(known_numbers),
        oc_test(shapes_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
