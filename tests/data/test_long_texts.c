/* tests/data/test_long_texts.c - texts longer than an example: head, head and tail, windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "data/long_texts.h"

#define MOST 64

/* An encoding of n tokens of text 1, 2, 3 ... between 101 and 102. */
typedef struct sample {
    int32_t ids[MOST], types[MOST];
    int8_t sequence[MOST];
    ft_encoding x;
} sample;

static void fill(sample *s, int32_t n)
{
    memset(s, 0, sizeof *s);
    for (int32_t i = 0; i < n + 2; i++) {
        s->ids[i] = i == 0 ? 101 : i == n + 1 ? 102 : i;
        s->sequence[i] = i == 0 || i == n + 1 ? -1 : 0;
    }
    s->x = (ft_encoding){ .ids = s->ids, .type_ids = s->types, .sequence = s->sequence, .n = (size_t)n + 2 };
}

/* Example i of t is these ids. */
static void is(const ft_tokens *t, int64_t i, const int32_t *want, int64_t n)
{
    assert_int_equal(t->offset[i + 1] - t->offset[i], n);
    for (int64_t k = 0; k < n; k++) assert_int_equal(t->ids[t->offset[i] + k], want[k]);
}

#define IS(t, i, ...)                                                                                                  \
    is(t, i, (const int32_t[]){ __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t))

static void what_fits_stays_as_it_is(void **state)
{
    (void)state;
    static const ft_long all[] = { FT_LONG_HEAD, FT_LONG_HEAD_TAIL, FT_LONG_WINDOWS };
    ft_tokens t = { 0 };
    sample s;
    int64_t n;
    ft_err e;

    fill(&s, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ft_long_add(&t, &s.x, 5, all[i], 0, &n, &e), FT_OK);
        assert_int_equal(n, 1);
        IS(&t, i, 101, 1, 2, 3, 102);
    }
    assert_int_equal(ft_long_add(&t, &s.x, 0, FT_LONG_WINDOWS, 0, &n, &e), FT_OK);
    IS(&t, 3, 101, 1, 2, 3, 102);
    ft_tokens_free(&t);
}

static void head_and_tail(void **state)
{
    (void)state;
    ft_tokens t = { 0 };
    sample s;
    int64_t n;
    ft_err e;

    fill(&s, 20);
    assert_int_equal(ft_long_add(&t, &s.x, 10, FT_LONG_HEAD, 0, &n, &e), FT_OK);
    assert_int_equal(ft_long_add(&t, &s.x, 10, FT_LONG_HEAD_TAIL, 0, &n, &e), FT_OK);
    assert_int_equal(n, 1);
    assert_int_equal(ft_long_add(&t, &s.x, 3, FT_LONG_HEAD_TAIL, 0, &n, &e), FT_OK);
    IS(&t, 0, 101, 1, 2, 3, 4, 5, 6, 7, 8, 102);
    IS(&t, 1, 101, 1, 2, 15, 16, 17, 18, 19, 20, 102);
    IS(&t, 2, 101, 20, 102);
    ft_tokens_free(&t);
}

static void windows_are_full_and_evenly_spread(void **state)
{
    (void)state;
    ft_tokens t = { 0 };
    sample s;
    int64_t n;
    ft_err e;

    fill(&s, 10);
    assert_int_equal(ft_long_add(&t, &s.x, 6, FT_LONG_WINDOWS, 0, &n, &e), FT_OK);
    assert_int_equal(n, 3);
    IS(&t, 0, 101, 1, 2, 3, 4, 102);
    IS(&t, 1, 101, 4, 5, 6, 7, 102);
    IS(&t, 2, 101, 7, 8, 9, 10, 102);
    assert_int_equal(ft_long_add(&t, &s.x, 10, FT_LONG_WINDOWS, 7, &n, &e), FT_OK);
    assert_int_equal(n, 3);
    assert_int_equal(ft_long_add(&t, &s.x, 7, FT_LONG_WINDOWS, 99, &n, &e), FT_OK); /* half of 5 is shared: 2 */
    assert_int_equal(n, 3);
    ft_tokens_free(&t);
}

/* Every token is read, neighbours share what was asked for, and no window is longer than allowed. */
static void windows_leave_nothing_out(void **state)
{
    (void)state;
    sample s;
    ft_err e;

    for (int32_t text = 1; text <= 40; text++) {
        for (size_t most = 3; most <= 20; most++) {
            for (size_t stride = 0; stride < most - 2; stride++) {
                ft_tokens t = { 0 };
                int64_t n;
                int32_t seen = 0;
                fill(&s, text);
                assert_int_equal(ft_long_add(&t, &s.x, most, FT_LONG_WINDOWS, stride, &n, &e), FT_OK);
                assert_int_equal(t.n, n);
                for (int64_t i = 0; i < n; i++) {
                    const int32_t *ids = t.ids + t.offset[i], first = ids[1];
                    const int64_t length = t.offset[i + 1] - t.offset[i];
                    assert_true(length == (int64_t)most || (n == 1 && length == text + 2));
                    assert_true(first <= seen + 1 && (i == 0 || first + (int32_t)stride <= seen + 1));
                    seen = ids[length - 2];
                }
                assert_int_equal(seen, text);
                ft_tokens_free(&t);
            }
        }
    }
}

static void pairs_and_lack_of_room_are_refused(void **state)
{
    (void)state;
    ft_tokens t = { 0 };
    sample s;
    int64_t n;
    ft_err e;

    fill(&s, 9);
    s.sequence[5] = -1;
    for (int i = 6; i < 10; i++) s.sequence[i] = 1;
    assert_int_equal(ft_long_add(&t, &s.x, 6, FT_LONG_WINDOWS, 0, &n, &e), FT_EUSAGE);
    assert_non_null(strstr(e.msg, "pair of texts is 11 tokens long"));
    fill(&s, 9);
    assert_int_equal(ft_long_add(&t, &s.x, 2, FT_LONG_WINDOWS, 0, &n, &e), FT_EUSAGE);
    assert_non_null(strstr(e.msg, "leaves no room"));
    assert_int_equal(t.n, 0);
    ft_tokens_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_stays_as_it_is),           cmocka_unit_test(head_and_tail),
        cmocka_unit_test(windows_are_full_and_evenly_spread), cmocka_unit_test(windows_leave_nothing_out),
        cmocka_unit_test(pairs_and_lack_of_room_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
