/* tests/data/test_read_csv.c - RFC 4180 by example, and every way a CSV record can be bad. */
#include "tests/data/rows.h"

static void csv(const char *bytes, size_t n, const char *transcript)
{
    expect_rows(".csv", NULL, bytes, n, transcript);
}

static void first_row_is_the_header(void **state)
{
    (void)state;
    csv(BYTES("text,label\ngood film,1\nbad film,0\n"), "2: good film|1\n3: bad film|0\n");
}

static void quotes_hold_delimiters_quotes_and_line_breaks(void **state)
{
    (void)state;
    csv(BYTES("a,b\n\"x,y\",\"he said \"\"no\"\"\"\n\"two\nlines\",\"\"\nlast,row\n"),
        "2: x,y|he said \"no\"\n3: two\nlines|\n5: last|row\n");
}

static void quoted_header_names_are_unquoted(void **state)
{
    (void)state;
    csv(BYTES("\"a\nb\",c\n1,2\n"), "3: 1|2\n");
}

static void crlf_ends_lines_and_stays_inside_quotes(void **state)
{
    (void)state;
    csv(BYTES("a,b\r\n\"x\r\ny\",1\r\nz,2\r\n"), "2: x\r\ny|1\n4: z|2\n");
}

static void lone_cr_is_an_ordinary_byte(void **state)
{
    (void)state;
    csv(BYTES("a,b\nx\ry,1\n"), "2: x\ry|1\n");
}

static void byte_order_mark_is_skipped(void **state)
{
    char path[PATH_SIZE];
    const ft_cell *names;
    ft_reader *r;
    (void)state;
    make_file(path, ".csv",
              BYTES("\xef\xbb\xbf"
                    "a,b\n1,2\n"));
    assert_int_equal(ft_reader_open(&r, path, NULL, NULL), FT_OK);
    assert_int_equal(ft_reader_columns(r, &names), 2);
    assert_string_equal(names[0].ptr, "a");
    assert_string_equal(names[1].ptr, "b");
    ft_reader_close(r);
    unlink(path);
    csv(BYTES("\xef\xbb\xbf\"a\",b\n1,2\n"), "2: 1|2\n");
}

static void last_line_may_lack_its_end(void **state)
{
    (void)state;
    csv(BYTES("a,b\n1,2"), "2: 1|2\n");
    csv(BYTES("a,b\n1,\"2\""), "2: 1|2\n");
    csv(BYTES("a,b\n1,"), "2: 1|\n");
}

static void empty_lines_are_skipped(void **state)
{
    (void)state;
    csv(BYTES("\n\r\na,b\n\n1,2\n\n\n3,4\n\n"), "5: 1|2\n8: 3|4\n");
    csv(BYTES("a\n\"\"\n\nx\n"), "2: \n4: x\n");
}

static void empty_file_has_no_header(void **state)
{
    const ft_reader_opts no = { .header = "no" };
    (void)state;
    csv(BYTES(""), "open: :1: the file is empty: no header");
    csv(BYTES("\xef\xbb\xbf"), "open: :1: the file is empty: no header");
    expect_rows(".csv", &no, BYTES(""), "");
    csv(BYTES("a,b\n"), "");
}

static void quote_inside_a_field_is_ordinary(void **state)
{
    (void)state;
    csv(BYTES("a,b\n5\" disk,x\"\"y\"\n"), "2: 5\" disk|x\"\"y\"\n");
}

static void wrong_number_of_fields_is_refused_and_reading_goes_on(void **state)
{
    (void)state;
    csv(BYTES("a\n1,2\n3\n"), "! :2: expected 1 field, got 2\n3: 3\n");
    csv(BYTES("a,b\n1\n1,2,3\n\"x\n\",2,3\n4,5\n"), "! :2: expected 2 fields, got 1\n! :3: expected 2 fields, got 3\n"
                                                    "! :4: expected 2 fields, got 3\n6: 4|5\n");
}

static void unterminated_quote_names_its_line(void **state)
{
    (void)state;
    csv(BYTES("a,b\n1,2\n3,\"4\n5,6\n7,8\n"),
        "2: 1|2\n! :3: quote is never closed (the quote was opened on line 3)\n4: 5|6\n5: 7|8\n");
    csv(BYTES("a,b\n\"1\n\",\"2\n3,4\n"), "! :3: quote is never closed (the quote was opened on line 3)\n4: 3|4\n");
}

static void text_after_a_closing_quote_names_both_lines(void **state)
{
    (void)state;
    csv(BYTES("a,b\n\"x\"y,1\n3,4\n"), "! :2: text after a closing quote (the quote was opened on line 2)\n3: 3|4\n");
    csv(BYTES("a,b\n\"x,1\n3,4\n5,y \"q\" z\n6,7\n"),
        "! :4: text after a closing quote (the quote was opened on line 2)\n3: 3|4\n4: 5|y \"q\" z\n5: 6|7\n");
}

static void broken_utf8_names_line_and_byte(void **state)
{
    (void)state;
    csv(BYTES("a,b\nx,caf\xe9\ny,ok\n"), "! :2: not UTF-8: byte 0xE9 at byte 6 of the line\n3: y|ok\n");
    csv(BYTES("a,b\n\"x\ncaf\xe9\",1\ny,ok\n"), "! :3: not UTF-8: byte 0xE9 at byte 4 of the line\n4: y|ok\n");
}

static void nul_byte_is_refused(void **state)
{
    (void)state;
    csv(BYTES("a,b\nx,\0y\nz,ok\n"), "! :2: a NUL byte at byte 3 of the line\n3: z|ok\n");
}

static void columns_with_one_name_are_refused(void **state)
{
    (void)state;
    csv(BYTES("text,label,text\n"), "open: :1: two columns are named \"text\"");
    csv(BYTES(",a,\n1,2,3\n"), "2: 1|2|3\n");
}

static void oversized_record_is_refused_and_skipped(void **state)
{
    const ft_reader_opts small = { .max_record = 20 };
    (void)state;
    expect_rows(".csv", &small, BYTES("a,b\n1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n2,x\n"),
                "! :2: the record is larger than 20 bytes\n3: 2|x\n");
    expect_rows(".csv", &small, BYTES("a,b\n\"1\n2\n3\",aaaaaaaaaaaaaaaaaaaaaaaaaaaa\n2,x\n"),
                "! :2: the record is larger than 20 bytes\n5: 2|x\n");
    expect_rows(".csv", &small,
                BYTES("a,b\n1,\"x\n2,y\n3,aaaaaaaaaaaaaaa\n4,\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n5,z\n"),
                "! :2: quote is not closed within the largest size of a record (the quote was opened on line 2)\n"
                "3: 2|y\n4: 3|aaaaaaaaaaaaaaa\n! :5: the record is larger than 20 bytes\n6: 5|z\n");
}

static void long_line_of_a_quoted_record_is_passed_over(void **state)
{
    const ft_reader_opts small = { .max_record = 20 };
    (void)state;
    expect_rows(".csv", &small, BYTES("a,b\n\"1\n2\",\"aaaaaaaaaaaaaaaaaaaaaaaaaaa\n3,x\n4,y\n"),
                "! :2: the record is larger than 20 bytes\n4: 3|x\n5: 4|y\n");
}

/* The window is filled in pieces of 256 KiB; records that lie across its end must not differ. */
static void records_may_lie_across_the_windows_end(void **state)
{
    enum { LONG = 300000 };
    ft_buf in = { 0 }, want = { 0 };
    char *text = malloc(LONG + 1);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    ft_buf_puts(&in, "a,b\n", NULL);
    for (int i = 0; i < 4; i++) {
        ft_buf_printf(&in, NULL, "\"%s\n\"\"\",%d\n%s,%d\n", text, i, text, i);
        ft_buf_printf(&want, NULL, "%d: %s\n\"|%d\n%d: %s|%d\n", 2 + 3 * i, text, i, 4 + 3 * i, text, i);
    }
    csv(in.data, in.len, want.data);
    free(text);
    ft_buf_free(&in);
    ft_buf_free(&want);
}

static void without_header_columns_have_numbers(void **state)
{
    static const char *const numbers[] = { "2", "1" }, *const mixed[] = { "2", "text" };
    const ft_reader_opts no = { .header = "no" }, by_number = { .columns = numbers, .n_columns = 2 };
    const ft_reader_opts by_name = { .columns = mixed, .n_columns = 2 };
    const ft_reader_opts yes = { .columns = numbers, .n_columns = 2, .header = "yes" };
    (void)state;
    expect_rows(".csv", &no, BYTES("1,x\n0,y\n"), "1: 1|x\n2: 0|y\n");
    expect_rows(".csv", &by_number, BYTES("1,x\n0,y\n"), "1: 1|x\n2: 0|y\n");
    expect_rows(".csv", &by_name, BYTES("1,x\n0,y\n"), "2: 0|y\n");
    expect_rows(".csv", &yes, BYTES("1,x\n0,y\n"), "2: 0|y\n");
}

static void without_header_a_bad_first_record_is_reported_by_next(void **state)
{
    const ft_reader_opts no = { .header = "no" };
    (void)state;
    expect_rows(".csv", &no, BYTES("\"1\"x,2\n3,4\n5\n"),
                "! :1: text after a closing quote (the quote was opened on line 1)\n2: 3|4\n"
                "! :3: expected 2 fields, got 1\n");
}

static void delimiter_and_quote_can_be_chosen(void **state)
{
    const ft_reader_opts semicolon = { .delimiter = ";", .quote = "'" }, none = { .quote = "none" };
    (void)state;
    expect_rows(".csv", &semicolon, BYTES("a;b\n'x;''y';\"z\n"), "2: x;'y|\"z\n");
    expect_rows(".csv", &none, BYTES("a,b\n\"x,y\"\n"), "2: \"x|y\"\n");
}

static void refused_bytes_can_be_kept(void **state)
{
    char path[PATH_SIZE];
    const ft_bad_row *bad;
    const ft_row *row;
    ft_reader *r;
    (void)state;
    make_file(path, ".csv", BYTES("a,b\n1,2\n\"x\ny\",2,3\r\n4,5\n"));
    assert_int_equal(ft_reader_open(&r, path, NULL, NULL), FT_OK);
    assert_int_equal(ft_reader_next(r, &row, NULL), FT_OK);
    assert_null(ft_reader_bad(r));
    assert_int_equal(ft_reader_next(r, &row, NULL), FT_EDATA);
    assert_null(row);
    bad = ft_reader_bad(r);
    assert_non_null(bad);
    assert_int_equal(bad->line, 3);
    assert_int_equal(bad->cut, 0);
    assert_int_equal(bad->raw_len, 9);
    assert_memory_equal(bad->raw, "\"x\ny\",2,3", 9);
    assert_int_equal(ft_reader_next(r, &row, NULL), FT_OK);
    assert_int_equal(row->raw_len, 3);
    assert_memory_equal(row->raw, "4,5", 3);
    ft_reader_close(r);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_row_is_the_header),
        cmocka_unit_test(quotes_hold_delimiters_quotes_and_line_breaks),
        cmocka_unit_test(quoted_header_names_are_unquoted),
        cmocka_unit_test(crlf_ends_lines_and_stays_inside_quotes),
        cmocka_unit_test(lone_cr_is_an_ordinary_byte),
        cmocka_unit_test(byte_order_mark_is_skipped),
        cmocka_unit_test(last_line_may_lack_its_end),
        cmocka_unit_test(empty_lines_are_skipped),
        cmocka_unit_test(empty_file_has_no_header),
        cmocka_unit_test(quote_inside_a_field_is_ordinary),
        cmocka_unit_test(wrong_number_of_fields_is_refused_and_reading_goes_on),
        cmocka_unit_test(unterminated_quote_names_its_line),
        cmocka_unit_test(text_after_a_closing_quote_names_both_lines),
        cmocka_unit_test(broken_utf8_names_line_and_byte),
        cmocka_unit_test(nul_byte_is_refused),
        cmocka_unit_test(columns_with_one_name_are_refused),
        cmocka_unit_test(oversized_record_is_refused_and_skipped),
        cmocka_unit_test(long_line_of_a_quoted_record_is_passed_over),
        cmocka_unit_test(records_may_lie_across_the_windows_end),
        cmocka_unit_test(without_header_columns_have_numbers),
        cmocka_unit_test(without_header_a_bad_first_record_is_reported_by_next),
        cmocka_unit_test(delimiter_and_quote_can_be_chosen),
        cmocka_unit_test(refused_bytes_can_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
