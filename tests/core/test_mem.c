/* tests/core/test_mem.c - counts, ceiling, reuse of blocks, and failures on request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"

static int reset(void **state)
{
    (void)state;
    ft_mem_fail_at(0);
    ft_mem_set_limit(0);
    ft_block_trim();
    ft_mem_reset_peak();
    return 0;
}

static void small_blocks_are_counted(void **state)
{
    (void)state;
    const size_t before = ft_mem_get().live;
    char *p = ft_malloc(100), *q = ft_calloc(10, 7);
    assert_int_equal(ft_mem_get().live, before + 170);
    for (int i = 0; i < 70; i++) assert_int_equal(q[i], 0);
    ft_free(p);
    assert_int_equal(ft_mem_get().live, before + 70);
    assert_int_equal(ft_mem_get().peak, before + 170);
    ft_free(q);
    ft_free(NULL);
    assert_int_equal(ft_mem_get().live, before);
    ft_mem_reset_peak();
    assert_int_equal(ft_mem_get().peak, before);
}

static void realloc_keeps_bytes_and_count(void **state)
{
    (void)state;
    const size_t before = ft_mem_get().live;
    char *p = ft_realloc(NULL, 4);
    memcpy(p, "abc", 4);
    p = ft_realloc(p, 100000);
    assert_string_equal(p, "abc");
    assert_int_equal(ft_mem_get().live, before + 100000);
    p = ft_realloc(p, 4);
    assert_string_equal(p, "abc");
    assert_int_equal(ft_mem_get().live, before + 4);
    ft_mem_fail_at(1);
    assert_null(ft_realloc(p, 8));
    assert_string_equal(p, "abc");
    assert_int_equal(ft_mem_get().live, before + 4);
    ft_mem_fail_at(0);
    ft_free(p);
}

static void copies_of_strings_end_in_nul(void **state)
{
    (void)state;
    char *a = ft_strdup("word"), *b = ft_strndup("a\0bcd", 4);
    assert_string_equal(a, "word");
    assert_memory_equal(b, "a\0bc", 5);
    ft_free(a);
    ft_free(b);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    const size_t before = ft_mem_get().live;
    char *p = ft_malloc(1);
    assert_null(ft_calloc(SIZE_MAX / 2, 3));
    assert_null(ft_malloc(SIZE_MAX));
    assert_null(ft_realloc(p, SIZE_MAX - 3));
    assert_null(ft_block_alloc(SIZE_MAX - 3));
    ft_free(p);
    assert_int_equal(ft_mem_get().live, before);
}

static void the_nth_request_and_all_later_fail(void **state)
{
    (void)state;
    void *kept[2];
    ft_mem_fail_at(3);
    kept[0] = ft_malloc(1);
    kept[1] = ft_block_alloc(1);
    assert_non_null(kept[0]);
    assert_non_null(kept[1]);
    assert_null(ft_malloc(1));
    assert_null(ft_calloc(1, 1));
    assert_null(ft_block_alloc(1));
    ft_mem_fail_at(0);
    ft_free(kept[0]);
    ft_block_free(kept[1], 1);
}

static void the_ceiling_holds_and_is_told(void **state)
{
    ft_err e;
    (void)state;
    const size_t before = ft_mem_get().live;
    ft_mem_set_limit(before + (8 << 20));
    void *p = ft_block_alloc(6 << 20);
    assert_non_null(p);
    assert_null(ft_malloc(3 << 20));
    assert_null(ft_block_alloc(3 << 20));
    assert_int_equal(ft_fail_mem(&e, 3 << 20), FT_EMEM);
    assert_non_null(strstr(e.msg, "3 MiB more were wanted"));
    assert_non_null(strstr(e.msg, "ceiling is 8 MiB"));
    ft_block_free(p, 6 << 20);
    p = ft_malloc(3 << 20);
    assert_non_null(p);
    ft_free(p);
    ft_mem_set_limit(0);
    assert_int_equal(ft_mem_get().live, before);
    ft_fail_mem(&e, 77);
    assert_string_equal(e.msg, "out of memory: 77 bytes were wanted");
}

static void kept_blocks_make_room_below_the_ceiling(void **state)
{
    (void)state;
    ft_mem_set_limit(ft_mem_get().live + (8 << 20));
    ft_block_free(ft_block_alloc(6 << 20), 6 << 20);
    assert_int_equal(ft_mem_get().kept, ft_block_size(6 << 20));
    void *p = ft_block_alloc(4 << 20);
    assert_non_null(p);
    assert_true(ft_mem_get().live + ft_mem_get().kept <= ft_mem_get().limit);
    ft_block_free(p, 4 << 20);
    void *q = ft_block_new(3 << 20); /* what lies in gaps goes back first */
    assert_non_null(q);
    assert_int_equal(ft_mem_get().kept, 0);
    ft_block_free(q, 3 << 20);
    assert_int_equal(ft_mem_get().kept, 0);
    ft_mem_set_limit(0);
}

static void a_freed_block_is_used_again(void **state)
{
    (void)state;
    void *p = ft_block_alloc(1000);
    const uint64_t asked = ft_mem_get().system;
    ft_block_free(p, 1000);
    assert_true(ft_mem_get().kept >= 1000);
    assert_ptr_equal(ft_block_alloc(990), p); /* same class */
    assert_int_equal(ft_mem_get().kept, 0);
    assert_int_equal(ft_mem_get().system, asked);
    ft_block_free(p, 990);
    ft_block_trim();
    assert_int_equal(ft_mem_get().kept, 0);
}

/* Blocks of ever other sizes, freed in another order than they came: neighbours join, nobody meets. */
static void large_blocks_use_the_same_stretch_again(void **state)
{
    enum { N = 40 };
    unsigned char *p[N] = { 0 };
    size_t size[N] = { 0 }, largest = 0;
    uint64_t growths = 0;
    (void)state;

    for (uint32_t round = 0; round < 400; round++) {
        for (uint32_t i = 0; i < N; i++) {
            const uint32_t draw = (round * 2654435761u) ^ (i * 40503u), k = (i * 7 + round) % N;
            if (p[k]) {
                assert_int_equal(p[k][0], k + 1);
                assert_int_equal(p[k][size[k] - 1], k + 1);
                ft_block_free(p[k], size[k]);
            }
            size[k] = (64 << 10) + draw % (round == 0 ? 1 : 900000);
            p[k] = ft_block_alloc(size[k]);
            assert_non_null(p[k]);
            assert_int_equal((uintptr_t)p[k] % 64, 0);
            p[k][0] = p[k][size[k] - 1] = (unsigned char)(k + 1);
        }
        if (ft_mem_get().live + ft_mem_get().kept > largest) largest = ft_mem_get().live + ft_mem_get().kept;
        if (round == 100) growths = ft_mem_get().system;
    }
    assert_true(ft_mem_get().system - growths <= 10);
    assert_true(largest < ft_mem_get().peak + ft_mem_get().peak / 4);
    for (int k = 0; k < N; k++) ft_block_free(p[k], size[k]);
    const size_t whole = ft_mem_get().kept;
    const uint64_t before = ft_mem_get().system;
    void *all = ft_block_alloc(whole - 4096); /* everything has become one gap again */
    assert_non_null(all);
    assert_int_equal(ft_mem_get().system, before);
    ft_block_free(all, whole - 4096);
    ft_block_trim();
}

static void zeros_are_zeros_wherever_they_lie(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 40, 5000, 70000, 1 << 20, 5 << 20 };

    for (int round = 0; round < 3; round++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            /* in what another block left, in part or wholly */
            unsigned char *old = ft_block_alloc(sizes[k]);
            memset(old, 0xa5, sizes[k]);
            ft_block_free(old, sizes[k]);
            const size_t size = sizes[k] + (size_t)round * sizes[k] / 2;
            unsigned char *p = ft_block_zeros(size);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 64, 0);
            for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
            memset(p, 0x5a, size);
            ft_block_free(p, size);
        }
    ft_block_trim();
}

static void blocks_are_aligned_whole_and_waste_an_eighth(void **state)
{
    (void)state;
    for (size_t size = 0; size < 200000; size = size + 1 + size / 37) {
        const size_t before = ft_mem_get().live;
        unsigned char *p = ft_block_alloc(size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 0xa5, size);
        const size_t taken = ft_mem_get().live - before;
        assert_true(taken >= size);
        if (size >= 512) assert_true((taken - size) * 8 <= taken);
        ft_block_free(p, size);
        assert_int_equal(ft_mem_get().live, before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(small_blocks_are_counted, reset),
        cmocka_unit_test_setup(realloc_keeps_bytes_and_count, reset),
        cmocka_unit_test_setup(copies_of_strings_end_in_nul, reset),
        cmocka_unit_test_setup(sizes_that_overflow_are_refused, reset),
        cmocka_unit_test_setup_teardown(the_nth_request_and_all_later_fail, reset, reset),
        cmocka_unit_test_setup_teardown(the_ceiling_holds_and_is_told, reset, reset),
        cmocka_unit_test_setup_teardown(kept_blocks_make_room_below_the_ceiling, reset, reset),
        cmocka_unit_test_setup(a_freed_block_is_used_again, reset),
        cmocka_unit_test_setup(large_blocks_use_the_same_stretch_again, reset),
        cmocka_unit_test_setup(zeros_are_zeros_wherever_they_lie, reset),
        cmocka_unit_test_setup_teardown(blocks_are_aligned_whole_and_waste_an_eighth, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
