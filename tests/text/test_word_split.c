/* tests/text/test_word_split.c - words of raw text in both styles, cuts, and running out of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "text/unicode.h"
#include "text/word_split.h"

/* The words of a text with "|" between them. */
static void expect(const char *text, ft_word_style style, const char *want)
{
    ft_word_spans w = { 0 };
    char got[400];
    size_t used, word = 0, n = 0;
    uint32_t i = 0;

    assert_int_equal(ft_word_split(text, strlen(text), style, NULL, 0, &w, NULL), FT_OK);
    for (const char *s = text; *s; s += used, i++) {
        ft_utf8_get(s, &used);
        if (word < w.n && i == w.at[2 * word + 1]) word++;
        if (word == w.n || i < w.at[2 * word]) continue;
        assert_true(n + used + 2 < sizeof got);
        if (word > 0 && i == w.at[2 * word]) got[n++] = '|';
        memcpy(got + n, s, used);
        n += used;
    }
    got[n] = 0;
    assert_string_equal(got, want);
    ft_word_spans_free(&w);
}

static void fine_words_are_runs_of_letters_and_single_symbols(void **state)
{
    (void)state;
    expect("Ana's U.N. trip, 1,000 km!", FT_WORDS_FINE, "Ana|'|s|U|.|N|.|trip|,|1|,|000|km|!");
    expect("  a\tb\r\nc  ", FT_WORDS_FINE, "a|b|c");
    expect("", FT_WORDS_FINE, "");
    expect("x_y \xE6\x9D\xB1\xE4\xBA\xAC", FT_WORDS_FINE, "x_y|\xE6\x9D\xB1|\xE4\xBA\xAC");
}

static void spaced_words_are_those_of_corpora(void **state)
{
    (void)state;
    expect("Ana's U.N. trip, 1,000 km!", FT_WORDS_SPACED, "Ana|'s|U.N.|trip|,|1,000|km|!");
    expect("(Paris-based) J. Doe end.", FT_WORDS_SPACED, "(|Paris-based|)|J.|Doe|end|.");
    expect("@bob #tag a@b.org $5 --x", FT_WORDS_SPACED, "@bob|#tag|a@b.org|$|5|-|-|x");
    expect("Paris,London 10:30: 'tis", FT_WORDS_SPACED, "Paris|,|London|10:30|:|'|tis");
    expect("Ana\xE2\x80\x99s dogs'", FT_WORDS_SPACED, "Ana|\xE2\x80\x99s|dogs|'");
}

static void no_word_ends_inside_of_a_character(void **state)
{
    (void)state;
    expect("\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBDx", FT_WORDS_FINE, "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD|x"); /* skin colour */
    expect("e\xCC\x81t\xC3\xA9", FT_WORDS_FINE, "e\xCC\x81t\xC3\xA9");
    expect("a\xE2\x80\x8B"
           "b",
           FT_WORDS_SPACED,
           "a\xE2\x80\x8B"
           "b"); /* a zero-width space is in the word that it stands in */
}

static void words_end_at_cuts(void **state)
{
    static const uint32_t cuts[] = { 2, 5, 9 };
    static const uint32_t want[] = { 0, 2, 2, 5, 5, 6, 6, 9, 9, 11 };
    ft_word_spans w = { 0 };

    (void)state;
    for (int style = FT_WORDS_FINE; style <= FT_WORDS_SPACED; style++) {
        assert_int_equal(ft_word_split("Paris-based", 11, (ft_word_style)style, cuts, 3, &w, NULL), FT_OK);
        const size_t n = w.n;
        assert_true(n == 5 || (style == FT_WORDS_SPACED && n == 4));
        if (n == 5) assert_memory_equal(w.at, want, sizeof want);
    }
    ft_word_spans_free(&w);
}

static void bad_text_and_no_memory_are_errors(void **state)
{
    ft_word_spans w = { 0 };
    ft_err e;

    (void)state;
    assert_int_equal(ft_word_split("a\xFF", 2, FT_WORDS_FINE, NULL, 0, &w, &e), FT_EDATA);
    for (uint64_t nth = 1;; nth++) {
        ft_mem_fail_at(nth);
        const ft_status s = ft_word_split("one two", 7, FT_WORDS_SPACED, NULL, 0, &w, &e);
        ft_mem_fail_at(0);
        if (!s) break;
        assert_int_equal(s, FT_EMEM);
        assert_true(nth < 10);
    }
    assert_int_equal(w.n, 2);
    ft_word_spans_free(&w);
    assert_null(w.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fine_words_are_runs_of_letters_and_single_symbols),
        cmocka_unit_test(spaced_words_are_those_of_corpora),
        cmocka_unit_test(no_word_ends_inside_of_a_character),
        cmocka_unit_test(words_end_at_cuts),
        cmocka_unit_test(bad_text_and_no_memory_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
