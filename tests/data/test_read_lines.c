/* tests/data/test_read_lines.c - plain text, one row a line. */
#include "tests/data/rows.h"

static void lines(const char *bytes, size_t n, const char *t) { expect_rows(".txt", NULL, bytes, n, t); }

static void every_line_is_a_row_also_an_empty_one(void **state)
{
    (void)state;
    lines(BYTES("one, \"two\"\n\n three \r\nlast"), "1: one, \"two\"\n2: \n3:  three \n4: last\n");
    lines(BYTES("\n"), "1: \n");
    lines(BYTES(""), "");
}

static void the_column_is_text(void **state)
{
    char path[PATH_SIZE];
    const ft_cell *names;
    const ft_row *row;
    ft_reader *r;
    (void)state;
    make_file(path, ".txt", BYTES("x\n"));
    assert_int_equal(ft_reader_open(&r, path, NULL, NULL), FT_OK);
    unlink(path);
    assert_int_equal(ft_reader_columns(r, &names), 1);
    assert_string_equal(names[0].ptr, "text");
    assert_int_equal(ft_reader_next(r, &row, NULL), FT_OK);
    assert_string_equal(ft_row_get(row, "text")->ptr, "x");
    assert_string_equal(ft_row_get(row, "1")->ptr, "x");
    assert_null(ft_row_get(row, "2"));
    assert_null(ft_row_get(row, "label"));
    ft_reader_close(r);
}

static void bad_lines_are_refused_and_reading_goes_on(void **state)
{
    const ft_reader_opts small = { .max_record = 8 };
    (void)state;
    lines(BYTES("ok\nb\xc3\n\0\nok\n"),
          "1: ok\n! :2: not UTF-8: byte 0xC3 at byte 2 of the line\n! :3: a NUL byte at byte 1 of the line\n4: ok\n");
    expect_rows(".txt", &small, BYTES("12345678\n123456789\nok\n"),
                "1: 12345678\n! :2: the record is larger than 8 bytes\n3: ok\n");
}

static void a_line_of_many_windows_is_passed_over(void **state)
{
    enum { LONG = 3000000 };
    const ft_reader_opts small = { .max_record = 1000 };
    char *text = malloc(LONG);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', LONG);
    memcpy(text, "a\n", 2);
    memcpy(text + LONG - 3, "\nb\n", 3);
    expect_rows(".txt", &small, text, LONG, "1: a\n! :2: the record is larger than 1000 bytes\n3: b\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_a_row_also_an_empty_one),
        cmocka_unit_test(the_column_is_text),
        cmocka_unit_test(bad_lines_are_refused_and_reading_goes_on),
        cmocka_unit_test(a_line_of_many_windows_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
