/* tests/data/test_writer.c - what is written reads back with the same bytes, for any text. */
#include "core/rng.h"
#include "data/writer.h"
#include "tests/data/rows.h"

static const char *const AB[] = { "a", "b" };

static ft_cell text(const char *s) { return (ft_cell){ s, strlen(s), FT_CELL_STRING }; }

static ft_cell of_kind(const char *s, ft_cell_kind kind) { return (ft_cell){ s, strlen(s), kind }; }

/* Write one row (a, b) in a format and compare the whole file. */
static void expect_file(const char *format, int no_header, ft_cell a, ft_cell b, const char *bytes)
{
    const ft_writer_opts o = { .format = format, .names = AB, .n_names = 2, .no_header = no_header };
    const ft_cell cells[] = { a, b };
    char *data = NULL;
    size_t size = 0;
    ft_writer *w;
    FILE *f = open_memstream(&data, &size);

    assert_non_null(f);
    assert_int_equal(ft_writer_open(&w, f, "memory", &o, NULL), FT_OK);
    assert_int_equal(ft_writer_row(w, cells, NULL), FT_OK);
    assert_int_equal(ft_writer_close(w, NULL), FT_OK);
    fclose(f);
    assert_string_equal(data, bytes);
    free(data);
}

static void csv_quotes_what_needs_it(void **state)
{
    (void)state;
    expect_file("csv", 0, text("plain text"), text("1"), "a,b\nplain text,1\n");
    expect_file("csv", 0, text("x,y"), text("5\" disk"), "a,b\n\"x,y\",\"5\"\" disk\"\n");
    expect_file("csv", 1, text("two\nlines"), text("\r"), "\"two\nlines\",\"\r\"\n");
    expect_file("csv", 1, text(""), of_kind("", FT_CELL_NULL), ",\n");
    expect_file("csv", 1, text("\xef\xbb\xbf"), of_kind("true", FT_CELL_BOOL), "\"\xef\xbb\xbf\",true\n");
}

static void tsv_quotes_only_what_would_be_misread(void **state)
{
    (void)state;
    expect_file("tsv", 0, text("5\" disk, big"), text("1"), "a\tb\n5\" disk, big\t1\n");
    expect_file("tsv", 1, text("\"x\""), text("a\tb"), "\"\"\"x\"\"\"\t\"a\tb\"\n");
}

static void jsonl_writes_each_kind(void **state)
{
    (void)state;
    expect_file("jsonl", 0, text("\"\\\b\f\n\r\t\x01/\xc3\xa9"), text("1"),
                "{\"a\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001/\xc3\xa9\",\"b\":\"1\"}\n");
    expect_file("jsonl", 0, of_kind("0.1", FT_CELL_NUMBER), of_kind("-12", FT_CELL_NUMBER), "{\"a\":0.1,\"b\":-12}\n");
    expect_file("jsonl", 0, of_kind("false", FT_CELL_BOOL), of_kind("", FT_CELL_NULL), "{\"a\":false,\"b\":null}\n");
    expect_file("jsonl", 0, of_kind("[1,\n {\"k\": 1e3}]", FT_CELL_JSON), text(""),
                "{\"a\":[1,{\"k\":1000.0}],\"b\":\"\"}\n");
}

static void a_row_the_reader_would_refuse_is_not_written(void **state)
{
    static const ft_cell bad[] = { { "\xff", 1, FT_CELL_STRING }, { "\0", 1, FT_CELL_STRING } };
    static const ft_cell wrong[] = {
        { "nan", 3, FT_CELL_NUMBER }, { "1", 1, FT_CELL_BOOL }, { "{", 1, FT_CELL_JSON }, { NULL, 0, FT_CELL_NUMBER }
    };
    const ft_writer_opts o = { .format = "jsonl", .names = AB, .n_names = 1 };
    char *data = NULL;
    size_t size = 0;
    ft_writer *w;
    ft_err e;
    FILE *f = open_memstream(&data, &size);
    (void)state;
    assert_int_equal(ft_writer_open(&w, f, "memory", &o, NULL), FT_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(ft_writer_row(w, &bad[i], &e), FT_EDATA);
    assert_string_equal(e.msg, "memory: row 1, column \"a\" is not text: a NUL byte or broken UTF-8");
    for (int i = 0; i < 4; i++) assert_int_equal(ft_writer_row(w, &wrong[i], &e), FT_EDATA);
    assert_string_equal(e.msg, "memory: row 1, column \"a\" is not a number");
    assert_int_equal(ft_writer_close(w, NULL), FT_OK);
    fclose(f);
    assert_int_equal(size, 0);
    free(data);
}

static void wrong_options_are_named(void **state)
{
    static const char *const twice[] = { "a", "b", "a" };
    ft_writer_opts o = { .format = "jsnl", .names = twice, .n_names = 3 };
    ft_writer *w;
    ft_err e;
    (void)state;
    assert_int_equal(ft_writer_open(&w, stdout, "out", &o, &e), FT_EUSAGE);
    assert_string_equal(e.msg,
                        "rows cannot be written as \"jsnl\"; choose csv, tsv or jsonl (did you mean \"jsonl\"?)");
    o.format = "csv";
    assert_int_equal(ft_writer_open(&w, stdout, "out", &o, &e), FT_EUSAGE);
    assert_string_equal(e.msg, "out: two columns are named \"a\"");
    o.n_names = 0;
    assert_int_equal(ft_writer_open(&w, stdout, "out", &o, &e), FT_EUSAGE);
}

static void a_full_disk_is_an_error(void **state)
{
    const ft_writer_opts o = { .format = "csv", .names = AB, .n_names = 2 };
    const ft_cell cells[] = { text("x"), text("y") };
    ft_writer *w;
    ft_err e;
    (void)state;
    FILE *f = fopen("/dev/full", "w");
    if (!f) skip();
    assert_int_equal(ft_writer_open(&w, f, "out.csv", &o, &e), FT_OK);
    assert_int_equal(ft_writer_row(w, cells, &e), FT_OK);
    assert_int_equal(ft_writer_close(w, &e), FT_EIO);
    assert_string_equal(e.msg, "cannot write out.csv: No space left on device");
    fclose(f);
}

static void an_atomic_file_appears_whole(void **state)
{
    const ft_writer_opts o = { .format = "tsv", .names = AB, .n_names = 2 };
    const ft_cell cells[] = { text("x"), text("y") };
    char path[PATH_SIZE];
    ft_buf b = { 0 };
    ft_writer *w;
    ft_atomic a;
    (void)state;
    make_file(path, ".tsv", BYTES("old"));
    assert_int_equal(ft_atomic_open(&a, path, NULL), FT_OK);
    assert_int_equal(ft_writer_open_atomic(&w, &a, &o, NULL), FT_OK);
    assert_int_equal(ft_writer_row(w, cells, NULL), FT_OK);
    assert_int_equal(ft_writer_close(w, NULL), FT_OK);
    assert_int_equal(ft_atomic_commit(&a, NULL), FT_OK);
    assert_int_equal(ft_file_read(&b, path, 100, NULL), FT_OK);
    assert_string_equal(b.data, "a\tb\nx\ty\n");
    ft_buf_free(&b);
    unlink(path);
}

/* ==== Any text ==== */

enum { MAX_COLUMNS = 4, MAX_PIECES = 7, ROWS = 40 };

/* Cell i of the table of a key: a few pieces that are likely to confuse a parser. */
static void random_cell(ft_rng_key key, uint64_t i, ft_buf *b)
{
    static const char *const pieces[] = { "\"",
                                          "\"\"",
                                          ",",
                                          "\t",
                                          "\n",
                                          "\r",
                                          "\r\n",
                                          "a",
                                          "b c",
                                          "\xc3\xa9",
                                          "\xef\xbb\xbf",
                                          "'",
                                          "\\",
                                          "\\n",
                                          "{",
                                          "\x01",
                                          "\xf0\x9f\x98\x80" };
    const uint64_t n = ft_rng_below(key, i * (MAX_PIECES + 1), MAX_PIECES + 1);

    ft_buf_clear(b);
    for (uint64_t k = 0; k < n; k++)
        ft_buf_puts(b, pieces[ft_rng_below(key, i * (MAX_PIECES + 1) + k + 1, sizeof pieces / sizeof *pieces)], NULL);
}

static void write_table(const char *path, ft_rng_key key, const ft_writer_opts *o)
{
    ft_buf cell[MAX_COLUMNS] = { { 0 } };
    ft_cell cells[MAX_COLUMNS];
    ft_writer *w;
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(ft_writer_open(&w, f, path, o, NULL), FT_OK);
    for (uint64_t row = 0; row < ROWS; row++) {
        for (size_t i = 0; i < o->n_names; i++) {
            random_cell(key, row * MAX_COLUMNS + i, &cell[i]);
            cells[i] = (ft_cell){ cell[i].data, cell[i].len, FT_CELL_STRING };
        }
        assert_int_equal(ft_writer_row(w, cells, NULL), FT_OK);
    }
    assert_int_equal(ft_writer_close(w, NULL), FT_OK);
    fclose(f);
    for (size_t i = 0; i < MAX_COLUMNS; i++) ft_buf_free(&cell[i]);
}

/* Read the table and compare every cell. A refused row is passed over, and counted. */
static int refused_rows(const char *path, ft_rng_key key, const ft_reader_opts *o, size_t columns)
{
    ft_buf cell = { 0 };
    const ft_row *row;
    ft_reader *r;
    ft_status s;
    uint64_t n = 0;
    int refused = 0;

    assert_int_equal(ft_reader_open(&r, path, o, NULL), FT_OK);
    for (; (s = ft_reader_next(r, &row, NULL)) == FT_EDATA || row; n++) {
        if (s) {
            refused++;
            continue;
        }
        assert_int_equal(row->n, columns);
        for (size_t i = 0; i < columns; i++) {
            random_cell(key, n * MAX_COLUMNS + i, &cell);
            assert_int_equal(row->cells[i].len, cell.len);
            if (cell.len) assert_memory_equal(row->cells[i].ptr, cell.data, cell.len);
        }
    }
    assert_int_equal(s, FT_OK);
    assert_int_equal(n, ROWS);
    ft_reader_close(r);
    ft_buf_free(&cell);
    return refused;
}

static void any_text_reads_back_the_same(void **state)
{
    static const char *const names[] = { "a,\"b\"", "\xef\xbb\xbf", "c\nd", "\"" };
    static const struct {
        const char *format, *quote;
    } cases[] = { { "csv", NULL }, { "tsv", "\"" }, { "tsv", NULL }, { "jsonl", NULL } };
    char path[PATH_SIZE];
    int refused = 0;
    (void)state;
    make_file(path, ".rows", "", 0);
    for (uint64_t seed = 0; seed < 400; seed++) {
        const ft_rng_key key = ft_rng_site(seed, "rows");
        const size_t k = seed % 4, columns = 1 + seed / 4 % MAX_COLUMNS;
        const int no_header = seed % 3 == 0;
        const ft_writer_opts w = {
            .format = cases[k].format, .names = names, .n_names = columns, .no_header = no_header
        };
        const ft_reader_opts o = { .format = cases[k].format,
                                   .quote = cases[k].quote,
                                   .header = no_header ? "no" : "yes" };
        write_table(path, key, &w);
        const int here = refused_rows(path, key, &o, columns);
        if (k != 2) assert_int_equal(here, 0); /* only TSV whose quotes are to be guessed may be refused */
        refused += here;
    }
    assert_true(refused > 0);
    unlink(path);
}

static void every_failing_allocation_is_survived(void **state)
{
    const ft_writer_opts o = { .format = "jsonl", .names = AB, .n_names = 2 };
    const ft_cell cells[] = { text("x"), of_kind("[1.5]", FT_CELL_JSON) };
    ft_status s = FT_EMEM;
    uint64_t nth = 1;
    (void)state;
    for (; s; nth++) {
        ft_writer *w = NULL;
        FILE *f = fopen("/dev/null", "w");
        assert_non_null(f);
        const size_t before = ft_mem_get().live;
        ft_mem_fail_at(nth);
        s = ft_writer_open(&w, f, "null", &o, NULL);
        if (!s) s = ft_writer_row(w, cells, NULL);
        ft_mem_fail_at(0);
        if (s) assert_int_equal(s, FT_EMEM);
        ft_writer_close(w, NULL);
        assert_int_equal(ft_mem_get().live, before);
        fclose(f);
    }
    assert_true(nth > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(tsv_quotes_only_what_would_be_misread),
        cmocka_unit_test(jsonl_writes_each_kind),
        cmocka_unit_test(a_row_the_reader_would_refuse_is_not_written),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(an_atomic_file_appears_whole),
        cmocka_unit_test(any_text_reads_back_the_same),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
