/* tests/tensor/test_safetensors_write.c - the bytes that are written, and that failure leaves none. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"
#include "core/mem.h"
#include "tensor/safetensors.h"
#include "tests/tensor/scratch.h"

static const char *const pt_key[] = { "format" }, *const pt_value[] = { "pt" };

static ft_tensor *make(ft_dtype dtype, int rank, int64_t a, int64_t b)
{
    const ft_shape shape = ft_shape_of(rank, a, b, 1, 1);
    ft_tensor *t;
    ft_err e;
    assert_int_equal(ft_tensor_new(&t, dtype, &shape, &e), FT_OK);
    for (size_t i = 0; i < t->bytes; i++) ((unsigned char *)t->data)[i] = (unsigned char)(i * 7 + 1);
    return t;
}

/* The header that the Python library gives for the same tensors. */
static void the_layout_is_by_dtype_then_name(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[8,16]},"
        "\"z\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[16,20]},"
        "\"h\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[20,22]},"
        "\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[22,25]}}";
    static const char *const names[] = { "u", "z", "h", "a", "i" };
    ft_tensor *t[] = { make(FT_U8, 1, 3, 1), make(FT_F32, 0, 1, 1), make(FT_BF16, 1, 1, 1), make(FT_F32, 2, 2, 1),
                       make(FT_I64, 1, 1, 1) };
    char p[1024];
    ft_buf b = { 0 };
    ft_err e;
    (void)state;
    assert_int_equal(ft_safetensors_write(scratch_path(p, "f"), 5, names, t, 1, pt_key, pt_value, &e), FT_OK);
    assert_int_equal(ft_file_read(&b, p, 10000, &e), FT_OK);
    const size_t length = (unsigned char)b.data[0] + 256u * (unsigned char)b.data[1];
    assert_int_equal(length, (sizeof header - 1 + 7) / 8 * 8);
    assert_int_equal(b.len, 8 + length + 25);
    assert_memory_equal(b.data + 8, header, sizeof header - 1);
    for (size_t i = sizeof header - 1; i < length; i++) assert_int_equal(b.data[8 + i], ' ');
    assert_memory_equal(b.data + 8 + length, t[4]->data, 8);
    assert_memory_equal(b.data + 8 + length + 22, t[0]->data, 3);
    ft_buf_free(&b);
    for (size_t i = 0; i < 5; i++) ft_tensor_release(t[i]);
}

static void every_dtype_comes_back(void **state)
{
    static const char *const names[] = { "f32", "bf16", "f16", "i32", "i64", "u8", "none" };
    ft_tensor *t[7], *back;
    ft_safetensors *st;
    char p[1024];
    ft_err e;
    (void)state;
    for (int d = 0; d < 6; d++) t[d] = make((ft_dtype)d, 2, 3, 5);
    t[6] = make(FT_F32, 2, 0, 5);
    assert_int_equal(ft_safetensors_write(scratch_path(p, "f"), 7, names, t, 0, NULL, NULL, &e), FT_OK);
    assert_int_equal(ft_safetensors_open(&st, p, &e), FT_OK);
    assert_int_equal(ft_safetensors_count(st), 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(ft_safetensors_tensor(st, names[i], &back, &e), FT_OK);
        assert_int_equal(back->dtype, t[i]->dtype);
        assert_true(ft_shape_equal(&back->shape, &t[i]->shape));
        assert_memory_equal(back->data, t[i]->data, t[i]->bytes);
        ft_tensor_release(back);
        ft_tensor_release(t[i]);
    }
    ft_safetensors_release(st);
}

/* 10000 elements: more than are converted at a time. */
static void floats_are_stored_as_asked(void **state)
{
    static const char *const names[] = { "x", "i" };
    static const ft_dtype kinds[] = { FT_F32, FT_F16, FT_BF16 };
    ft_tensor *t[] = { make(FT_F32, 1, 10000, 1), make(FT_I32, 1, 4, 1) };
    float *x = t[0]->data;
    char p[1024];
    ft_err e;
    (void)state;
    for (int i = 0; i < 10000; i++) x[i] = (float)i / 3 - 500;
    for (size_t k = 0; k < 3; k++) {
        ft_safetensors *st;
        ft_tensor *back, *ints;
        assert_int_equal(ft_safetensors_write_as(scratch_path(p, "f"), kinds[k], 2, names, t, 1, pt_key, pt_value, &e),
                         FT_OK);
        assert_int_equal(ft_safetensors_open(&st, p, &e), FT_OK);
        assert_int_equal(ft_safetensors_tensor(st, "x", &back, &e), FT_OK);
        assert_int_equal(ft_safetensors_tensor(st, "i", &ints, &e), FT_OK);
        assert_int_equal(back->dtype, kinds[k]);
        assert_int_equal(ints->dtype, FT_I32);
        for (size_t i = 0; i < 10000; i++) {
            if (k == 0) assert_true(((float *)back->data)[i] == x[i]);
            if (k == 1) assert_int_equal(((uint16_t *)back->data)[i], ft_f16_from(x[i]));
            if (k == 2) assert_int_equal(((uint16_t *)back->data)[i], ft_bf16_from(x[i]));
        }
        ft_tensor_release(back);
        ft_tensor_release(ints);
        ft_safetensors_release(st);
    }
    assert_int_equal(ft_safetensors_write_as(p, FT_I32, 2, names, t, 0, NULL, NULL, &e), FT_EUSAGE);
    ft_tensor_release(t[0]);
    ft_tensor_release(t[1]);
}

static void names_of_any_kind_come_back(void **state)
{
    static const char *const names[] = { "", "a\"b\\c/d", "line\nbreak\t\x01", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x99\x82" };
    static const char *const keys[] = { "k\"", "format" }, *const values[] = { "\x7f v", "pt" };
    ft_tensor *t[] = { make(FT_U8, 0, 1, 1), make(FT_U8, 0, 1, 1), make(FT_U8, 0, 1, 1), make(FT_U8, 0, 1, 1) };
    ft_safetensors *st;
    char p[1024];
    ft_err e;
    (void)state;
    assert_int_equal(ft_safetensors_write(scratch_path(p, "f"), 4, names, t, 2, keys, values, &e), FT_OK);
    assert_int_equal(ft_safetensors_open(&st, p, &e), FT_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(ft_safetensors_find(st, names[i]));
        ft_tensor_release(t[i]);
    }
    assert_string_equal(ft_safetensors_metadata(st, "k\""), "\x7f v");
    ft_safetensors_release(st);
}

static void names_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *names[2], *keys[2], *message;
    } bad[] = {
        { { "a", "a" }, { "k", "l" }, "two tensors are named 'a'" },
        { { "a", "__metadata__" }, { "k", "l" }, "a tensor cannot be named __metadata__" },
        { { "a", "b" }, { "k", "k" }, "metadata has the key 'k' twice" },
        { { "a", "b\xff" }, { "k", "l" }, "a name or value is not UTF-8" },
        { { "a", "b\xc0\x80" }, { "k", "l" }, "a name or value is not UTF-8" },
        { { "a", "\xed\xa0\x80" }, { "k", "l" }, "a name or value is not UTF-8" },
        { { "a", "b" }, { "k", "\xf0\x9f" }, "a name or value is not UTF-8" },
    };
    ft_tensor *t[] = { make(FT_U8, 0, 1, 1), make(FT_F32, 0, 1, 1) };
    char p[1024];
    ft_err e;
    (void)state;
    scratch_path(p, "f");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ft_safetensors_write(p, 2, bad[i].names, t, 2, bad[i].keys, bad[i].keys, &e), FT_EUSAGE);
        assert_non_null(strstr(e.msg, bad[i].message));
        assert_int_equal(scratch_count(), 0);
    }
    ft_tensor_release(t[0]);
    ft_tensor_release(t[1]);
}

static void a_tensor_without_data_is_refused(void **state)
{
    static const char *const names[] = { "x" };
    const ft_shape shape = ft_shape_of(1, 3, 1, 1, 1);
    ft_tensor *t;
    char p[1024];
    ft_err e;
    (void)state;
    assert_int_equal(ft_tensor_shape_only(&t, FT_F32, &shape, &e), FT_OK);
    assert_int_equal(ft_safetensors_write(scratch_path(p, "f"), 1, names, &t, 0, NULL, NULL, &e), FT_ESTATE);
    assert_int_equal(scratch_count(), 0);
    ft_tensor_release(t);
}

static void no_tensors_make_a_valid_file(void **state)
{
    ft_safetensors *st;
    char p[1024];
    ft_err e;
    (void)state;
    assert_int_equal(ft_safetensors_write(scratch_path(p, "f"), 0, NULL, NULL, 0, NULL, NULL, &e), FT_OK);
    assert_int_equal(ft_safetensors_open(&st, p, &e), FT_OK);
    assert_int_equal(ft_safetensors_count(st), 0);
    ft_safetensors_release(st);
}

/* A limit on the size of files stands for the full disk. */
static void a_full_disk_leaves_what_was_there(void **state)
{
    static const char *const names[] = { "x" };
    ft_tensor *big = make(FT_F32, 1, 100000, 1), *old = make(FT_U8, 0, 1, 1);
    struct rlimit before, small;
    ft_status s[3];
    ft_safetensors *st;
    char p[1024], q[1024];
    ft_err e;
    (void)state;
    assert_int_equal(ft_safetensors_write(scratch_path(p, "f"), 1, names, &old, 0, NULL, NULL, &e), FT_OK);
    scratch_path(q, "new");
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){ 5000, before.rlim_max };
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    s[0] = ft_safetensors_write(p, 1, names, &big, 0, NULL, NULL, &e);
    s[1] = ft_safetensors_write_as(q, FT_F16, 1, names, &big, 0, NULL, NULL, NULL);
    small.rlim_cur = 40; /* not even the header */
    setrlimit(RLIMIT_FSIZE, &small);
    s[2] = ft_safetensors_write(q, 1, names, &old, 0, NULL, NULL, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    for (size_t i = 0; i < 3; i++) assert_int_equal(s[i], FT_EIO);
    assert_non_null(strstr(e.msg, "cannot write"));
    assert_non_null(strstr(e.msg, p));
    assert_int_equal(scratch_count(), 1);
    assert_int_equal(ft_safetensors_open(&st, p, &e), FT_OK);
    assert_string_equal(ft_safetensors_find(st, "x")->dtype, "U8");
    ft_safetensors_release(st);
    ft_tensor_release(big);
    ft_tensor_release(old);
}

static void every_failed_allocation_leaves_nothing(void **state)
{
    static const char *const names[] = { "x", "y" };
    ft_tensor *t[] = { make(FT_F32, 1, 10, 1), make(FT_U8, 1, 10, 1) };
    const size_t live = ft_mem_get().live;
    ft_status s = FT_EMEM;
    char p[1024];
    uint64_t nth = 0;
    (void)state;
    scratch_path(p, "f");
    while (s) {
        ft_err e = { .code = FT_OK };
        ft_mem_fail_at(++nth);
        s = ft_safetensors_write_as(p, FT_BF16, 2, names, t, 1, pt_key, pt_value, &e);
        ft_mem_fail_at(0);
        assert_true(s == FT_OK || s == FT_EMEM);
        assert_int_equal(ft_mem_get().live, live);
        assert_int_equal(scratch_count(), access(p, F_OK) == 0);
        assert_true(nth < 100);
    }
    assert_true(nth > 5);
    ft_tensor_release(t[0]);
    ft_tensor_release(t[1]);
}

int main(void)
{
#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(the_layout_is_by_dtype_then_name),
        IN_SCRATCH(every_dtype_comes_back),
        IN_SCRATCH(floats_are_stored_as_asked),
        IN_SCRATCH(names_of_any_kind_come_back),
        IN_SCRATCH(names_that_cannot_be_are_refused),
        IN_SCRATCH(a_tensor_without_data_is_refused),
        IN_SCRATCH(no_tensors_make_a_valid_file),
        IN_SCRATCH(a_full_disk_leaves_what_was_there),
        IN_SCRATCH(every_failed_allocation_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
