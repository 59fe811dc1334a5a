/* tests/core/test_err.c - messages are filled, extended and never overrun their buffer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"

static void fail_fills_code_and_message(void **state)
{
    ft_err e;
    (void)state;
    assert_int_equal(ft_fail(&e, FT_ESHAPE, "want %d", 3), FT_ESHAPE);
    assert_int_equal(e.code, FT_ESHAPE);
    assert_string_equal(e.msg, "want 3");
}

static void errno_is_told_and_memory_has_its_own_code(void **state)
{
    ft_err e;
    (void)state;
    errno = ENOENT;
    assert_int_equal(ft_fail_errno(&e, "%s", "a/b"), FT_EIO);
    assert_string_equal(e.msg, "a/b: No such file or directory");
    errno = ENOMEM;
    assert_int_equal(ft_fail_errno(&e, "a"), FT_EMEM);
    assert_int_equal(e.code, FT_EMEM);
}

static void context_comes_before_and_keeps_the_code(void **state)
{
    ft_err e;
    (void)state;
    ft_fail(&e, FT_ENUM, "NaN");
    assert_int_equal(ft_context(&e, "step %d", 7), FT_ENUM);
    ft_context(&e, "train");
    assert_string_equal(e.msg, "train: step 7: NaN");
}

static void nobody_needs_to_listen(void **state)
{
    (void)state;
    errno = EACCES;
    assert_int_equal(ft_fail(NULL, FT_EINTR, "x"), FT_EINTR);
    assert_int_equal(ft_fail_errno(NULL, "x"), FT_EIO);
    assert_int_not_equal(ft_context(NULL, "x"), FT_OK);
}

static void a_long_message_is_cut(void **state)
{
    ft_err e;
    char text[3000];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ft_fail(&e, FT_EDATA, "%s", text);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    ft_context(&e, "%s", text);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    errno = EIO;
    ft_fail_errno(&e, "%s", text);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    ft_fail(&e, FT_EDATA, "inner");
    ft_context(&e, "%.*s", (int)sizeof e.msg - 6, text);
    assert_string_equal(e.msg + sizeof e.msg - 6, ": inn");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_fills_code_and_message),
        cmocka_unit_test(errno_is_told_and_memory_has_its_own_code),
        cmocka_unit_test(context_comes_before_and_keeps_the_code),
        cmocka_unit_test(nobody_needs_to_listen),
        cmocka_unit_test(a_long_message_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
