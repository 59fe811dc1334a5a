/* tests/ops/test_elementary_layout.c - ops that move numbers: transpose, reshape, slice, concat, gather, pick. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "opcheck.h"

static void transpose_exchanges_rows_and_columns(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, 6 }, y[] = { 1, 4, 2, 5, 3, 6 };

    oc_close(oc_forward(&(oc_case){ .op = "transpose", .in = { oc_floats(oc_2(2, 3), x) } }), y, 0);
    oc_check(&(oc_case){ .op = "transpose", .in = { oc_random(oc_2(2, 3), 1) } });
    oc_check(&(oc_case){ .op = "transpose", .in = { oc_random(oc_2(1, 5), 1) } });
    oc_check(&(oc_case){ .op = "transpose", .in = { oc_random(oc_2(33, 65), 1) }, .points = 40 });
    oc_check(&(oc_case){ .op = "transpose", .in = { oc_random(oc_2(190, 201), 1) }, .points = 3 });
    oc_fails(&(oc_case){ .op = "transpose", .in = { oc_random(oc_3(2, 3, 4), 1) } }, FT_ESHAPE, "(2,3,4)", NULL);
}

static void reshape_keeps_the_order(void **state)
{
    (void)state;
    ft_tensor *x = oc_random(oc_3(2, 3, 4), 1);
    const ft_tensor *y = oc_forward(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { 6, -1, 0, 0, 2 } });

    assert_true(y->shape.rank == 2 && y->shape.dim[0] == 6 && y->shape.dim[1] == 4);
    oc_close(y, x->data, 0);
    oc_check(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { 6, -1, 0, 0, 2 } });
    oc_check(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { 24, 0, 0, 0, 1 } });
    oc_check(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { 2, -1, 2, 2, 4 } });
    oc_check(&(oc_case){ .op = "reshape", .in = { oc_random(oc_2(1, 1), 1) } }); /* to a scalar */
    y = oc_forward(&(oc_case){ .op = "reshape", .in = { oc_random(oc_2(0, 4), 1) }, .attr.i = { -1, 2, 0, 0, 2 } });
    assert_true(y->shape.dim[0] == 0 && y->shape.dim[1] == 2);
}

static void impossible_shapes_are_named(void **state)
{
    (void)state;
    ft_tensor *x = oc_random(oc_2(2, 6), 1);
    const int64_t huge = (int64_t)1 << 62;

    oc_fails(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { 5, 2, 0, 0, 2 } }, FT_ESHAPE, "(2,6)", "(5,2)");
    oc_fails(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { 5, -1, 0, 0, 2 } }, FT_ESHAPE, "(2,6)", "(5,-1)");
    oc_fails(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { 0, -1, 0, 0, 2 } }, FT_ESHAPE, "(2,6)", "(0,-1)");
    oc_fails(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { huge, 8, 1, 12, 4 } }, FT_ESHAPE, "(2,6)", NULL);
    oc_fails(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { 24, huge, 0, 0, 2 } }, FT_ESHAPE, "(2,6)", NULL);
    oc_fails(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { -1, -1, 0, 0, 2 } }, FT_EUSAGE, "(-1,-1)", NULL);
    oc_fails(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { -3, 4, 0, 0, 2 } }, FT_EUSAGE, "(-3,4)", NULL);
    oc_fails(&(oc_case){ .op = "reshape", .in = { x }, .attr.i = { 1, 1, 1, 1, 5 } }, FT_EUSAGE, "rank 5", NULL);
}

static void slice_takes_a_range_of_any_axis(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, 6 }, y[] = { 2, 3, 5, 6 };

    oc_close(oc_forward(&(oc_case){ .op = "slice", .in = { oc_floats(oc_2(2, 3), x) }, .attr.i = { 1, 1, 2 } }), y, 0);
    for (int axis = 0; axis < 3; axis++)
        for (int first = 0; first < 3; first++)
            oc_check(&(oc_case){
                .op = "slice", .in = { oc_random(oc_3(4, 5, 4), 1) }, .attr.i = { axis, first, 2 }, .points = 80 });
    oc_check(&(oc_case){ .op = "slice", .in = { oc_random(oc_2(4, 5), 1) }, .attr.i = { 1, 0, 5 } });
    oc_check(&(oc_case){ .op = "slice", .in = { oc_random(oc_2(4, 5), 1) }, .attr.i = { 0, 4, 0 } });
}

static void ranges_outside_the_axis_are_named(void **state)
{
    (void)state;
    ft_tensor *x = oc_random(oc_2(4, 5), 1);

    oc_fails(&(oc_case){ .op = "slice", .in = { x }, .attr.i = { 0, 3, 2 } }, FT_ESHAPE, "axis 0", "(4,5)");
    oc_fails(&(oc_case){ .op = "slice", .in = { x }, .attr.i = { 0, -1, 2 } }, FT_ESHAPE, "from -1", "(4,5)");
    oc_fails(&(oc_case){ .op = "slice", .in = { x }, .attr.i = { 0, 1, INT64_MAX } }, FT_ESHAPE, "axis 0", "(4,5)");
    oc_fails(&(oc_case){ .op = "slice", .in = { x }, .attr.i = { 2, 0, 1 } }, FT_ESHAPE, "axis 2", "(4,5)");
}

static void concat_joins_along_any_axis(void **state)
{
    (void)state;
    const float a[] = { 1, 2, 3, 4 }, b[] = { 5, 6 }, y[] = { 1, 2, 5, 3, 4, 6 };

    oc_close(oc_forward(&(oc_case){
                 .op = "concat", .in = { oc_floats(oc_2(2, 2), a), oc_floats(oc_2(2, 1), b) }, .attr.i = { 1 } }),
             y, 0);
    for (int axis = 0; axis < 3; axis++) {
        ft_shape second = oc_3(2, 3, 4);
        second.dim[axis] = 1;
        oc_check(&(oc_case){ .op = "concat",
                             .in = { oc_random(oc_3(2, 3, 4), 1), oc_random(second, 2), oc_random(oc_3(2, 3, 4), 3) },
                             .attr.i = { axis } });
    }
    oc_check(&(oc_case){ .op = "concat", .in = { oc_random(oc_2(2, 3), 1) }, .attr.i = { 1 } });
}

static void concat_takes_eight(void **state)
{
    (void)state;
    oc_case k = { .op = "concat", .points = 4 };

    for (int i = 0; i < FT_OP_IN; i++) k.in[i] = oc_random(oc_2(1 + i % 3, 2), (uint64_t)i);
    oc_check(&k);
}

static void tensors_that_do_not_join_are_named(void **state)
{
    (void)state;
    ft_tensor *a = oc_random(oc_2(2, 3), 1);

    oc_fails(&(oc_case){ .op = "concat", .in = { a, oc_random(oc_2(3, 3), 1) }, .attr.i = { 1 } }, FT_ESHAPE, "(2,3)",
             "(3,3)");
    oc_fails(&(oc_case){ .op = "concat", .in = { a, a, oc_random(oc_1(3), 1) } }, FT_ESHAPE, "(3) (input 3)", "(2,3)");
    oc_fails(&(oc_case){ .op = "concat", .in = { a, a }, .attr.i = { 2 } }, FT_ESHAPE, "axis 2", "(2,3)");
    oc_fails(&(oc_case){ .op = "concat", .in = { a, NULL, a } }, FT_EUSAGE, "input 2", NULL);
}

static void gather_adds_up_rows_that_were_taken_twice(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, 6 }, y[] = { 5, 6, 1, 2, 5, 6 }, dy[] = { 1, 1, 10, 10, 100, 100 };
    const float dx[] = { 10, 10, 0, 0, 101, 101 };
    const int32_t index[] = { 2, 0, 2 };
    ft_tensor *d[FT_OP_IN];
    const oc_case k = { .op = "gather", .in = { oc_floats(oc_2(3, 2), x), oc_int_values(oc_1(3), index) } };

    oc_close(oc_forward(&k), y, 0);
    oc_backward(&k, oc_floats(oc_2(3, 2), dy), d);
    oc_close(d[0], dx, 0);
}

static void gather_of_any_rank(void **state)
{
    (void)state;
    oc_check(&(oc_case){ .op = "gather", .in = { oc_random(oc_1(5), 1), oc_ints(oc_1(9), 2, 5) } });
    oc_check(&(oc_case){ .op = "gather", .in = { oc_random(oc_2(5, 3), 1), oc_ints(oc_1(9), 2, 5) } });
    oc_check(&(oc_case){ .op = "gather", .in = { oc_random(oc_4(5, 2, 1, 3), 1), oc_ints(oc_1(2), 2, 5) } });
    oc_check(&(oc_case){ .op = "gather", .in = { oc_random(oc_2(5, 3), 1), oc_ints(oc_1(0), 2, 5) } });
    oc_check(
        &(oc_case){ .op = "gather", .in = { oc_random(oc_2(50, 200), 1), oc_ints(oc_1(300), 2, 50) }, .points = 4 });
}

static void pick_takes_one_of_each_row(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, 6 }, y[] = { 3, 4 };
    const int32_t index[] = { 2, 0 };

    oc_close(oc_forward(&(oc_case){ .op = "pick", .in = { oc_floats(oc_2(2, 3), x), oc_int_values(oc_1(2), index) } }),
             y, 0);
    oc_check(&(oc_case){ .op = "pick", .in = { oc_random(oc_2(7, 5), 1), oc_ints(oc_1(7), 2, 5) } });
    oc_check(&(oc_case){ .op = "pick", .in = { oc_random(oc_2(1, 1), 1), oc_ints(oc_1(1), 2, 1) } });
}

static void indices_out_of_range_are_named(void **state)
{
    (void)state;
    ft_tensor *x = oc_random(oc_2(2, 3), 1);
    const int32_t high[] = { 1, 3 }, low[] = { -1, 0 };

    oc_fails(&(oc_case){ .op = "gather", .in = { x, oc_int_values(oc_1(2), high) } }, FT_ESHAPE, "index 3", "(2,3)");
    oc_fails(&(oc_case){ .op = "gather", .in = { x, oc_int_values(oc_1(2), low) } }, FT_ESHAPE, "index -1", "(2,3)");
    oc_fails(&(oc_case){ .op = "pick", .in = { x, oc_int_values(oc_1(2), high) } }, FT_ESHAPE, "index 3", "(2,3)");
    oc_fails(&(oc_case){ .op = "pick", .in = { x, oc_int_values(oc_1(2), low) } }, FT_ESHAPE, "index -1", "(2,3)");
    oc_fails(&(oc_case){ .op = "pick", .in = { x, oc_ints(oc_1(3), 1, 2) } }, FT_ESHAPE, "(2,3)", "(3)");
    oc_fails(&(oc_case){ .op = "pick", .in = { x, x } }, FT_ESHAPE, "i32", "f32");
    oc_fails(&(oc_case){ .op = "gather", .in = { x, oc_ints(oc_2(1, 2), 1, 2) } }, FT_ESHAPE, "(2,3)", "(1,2)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(transpose_exchanges_rows_and_columns),
        oc_test(reshape_keeps_the_order),
        oc_test(impossible_shapes_are_named),
        oc_test(slice_takes_a_range_of_any_axis),
        oc_test(ranges_outside_the_axis_are_named),
        oc_test(concat_joins_along_any_axis),
        oc_test(concat_takes_eight),
        oc_test(tensors_that_do_not_join_are_named),
        oc_test(gather_adds_up_rows_that_were_taken_twice),
        oc_test(gather_of_any_rank),
        oc_test(pick_takes_one_of_each_row),
        oc_test(indices_out_of_range_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
