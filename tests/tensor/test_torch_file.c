/* tests/tensor/test_torch_file.c - files of torch.save: recorded ones in their forms, made-up ones that are refused, and
 * every truncation and changed byte of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/fs.h"
#include "core/mem.h"
#include "tensor/torch_file.h"

#define FOLDER "tests/fixtures/torch/"
#define MAGIC "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19."
#define LEGACY MAGIC "\x80\x02M\xe9\x03.\x80\x02}."
#define STORAGE "((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpuK\x04NtQ"
#define V2 "ctorch._utils\n_rebuild_tensor_v2\n"
#define KEYS "\x80\x02]X\x01\0\0\0ka."
#define ONE "\x01\0\0\0\0\0\0\0"
#define FOUR "\x04\0\0\0\0\0\0\0"
#define DATA FOUR "0123456789abcdef"

/* ==== Recorded files ==== */

static void same_tensor(ft_safetensors *a, ft_safetensors *b, const char *name)
{
    ft_tensor *x = NULL, *y = NULL;
    ft_err e;

    assert_string_equal(ft_safetensors_find(a, name)->dtype, ft_safetensors_find(b, name)->dtype);
    assert_int_equal(ft_safetensors_tensor(a, name, &x, &e), FT_OK);
    assert_int_equal(ft_safetensors_tensor(b, name, &y, &e), FT_OK);
    assert_true(ft_shape_equal(&x->shape, &y->shape));
    assert_int_equal(x->bytes, y->bytes);
    if (x->bytes) assert_memory_equal(x->data, y->data, x->bytes);
    ft_tensor_release(x);
    ft_tensor_release(y);
}

static void each_form_holds_the_recorded_tensors(void **state)
{
    static const char *const files[] = { FOLDER "zip.bin", FOLDER "protocol4.bin", FOLDER "legacy.bin" };
    ft_safetensors *want = NULL;
    ft_err e;
    (void)state;

    assert_int_equal(ft_safetensors_open(&want, FOLDER "expect.safetensors", &e), FT_OK);
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        ft_safetensors *st = NULL;
        if (ft_torch_open(&st, files[k], &e)) fail_msg("%s", e.msg);
        assert_int_equal(ft_safetensors_count(st), ft_safetensors_count(want));
        assert_string_equal(ft_safetensors_name(st, 0), "embeddings.weight");
        for (size_t i = 0; i < ft_safetensors_count(st); i++) same_tensor(st, want, ft_safetensors_name(st, i));
        ft_safetensors_release(st);
    }
    ft_safetensors_release(want);
}

static void weights_are_mapped_and_outlive_the_handle(void **state)
{
    ft_safetensors *st = NULL;
    ft_tensor *a = NULL, *b = NULL;
    ft_err e;
    (void)state;

    assert_int_equal(ft_torch_open(&st, FOLDER "zip.bin", &e), FT_OK);
    assert_int_equal(ft_safetensors_tensor(st, "embeddings.weight", &a, &e), FT_OK);
    assert_int_equal(ft_safetensors_tensor(st, "decoder.weight", &b, &e), FT_OK);
    assert_ptr_equal(a->data, b->data);
    ft_safetensors_release(st);
    ft_tensor_release(a);
    volatile float x = ((const float *)b->data)[14];
    (void)x;
    ft_tensor_release(b);
}

static void what_is_no_state_dictionary_is_refused_by_its_name(void **state)
{
    static const struct {
        const char *file, *message;
    } cases[] = {
        { FOLDER "system_zip.bin", "refers to 'posix.system', which is no tensor, storage or ordered dictionary" },
        { FOLDER "system_legacy.bin", "refers to 'posix.system', which is no tensor, storage or ordered dictionary" },
        { FOLDER "eval.bin", "eval.bin: eval/data.pkl: byte 13: refers to '__builtin__.eval'" },
        { FOLDER "module.bin", "refers to 'torch.nn.modules.linear.Linear'" },
        { FOLDER "run.bin", "run.bin: not a state dictionary: 'epoch' is no tensor" },
        { FOLDER "expect.safetensors", "not written by torch.save" },
        { FOLDER "none.bin", "none.bin: No such file" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ft_safetensors *st = NULL;
        ft_err e = { .msg = "" };
        assert_true(ft_torch_open(&st, cases[i].file, &e) != FT_OK);
        if (!strstr(e.msg, cases[i].message)) fail_msg("want '%s', have '%s'", cases[i].message, e.msg);
        assert_null(st);
    }
}

/* ==== Made-up files ==== */

#define BYTES(s) s, sizeof(s) - 1

static const struct {
    const char *bytes;
    size_t n;
    const char *message;
} refused[] = {
    { BYTES(""), "not written by torch.save" },
    { BYTES("PK\3\4"), "not a whole zip archive" },
    { BYTES(MAGIC "\x80\x02M\xe8\x03."), "not version 1001" },
    { BYTES(MAGIC "\x80\x01M\xe9\x03."), "byte 15: pickle protocol 1" },
    { BYTES(MAGIC "\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x89s."), "big-endian" },
    { BYTES(LEGACY "\x80\x02"
                   "cos\nsystem\n"),
      "refers to 'os.system'" },
    { BYTES(LEGACY "\x80\x04\x8c\x02os\x8c\x06system\x93"), "refers to 'os.system'" },
    { BYTES(LEGACY "\x80\x02(i__main__\nx\n"), "byte 28: instruction 0x69, which pickles of tensors do not need" },
    { BYTES(LEGACY "\x80\x02Ndict\n"), "instruction 0x64" },
    { BYTES(LEGACY "\x80\x02K\x01."), "truncated: needs 1 bytes" },
    { BYTES(LEGACY "\x80\x02}." KEYS), "1 storages, of which 0 are used" },
    { BYTES(LEGACY "\x80\x02K\x01.\x80\x02]."), "not a state dictionary, from names to tensors" },
    { BYTES(LEGACY "\x80\x02}K\x01K\x02s.\x80\x02]."), "a key is no text" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0aNs.\x80\x02]."), "'a' is no tensor" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0\xffNs.\x80\x02]."), "not UTF-8" },
    { BYTES(LEGACY "\x80\x02}X\x02\0\0\0a\0Ns.\x80\x02]."), "zero byte" },
    { BYTES(LEGACY "\x80\x02h\0."), "memo 0 is empty" },
    { BYTES(LEGACY "\x80\x02Nr\x01\0\0\0."), "memo 1 comes before 0" },
    { BYTES(LEGACY "\x80\x02."), "takes 1 values from a stack of 0" },
    { BYTES(LEGACY "\x80\x02R"), "takes 2 values from a stack of 0" },
    { BYTES(LEGACY "\x80\x02NN(R"), "takes 2 values from a stack of 0" },
    { BYTES(LEGACY "\x80\x02Nt"), "no mark was set" },
    { BYTES(LEGACY "\x80\x02N(Nu"), "fills what is no dictionary" },
    { BYTES(LEGACY "\x80\x02}(Nu"), "fills what is no dictionary" },
    { BYTES(LEGACY "\x80\x02}Na"), "fills what is no list" },
    { BYTES(LEGACY "\x80\x02N)R"), "calls what is no name" },
    { BYTES(LEGACY "\x80\x02NNb"), "sets attributes of what is no dictionary" },
    { BYTES(LEGACY "\x80\x02"
                   "ctorch\nFloatStorage\n)R"),
      "calls 'torch.FloatStorage'" },
    { BYTES(LEGACY "\x80\x02"
                   "ccollections\nOrderedDict\nK\x01\x85R"),
      "made of 1 arguments" },
    { BYTES(LEGACY "\x80\x02" V2 ")R"), "not made of a storage, a place, a size and a stride" },
    { BYTES(LEGACY "\x80\x02K\x01Q"), "a persistent object is not" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0x" V2 STORAGE "K\0(K\x02t(tNNtRs." KEYS DATA), "1 dimensions has 0 strides" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0x" V2 STORAGE "K\0(K\x05t(K\x01tNNtRs." KEYS DATA),
      "tensor 'x': it reaches beyond" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0x" V2 STORAGE "K\0(K\x05t(K\0tNNtRs." KEYS DATA),
      "tensor 'x': it reaches beyond" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0x" V2 STORAGE "K\x01(K\x02K\x02t(K\x02K\x01tNNtRs." KEYS DATA),
      "reaches beyond" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0x" V2 STORAGE "K\0(J\xff\xff\xff\xfft(K\x01tNNtRs." KEYS DATA), "negative" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0x" V2 STORAGE
                   "K\0(K\x01t(\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7ftNNtRs." KEYS FOUR),
      "truncated: a storage of 4 elements of F32" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0x" V2 STORAGE "K\0(K\x01t(K\x01tNNtRs." KEYS ONE "0123"),
      "should have 4 elements" },
    { BYTES(LEGACY "\x80\x02}X\x01\0\0\0x" V2 STORAGE "K\0(K\x01t(K\x01tNNtRs.\x80\x02]."),
      "storage 'k' is not in the file" },
};

static void each_broken_pickle_has_its_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ft_safetensors *st = NULL;
        ft_err e = { .msg = "" };
        const size_t live = ft_mem_get().live;
        if (ft_torch_open_bytes(&st, refused[i].bytes, refused[i].n, "m", &e) != FT_EDATA)
            fail_msg("case %zu, '%s': not refused: %s", i, refused[i].message, e.msg);
        if (!strstr(e.msg, refused[i].message))
            fail_msg("case %zu: want '%s', have '%s'", i, refused[i].message, e.msg);
        assert_int_equal(strncmp(e.msg, "m: ", 3), 0);
        assert_int_equal(ft_mem_get().live, live);
    }
}

static void a_made_up_tensor_is_read_at_any_address(void **state)
{
    static const char bytes[] = LEGACY "\x80\x02}X\x01\0\0\0x" V2 STORAGE "K\x01(K\x03t(K\x01tNNtRs." KEYS DATA;
    ft_safetensors *st = NULL;
    ft_tensor *t = NULL;
    ft_err e;
    (void)state;

    if (ft_torch_open_bytes(&st, bytes, sizeof bytes - 1, "m", &e)) fail_msg("%s", e.msg);
    assert_int_equal(ft_safetensors_tensor(st, "x", &t, &e), FT_OK);
    assert_int_equal(t->bytes, 12);
    assert_memory_equal(t->data, "456789abcdef", 12);
    ft_tensor_release(t);
    ft_safetensors_release(st);
}

/* ==== Damage ==== */

static ft_status read_all(const void *bytes, size_t n, ft_err *e)
{
    ft_safetensors *st = NULL;

    ft_status s = ft_torch_open_bytes(&st, bytes, n, "m", e);
    for (size_t i = 0; !s && i < ft_safetensors_count(st); i++) {
        ft_tensor *t = NULL;
        s = ft_safetensors_tensor(st, ft_safetensors_name(st, i), &t, e);
        ft_tensor_release(t);
    }
    ft_safetensors_release(st);
    return s;
}

/* Both forms, in memory of exactly their size. */
static unsigned char *whole(const char *path, size_t n, size_t *size)
{
    ft_buf b = { 0 };
    ft_err e;

    assert_int_equal(ft_file_read(&b, path, 1 << 20, &e), FT_OK);
    *size = n < b.len ? n : b.len;
    unsigned char *copy = malloc(*size ? *size : 1);
    assert_non_null(copy);
    memcpy(copy, b.data, *size);
    ft_buf_free(&b);
    return copy;
}

static void every_truncation_is_refused(void **state)
{
    static const char *const files[] = { FOLDER "zip.bin", FOLDER "legacy.bin" };
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        size_t size, n;
        ft_err e;
        free(whole(files[k], SIZE_MAX, &size));
        for (size_t cut = 0; cut < size; cut += 1 + cut / 512) {
            unsigned char *bytes = whole(files[k], cut, &n);
            if (ft_torch_open_bytes(&(ft_safetensors *){ NULL }, bytes, n, "m", &e) == FT_OK)
                fail_msg("%s cut at byte %zu was taken", files[k], cut);
            free(bytes);
        }
    }
}

static void every_changed_byte_is_survived(void **state)
{
    static const char *const files[] = { FOLDER "zip.bin", FOLDER "legacy.bin" };
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        size_t size;
        ft_err e;
        unsigned char *bytes = whole(files[k], SIZE_MAX, &size);
        const size_t live = ft_mem_get().live;
        for (size_t i = 0; i < size; i++)
            for (unsigned change = 1; change < 256; change *= 4) {
                bytes[i] ^= (unsigned char)change;
                read_all(bytes, size, &e);
                bytes[i] ^= (unsigned char)change;
                assert_int_equal(ft_mem_get().live, live);
            }
        free(bytes);
    }
}

static void every_failed_allocation_is_reported_and_leaves_nothing(void **state)
{
    static const char *const files[] = { FOLDER "zip.bin", FOLDER "legacy.bin" };
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        size_t size;
        unsigned char *bytes = whole(files[k], SIZE_MAX, &size);
        const size_t live = ft_mem_get().live;
        ft_status s = FT_EMEM;
        uint64_t nth = 0;
        while (s) {
            ft_err e = { .code = FT_OK };
            ft_mem_fail_at(++nth);
            s = read_all(bytes, size, &e);
            ft_mem_fail_at(0);
            if (s && (s != FT_EMEM || !strstr(e.msg, "out of memory"))) fail_msg("allocation %d: %s", (int)nth, e.msg);
            assert_int_equal(ft_mem_get().live, live);
            assert_true(nth < 1000);
        }
        assert_true(nth > 30);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_holds_the_recorded_tensors),
        cmocka_unit_test(weights_are_mapped_and_outlive_the_handle),
        cmocka_unit_test(what_is_no_state_dictionary_is_refused_by_its_name),
        cmocka_unit_test(each_broken_pickle_has_its_message),
        cmocka_unit_test(a_made_up_tensor_is_read_at_any_address),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_changed_byte_is_survived),
        cmocka_unit_test(every_failed_allocation_is_reported_and_leaves_nothing),
    };
    json_set_alloc_funcs(ft_malloc, ft_free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
