/* tests/text/test_unicode.c - UTF-8, character classes and the BERT normaliser's buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text/norm.h"
#include "text/unicode.h"

static int is_surrogate(uint32_t cp) { return cp >= 0xD800 && cp <= 0xDFFF; }

static void every_code_point_round_trips(void **state)
{
    char s[4];
    size_t used;

    (void)state;
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        const size_t n = ft_utf8_put(s, cp);
        assert_int_equal(ft_utf8_check(s, n, NULL), is_surrogate(cp) ? FT_EDATA : FT_OK);
        if (is_surrogate(cp)) continue;
        assert_int_equal(ft_utf8_get(s, &used), cp);
        assert_int_equal(used, n);
        assert_int_equal(ft_utf8_before(s, n, &used), cp);
        assert_int_equal(ft_utf8_count(s, n), 1);
    }
}

static void cut_sequences_are_not_utf8(void **state)
{
    static const char text[] = "abcdefgh\xF0\x9F\x98\x80";
    ft_err e;

    (void)state;
    for (size_t n = 9; n < 12; n++) {
        assert_int_equal(ft_utf8_check(text, n, &e), FT_EDATA);
        assert_non_null(strstr(e.msg, "byte 8"));
    }
    assert_int_equal(ft_utf8_check(text, 12, &e), FT_OK);
}

static void classes_are_the_reference_s(void **state)
{
    static const struct {
        uint32_t cp;
        unsigned class;
    } want[] = {
        { 0, FT_UC_REMOVE },
        { '\t', FT_UC_SPACE },
        { 0x0B, FT_UC_REMOVE | FT_UC_SPACE },
        { '$', FT_UC_PUNCT },
        { '_', FT_UC_PUNCT | FT_UC_WORD },
        { 'x', FT_UC_WORD },
        { 0xE9, FT_UC_WORD | FT_UC_NFD },
        { 0x301, FT_UC_MARK | FT_UC_WORD | FT_UC_NFD },
        { 0x1734, FT_UC_MARK | FT_UC_WORD | FT_UC_NFD }, /* Mn until Unicode 14 */
        { 0x200B, FT_UC_REMOVE },
        { 0x2028, FT_UC_SPACE },
        { 0x2E52, 0 }, /* punctuation only since Unicode 14 */
        { 0x4E00, FT_UC_CJK | FT_UC_WORD },
        { 0xAC00, FT_UC_WORD | FT_UC_NFD },
        { 0xE000, FT_UC_REMOVE },
        { 0xFFFD, FT_UC_REMOVE },
        { 0x1F600, 0 },
        { 0x2F800, FT_UC_CJK | FT_UC_WORD | FT_UC_NFD },
        { 0x10FFFF, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (ft_uc_class(want[i].cp) != want[i].class) fail_msg("U+%04X is %u", want[i].cp, ft_uc_class(want[i].cp));
}

static void lower_case_has_no_context(void **state)
{
    uint32_t low[2];

    (void)state;
    assert_int_equal(ft_uc_lower(0x130, low), 2);
    assert_int_equal(low[1], 0x307);
    assert_int_equal(ft_uc_lower(0x3A3, low), 1);
    assert_int_equal(low[0], 0x3C3); /* sigma, never its final form */
    assert_int_equal(ft_uc_lower(0x1E9E, low), 1);
    assert_int_equal(low[0], 0xDF);
    assert_int_equal(ft_uc_lower(0x16EA0, low), 1); /* of Unicode 17 */
    assert_int_equal(low[0], 0x16EBB);
}

/* The normaliser reserves three bytes for each of the source. */
static void no_character_outgrows_its_room(void **state)
{
    ft_normal out = { 0 };
    char s[4];

    (void)state;
    for (unsigned k = 0; k < 8; k++) {
        const ft_bert_norm norm = { k & 1, true, k & 2, k & 4 };
        for (uint32_t cp = 0; cp < 0x110000; cp++) {
            if (is_surrogate(cp)) continue;
            const size_t n = ft_utf8_put(s, cp);
            assert_int_equal(ft_norm_bert(&norm, s, n, 7, &out, NULL), FT_OK);
            assert_true(out.n <= 3 * n);
            for (size_t i = 0; i < out.n; i++) assert_true(out.from[i].begin == 7 && out.from[i].end == 8);
        }
    }
    ft_normal_free(&out);
}

static void many_marks_on_one_letter_are_put_in_order(void **state)
{
    enum { N = 1000 };
    char s[1 + 3 * N];
    ft_bert_norm norm = { true, true, true, true };
    ft_normal out = { 0 };

    (void)state;
    s[0] = 'a';
    for (size_t i = 0; i < N; i++) memcpy(s + 1 + 3 * i, "\xE3\x80\xAE", 3); /* U+302E, a spacing mark */
    assert_int_equal(ft_norm_bert(&norm, s, 1 + 3 * N, 0, &out, NULL), FT_OK);
    assert_int_equal(out.n, 1 + 3 * N);
    assert_int_equal(out.from[3 * N].begin, N);
    ft_normal_free(&out);
}

static void offsets_of_reordered_marks_stay_in_place(void **state)
{
    static const char text[] = "\xE3\x80\xAE\xE1\xAE\xAA."; /* U+302E (class 224), U+1BAA (class 9) */
    ft_bert_norm norm = { true, true, true, true };
    ft_normal out = { 0 };

    (void)state;
    assert_int_equal(ft_norm_bert(&norm, text, sizeof text - 1, 0, &out, NULL), FT_OK);
    assert_int_equal(out.n, 7);
    assert_memory_equal(out.text, "\xE1\xAE\xAA\xE3\x80\xAE.", 7);
    assert_int_equal(out.from[0].begin, 0);
    assert_int_equal(out.from[3].begin, 1);
    assert_int_equal(out.from[6].begin, 2);
    ft_normal_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_round_trips),
        cmocka_unit_test(cut_sequences_are_not_utf8),
        cmocka_unit_test(classes_are_the_reference_s),
        cmocka_unit_test(lower_case_has_no_context),
        cmocka_unit_test(no_character_outgrows_its_room),
        cmocka_unit_test(many_marks_on_one_letter_are_put_in_order),
        cmocka_unit_test(offsets_of_reordered_marks_stay_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
