/* tests/core/test_rng.c - Philox's published vectors, and the moments of what is drawn from it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

/* Known answers of the authors' distribution (Random123, philox4x32 with 10 rounds). */
static void blocks_are_those_of_the_published_vectors(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } known[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const ft_rng_key key = { { known[i].key[0], known[i].key[1] } };
        uint32_t out[4];
        ft_rng_block(key, known[i].counter, out);
        assert_memory_equal(out, known[i].want, sizeof out);
    }
}

static void keys_differ_by_seed_and_by_site(void **state)
{
    (void)state;
    const ft_rng_key a = ft_rng_site(7, "head.dropout"), again = ft_rng_site(7, "head.dropout");
    const ft_rng_key seed = ft_rng_site(8, "head.dropout"), site = ft_rng_site(7, "head.dropou");
    assert_memory_equal(&a, &again, sizeof a);
    assert_memory_not_equal(&a, &seed, sizeof a);
    assert_memory_not_equal(&a, &site, sizeof a);
    assert_memory_not_equal(&seed, &site, sizeof a);
}

static void uniform_lies_in_its_range_with_its_moments(void **state)
{
    enum { N = 100000 };
    const ft_rng_key key = ft_rng_site(1, "test");
    double sum = 0, square = 0;
    size_t bin[10] = { 0 };
    (void)state;
    for (uint64_t n = 0; n < N; n++) {
        const double u = ft_rng_uniform(key, n);
        assert_true(u >= 0 && u < 1);
        sum += u;
        square += u * u;
        bin[(size_t)(u * 10)]++;
    }
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    assert_true(fabs(square / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    for (size_t i = 0; i < 10; i++) assert_true(fabs((double)bin[i] - N / 10) < 5 * sqrt(N * 0.09));
    assert_true(ft_rng_uniform(key, 5) == ft_rng_uniform(key, 5));
    assert_true(ft_rng_uniform(key, 5) != ft_rng_uniform(key, 5 + (UINT64_C(1) << 32)));
}

static void below_stays_below_and_reaches_all(void **state)
{
    const ft_rng_key key = ft_rng_site(2, "test");
    size_t seen[7] = { 0 };
    (void)state;
    for (uint64_t n = 0; n < 7000; n++) {
        const uint64_t v = ft_rng_below(key, n, 7);
        assert_true(v < 7);
        seen[v]++;
        assert_int_equal(ft_rng_below(key, n, 1), 0);
    }
    for (size_t i = 0; i < 7; i++) assert_true(fabs((double)seen[i] - 1000) < 5 * sqrt(7000 * 6 / 49.0));
}

static void normal_has_its_moments_and_does_not_depend_on_length(void **state)
{
    enum { N = 100001 };
    static float x[N], y[N];
    double m[5] = { 0 };
    (void)state;
    const ft_rng_key key = ft_rng_site(3, "test");
    ft_rng_normal(key, x, N, 2);
    for (size_t i = 0; i < N; i++)
        for (int k = 1; k <= 4; k++) m[k] += pow((double)x[i] / 2, k) / N;
    assert_true(fabs(m[1]) < 5 * sqrt(1.0 / N));
    assert_true(fabs(m[2] - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(m[3]) < 5 * sqrt(15.0 / N));
    assert_true(fabs(m[4] - 3) < 5 * sqrt(96.0 / N));
    ft_rng_normal(key, y, 77, 2);
    assert_memory_equal(x, y, 77 * sizeof *x);
    assert_true(y[77] == 0);
}

static void shuffle_is_a_permutation_and_a_fair_one(void **state)
{
    enum { N = 1000 };
    int32_t p[N], q[N];
    unsigned char seen[N] = { 0 };
    size_t moved = 0, first[3] = { 0 };
    (void)state;
    ft_rng_shuffle(ft_rng_site(4, "order"), p, N);
    for (int32_t i = 0; i < N; i++) {
        assert_true(p[i] >= 0 && p[i] < N);
        assert_int_equal(seen[p[i]]++, 0);
        moved += p[i] != i;
    }
    assert_true(moved > N - 10);
    ft_rng_shuffle(ft_rng_site(4, "order"), q, N);
    assert_memory_equal(p, q, sizeof p);
    ft_rng_shuffle(ft_rng_site(5, "order"), q, N);
    assert_memory_not_equal(p, q, sizeof p);
    for (uint64_t seed = 0; seed < 3000; seed++) {
        ft_rng_shuffle(ft_rng_site(seed, "three"), p, 3);
        first[p[0]]++;
    }
    for (size_t i = 0; i < 3; i++) assert_true(fabs((double)first[i] - 1000) < 5 * sqrt(3000 * 2 / 9.0));
    ft_rng_shuffle(ft_rng_site(4, "order"), p, 1);
    assert_int_equal(p[0], 0);
    ft_rng_shuffle(ft_rng_site(4, "order"), NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_those_of_the_published_vectors),
        cmocka_unit_test(keys_differ_by_seed_and_by_site),
        cmocka_unit_test(uniform_lies_in_its_range_with_its_moments),
        cmocka_unit_test(below_stays_below_and_reaches_all),
        cmocka_unit_test(normal_has_its_moments_and_does_not_depend_on_length),
        cmocka_unit_test(shuffle_is_a_permutation_and_a_fair_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
