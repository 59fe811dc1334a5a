/* tests/ops/test_fused_rows.c - from tokens to rows: first, mean, sum, max and softmax. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "opcheck.h"

static const char *const all[] = { "row_first", "row_mean", "row_sum", "row_max", "row_softmax" };
#define COUNT (sizeof all / sizeof *all)

static void known_numbers_with_an_empty_row(void **state)
{
    (void)state;
    const float x[] = { 1, 8, 3, 2, 5, 5 };
    const float first[] = { 1, 8, 0, 0, 5, 5 }, mean[] = { 2, 5, 0, 0, 5, 5 }, sum[] = { 4, 10, 0, 0, 5, 5 };
    const float max[] = { 3, 8, 0, 0, 5, 5 };
    const float soft[] = { 0.11920292f, 0.99752738f, 0.88079708f, 0.0024726232f, 1, 1 };
    const float *const want[] = { first, mean, sum, max, soft };
    const ft_op_attr a = { .rows = oc_ragged((const int32_t[]){ 2, 0, 1, -1 }) };

    for (size_t i = 0; i < COUNT; i++)
        oc_close(oc_forward(&(oc_case){ .op = all[i], .in = { oc_floats(oc_2(3, 2), x) }, .attr = a }), want[i], 1e-6);
}

static void promises_to_the_tape_hold(void **state)
{
    (void)state;
    static const int64_t columns[] = { 1, 2, 70 };
    const ft_op_attr a = { .rows = oc_ragged((const int32_t[]){ 4, 0, 1, 9, 0, -1 }) };

    for (size_t i = 0; i < COUNT; i++) {
        for (int c = 0; c < 3; c++) {
            /* Well apart, so that a difference does not change which one is the largest. */
            ft_tensor *x = oc_random(oc_2(14, columns[c]), 3);
            float *u = x->data;
            for (int64_t j = 0; j < 14 * columns[c]; j++) u[j] = (float)((j * 11 + j / columns[c] * 5) % 29) / 10;
            oc_check(&(oc_case){ .op = all[i], .in = { x }, .attr = a, .points = 60 });
        }
    }
}

static void empty_batches_are_fine(void **state)
{
    (void)state;
    ft_op_attr a = { .rows = oc_ragged((const int32_t[]){ -1 }) };

    for (size_t i = 0; i < COUNT; i++)
        oc_check(&(oc_case){ .op = all[i], .in = { oc_random(oc_2(0, 3), 1) }, .attr = a });
    a.rows = oc_ragged((const int32_t[]){ 0, 0, -1 });
    for (size_t i = 0; i < COUNT; i++)
        oc_check(&(oc_case){ .op = all[i], .in = { oc_random(oc_2(0, 3), 1) }, .attr = a });
}

static void many_tokens_have_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    const ft_op_attr a = { .rows = oc_ragged((const int32_t[]){ 100, 0, 30, 70, -1 }) };

    for (size_t i = 0; i < COUNT; i++)
        oc_check(&(oc_case){ .op = all[i], .in = { oc_random(oc_2(200, 130), 1) }, .attr = a, .points = 1, .skip = 1 });
}

static void the_first_of_equals_wins_and_nan_beats_all(void **state)
{
    (void)state;
    const float x[] = { 2, 7, 7, 1, NAN, 3 }, dy[] = { 5, 1 }, dx[] = { 0, 5, 0 };
    const ft_op_attr a = { .rows = oc_ragged((const int32_t[]){ 3, 3, -1 }) };
    const oc_case k = { .op = "row_max", .in = { oc_floats(oc_2(6, 1), x) }, .attr = a };
    ft_tensor *d[FT_OP_IN];
    const float *y = oc_forward(&k)->data;

    assert_true(y[0] == 7 && isnan(y[1]));
    oc_backward(&k, oc_floats(oc_2(2, 1), dy), d);
    assert_memory_equal(d[0]->data, dx, sizeof dx);
    assert_true(((const float *)d[0]->data)[4] == 1);
}

static void softmax_of_large_scores_is_safe(void **state)
{
    (void)state;
    const float x[] = { 1e30f, -1e30f, 1e30f }, want[] = { 0.5f, 0, 0.5f };
    const ft_op_attr a = { .rows = oc_ragged((const int32_t[]){ 3, -1 }) };

    oc_close(oc_forward(&(oc_case){ .op = "row_softmax", .in = { oc_floats(oc_2(3, 1), x) }, .attr = a }), want, 1e-7);
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    const ft_op_attr a = { .rows = oc_ragged((const int32_t[]){ 3, -1 }) };

    for (size_t i = 0; i < COUNT; i++) {
        oc_fails(&(oc_case){ .op = all[i], .in = { oc_random(oc_2(4, 2), 1) }, .attr = a }, FT_ESHAPE, "(3,C)",
                 "(4,2)");
        oc_fails(&(oc_case){ .op = all[i], .in = { oc_random(oc_2(4, 2), 1) } }, FT_EUSAGE, "rows", NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(known_numbers_with_an_empty_row),
        oc_test(promises_to_the_tape_hold),
        oc_test(empty_batches_are_fine),
        oc_test(many_tokens_have_the_same_bits_on_any_number_of_threads),
        oc_test(the_first_of_equals_wins_and_nan_beats_all),
        oc_test(softmax_of_large_scores_is_safe),
        oc_test(what_does_not_fit_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
