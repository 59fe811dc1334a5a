/* tests/ops/test_fused_embed.c - sums of looked-up rows, and gradients that scatter back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "opcheck.h"

static void one_two_and_three_tables(void **state)
{
    (void)state;
    ft_tensor *in[FT_OP_IN] = { oc_ints(oc_1(30), 1, 7),   oc_random(oc_2(7, 13), 2), oc_ints(oc_1(30), 3, 5),
                                oc_random(oc_2(5, 13), 4), oc_ints(oc_1(30), 5, 2),   oc_random(oc_2(2, 13), 6) };

    for (int n = 2; n <= 6; n += 2) {
        oc_case k = { .op = "embed_sum", .n_in = n };
        for (int i = 0; i < n; i++) k.in[i] = in[i];
        oc_check(&k);
    }
}

static void known_numbers(void **state)
{
    (void)state;
    const int32_t ids[] = { 2, 0, 2 }, kinds[] = { 0, 0, 1 };
    const float words[] = { 1, 2, 3, 4, 5, 6 }, types[] = { 10, 20, 30, 40 }, dy[] = { 1, 2, 4, 8, 16, 32 };
    const float y[] = { 15, 26, 11, 22, 35, 46 }, d_words[] = { 4, 8, 0, 0, 17, 34 }, d_types[] = { 5, 10, 16, 32 };
    const oc_case k = { .op = "embed_sum",
                        .in = { oc_int_values(oc_1(3), ids), oc_floats(oc_2(3, 2), words),
                                oc_int_values(oc_1(3), kinds), oc_floats(oc_2(2, 2), types) } };
    ft_tensor *d[FT_OP_IN];

    oc_close(oc_forward(&k), y, 0);
    oc_backward(&k, oc_floats(oc_2(3, 2), dy), d);
    oc_close(d[1], d_words, 0);
    oc_close(d[3], d_types, 0);
}

static void sizes_at_the_edges(void **state)
{
    (void)state;
    oc_check(&(oc_case){ .op = "embed_sum", .in = { oc_ints(oc_1(0), 1, 7), oc_random(oc_2(7, 13), 2) } });
    oc_check(&(oc_case){ .op = "embed_sum", .in = { oc_ints(oc_1(1), 1, 1), oc_random(oc_2(1, 1), 2) } });
    oc_check(&(oc_case){ .op = "embed_sum",
                         .points = 3,
                         .in = { oc_ints(oc_1(200), 1, 900), oc_random(oc_2(900, 130), 2), oc_ints(oc_1(200), 1, 3),
                                 oc_random(oc_2(3, 130), 2) } });
}

static void tables_may_begin_later_and_ids_be_absent(void **state)
{
    (void)state;
    const int32_t ids[] = { 1, 0, 1 };
    const float words[] = { 1, 2, 3, 4, 5, 6 }, types[] = { 10, 20, 30, 40 }, dy[] = { 1, 2, 4, 8, 16, 32 };
    const float y[] = { 15, 26, 13, 24, 15, 26 }, d_words[] = { 0, 0, 4, 8, 17, 34 }, d_types[] = { 21, 42, 0, 0 };
    const oc_case k = { .op = "embed_sum",
                        .n_in = 4,
                        .attr = { .i = { 1 } },
                        .in = { oc_int_values(oc_1(3), ids), oc_floats(oc_2(3, 2), words), NULL,
                                oc_floats(oc_2(2, 2), types) } };
    ft_tensor *d[FT_OP_IN];

    oc_close(oc_forward(&k), y, 0);
    oc_backward(&k, oc_floats(oc_2(3, 2), dy), d);
    oc_close(d[1], d_words, 0);
    oc_close(d[3], d_types, 0);
    oc_check(&(oc_case){ .op = "embed_sum",
                         .n_in = 6,
                         .attr = { .i = { 2, 1, 1 } },
                         .in = { oc_ints(oc_1(20), 1, 7), oc_random(oc_2(9, 13), 2), NULL, oc_random(oc_2(3, 13), 3),
                                 oc_ints(oc_1(20), 1, 3), oc_random(oc_2(4, 13), 4) } });
}

static void an_id_outside_its_table_is_named(void **state)
{
    (void)state;
    const int32_t high[] = { 0, 3 }, low[] = { -1, 0 };
    ft_tensor *table = oc_random(oc_2(3, 2), 1), *fine = oc_ints(oc_1(2), 1, 3);

    oc_fails(&(oc_case){ .op = "embed_sum", .in = { oc_int_values(oc_1(2), high), table } }, FT_EUSAGE, "id 3",
             "3 rows");
    oc_fails(&(oc_case){ .op = "embed_sum", .in = { fine, table, oc_int_values(oc_1(2), low), table } }, FT_EUSAGE,
             "id -1", "table 1");
    oc_fails(&(oc_case){ .op = "embed_sum", .attr = { .i = { 1 } }, .in = { oc_int_values(oc_1(2), high), table } },
             FT_EUSAGE, "id 3", "2 rows");
    oc_fails(&(oc_case){ .op = "embed_sum", .attr = { .i = { 3 } }, .in = { fine, table } }, FT_EUSAGE, "row 3",
             "3 rows");
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    ft_tensor *table = oc_random(oc_2(3, 2), 1), *ids = oc_ints(oc_1(2), 1, 3);

    oc_fails(&(oc_case){ .op = "embed_sum", .in = { ids, table, oc_ints(oc_1(3), 1, 3), table } }, FT_ESHAPE, "(3)",
             NULL);
    oc_fails(&(oc_case){ .op = "embed_sum", .in = { ids, table, ids, oc_random(oc_2(3, 4), 1) } }, FT_ESHAPE, "(3,4)",
             NULL);
    oc_fails(&(oc_case){ .op = "embed_sum", .in = { oc_random(oc_1(2), 1), table } }, FT_ESHAPE, "f32", NULL);
    oc_fails(&(oc_case){ .op = "embed_sum", .in = { ids, table, ids } }, FT_EUSAGE, "3 inputs", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(one_two_and_three_tables),   oc_test(known_numbers),
        oc_test(sizes_at_the_edges),         oc_test(an_id_outside_its_table_is_named),
        oc_test(what_does_not_fit_is_named), oc_test(tables_may_begin_later_and_ids_be_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
