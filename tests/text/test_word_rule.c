/* tests/text/test_word_rule.c - where words begin, told from the tokens of each kind of vocabulary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "text/word_rule.h"

#define DIR "tests/fixtures/tokenizer/"

/* The places of the text, in code points, where tokens begin words. */
static void begins(const char *tokenizer, ft_word_rule rule, const char *text, const char *want)
{
    const ft_encode_opts o = { .add_special = true, .want_offsets = true };
    ft_tokenizer *t;
    ft_word_kinds k;
    ft_encoding x = { 0 };
    ft_buf b = { 0 };
    ft_err e;

    if (ft_tokenizer_load(&t, tokenizer, &e)) fail_msg("%s", e.msg);
    assert_int_equal(ft_word_kinds_of(&k, t, &e), FT_OK);
    assert_int_equal(k.rule, rule);
    assert_int_equal(ft_tokenizer_encode(t, text, strlen(text), NULL, 0, &o, &x, &e), FT_OK);
    for (size_t i = 0; i < x.n; i++)
        if (ft_word_begins(&k, x.ids, (int64_t)i)) ft_buf_printf(&b, NULL, "%s%u", b.len ? " " : "", x.begin[i]);
    assert_string_equal(b.data, want);
    ft_buf_free(&b);
    ft_encoding_free(&x);
    ft_word_kinds_free(&k);
    ft_tokenizer_release(t);
}

static void wordpiece_marks_what_goes_on(void **state)
{
    (void)state;
    begins(DIR "json", FT_WORDS_PREFIXED, "the cats, 12", "0 4 8 10");
}

/* "Don" "'t" " stop" "," " at" " 12" ":" "30" " now", and a letter of two bytes that are tokens of their own. */
static void byte_level_words_begin_with_a_blank_or_another_sort(void **state)
{
    (void)state;
    begins(DIR "bytes", FT_WORDS_SORTED, "Don't stop, at 12:30 now", "0 3 6 10 12 15 17 18 21");
    begins(DIR "bytes", FT_WORDS_SORTED, "a\xD1\x8F\xD0\xB6 b", "0 4");
}

static void marked_words_begin_with_the_mark(void **state)
{
    (void)state;
    begins(DIR "unigram.json", FT_WORDS_MARKED, "the cats, 12:30", "0 4 10");
    begins(DIR "fallback.json", FT_WORDS_MARKED, "the cats \xE2\x82\xAC", "0 3 8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wordpiece_marks_what_goes_on),
        cmocka_unit_test(byte_level_words_begin_with_a_blank_or_another_sort),
        cmocka_unit_test(marked_words_begin_with_the_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
