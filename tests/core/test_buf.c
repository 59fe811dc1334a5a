/* tests/core/test_buf.c - growing byte strings, their NUL, and what a failure leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/mem.h"

static void bytes_are_appended_and_end_in_nul(void **state)
{
    ft_buf b = { 0 };
    ft_err e;
    (void)state;
    assert_int_equal(ft_buf_puts(&b, "ab", &e), FT_OK);
    assert_int_equal(ft_buf_putc(&b, 'c', &e), FT_OK);
    assert_int_equal(ft_buf_add(&b, "\0d", 2, &e), FT_OK);
    assert_int_equal(ft_buf_printf(&b, &e, "%d-%s", 42, "x"), FT_OK);
    assert_int_equal(b.len, 9);
    assert_memory_equal(b.data, "abc\0d42-x", 10);
    ft_buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    assert_true(b.cap > 0);
    ft_buf_free(&b);
    assert_null(b.data);
    ft_buf_clear(&b);
}

static void a_reserved_buffer_is_a_string_at_once(void **state)
{
    ft_buf b = { 0 };
    ft_err e;
    (void)state;
    assert_int_equal(ft_buf_reserve(&b, 1000, &e), FT_OK);
    assert_string_equal(b.data, "");
    assert_true(b.cap > 1000);
    ft_buf_free(&b);
    assert_int_equal(ft_buf_add(&b, NULL, 0, &e), FT_OK);
    assert_string_equal(b.data, "");
    ft_buf_free(&b);
}

static void many_small_pieces_make_one_long_string(void **state)
{
    ft_buf b = { 0 };
    ft_err e;
    (void)state;
    for (int i = 0; i < 10000; i++) assert_int_equal(ft_buf_printf(&b, &e, "%04d", i), FT_OK);
    assert_int_equal(b.len, 40000);
    assert_memory_equal(b.data, "00000001", 8);
    assert_string_equal(b.data + 39996, "9999");
    ft_buf_free(&b);
}

static void failure_leaves_the_old_content(void **state)
{
    ft_buf b = { 0 };
    ft_err e;
    char big[500];
    (void)state;
    memset(big, 'x', sizeof big);
    assert_int_equal(ft_buf_puts(&b, "kept", &e), FT_OK);
    ft_mem_fail_at(1);
    assert_int_equal(ft_buf_add(&b, big, sizeof big, &e), FT_EMEM);
    assert_int_equal(ft_buf_printf(&b, &e, "%300d", 1), FT_EMEM);
    ft_mem_fail_at(0);
    assert_int_equal(ft_buf_reserve(&b, SIZE_MAX - 2, &e), FT_EMEM);
    assert_int_equal(e.code, FT_EMEM);
    assert_int_equal(b.len, 4);
    assert_string_equal(b.data, "kept");
    ft_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_appended_and_end_in_nul),
        cmocka_unit_test(a_reserved_buffer_is_a_string_at_once),
        cmocka_unit_test(many_small_pieces_make_one_long_string),
        cmocka_unit_test(failure_leaves_the_old_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
