/* tests/data/test_minhash.c - groups of near texts against comparing all with all by the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "data/minhash.h"

#define N 240
#define MOST 256

static char words[N][MOST];

static double similarity(const char *a, const char *b)
{
    double s = -1;
    assert_int_equal(ft_near_similarity(a, strlen(a), b, strlen(b), &s, NULL), 0);
    return s;
}

static void similarity_is_that_of_runs_of_five_bytes(void **state)
{
    (void)state;
    assert_float_equal(similarity("The lamp, it works!", "the LAMP it works"), 1, 0);
    assert_float_equal(similarity("abcdef", "abcdeg"), 1.0 / 3, 1e-12); /* abcde in both; bcdef, bcdeg */
    assert_float_equal(similarity("abcde", "vwxyz"), 0, 0);
    assert_float_equal(similarity("", "..."), 1, 0);
    assert_float_equal(similarity("ab", "abc"), 0, 0);
    assert_float_equal(similarity("Gr\xc3\xbc\xc3\x9f"
                                  "e",
                                  "gr\xc3\xbc\xc3\x9f"
                                  "e"),
                       1, 0);
}

/* Text k: twelve words drawn by k; each third one repeats the text before with one word changed. */
static void make_texts(void)
{
    const ft_rng_key key = ft_rng_site(7, "minhash");
    for (uint64_t k = 0; k < N; k++) {
        const int copy = k % 3 == 2;
        size_t at = 0;
        for (uint64_t w = 0; w < 12; w++) {
            const uint64_t changed = ft_rng_below(key, k, 12);
            const uint64_t from = copy && w != changed ? k - 1 : k;
            at += (size_t)snprintf(words[k] + at, MOST - at, "%sword%u", w ? " " : "",
                                   (unsigned)ft_rng_below(key, 1000 + from * 16 + w, 5000));
        }
    }
}

static void groups_are_those_of_comparing_all_with_all(void **state)
{
    (void)state;
    const char *texts[N];
    size_t lengths[N];
    int32_t group[N], pairs = 0;

    make_texts();
    for (int i = 0; i < N; i++) {
        texts[i] = words[i];
        lengths[i] = strlen(words[i]);
    }
    assert_int_equal(ft_near_groups(texts, lengths, N, 0.6, group, NULL), 0);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++) {
            const int near = similarity(texts[i], texts[k]) >= 0.6;
            assert_int_equal(near, group[i] == group[k]);
            pairs += near;
        }
    assert_in_range(pairs, 60, 80); /* of 80 pairs the change of one word keeps most above the limit */
}

static void copies_are_one_group_with_the_first_as_its_name(void **state)
{
    (void)state;
    const char *texts[1000];
    size_t lengths[1000];
    int32_t group[1000];

    for (int i = 0; i < 1000; i++) {
        texts[i] = i % 2 ? "all the same" : "and some other text";
        lengths[i] = strlen(texts[i]);
    }
    assert_int_equal(ft_near_groups(texts, lengths, 1000, 1, group, NULL), 0);
    for (int i = 0; i < 1000; i++) assert_int_equal(group[i], i % 2);
    assert_int_equal(ft_near_groups(texts, lengths, 0, 0.8, group, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(similarity_is_that_of_runs_of_five_bytes),
        cmocka_unit_test(groups_are_those_of_comparing_all_with_all),
        cmocka_unit_test(copies_are_one_group_with_the_first_as_its_name),
    };
    return cmocka_run_group_tests_name("minhash", tests, NULL, NULL);
}
