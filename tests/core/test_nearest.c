/* tests/core/test_nearest.c - edit distance by hand-worked cases, and what counts as close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/nearest.h"

static void distance_counts_the_four_edits(void **state)
{
    (void)state;
    assert_int_equal(ft_edit_distance("", ""), 0);
    assert_int_equal(ft_edit_distance("abc", ""), 3);
    assert_int_equal(ft_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(ft_edit_distance("label", "lable"), 1); /* a swap is one edit */
    assert_int_equal(ft_edit_distance("ca", "abc"), 3);      /* aligned: a swapped pair is not edited again */
    assert_int_equal(ft_edit_distance("Label", "lABEL"), 0);
}

static void distance_is_symmetric(void **state)
{
    static const char *const words[] = { "sentence", "sentense", "label", "text", "a", "", "etxt" };
    (void)state;
    for (size_t i = 0; i < 7; i++)
        for (size_t j = 0; j < 7; j++)
            assert_int_equal(ft_edit_distance(words[i], words[j]), ft_edit_distance(words[j], words[i]));
}

static void nearest_finds_the_misspelt_word(void **state)
{
    static const char *const choices[] = { "sentence", "label", "text" };
    (void)state;
    assert_string_equal(ft_nearest("sentense", choices, 3), "sentence");
    assert_string_equal(ft_nearest("lable", choices, 3), "label");
    assert_string_equal(ft_nearest("TEXT", choices, 3), "text");
    assert_string_equal(ft_nearest("texts", choices, 3), "text");
}

static void a_beginning_is_completed_if_one_choice_has_it(void **state)
{
    static const char *const choices[] = { "input", "output", "outline", "labels" };
    (void)state;
    assert_string_equal(ft_nearest("outp", choices, 4), "output");
    assert_string_equal(ft_nearest("lab", choices, 4), "labels");
    assert_string_equal(ft_nearest("outl", choices, 4), "outline");
    assert_null(ft_nearest("la", choices, 4));
}

static void nearest_is_null_when_nothing_is_close(void **state)
{
    static const char *const choices[] = { "sentence", "label", "x" };
    (void)state;
    assert_null(ft_nearest("rating", choices, 3));
    assert_null(ft_nearest("q", choices, 3));
    assert_null(ft_nearest("", choices, 3));
    assert_null(ft_nearest("label", choices, 0));
}

static void equal_distance_takes_the_first(void **state)
{
    static const char *const choices[] = { "train", "trail" };
    (void)state;
    assert_ptr_equal(ft_nearest("traix", choices, 2), choices[0]);
}

static void very_long_words_are_not_compared(void **state)
{
    char word[200];
    const char *choices[1] = { word };
    (void)state;
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_true(ft_edit_distance(word, "a") == SIZE_MAX);
    assert_null(ft_nearest(word, choices, 1));
    word[64] = '\0';
    assert_ptr_equal(ft_nearest(word, choices, 1), word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_the_four_edits),
        cmocka_unit_test(distance_is_symmetric),
        cmocka_unit_test(nearest_finds_the_misspelt_word),
        cmocka_unit_test(nearest_is_null_when_nothing_is_close),
        cmocka_unit_test(equal_distance_takes_the_first),
        cmocka_unit_test(very_long_words_are_not_compared),
        cmocka_unit_test(a_beginning_is_completed_if_one_choice_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
