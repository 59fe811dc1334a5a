/* tests/data/test_bytes.c - the UTF-8 check against a decoder written from the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "data/bytes.h"

/* Write code point c; returns the number of bytes. */
static size_t encode(uint32_t c, char *p)
{
    if (c < 0x80) {
        p[0] = (char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) p[i] = (char)(0x80 | (c & 0x3F));
    p[0] = (char)((0xF00 >> n & 0xF0) | c);
    return n;
}

static void every_code_point_is_text_but_nul_and_surrogates(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char p[4];
        const size_t n = encode(c, p);
        const int is_text = c != 0 && (c < 0xD800 || c > 0xDFFF);
        if (ft_bytes_check(p, n) != (is_text ? n : 0)) fail_msg("code point U+%04X", c);
    }
}

static void malformed_sequences_are_found_where_they_begin(void **state)
{
    static const char *const bad[] = { "\x80",
                                       "\xBF",
                                       "\xC0\x80",
                                       "\xC1\xBF",
                                       "\xE0\x80\x80",
                                       "\xE0\x9F\xBF",
                                       "\xF0\x8F\xBF\xBF",
                                       "\xF4\x90\x80\x80",
                                       "\xF5\x80\x80\x80",
                                       "\xFF",
                                       "\xC3",
                                       "\xE2\x82",
                                       "\xF0\x9F\x98",
                                       "\xC3(",
                                       "\xE2(\xA1",
                                       "\xE2\x82(",
                                       "\xF0\x9F(\x80" };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t before = 0; before < 20; before++) {
            char text[64];
            memset(text, 'a', sizeof text);
            memcpy(text + before, bad[i], strlen(bad[i]));
            assert_int_equal(ft_bytes_check(text, before + strlen(bad[i])), before);
            assert_int_equal(ft_bytes_check(text, sizeof text), before);
        }
}

static void nul_is_found_at_every_offset(void **state)
{
    (void)state;
    for (size_t at = 0; at < 40; at++) {
        char text[40];
        memset(text, 1, sizeof text);
        text[at] = '\0';
        assert_int_equal(ft_bytes_check(text, sizeof text), at);
    }
}

static void line_ends_are_counted(void **state)
{
    (void)state;
    assert_int_equal(ft_bytes_lines("", 0), 0);
    assert_int_equal(ft_bytes_lines("\n\na\r\n", 5), 3);
    assert_int_equal(ft_bytes_lines("a\rb", 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_text_but_nul_and_surrogates),
        cmocka_unit_test(malformed_sequences_are_found_where_they_begin),
        cmocka_unit_test(nul_is_found_at_every_offset),
        cmocka_unit_test(line_ends_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
