/* tests/data/test_charset.c - files in UTF-16 and Latin-1: marks, surrogates, what is no text, records across the windows. */
#include "data/charset.h"
#include "rows.h"

static void read_as(const char *encoding, const char *bytes, size_t n, const char *transcript)
{
    const ft_reader_opts o = { .encoding = encoding };
    expect_rows(".csv", &o, bytes, n, transcript);
}

static void utf16_is_known_by_its_mark(void **state)
{
    (void)state;
    read_as(NULL,
            BYTES("\xff\xfe"
                  "a\0,\0b\0\n\0"
                  "\xe9\0,\0\x3d\xd8\x00\xde\n\0"),
            "2: \xc3\xa9|\xf0\x9f\x98\x80\n");
    read_as("utf-16", BYTES("\xfe\xff\0a\0,\0b\0\r\0\n\0x\0,\x20\xac\0\r\0\n"), "2: x|\xe2\x82\xac\n");
}

static void utf16_without_a_mark_must_say_which(void **state)
{
    (void)state;
    read_as("utf-16le", BYTES("a\0\n\0x\0"), "2: x\n");
    read_as("UTF-16BE", BYTES("\0a\0\n\0x"), "2: x\n");
    read_as("utf-16", BYTES("a\0\n\0x\0"),
            "open: :1: UTF-16 without a byte order mark; say encoding = utf-16le or utf-16be");
}

static void a_mark_of_another_encoding_is_refused(void **state)
{
    (void)state;
    read_as(
        "utf-8",
        BYTES("\xff\xfe"
              "a\0"),
        "open: :1: it begins with the byte order mark of UTF-16 (little-endian), but another encoding was asked for");
    read_as("utf-16le", BYTES("\xfe\xff\0a"),
            "open: :1: it begins with the byte order mark of UTF-16 (big-endian), but another encoding was asked for");
    read_as("latin-1",
            BYTES("\xef\xbb\xbf"
                  "a\nx\n"),
            "open: :1: it begins with the byte order mark of UTF-8, but another encoding was asked for");
    read_as(NULL, BYTES("\xff\xfe\0\0a\0\0\0"), "open: :1: this is UTF-32; convert it to UTF-8");
}

static void latin1_is_read_where_it_is_asked_for(void **state)
{
    (void)state;
    read_as("latin-1", BYTES("a,b\ncaf\xe9,\xff\n"), "2: caf\xc3\xa9|\xc3\xbf\n");
    read_as("iso-8859-1", BYTES("a\nx\n"), "2: x\n");
    read_as(NULL,
            BYTES("\xef\xbb\xbf"
                  "a\nx\n"),
            "2: x\n");
}

static void half_characters_are_refused_with_their_line(void **state)
{
    (void)state;
    read_as("utf-16le", BYTES("a\0\n\0x\0\x3d\xd8y\0\n\0z\0\n\0"),
            "! :2: not UTF-16: half of a character after 1 bytes (as UTF-8) of the line\n3: z\n");
    read_as("utf-16le", BYTES("a\0\n\0x\0\x00\xde\n\0"),
            "! :2: not UTF-16: half of a character after 1 bytes (as UTF-8) of the line\n");
    read_as("utf-16le", BYTES("a\0\n\0x\0y"),
            "! :2: not UTF-16: half of a character after 1 bytes (as UTF-8) of the line\n");
    read_as("utf-16le", BYTES("a\0\n\0x\0\x3d\xd8"),
            "! :2: not UTF-16: half of a character after 1 bytes (as UTF-8) of the line\n");
}

static void characters_lie_across_the_pieces_that_are_read(void **state)
{
    (void)state;
    enum { N = 400000 };
    ft_buf b = { 0 };
    char path[PATH_SIZE];
    const ft_reader_opts o = { .encoding = "utf-16be", .format = "lines" };
    const ft_row *row;
    ft_reader *r;
    ft_err e;

    ft_buf_add(&b, "\0x", 2, NULL); /* pairs at odd units */
    for (int i = 0; i < N; i++) ft_buf_add(&b, "\xd8\x3d\xde\x00", 4, NULL);
    make_file(path, ".txt", b.data, b.len);
    assert_int_equal(ft_reader_open(&r, path, &o, &e), FT_OK);
    assert_int_equal(ft_reader_next(r, &row, &e), FT_OK);
    assert_int_equal(row->cells[0].len, 1 + 4 * N);
    for (int i = 0; i < N; i++) assert_memory_equal(row->cells[0].ptr + 1 + 4 * (size_t)i, "\xf0\x9f\x98\x80", 4);
    ft_reader_close(r);
    ft_buf_free(&b);
    unlink(path);
}

static void an_unknown_name_has_a_nearest_one(void **state)
{
    (void)state;
    ft_charset c;
    ft_err e;
    assert_int_equal(ft_charset_find(&c, "utf-61", &e), FT_EUSAGE);
    assert_non_null(strstr(e.msg, "did you mean \"utf-16\"?"));
}

static void missing_paths_in_json_have_a_nearest_one(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    const ft_row *row;
    const ft_cell *cell;
    ft_reader *r;
    ft_err e;

    make_file(path, ".jsonl", BYTES("{\"id\": 1, \"review\": {\"body\": \"x\", \"by\": {\"name\": \"y\"}}}\n"));
    assert_int_equal(ft_reader_open(&r, path, NULL, &e), FT_OK);
    assert_int_equal(ft_reader_next(r, &row, &e), FT_OK);
    assert_int_equal(ft_row_need(row, "review.body", &cell, &e), FT_OK);
    assert_string_equal(cell->ptr, "x");
    assert_int_equal(ft_row_need(row, "reviews.body", &cell, &e), FT_EDATA);
    assert_non_null(strstr(e.msg, ":1: there is no column \"reviews.body\" (did you mean \"review.body\"?)"));
    assert_int_equal(ft_row_need(row, "review.by.nam", &cell, &e), FT_EDATA);
    assert_non_null(strstr(e.msg, "(did you mean \"review.by.name\"?)"));
    ft_reader_close(r);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf16_is_known_by_its_mark),
        cmocka_unit_test(utf16_without_a_mark_must_say_which),
        cmocka_unit_test(a_mark_of_another_encoding_is_refused),
        cmocka_unit_test(latin1_is_read_where_it_is_asked_for),
        cmocka_unit_test(half_characters_are_refused_with_their_line),
        cmocka_unit_test(characters_lie_across_the_pieces_that_are_read),
        cmocka_unit_test(an_unknown_name_has_a_nearest_one),
        cmocka_unit_test(missing_paths_in_json_have_a_nearest_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
