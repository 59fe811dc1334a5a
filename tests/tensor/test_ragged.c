/* tests/tensor/test_ragged.c - row boundaries, and the lengths that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "tensor/ragged.h"

static void rows_lie_end_to_end(void **state)
{
    static const int32_t lengths[] = { 2, 0, 3 }, offsets[] = { 0, 2, 2, 5 }, row_of[] = { 0, 0, 2, 2, 2 };
    ft_ragged *r;
    ft_err e;
    (void)state;
    assert_int_equal(ft_ragged_new(&r, 3, lengths, NULL, NULL, &e), FT_OK);
    assert_int_equal(r->n_rows, 3);
    assert_int_equal(r->n_tokens, 5);
    assert_int_equal(r->max_len, 3);
    assert_memory_equal(r->offsets, offsets, sizeof offsets);
    assert_memory_equal(r->row_of, row_of, sizeof row_of);
    for (int32_t b = 0; b < 3; b++) {
        assert_int_equal(r->example[b], b);
        assert_int_equal(r->window[b], 0);
    }
    ft_ragged_release(r);
}

static void examples_and_windows_are_copied(void **state)
{
    int32_t lengths[] = { 1, 1 }, example[] = { 41, 41 }, window[] = { 0, 1 };
    ft_ragged *r;
    ft_err e;
    (void)state;
    assert_int_equal(ft_ragged_new(&r, 2, lengths, example, window, &e), FT_OK);
    example[0] = window[1] = 9;
    assert_int_equal(r->example[0], 41);
    assert_int_equal(r->window[1], 1);
    ft_ragged_release(r);
}

static void an_empty_batch_has_one_offset(void **state)
{
    ft_ragged *r;
    ft_err e;
    (void)state;
    assert_int_equal(ft_ragged_new(&r, 0, NULL, NULL, NULL, &e), FT_OK);
    assert_int_equal(r->offsets[0], 0);
    assert_int_equal(r->max_len, 0);
    ft_ragged_release(r);
}

static void the_last_reference_frees(void **state)
{
    static const int32_t lengths[] = { 4 };
    const size_t live = ft_mem_get().live;
    ft_ragged *r;
    ft_err e;
    (void)state;
    assert_int_equal(ft_ragged_new(&r, 1, lengths, NULL, NULL, &e), FT_OK);
    assert_ptr_equal(ft_ragged_retain(r), r);
    ft_ragged_release(r);
    assert_int_equal(r->n_tokens, 4);
    ft_ragged_release(r);
    assert_int_equal(ft_mem_get().live, live);
    ft_ragged_release(NULL);
    assert_null(ft_ragged_retain(NULL));
}

static void impossible_lengths_are_refused(void **state)
{
    static const int32_t negative[] = { 1, -1 }, huge[] = { INT32_MAX, 1 };
    ft_ragged *r;
    ft_err e;
    (void)state;
    assert_int_equal(ft_ragged_new(&r, -1, negative, NULL, NULL, &e), FT_ESHAPE);
    assert_int_equal(ft_ragged_new(&r, 2, negative, NULL, NULL, &e), FT_ESHAPE);
    assert_string_equal(e.msg, "ragged: negative length in row 1");
    assert_int_equal(ft_ragged_new(&r, 2, huge, NULL, NULL, &e), FT_ESHAPE);
    ft_mem_fail_at(1);
    assert_int_equal(ft_ragged_new(&r, 1, negative, NULL, NULL, &e), FT_EMEM);
    ft_mem_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_lie_end_to_end),
        cmocka_unit_test(examples_and_windows_are_copied),
        cmocka_unit_test(an_empty_batch_has_one_offset),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(impossible_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
