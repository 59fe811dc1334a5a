/* tests/data/test_read_tsv.c - TSV with CSV's quotes, TSV where a quote is an ordinary byte, and both at once. */
#include "tests/data/rows.h"

static void tsv(const char *bytes, size_t n, const char *transcript)
{
    expect_rows(".tsv", NULL, bytes, n, transcript);
}

static void quoted_fields_hold_tabs_and_line_breaks(void **state)
{
    (void)state;
    tsv(BYTES("text\tlabel\r\n\"A title\n\tand \"\"the\"\" body\n\nend\"\t1\r\n\"next\"\t0\r\n"),
        "2: A title\n\tand \"the\" body\n\nend|1\n6: next|0\n");
}

static void lone_quote_is_an_ordinary_byte(void **state)
{
    (void)state;
    tsv(BYTES("a\tb\n\"open\t1\nnot \"closed\" yet\t0\nthe \"word\" here\t1\n\t0\n"),
        "2: \"open|1\n3: not \"closed\" yet|0\n4: the \"word\" here|1\n5: |0\n");
    tsv(BYTES("a\tb\n\"word\" first\t1\n\"\t2\n"), "2: \"word\" first|1\n3: \"|2\n");
}

static void quote_that_never_closes_is_an_ordinary_byte(void **state)
{
    (void)state;
    tsv(BYTES("a\tb\n\"x\t1\ny\t2\n"), "2: \"x|1\n3: y|2\n");
}

static void columns_decide_against_quotes(void **state)
{
    (void)state;
    tsv(BYTES("a\tb\tc\n\"x\ty\"\t1\n"), "2: \"x|y\"|1\n"); /* three columns only without quotes */
    tsv(BYTES("a\tb\n\"x\ty\"\t1\n"), "2: x\ty|1\n");       /* two only with them */
}

static void two_readings_that_fit_are_refused(void **state)
{
    static const char both[] = "a\tb\n0\t\"x\n1\ty\"\n2\tz\n";
    const ft_reader_opts quotes = { .quote = "\"" }, none = { .quote = "none" };
    (void)state;
    tsv(BYTES(both), "! :2: quotes that reach to line 3, or lines of their own? Both readings have 2 columns: "
                     "say quote = \"\\\"\" if this file quotes, or quote = \"none\"\n4: 2|z\n");
    expect_rows(".tsv", &quotes, BYTES(both), "2: 0|x\n1\ty\n4: 2|z\n");
    expect_rows(".tsv", &none, BYTES(both), "2: 0|\"x\n3: 1|y\"\n4: 2|z\n");
}

static void strict_quotes_refuse_what_is_not_closed(void **state)
{
    const ft_reader_opts quotes = { .quote = "\"" };
    (void)state;
    expect_rows(".tsv", &quotes, BYTES("a\tb\n\"x\t1\ny\t2\n"),
                "! :2: quote is never closed (the quote was opened on line 2)\n3: y|2\n");
}

static void headerless_form_is_read_by_number(void **state)
{
    const ft_reader_opts no = { .header = "no" };
    (void)state;
    expect_rows(".tsv", &no, BYTES("1\ta fine film\n0\t`` dull ''\n"), "1: 1|a fine film\n2: 0|`` dull ''\n");
}

static void lines_of_empty_cells_are_rows(void **state)
{
    (void)state;
    tsv(BYTES("a\tb\n\t\n"), "2: |\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoted_fields_hold_tabs_and_line_breaks),
        cmocka_unit_test(lone_quote_is_an_ordinary_byte),
        cmocka_unit_test(quote_that_never_closes_is_an_ordinary_byte),
        cmocka_unit_test(columns_decide_against_quotes),
        cmocka_unit_test(two_readings_that_fit_are_refused),
        cmocka_unit_test(strict_quotes_refuse_what_is_not_closed),
        cmocka_unit_test(headerless_form_is_read_by_number),
        cmocka_unit_test(lines_of_empty_cells_are_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
