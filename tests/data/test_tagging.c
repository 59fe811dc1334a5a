/* tests/data/test_tagging.c - which token answers for which word, Viterbi, and running out of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "data/tagging.h"

/* "aa bb cccc" as tokens of two characters; two windows that share "bb", with [CLS] and [SEP]. */
static int32_t ids[] = { 9, 1, 2, 8, 9, 2, 3, 4, 8 }, types[9];
static int8_t sequence[] = { -1, 0, 0, -1, -1, 0, 0, 0, -1 };
static uint32_t begin[] = { 0, 0, 3, 0, 0, 3, 6, 8, 0 }, end[] = { 0, 2, 5, 0, 0, 5, 8, 10, 0 };
static size_t window_at[] = { 0, 4, 9 };
static const uint32_t words[] = { 0, 2, 3, 5, 6, 10 };

static ft_encoding encoding(void)
{
    return (ft_encoding){ .ids = ids,
                          .type_ids = types,
                          .sequence = sequence,
                          .begin = begin,
                          .end = end,
                          .window_at = window_at,
                          .n = 9,
                          .n_windows = 2 };
}

static void a_word_is_answered_for_once(void **state)
{
    static const int32_t want[] = { -1, 0, 1, -1, -1, -1, 2, -1, -1 };
    const ft_encoding x = encoding();
    ft_tokens tokens = { 0 };
    ft_tagging g = { 0 };

    (void)state;
    assert_int_equal(ft_tagging_add(&g, &tokens, &x, 0, words, 3, NULL), FT_OK);
    assert_int_equal(ft_tagging_add(&g, &tokens, &x, 5, words, 0, NULL), FT_OK);
    assert_int_equal(g.n, 4);
    assert_int_equal(g.row[1], 0);
    assert_int_equal(g.row[3], 5);
    assert_int_equal(tokens.total, 18);
    assert_memory_equal(g.word, want, sizeof want); /* "bb" is as near to either end: the first window has it */
    for (int t = 9; t < 18; t++) assert_int_equal(g.word[t], -1);
    ft_tagging_free(&g);
    ft_tokens_free(&tokens);
}

static void the_tokens_of_some_examples(void **state)
{
    static const int32_t index[] = { 1, 0 }, want[] = { 2, 3, 4, 8, 9, 1, 2, 8 };
    const ft_encoding x = encoding();
    ft_tokens tokens = { 0 };
    ft_tagging g = { 0 };
    ft_tensor *all, *out;
    ft_err e;
    const ft_shape shape = ft_shape_of(1, 9, 0, 0, 0), wrong = ft_shape_of(1, 8, 0, 0, 0);

    (void)state;
    assert_int_equal(ft_tagging_add(&g, &tokens, &x, 0, words, 3, NULL), FT_OK);
    assert_int_equal(ft_tensor_wrap(&all, FT_I32, &shape, ids, NULL, NULL, NULL), FT_OK);
    assert_int_equal(ft_tokens_take(&tokens, all, index, 2, &out, NULL), FT_OK);
    assert_int_equal(out->shape.dim[0], 9);
    assert_memory_equal((int32_t *)out->data + 1, want, sizeof want);
    ft_tensor_release(out);
    assert_int_equal(ft_tokens_take(&tokens, all, (int32_t[]){ 2 }, 1, &out, &e), FT_EUSAGE);
    ft_tensor_release(all);
    assert_int_equal(ft_tensor_wrap(&all, FT_I32, &wrong, ids, NULL, NULL, NULL), FT_OK);
    assert_int_equal(ft_tokens_take(&tokens, all, index, 2, &out, &e), FT_ESHAPE);
    ft_tensor_release(all);
    ft_tagging_free(&g);
    ft_tokens_free(&tokens);
}

static void nothing_is_lost_without_memory(void **state)
{
    const ft_encoding x = encoding();
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        ft_tokens tokens = { 0 };
        ft_tagging g = { 0 };
        ft_err e;
        ft_mem_fail_at(nth);
        const ft_status s = ft_tagging_add(&g, &tokens, &x, 0, words, 3, &e);
        ft_mem_fail_at(0);
        ft_tagging_free(&g);
        ft_tokens_free(&tokens);
        if (!s) break;
        assert_int_equal(s, FT_EMEM);
        assert_true(nth < 20);
    }
}

/* O B I: I only behind B or I. */
static const unsigned char kind[] = { FT_TAG_OUTSIDE, FT_TAG_BEGIN, FT_TAG_INSIDE }, start[] = { 1, 1, 0 },
                           stop[] = { 1, 1, 1 }, follow[] = { 1, 1, 0, 1, 1, 1, 1, 1, 1 };
static const int32_t type[] = { 0, 1, 1 };
static const ft_tag_rules rules = { 3, kind, type, start, stop, follow };

static void the_best_path_keeps_the_rules(void **state)
{
    /* alone, the words would be O I I: the pair is worth more than an O that forbids it */
    const float x[] = { -0.6f, -0.9f, -3.0f, -2.0f, -3.0f, -0.2f, -2.0f, -3.0f, -0.2f };
    double work[6];
    int32_t back[9], path[3], at = 0;
    ft_tag_span span;

    (void)state;
    ft_tag_viterbi(&rules, x, 3, work, back, path);
    assert_int_equal(path[0], 1);
    assert_int_equal(path[1], 2);
    assert_int_equal(path[2], 2);
    assert_int_equal(ft_tag_next_span(&rules, x, path, 3, &at, &span), 1);
    assert_int_equal(span.first, 0);
    assert_int_equal(span.last, 2);
    assert_int_equal(span.type, 1);
    assert_true(fabs(span.score - (exp(-0.9) + 2 * exp(-0.2)) / 3) < 1e-6);
    assert_int_equal(ft_tag_next_span(&rules, x, path, 3, &at, &span), 0);
    ft_tag_viterbi(&rules, x, 0, work, back, path);
}

static void log_probabilities_sum_to_one_or_are_refused(void **state)
{
    float out[3];

    (void)state;
    assert_int_equal(ft_tag_log_softmax((float[]){ 1000, 1001, -1000 }, 3, out), 1);
    assert_true(fabs(exp(out[0]) + exp(out[1]) + exp(out[2]) - 1.0) < 1e-6);
    assert_int_equal(ft_tag_log_softmax((float[]){ 0, NAN, 0 }, 3, out), 0);
    assert_int_equal(ft_tag_log_softmax((float[]){ 0, INFINITY, 0 }, 3, out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_is_answered_for_once),
        cmocka_unit_test(the_tokens_of_some_examples),
        cmocka_unit_test(nothing_is_lost_without_memory),
        cmocka_unit_test(the_best_path_keeps_the_rules),
        cmocka_unit_test(log_probabilities_sum_to_one_or_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
