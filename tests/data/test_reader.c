/* tests/data/test_reader.c - options, standard input, memory: what all formats share. */
#include <fcntl.h>

#include <jansson.h>

#include "tests/data/rows.h"

static void usage(const char *suffix, ft_reader_opts o, const char *message)
{
    char path[PATH_SIZE];
    ft_reader *r;
    ft_err e;
    make_file(path, suffix, BYTES("a,b\n1,2\n"));
    assert_int_equal(ft_reader_open(&r, path, &o, &e), FT_EUSAGE);
    unlink(path);
    assert_null(r);
    assert_string_equal(without_path(e.msg, path), message);
}

static void wrong_options_are_named(void **state)
{
    (void)state;
    usage(".csv", (ft_reader_opts){ .format = "jsnol" },
          "format \"jsnol\" is not known; choose auto, csv, tsv, jsonl, json or lines (did you mean \"jsonl\"?)");
    usage(".csv", (ft_reader_opts){ .delimiter = "ab" }, "delimiter must be one ASCII character or tab, not \"ab\"");
    usage(".csv", (ft_reader_opts){ .delimiter = "\n" }, "delimiter must be one ASCII character or tab, not \"\n\"");
    usage(".csv", (ft_reader_opts){ .delimiter = "\"" }, "quote and delimiter are both \"\"\"");
    usage(".csv", (ft_reader_opts){ .quote = "" }, "quote must be auto, none or one ASCII character, not \"\"");
    usage(".csv", (ft_reader_opts){ .header = "maybe" }, "header must be auto, yes or no, not \"maybe\"");
    usage(".csv", (ft_reader_opts){ .encoding = "latin-2" },
          "encoding \"latin-2\" is not known; choose auto, utf-8, utf-16, utf-16le, utf-16be or latin-1 (did you mean "
          "\"latin-1\"?)");
    usage(".xyz", (ft_reader_opts){ 0 },
          ": the name does not tell the format; say format = csv, tsv, jsonl, json or lines");
}

static void extension_tells_the_format(void **state)
{
    static const char *const pairs[][2] = { { ".csv", "csv" },     { ".TSV", "tsv" },      { ".tab", "tsv" },
                                            { ".jsonl", "jsonl" }, { ".ndjson", "jsonl" }, { ".json", "json" },
                                            { ".txt", "lines" } };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char path[PATH_SIZE];
        ft_reader *r;
        make_file(path, pairs[i][0], BYTES("a\n"));
        assert_int_equal(ft_reader_open(&r, path, NULL, NULL), FT_OK);
        unlink(path);
        assert_string_equal(ft_reader_format(r), pairs[i][1]);
        ft_reader_close(r);
    }
}

static void a_named_format_wins(void **state)
{
    const ft_reader_opts tsv = { .format = "tsv", .encoding = "UTF-8" };
    (void)state;
    expect_rows(".csv", &tsv, BYTES("a\tb,c\n1\t2\n"), "2: 1|2\n");
    expect_rows(".data", &tsv, BYTES("a\tb\n1\t2\n"), "2: 1|2\n");
}

static void a_file_that_is_not_there_is_named(void **state)
{
    ft_reader *r;
    ft_err e;
    (void)state;
    assert_int_equal(ft_reader_open(&r, "no/such/file.csv", NULL, &e), FT_EIO);
    assert_string_equal(e.msg, "no/such/file.csv: No such file or directory");
    assert_int_equal(ft_reader_open(&r, "runtime", &(ft_reader_opts){ .format = "csv" }, &e), FT_EIO);
    assert_string_equal(e.msg, "runtime: Is a directory");
}

static void columns_are_found_by_name_and_by_number(void **state)
{
    char path[PATH_SIZE];
    const ft_row *row;
    ft_reader *r;
    (void)state;
    make_file(path, ".csv", BYTES("text,1,x\na,b,c\n"));
    assert_int_equal(ft_reader_open(&r, path, NULL, NULL), FT_OK);
    unlink(path);
    assert_int_equal(ft_reader_next(r, &row, NULL), FT_OK);
    assert_string_equal(ft_row_get(row, "text")->ptr, "a");
    assert_string_equal(ft_row_get(row, "1")->ptr, "b"); /* the name comes before the number */
    assert_string_equal(ft_row_get(row, "3")->ptr, "c");
    assert_null(ft_row_get(row, "4"));
    assert_null(ft_row_get(row, "0"));
    assert_null(ft_row_get(row, "99999999999999999999999"));
    assert_null(ft_row_get(row, "text.body"));
    ft_reader_close(r);
}

/* Read `bytes` from standard input. */
static void expect_stdin(const char *bytes, size_t n, const char *transcript)
{
    char path[PATH_SIZE];
    ft_buf b = { 0 };
    ft_reader *r;

    make_file(path, ".in", bytes, n);
    const int saved = dup(STDIN_FILENO), fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    dup2(fd, STDIN_FILENO);
    close(fd);
    unlink(path);
    assert_int_equal(ft_reader_open(&r, "-", NULL, NULL), FT_OK);
    assert_int_equal(transcribe(&b, r, "standard input"), FT_OK);
    ft_reader_close(r);
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    assert_string_equal(b.data, transcript);
    ft_buf_free(&b);
}

static void standard_input_is_lines_or_json_lines(void **state)
{
    (void)state;
    expect_stdin(BYTES("a,b\n[x]\n\xff\n"), "1: a,b\n2: [x]\n! :3: not UTF-8: byte 0xFF at byte 1 of the line\n");
    expect_stdin(BYTES(" \n{\"a\":1}\n"), "2: 1\n");
}

/* ==== Memory ==== */

/* Highest memory in use, above what was in use before, while a file of n rows is read. */
static size_t peak_of(const char *suffix, const char *head, const char *row_of, const char *tail, int n)
{
    char path[PATH_SIZE];
    const ft_row *row;
    ft_reader *r;
    int rows = 0;

    make_file(path, suffix, head, strlen(head));
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    for (int i = 0; i < n; i++) fprintf(f, row_of, i, i);
    fputs(tail, f);
    fclose(f);
    const size_t before = ft_mem_get().live;
    ft_mem_reset_peak();
    assert_int_equal(ft_reader_open(&r, path, NULL, NULL), FT_OK);
    while (ft_reader_next(r, &row, NULL) == FT_OK && row) rows++;
    const size_t peak = ft_mem_get().peak - before;
    ft_reader_close(r);
    unlink(path);
    assert_true(rows == n || rows == n + 1); /* an array has one more before its first comma */
    assert_int_equal(ft_mem_get().live, before);
    return peak;
}

static void memory_does_not_grow_with_the_file(void **state)
{
    static const char csv_row[] =
        "\"review %05d says \"\"fine\"\"\nand more, much more of the same, on two lines\",%05d\n";
    static const char json_row[] = "{\"text\":\"review %05d says fine\",\"label\":\"%05d\"}\n";
    static const char json_element[] = ",\n{\"text\":\"review %05d says fine\",\"label\":\"%05d\"}";
    (void)state;
    json_set_alloc_funcs(ft_malloc, ft_free); /* so that its memory is counted */
    const size_t few = peak_of(".csv", "text,label\n", csv_row, "", 5000);
    const size_t many = peak_of(".csv", "text,label\n", csv_row, "", 50000);
    assert_int_equal(few, many);
    assert_true(many < 1 << 20);
    assert_true(peak_of(".jsonl", "", json_row, "", 50000) < 1 << 20);
    assert_true(peak_of(".json", "[{\"text\":\"first\"}", json_element, "]", 50000) < 1 << 20);
    json_set_alloc_funcs(malloc, free);
}

/* A whole reading with allocation number n and all later ones failing; after the first FT_EMEM memory comes back and
 * the reading goes on. The rows must be those of a reading without trouble. Returns 1 if nothing failed. */
static int read_with_failure(const char *path, uint64_t n, const char *transcript)
{
    ft_buf b = { 0 };
    ft_reader *r = NULL;
    const ft_row *row;
    ft_err e;

    ft_buf_reserve(&b, 4096, NULL);
    const size_t before = ft_mem_get().live;
    ft_mem_fail_at(n);
    ft_status s = ft_reader_open(&r, path, NULL, &e);
    while (!s || s == FT_EDATA) {
        s = ft_reader_next(r, &row, &e);
        if (!s && !row) break;
        if (!s) add_row(&b, row);
        if (!s && ft_row_get(row, "o.k")) ft_buf_puts(&b, "path\n", NULL);
        if (s == FT_EDATA) ft_buf_printf(&b, NULL, "! %s\n", without_path(e.msg, path));
    }
    ft_mem_fail_at(0);
    if (s) assert_int_equal(s, FT_EMEM);
    const int finished = !s;
    if (!finished && r) {
        while ((s = ft_reader_next(r, &row, &e)) == FT_EDATA || row) {
            if (!s) add_row(&b, row);
            if (!s && ft_row_get(row, "o.k")) ft_buf_puts(&b, "path\n", NULL);
            if (s == FT_EDATA) ft_buf_printf(&b, NULL, "! %s\n", without_path(e.msg, path));
        }
    }
    if (r && strlen(transcript)) {
        /* A path that could not be looked up leaves its line out; all else must be there. */
        char *at = b.data;
        for (const char *p = transcript; *p; p = strchr(p, '\n') + 1) {
            const size_t len = (size_t)(strchr(p, '\n') - p) + 1;
            if (!strncmp(at, p, len))
                at += len;
            else
                assert_memory_equal(p, "path\n", 5);
        }
        assert_string_equal(at, "");
    }
    ft_reader_close(r);
    assert_int_equal(ft_mem_get().live, before);
    ft_buf_free(&b);
    return finished;
}

static void sweep(const char *suffix, const char *bytes, size_t n, const char *transcript)
{
    char path[PATH_SIZE];
    uint64_t nth = 1;

    make_file(path, suffix, bytes, n);
    while (!read_with_failure(path, nth, transcript)) {
        nth++;
        assert_true(nth < 2000);
    }
    unlink(path);
    assert_true(nth > 5);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    sweep(".csv", BYTES("a,b\n1,2\n\"x\ny\",\"z\"\n3\n5,6\n"),
          "2: 1|2\n3: x\ny|z\n! :5: expected 2 fields, got 1\n6: 5|6\n");
    sweep(".tsv", BYTES("a\tb\n\"x\ty\"\t2\n\"z\t1\n"), "2: x\ty|2\n3: \"z|1\n");
    sweep(".jsonl", BYTES("{\"a\":1,\"o\":{\"k\":[1]}}\n{\"a\":}\n{\"b\":\"x\",\"o\":{\"k\":\"y\"}}\n"),
          "1: 1|{\"k\":[1]}\npath\n! :2: invalid JSON in column 6: unexpected token near '}'\n3: "
          "x|{\"k\":\"y\"}\npath\n");
    sweep(".json", BYTES("[{\"a\":1},\n{\"a\":[true,0.5]}]"), "1: 1\n2: [true,0.5]\n");
    sweep(".txt", BYTES("a\nb\n"), "1: a\n2: b\n");
}

/* jansson reports some of them as wrong syntax, so only memory and crashes are looked at here. */
static void failing_allocations_of_the_json_library_lose_no_memory(void **state)
{
    static const char rows[] = "{\"a\":[1.5,\"x\"],\"o\":{\"k\":\"\\n\"}}\n{\"o\":{\"k\":[]}}\n";
    char path[PATH_SIZE];
    int finished = 0;
    (void)state;
    json_set_alloc_funcs(ft_malloc, ft_free);
    make_file(path, ".jsonl", BYTES(rows));
    for (uint64_t nth = 1; nth <= 100; nth++) finished += read_with_failure(path, nth, "");
    unlink(path);
    json_set_alloc_funcs(malloc, free);
    assert_true(finished > 10 && finished < 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(extension_tells_the_format),
        cmocka_unit_test(a_named_format_wins),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(columns_are_found_by_name_and_by_number),
        cmocka_unit_test(standard_input_is_lines_or_json_lines),
        cmocka_unit_test(memory_does_not_grow_with_the_file),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(failing_allocations_of_the_json_library_lose_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
