/* tests/data/test_read_json.c - JSON Lines and arrays of objects: cells, kinds, paths, and bad records. */
#include "tests/data/rows.h"

static void jsonl(const char *bytes, size_t n, const char *t) { expect_rows(".jsonl", NULL, bytes, n, t); }
static void json(const char *bytes, size_t n, const char *t) { expect_rows(".json", NULL, bytes, n, t); }

/* Open these bytes and read the first row. */
static ft_reader *open_row(char path[PATH_SIZE], const char *bytes, size_t n, const ft_row **row)
{
    ft_reader *r;
    make_file(path, ".jsonl", bytes, n);
    assert_int_equal(ft_reader_open(&r, path, NULL, NULL), FT_OK);
    unlink(path);
    assert_int_equal(ft_reader_next(r, row, NULL), FT_OK);
    return r;
}

static void every_line_is_a_row(void **state)
{
    (void)state;
    jsonl(BYTES("{\"a\":\"x\",\"b\":1}\r\n\n  \t\n{\"b\":2,\"a\":\"y\"}"), "1: x|1\n4: 2|y\n");
    jsonl(BYTES(""), "");
    jsonl(BYTES("{}\n"), "1: \n");
}

static void kinds_tell_values_apart(void **state)
{
    static const char line[] = "{\"s\":\"1\",\"n\":1,\"r\":0.1,\"w\":5.0,\"t\":true,\"f\":false,\"z\":null,"
                               "\"o\":{\"k\": [1, 2.5, \"x\\ny\"]},\"e\":[]}";
    static const char *const texts[] = {
        "1", "1", "0.1", "5.0", "true", "false", "", "{\"k\":[1,2.5,\"x\\ny\"]}", "[]"
    };
    static const ft_cell_kind kinds[] = { FT_CELL_STRING, FT_CELL_NUMBER, FT_CELL_NUMBER, FT_CELL_NUMBER, FT_CELL_BOOL,
                                          FT_CELL_BOOL,   FT_CELL_NULL,   FT_CELL_JSON,   FT_CELL_JSON };
    char path[PATH_SIZE];
    const ft_cell *names;
    const ft_row *row;
    ft_reader *r = open_row(path, BYTES(line), &row);
    (void)state;
    assert_int_equal(row->n, 9);
    assert_int_equal(ft_reader_columns(r, &names), 9);
    assert_string_equal(names[8].ptr, "e");
    for (size_t i = 0; i < row->n; i++) {
        assert_string_equal(row->cells[i].ptr, texts[i]);
        assert_int_equal(row->cells[i].len, strlen(texts[i]));
        assert_int_equal(row->cells[i].kind, kinds[i]);
    }
    ft_reader_close(r);
}

static void columns_are_unknown_before_and_after_the_rows(void **state)
{
    char path[PATH_SIZE];
    const ft_cell *names;
    const ft_row *row;
    ft_reader *r;
    (void)state;
    make_file(path, ".jsonl", BYTES("{\"a\":1}\n"));
    assert_int_equal(ft_reader_open(&r, path, NULL, NULL), FT_OK);
    unlink(path);
    assert_int_equal(ft_reader_columns(r, &names), 0);
    assert_int_equal(ft_reader_next(r, &row, NULL), FT_OK);
    assert_int_equal(ft_reader_columns(r, &names), 1);
    assert_int_equal(ft_reader_next(r, &row, NULL), FT_OK);
    assert_null(row);
    assert_int_equal(ft_reader_columns(r, &names), 0);
    ft_reader_close(r);
}

static void escapes_and_surrogates_are_decoded(void **state)
{
    (void)state;
    jsonl(BYTES("{\"a\":\"\\u00e9\\ud83d\\ude00\\t\\\"\\/\"}\n"), "1: \xc3\xa9\xf0\x9f\x98\x80\t\"/\n");
}

static void dotted_paths_reach_inner_fields(void **state)
{
    static const char line[] = "{\"review\":{\"body\":\"good\",\"stars\":5,\"user\":{\"id\":null}},\"a.b\":\"exact\","
                               "\"a\":{\"b\":\"inner\",\"c.d\":{\"e\":\"dot\"}},\"list\":[10,{\"x\":true}]}";
    char path[PATH_SIZE];
    const ft_row *row;
    ft_reader *r = open_row(path, BYTES(line), &row);
    (void)state;
    const ft_cell *body = ft_row_get(row, "review.body"), *stars = ft_row_get(row, "review.stars");
    assert_string_equal(body->ptr, "good");
    assert_int_equal(body->kind, FT_CELL_STRING);
    assert_string_equal(stars->ptr, "5");
    assert_int_equal(stars->kind, FT_CELL_NUMBER);
    assert_int_equal(ft_row_get(row, "review.user.id")->kind, FT_CELL_NULL);
    assert_string_equal(ft_row_get(row, "review.user")->ptr, "{\"id\":null}");
    assert_string_equal(ft_row_get(row, "a.b")->ptr, "exact");
    assert_string_equal(ft_row_get(row, "a.c.d.e")->ptr, "dot");
    assert_string_equal(ft_row_get(row, "list.1")->ptr, "10");
    assert_string_equal(ft_row_get(row, "list.2.x")->ptr, "true");
    assert_string_equal(ft_row_get(row, "2")->ptr, "exact");
    assert_null(ft_row_get(row, "review.title"));
    assert_null(ft_row_get(row, "list.0"));
    assert_null(ft_row_get(row, "list.3"));
    assert_null(ft_row_get(row, "."));
    assert_null(ft_row_get(row, ""));
    assert_null(ft_row_get(row, "9"));
    assert_string_equal(body->ptr, "good"); /* earlier cells stay valid */
    ft_reader_close(r);
}

static void missing_column_names_the_nearest(void **state)
{
    char path[PATH_SIZE];
    const ft_cell *cell;
    const ft_row *row;
    ft_err e;
    ft_reader *r = open_row(path, BYTES("\n{\"sentence\":1}\n"), &row);
    (void)state;
    assert_int_equal(ft_row_need(row, "sentense", &cell, &e), FT_EDATA);
    assert_string_equal(without_path(e.msg, path), ":2: there is no column \"sentense\" (did you mean \"sentence\"?)");
    assert_int_equal(ft_row_need(row, "sentence", &cell, &e), FT_OK);
    assert_string_equal(cell->ptr, "1");
    ft_reader_close(r);
}

static void invalid_json_names_line_and_column(void **state)
{
    (void)state;
    jsonl(BYTES("{\"a\":1}\n{\"a\":tru}\n{\"a\":2}\n"),
          "1: 1\n! :2: invalid JSON in column 8: invalid token near 'tru'\n3: 2\n");
    jsonl(BYTES("{\"a\":1} x\n{\"a\":2}\n"), "! :1: invalid JSON in column 9: end of file expected near 'x'\n2: 2\n");
}

static void line_that_is_no_object_is_refused(void **state)
{
    (void)state;
    jsonl(BYTES("[1]\n\"x\"\n3\nnull\ntrue\n{\"a\":2}\n"),
          "! :1: expected an object, got an array\n! :2: expected an object, got a string\n"
          "! :3: expected an object, got a number\n! :4: expected an object, got null\n"
          "! :5: expected an object, got a boolean\n6: 2\n");
}

static void key_that_comes_twice_is_refused(void **state)
{
    (void)state;
    jsonl(BYTES("{\"a\":1,\"a\":2}\n{\"a\":3}\n"),
          "! :1: invalid JSON in column 10: duplicate object key near '\"a\"'\n2: 3\n");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    jsonl(BYTES("{\"a\":\"\xff\"}\n{\"a\":\"\0\"}\n{\"a\":3}\n"),
          "! :1: not UTF-8: byte 0xFF at byte 7 of the line\n! :2: a NUL byte at byte 7 of the line\n3: 3\n");
    jsonl(BYTES("{\"a\":\"\\u0000\"}\n{\"a\":\"\\ud800\"}\n"),
          "! :1: invalid JSON in column 13: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'\n"
          "! :2: invalid JSON in column 13: invalid Unicode '\\uD800' near '\"\\ud800\"'\n");
}

static void oversized_line_is_refused_and_skipped(void **state)
{
    const ft_reader_opts small = { .max_record = 16 };
    (void)state;
    expect_rows(".jsonl", &small, BYTES("{\"a\":\"0123456789\"}\n{\"a\":1}\n"),
                "! :1: the record is larger than 16 bytes\n2: 1\n");
}

static void array_elements_are_rows(void **state)
{
    (void)state;
    json(BYTES(" [ {\"a\":1},\n  {\"a\":\n   \"],}\\\"\"} ,\n{\"a\":[[1],{}]}\n]\n"), "1: 1\n2: ],}\"\n4: [[1],{}]\n");
    json(BYTES("[]"), "");
    json(BYTES("[{\"a\":1}]"), "1: 1\n");
}

static void json_that_begins_with_an_object_is_json_lines(void **state)
{
    (void)state;
    json(BYTES("\n {\"a\":1}\n{\"a\":2}\n"), "2: 1\n3: 2\n");
}

static void bad_elements_are_refused_and_reading_goes_on(void **state)
{
    (void)state;
    json(BYTES("[{\"a\":1},\n 2, {\"a\":x},{\"a\":3} {\"b\":1},\n{\"a\":4}]"),
         "1: 1\n! :2: expected an object, got a number\n! :2: invalid JSON in column 10: invalid token near 'x'\n"
         "! :2: invalid JSON in column 21: end of file expected near '{'\n3: 4\n");
    json(BYTES("[{\"a\":1},\n]"), "1: 1\n! :2: expected an object, got \"]\"\n");
    json(BYTES("[,{\"a\":1}]"), "! :1: expected an object, got \",\"\n1: 1\n");
    json(BYTES("[{\"a\":1,\n\"b\":,\n\"c\":1},{\"a\":2}]"),
         "! :2: invalid JSON in column 5: unexpected token near ','\n3: 2\n");
}

static void broken_array_ends_the_reading(void **state)
{
    (void)state;
    json(BYTES(""), "! :1: the file is empty: expected an array of objects\n");
    json(BYTES("3"), "! :1: expected an array of objects\n");
    json(BYTES("[{\"a\":1}\n"), "1: 1\n! :2: the file ends inside the array: \"]\" is missing\n");
    json(BYTES("[\n"), "! :2: the file ends inside the array: \"]\" is missing\n");
    json(BYTES("[{\"a\":1},\n{\"a\":\n"), "1: 1\n! :2: the file ends inside an element of the array\n");
    json(BYTES("[{\"a\":1}]\n x"), "1: 1\n! :2: text after the end of the array\n");
}

static void oversized_element_is_refused_and_skipped(void **state)
{
    const ft_reader_opts small = { .max_record = 16 };
    ft_buf in = { 0 };
    (void)state;
    expect_rows(".json", &small, BYTES("[{\"a\":\"01234567\\\"],89\"},\n{\"a\":1}]"),
                "! :1: the record is larger than 16 bytes\n2: 1\n");
    ft_buf_puts(&in, "[{\"a\":\"", NULL);
    for (int i = 0; i < 100000; i++) ft_buf_puts(&in, "0123456\n", NULL);
    ft_buf_puts(&in, "\"},\n{\"a\":1}]", NULL);
    expect_rows(".json", &small, in.data, in.len, "! :1: the record is larger than 16 bytes\n100002: 1\n");
    ft_buf_free(&in);
}

static void elements_may_lie_across_the_windows_end(void **state)
{
    ft_buf in = { 0 }, want = { 0 };
    char *text = malloc(300001);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', 300000);
    text[300000] = '\0';
    for (int i = 0; i < 4; i++) {
        ft_buf_printf(&in, NULL, "%c\n{\"a\": \"%s\", \"b\": %d}", i ? ',' : '[', text, i);
        ft_buf_printf(&want, NULL, "%d: %s|%d\n", i + 2, text, i);
    }
    ft_buf_puts(&in, "]\n", NULL);
    json(in.data, in.len, want.data);
    free(text);
    ft_buf_free(&in);
    ft_buf_free(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_a_row),
        cmocka_unit_test(kinds_tell_values_apart),
        cmocka_unit_test(columns_are_unknown_before_and_after_the_rows),
        cmocka_unit_test(escapes_and_surrogates_are_decoded),
        cmocka_unit_test(dotted_paths_reach_inner_fields),
        cmocka_unit_test(missing_column_names_the_nearest),
        cmocka_unit_test(invalid_json_names_line_and_column),
        cmocka_unit_test(line_that_is_no_object_is_refused),
        cmocka_unit_test(key_that_comes_twice_is_refused),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(oversized_line_is_refused_and_skipped),
        cmocka_unit_test(array_elements_are_rows),
        cmocka_unit_test(json_that_begins_with_an_object_is_json_lines),
        cmocka_unit_test(bad_elements_are_refused_and_reading_goes_on),
        cmocka_unit_test(broken_array_ends_the_reading),
        cmocka_unit_test(oversized_element_is_refused_and_skipped),
        cmocka_unit_test(elements_may_lie_across_the_windows_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
