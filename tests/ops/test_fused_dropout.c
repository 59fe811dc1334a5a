/* tests/ops/test_fused_dropout.c - dropout draws exactly what ft_rng_block says, and in the right share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "opcheck.h"
#include "ops/philox.h"

static const ft_rng_key key = { { 0xdeadbeef, 0x01234567 } };

static uint32_t draw_of(const ft_op_attr *a, int64_t channel, uint32_t where, uint32_t example)
{
    const uint32_t counter[4] = { (uint32_t)(channel / 8), where, example, (uint32_t)a->update };
    uint32_t word[4];

    ft_rng_block(a->key, counter, word);
    return word[channel % 8 / 2] >> (channel % 2 ? 16 : 0) & 0xffff;
}

/* where: tokens, rows or neither. */
static void compare(const char *isa, const ft_op_attr *a, int64_t R, int64_t C)
{
    ft_tensor *x = oc_random(oc_2(R, C), 4), *d_out = oc_random(oc_2(R, C), 5), *d[FT_OP_IN];
    const oc_case k = { .op = "dropout", .in = { x }, .attr = *a };
    const float *y = oc_forward(&k)->data, *u = x->data, *g = d_out->data;
    const uint32_t threshold = (uint32_t)lround(a->f[0] * 65536);
    const float scale = threshold < 65536 ? (float)(1 / (1 - threshold / 65536.0)) : 0;

    oc_backward(&k, d_out, d);
    for (int64_t i = 0; i < R * C; i++) {
        const int64_t r = i / C;
        const int by_token = a->rows && R == a->rows->n_tokens;
        const int32_t b = by_token ? a->rows->row_of[r] : (int32_t)r;
        const uint32_t position = by_token ? (uint32_t)(r - a->rows->offsets[b]) : 0;
        const uint32_t where = a->rows ? position | (uint32_t)a->rows->window[b] << 16 : 0;
        const uint32_t example = a->rows ? (uint32_t)a->rows->example[b] : (uint32_t)r;
        const int keep = draw_of(a, i % C, where, example) >= threshold;
        if (y[i] != (keep ? u[i] * scale : 0) || ((const float *)d[0]->data)[i] != (keep ? g[i] * scale : 0))
            fail_msg("%s: element %lld of (%lld,%lld) is %.9g", isa, (long long)i, (long long)R, (long long)C,
                     (double)y[i]);
    }
}

static void draws_are_those_of_the_counter(void **state)
{
    (void)state;
    static const int64_t columns[] = { 1, 7, 8, 100, 128, 384, 1024, 1025, 2200 };
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int i = 0; i < n; i++) {
        const ft_op_attr a = { .f = { 0.1 },
                               .rows = oc_ragged((const int32_t[]){ 4, 0, 9, 1, -1 }),
                               .key = key,
                               .update = 0x100000002,
                               .training = 1 };
        for (int b = 0; b < 4; b++) {
            a.rows->example[b] = 1 << (7 * b);
            a.rows->window[b] = 9 * b;
        }
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            ft_op_attr none = a;
            none.rows = NULL;
            compare(names[i], &a, 14, columns[c]);
            compare(names[i], &a, 4, columns[c]);
            compare(names[i], &none, 3, columns[c]);
        }
        oc_release(NULL);
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

static void grids_of_any_size_equal_single_blocks(void **state)
{
    (void)state;
    const ft_dropout p = { key, 12, 1, 1 };
    static ft_draw out[FT_DRAW_ROOM(40 * 40)];

    for (uint32_t blocks = 1; blocks <= 40; blocks += blocks < 20 ? 1 : 7) {
        for (uint32_t rows = 1; rows <= 40; rows += 3) {
            ft_draw_grid(&p, 5u << 16, blocks, 100, rows, 77, out);
            for (uint32_t i = 0; i < blocks * rows; i++) {
                const uint32_t counter[4] = { (5u << 16) + i % blocks, 100 + i / blocks, 77, 12 };
                uint32_t want[4];
                ft_rng_block(key, counter, want);
                assert_memory_equal(want, out + (size_t)i * 8, sizeof want);
            }
        }
    }
}

static void the_share_and_the_mean_are_right(void **state)
{
    (void)state;
    enum { R = 2000, C = 500 };
    static const double shares[] = { 0.1, 0.5, 0.9 };

    for (int i = 0; i < 3; i++) {
        const ft_op_attr a = { .f = { shares[i] }, .key = key, .update = 5, .training = 1 };
        float *ones = malloc(sizeof(float) * R * C);
        for (int j = 0; j < R * C; j++) ones[j] = 1;
        const float *y =
            oc_forward(&(oc_case){ .op = "dropout", .in = { oc_floats(oc_2(R, C), ones) }, .attr = a })->data;
        double sum = 0, squares = 0, beside = 0;
        for (int j = 0; j < R * C; j++) {
            sum += (double)y[j];
            squares += (double)y[j] * (double)y[j];
            if (j > 0) beside += ((double)y[j] - 1) * ((double)y[j - 1] - 1);
        }
        const double n = R * C, keep = 1 - round(shares[i] * 65536) / 65536, var = 1 / keep - 1;
        assert_true(fabs(sum / n - 1) < 5 * sqrt(var / n));
        assert_true(fabs(squares / n - 1 / keep) < 0.02 / keep);
        assert_true(fabs(beside / n) < 5 * var / sqrt(n));
        free(ones);
    }
}

static void another_update_or_site_draws_anew(void **state)
{
    (void)state;
    ft_tensor *x = oc_uniform(oc_2(50, 64), 1, 1, 2);
    ft_op_attr a = { .f = { 0.5 }, .key = key, .training = 1 };
    const ft_tensor *first = oc_forward(&(oc_case){ .op = "dropout", .in = { x }, .attr = a });

    a.update = 1;
    const ft_tensor *second = oc_forward(&(oc_case){ .op = "dropout", .in = { x }, .attr = a });
    a.update = 0;
    a.key = ft_rng_site(1, "elsewhere");
    const ft_tensor *third = oc_forward(&(oc_case){ .op = "dropout", .in = { x }, .attr = a });
    assert_memory_not_equal(first->data, second->data, first->bytes);
    assert_memory_not_equal(first->data, third->data, first->bytes);
}

static void off_means_a_copy(void **state)
{
    (void)state;
    ft_tensor *x = oc_random(oc_2(9, 33), 1);
    ft_op_attr a = { .f = { 0.4 }, .key = key };

    assert_memory_equal(oc_forward(&(oc_case){ .op = "dropout", .in = { x }, .attr = a })->data, x->data, x->bytes);
    a.training = 1;
    a.f[0] = 0;
    assert_memory_equal(oc_forward(&(oc_case){ .op = "dropout", .in = { x }, .attr = a })->data, x->data, x->bytes);
    a.f[0] = 1;
    const float *y = oc_forward(&(oc_case){ .op = "dropout", .in = { x }, .attr = a })->data;
    for (int i = 0; i < 9 * 33; i++) assert_true(y[i] == 0);
}

static void promises_to_the_tape_hold(void **state)
{
    (void)state;
    ft_op_attr a = { .f = { 0.3 }, .rows = oc_ragged((const int32_t[]){ 5, 0, 3, -1 }), .key = key, .training = 1 };

    oc_check(&(oc_case){ .op = "dropout", .in = { oc_random(oc_2(8, 21), 1) }, .attr = a });
    oc_check(&(oc_case){ .op = "dropout", .in = { oc_random(oc_2(3, 4), 1) }, .attr = a });
    a.rows = NULL;
    oc_check(&(oc_case){ .op = "dropout", .in = { oc_random(oc_2(0, 4), 1) }, .attr = a });
    oc_check(&(oc_case){ .op = "dropout", .in = { oc_random(oc_2(200, 130), 1) }, .attr = a, .points = 5 });
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    ft_op_attr a = { .f = { 0.3 }, .rows = oc_ragged((const int32_t[]){ 5, 3, -1 }), .training = 1 };

    oc_fails(&(oc_case){ .op = "dropout", .in = { oc_random(oc_2(7, 2), 1) }, .attr = a }, FT_ESHAPE, "7 rows",
             "8 tokens");
    oc_fails(&(oc_case){ .op = "dropout", .in = { oc_random(oc_1(7), 1) }, .attr = a }, FT_ESHAPE, "(7)", NULL);
    a.f[0] = -0.5;
    oc_fails(&(oc_case){ .op = "dropout", .in = { oc_random(oc_2(8, 2), 1) }, .attr = a }, FT_EUSAGE, "-0.5", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        oc_test(draws_are_those_of_the_counter),
        oc_test(grids_of_any_size_equal_single_blocks),
        oc_test(the_share_and_the_mean_are_right),
        oc_test(another_update_or_site_draws_anew),
        oc_test(off_means_a_copy),
        oc_test(promises_to_the_tape_hold),
        oc_test(what_does_not_fit_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
