/* tests/core/test_sha256.c - the known answers of FIPS 180-4's examples, in one piece and in many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/sha256.h"

static const char EMPTY[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char ABC[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char MILLION[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void known_answers_agree(void **state)
{
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char hex[FT_SHA256_HEX];
    ft_err e;
    (void)state;
    assert_int_equal(ft_sha256_hex("", 0, hex, &e), FT_OK);
    assert_string_equal(hex, EMPTY);
    assert_int_equal(ft_sha256_hex("abc", 3, hex, &e), FT_OK);
    assert_string_equal(hex, ABC);
    assert_int_equal(ft_sha256_hex(two_blocks, strlen(two_blocks), hex, &e), FT_OK);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void pieces_give_the_digest_of_the_whole(void **state)
{
    unsigned char digest[FT_SHA256_SIZE];
    char hex[FT_SHA256_HEX], a[1000];
    ft_sha256 h;
    ft_err e;
    (void)state;
    memset(a, 'a', sizeof a);
    assert_int_equal(ft_sha256_init(&h, &e), FT_OK);
    for (int i = 0; i < 1000; i++) assert_int_equal(ft_sha256_update(&h, a, sizeof a, &e), FT_OK);
    assert_int_equal(ft_sha256_final(&h, digest, &e), FT_OK);
    ft_sha256_digits(digest, hex);
    assert_string_equal(hex, MILLION);
}

static void use_after_the_end_is_an_error(void **state)
{
    unsigned char digest[FT_SHA256_SIZE];
    ft_sha256 h;
    ft_err e;
    (void)state;
    assert_int_equal(ft_sha256_init(&h, &e), FT_OK);
    assert_int_equal(ft_sha256_final(&h, digest, &e), FT_OK);
    assert_int_equal(ft_sha256_update(&h, "a", 1, &e), FT_ESTATE);
    assert_int_equal(ft_sha256_final(&h, digest, &e), FT_ESTATE);
    ft_sha256_free(&h);
}

static void a_file_has_the_digest_of_its_bytes(void **state)
{
    char path[] = P_tmpdir "/ft_sha256_XXXXXX", a[1000], hex[FT_SHA256_HEX];
    ft_err e;
    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ft_sha256_file(path, hex, &e), FT_OK);
    assert_string_equal(hex, EMPTY);
    memset(a, 'a', sizeof a);
    for (int i = 0; i < 1000; i++) assert_int_equal(write(fd, a, sizeof a), (int)sizeof a);
    close(fd);
    assert_int_equal(ft_sha256_file(path, hex, &e), FT_OK);
    assert_string_equal(hex, MILLION);
    unlink(path);
    assert_int_equal(ft_sha256_file(path, hex, &e), FT_EIO);
    assert_non_null(strstr(e.msg, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_agree),
        cmocka_unit_test(pieces_give_the_digest_of_the_whole),
        cmocka_unit_test(use_after_the_end_is_an_error),
        cmocka_unit_test(a_file_has_the_digest_of_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
