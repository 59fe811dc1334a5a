/* tests/tensor/test_safetensors.c - what of a safetensors file is refused and how, and what is read of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/mem.h"
#include "tensor/safetensors.h"
#include "tests/tensor/scratch.h"

#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* ==== Pages of one's own ==== */

#define LARGE 70000 /* numbers */

static ft_tensor *private_pages(ft_safetensors *st, const char *name)
{
    ft_err e = { 0 };
    ft_tensor *t = NULL;

    assert_int_equal(ft_safetensors_private(st, name, &t, &e), FT_OK);
    return t;
}

static void pages_of_ones_own_are_written_apart(void **state)
{
    (void)state;
    const char *names[] = { "large", "odd", "small" };
    ft_tensor *tensors[3], *read = NULL;
    ft_safetensors *st = NULL;
    ft_err e = { 0 };
    char path[1024];

    for (int k = 0; k < 3; k++) {
        const ft_shape shape = ft_shape_of(1, k == 2 ? 5 : LARGE + k, 0, 0, 0);
        assert_int_equal(ft_tensor_new(&tensors[k], FT_F32, &shape, &e), FT_OK);
        for (int64_t i = 0; i < shape.dim[0]; i++) ((float *)tensors[k]->data)[i] = (float)(i % 1000 + k);
    }
    scratch_path(path, "own.safetensors");
    assert_int_equal(ft_safetensors_write(path, 3, names, tensors, 0, NULL, NULL, &e), FT_OK);
    assert_int_equal(ft_safetensors_open(&st, path, &e), FT_OK);
    const size_t before = ft_mem_get().live;
    ft_tensor *a = private_pages(st, "large"), *b = private_pages(st, "large"), *odd = private_pages(st, "odd");
    assert_true(a && b && odd && a->data != b->data);
    assert_true(ft_mem_get().live >= before + 3 * sizeof(float) * LARGE);
    assert_null(private_pages(st, "small"));
    assert_int_equal(ft_safetensors_private(st, "lrge", &read, &e), FT_EDATA);
    assert_memory_equal(odd->data, tensors[1]->data, odd->bytes);
    for (int64_t i = 0; i < LARGE; i++) ((float *)a->data)[i] = -1.0f;
    assert_memory_equal(b->data, tensors[0]->data, b->bytes);
    assert_int_equal(ft_safetensors_tensor(st, "large", &read, &e), FT_OK);
    assert_memory_equal(read->data, tensors[0]->data, read->bytes);
    ft_tensor_release(read);
    const size_t live = ft_mem_get().live;
    const float *old = a->data;
    ft_safetensors_own(a);
    assert_true(a->data != old && old[1] == -1.0f && ((float *)a->data)[LARGE - 1] == -1.0f);
    assert_true(ft_mem_get().live < live + 4096); /* counted once */
    ft_safetensors_own(a);
    ft_safetensors_own(tensors[0]); /* nothing happens to others */
    ft_tensor_release(a);
    ft_tensor_release(odd);

    /* Another file of that name is not mistaken for it; what is mapped stays. */
    memset(tensors[0]->data, 0, tensors[0]->bytes);
    assert_int_equal(ft_safetensors_write(path, 3, names, tensors, 0, NULL, NULL, &e), FT_OK);
    assert_null(private_pages(st, "large"));
    ft_safetensors_release(st);
    assert_true(((float *)b->data)[999] == 999.0f);
    ft_tensor_release(b);
    assert_int_equal(ft_safetensors_open(&st, path, &e), FT_OK);
    ft_mem_set_limit(ft_mem_get().live + 1000);
    assert_null(private_pages(st, "large"));
    ft_mem_set_limit(0);
    ft_safetensors_release(st);
    for (int k = 0; k < 3; k++) ft_tensor_release(tensors[k]);
}

/* ==== Refusals ==== */

static const struct {
    const char *header;
    size_t data;
    const char *message;
} malformed[] = {
    { "", 0, "the header does not start with '{'" },
    { " {}", 0, "the header does not start with '{'" },
    { "[]", 0, "the header does not start with '{'" },
    { "{", 0, "header: not valid JSON: string or '}' expected near end of file (byte 1)" },
    { "{}x", 0, "header: not valid JSON: end of file expected near 'x' (byte 3)" },
    { "{\"a\xff\":1}", 0, "header: not valid JSON: unable to decode byte 0xff near '\"a' (byte 3)" },
    { "{\"a\":" T("U8", "[1]", "[0,1]") ",\"a\":" T("U8", "[1]", "[1,2]") "}", 2,
      "header: not valid JSON: duplicate object key near '\"a\"' (byte 56)" },
    { "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 0,
      "header: not valid JSON: duplicate object key near '\"dtype\"' (byte 26)" },
    { "{\"__metadata__\":[]}", 0, "__metadata__ is not an object" },
    { "{\"__metadata__\":{\"n\":1}}", 0, "__metadata__: the value of 'n' is not a string" },
    { "{\"a\":1}", 0, "tensor 'a': not an object" },
    { "{\"a\":{}}", 0, "tensor 'a': dtype is missing" },
    { "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}", 0, "tensor 'a': shape is missing" },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, "tensor 'a': data_offsets is missing" },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":1}}", 0, "tensor 'a': unknown key 'x'" },
    { "{\"a\":{\"dtype\":8,\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "tensor 'a': dtype is not a string" },
    { "{\"a\":" T("f32", "[1]", "[0,4]") "}", 4, "tensor 'a': unknown dtype 'f32'" },
    { "{\"a\":" T("F32", "1", "[0,4]") "}", 4, "tensor 'a': shape is not an array" },
    { "{\"a\":" T("F32", "[1,\"2\"]", "[0,4]") "}", 4, "tensor 'a': dimension 1 is not an integer" },
    { "{\"a\":" T("F32", "[1.0]", "[0,4]") "}", 4, "tensor 'a': dimension 0 is not an integer" },
    { "{\"a\":" T("F32", "[-1]", "[0,4]") "}", 4, "tensor 'a': dimension 0 is negative: -1" },
    { "{\"a\":" T("F32", "[99999999999999999999]", "[0,4]") "}", 4,
      "header: not valid JSON: too big integer near '99999999999999999999' (byte 49)" },
    { "{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, "tensor 'a': 9 dimensions, above the limit of 8" },
    { "{\"a\":" T("U8", "[4294967296,4294967296]", "[0,0]") "}", 0,
      "tensor 'a': the product of its dimensions overflows" },
    { "{\"a\":" T("F64", "[2305843009213693952]", "[0,0]") "}", 0,
      "tensor 'a': the product of its dimensions overflows" },
    { "{\"a\":" T("F4", "[3]", "[0,1]") "}", 1, "tensor 'a': 12 bits of F4 are no whole bytes" },
    { "{\"a\":" T("U8", "[1]", "{}") "}", 1, "tensor 'a': data_offsets is not a pair of integers" },
    { "{\"a\":" T("U8", "[1]", "[0,1,2]") "}", 1, "tensor 'a': data_offsets is not a pair of integers" },
    { "{\"a\":" T("U8", "[1]", "[0,1.5]") "}", 1, "tensor 'a': data_offsets is not a pair of integers" },
    { "{\"a\":" T("U8", "[1]", "[-1,0]") "}", 1, "tensor 'a': data_offsets begin at -1" },
    { "{\"a\":" T("U8", "[1]", "[2,1]") "}", 1, "tensor 'a': data_offsets end at 1, before they begin at 2" },
    { "{\"a\":" T("F32", "[2]", "[0,4]") "}", 4,
      "tensor 'a': data_offsets span 4 bytes, its shape and dtype F32 need 8" },
    { "{\"a\":" T("U8", "[1]", "[1,2]") "}", 2, "tensor 'a': bytes 0 to 1 before its data belong to no tensor" },
    { "{\"a\":" T("U8", "[1]", "[0,1]") ",\"b\":" T("U8", "[1]", "[3,4]") "}", 4,
      "tensor 'b': bytes 1 to 3 before its data belong to no tensor" },
    { "{\"a\":" T("U8", "[2]", "[0,2]") ",\"b\":" T("U8", "[2]", "[1,3]") "}", 3,
      "tensor 'b': its data at byte 1 overlaps that of 'a', which ends at 2" },
    { "{\"a\":" T("U8", "[123]", "[0,123]") "}", 45, "truncated: header promises 123 bytes of data, file has 45" },
    { "{\"a\":" T("U8", "[1]", "[0,1]") "}", 3,
      "2 bytes follow the last tensor: header promises 1 bytes of data, file has 3" },
    { "{\"\\u001b[31m\":1}", 0, "tensor '?[31m': not an object" },
};

static void each_malformed_header_has_its_message(void **state)
{
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        ft_safetensors *st = NULL;
        char want[1200];
        size_t n;
        ft_err e;
        unsigned char *bytes = scratch_bytes(malformed[i].header, malformed[i].data, &n);
        assert_int_equal(ft_safetensors_open_bytes(&st, bytes, n, "dir/m.safetensors", &e), FT_EDATA);
        snprintf(want, sizeof want, "dir/m.safetensors: %s", malformed[i].message);
        if (strcmp(e.msg, want)) {
            print_error("want: %s\nhave: %s\n", want, e.msg);
            wrong++;
        }
        assert_null(st);
        free(bytes);
    }
    assert_int_equal(wrong, 0);
}

static void refuse(const char *bytes, size_t n, const char *message)
{
    ft_safetensors *st = NULL;
    ft_err e;
    unsigned char *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    assert_int_equal(ft_safetensors_open_bytes(&st, copy, n, "f", &e), FT_EDATA);
    assert_string_equal(e.msg, message);
    free(copy);
}

static void a_false_length_is_told_with_what_the_file_may_be(void **state)
{
    (void)state;
    refuse("", 0, "f: truncated: 0 bytes, and the length of the header alone takes 8");
    refuse("\2\0\0\0\0\0\0\0{", 9, "f: truncated: the header should have 2 bytes, the file has 1");
    refuse("\1\xe1\xf5\5\0\0\0\0{}", 10,
           "f: not a safetensors file: its header would have 100000001 bytes, above the limit of 100000000");
    refuse("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10,
           "f: not a safetensors file: its header would have 18446744073709551615 bytes, above the limit of 100000000");
    refuse("version https://git-lfs.github.com/spec/v1\n", 43,
           "f: not a safetensors file: its header would have 2336927755350992246 bytes, above the limit of 100000000 "
           "(it is a Git LFS pointer: the real file was not downloaded)");
    refuse("PK\3\4\0\0\0\0ab", 10,
           "f: truncated: the header should have 67324752 bytes, the file has 2 (it is a zip archive, as PyTorch's "
           "pickled files are)");
}

static const char small[] = "{\"__metadata__\":{\"format\":\"pt\"},\"b\":" T("F32", "[2,2]", "[8,24]") ",\"a\":" T(
    "I64", "[1]", "[0,8]") ",\"c\":" T("U8", "[0,7]", "[24,24]") "}   ";

static void every_truncation_is_refused(void **state)
{
    size_t n;
    unsigned char *whole = scratch_bytes(small, 24, &n);
    const size_t live = ft_mem_get().live;
    (void)state;
    for (size_t keep = 0; keep < n; keep++) {
        ft_safetensors *st = NULL;
        ft_err e;
        unsigned char *part = malloc(keep ? keep : 1);
        memcpy(part, whole, keep);
        assert_int_equal(ft_safetensors_open_bytes(&st, part, keep, "f", &e), FT_EDATA);
        assert_non_null(strstr(e.msg, "truncated"));
        assert_int_equal(ft_mem_get().live, live);
        free(part);
    }
    free(whole);
}

static void every_changed_byte_is_survived(void **state)
{
    size_t n;
    unsigned char *bytes = scratch_bytes(small, 24, &n);
    const size_t live = ft_mem_get().live;
    (void)state;
    for (size_t at = 0; at < n; at++) {
        for (unsigned change = 1; change < 256; change += 2) {
            ft_safetensors *st = NULL;
            ft_err e;
            bytes[at] ^= (unsigned char)change;
            const ft_status s = ft_safetensors_open_bytes(&st, bytes, n, "f", &e);
            assert_true(s == FT_OK || s == FT_EDATA);
            assert_true(at < n - 24 || s == FT_OK);
            ft_safetensors_release(st);
            bytes[at] ^= (unsigned char)change;
        }
    }
    assert_int_equal(ft_mem_get().live, live);
    free(bytes);
}

/* ==== Reading ==== */

static void names_come_in_the_order_of_the_data(void **state)
{
    char p[1024];
    ft_safetensors *st;
    ft_err e;
    (void)state;
    scratch_write("f", small, 24);
    assert_int_equal(ft_safetensors_open(&st, scratch_path(p, "f"), &e), FT_OK);
    assert_int_equal(ft_safetensors_count(st), 3);
    assert_string_equal(ft_safetensors_name(st, 0), "a");
    assert_string_equal(ft_safetensors_name(st, 1), "b");
    assert_string_equal(ft_safetensors_name(st, 2), "c");
    const ft_safetensors_info *b = ft_safetensors_find(st, "b");
    assert_string_equal(b->dtype, "F32");
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->dim[1], 2);
    assert_int_equal(b->bytes, 16);
    assert_null(ft_safetensors_find(st, "bb"));
    assert_string_equal(ft_safetensors_metadata(st, "format"), "pt");
    assert_null(ft_safetensors_metadata(st, "other"));
    ft_safetensors_release(st);
}

static void a_tensor_keeps_the_mapping_alive(void **state)
{
    char p[1024];
    const size_t live = ft_mem_get().live;
    ft_safetensors *st;
    ft_tensor *t, *again;
    ft_err e;
    (void)state;
    scratch_write("f", small, 24);
    assert_int_equal(ft_safetensors_open(&st, scratch_path(p, "f"), &e), FT_OK);
    assert_int_equal(ft_safetensors_tensor(st, "a", &t, &e), FT_OK);
    assert_int_equal(ft_safetensors_tensor(st, "a", &again, &e), FT_OK);
    assert_ptr_equal(t->data, again->data); /* no copy: the header has been padded to a multiple of 8 */
    ft_tensor_release(again);
    ft_safetensors_release(ft_safetensors_retain(st));
    ft_safetensors_release(st);
    remove(p);
    assert_int_equal(*(int64_t *)t->data, 0);
    ft_tensor_release(t);
    assert_int_equal(ft_mem_get().live, live);
}

/* Headers of eight lengths, so that the data lies at each remainder by 8. */
static void data_at_any_address_is_read(void **state)
{
    (void)state;
    for (int pad = 0; pad < 8; pad++) {
        char header[300];
        ft_safetensors *st;
        ft_tensor *t;
        ft_err e;
        size_t n;
        snprintf(header, sizeof header,
                 "{\"d\":" T("F64", "[2]", "[0,16]") ",\"f\":" T("F32", "[]", "[16,20]") ",\"h\":" T("BF16", "[1]",
                                                                                                     "[20,22]") "}%*s",
                 pad, "");
        unsigned char *bytes = scratch_bytes(header, 22, &n), *data = bytes + n - 22;
        memcpy(data, (double[]){ 0.5, 1e300 }, 16);
        memcpy(data + 16, (float[]){ -3 }, 4);
        memcpy(data + 20, (uint16_t[]){ 0x4040 }, 2);
        assert_int_equal(ft_safetensors_open_bytes(&st, bytes, n, "f", &e), FT_OK);

        assert_int_equal(ft_safetensors_tensor(st, "d", &t, &e), FT_OK);
        assert_int_equal(t->dtype, FT_F32);
        assert_true(((float *)t->data)[0] == 0.5f);
        assert_true(((float *)t->data)[1] > 3.4e38f);
        ft_tensor_release(t);
        assert_int_equal(ft_safetensors_tensor(st, "f", &t, &e), FT_OK);
        assert_int_equal((uintptr_t)t->data % 4, 0);
        assert_int_equal(t->shape.rank, 0);
        assert_true(*(float *)t->data == -3);
        assert_int_equal(t->data == data + 16, (uintptr_t)(data + 16) % 4 == 0);
        ft_tensor_release(t);
        assert_int_equal(ft_safetensors_tensor(st, "h", &t, &e), FT_OK);
        assert_int_equal(t->dtype, FT_BF16);
        assert_int_equal(*(uint16_t *)t->data, 0x4040);
        ft_tensor_release(t);
        ft_safetensors_release(st);
        free(bytes);
    }
}

static void what_cannot_become_a_tensor_is_listed_but_told(void **state)
{
    ft_safetensors *st;
    ft_tensor *t = NULL;
    ft_err e;
    size_t n;
    unsigned char *bytes =
        scratch_bytes("{\"mask\":" T("BOOL", "[2]", "[0,2]") ",\"deep\":" T("F32", "[1,1,1,1,1]", "[2,6]") "}", 6, &n);
    (void)state;
    assert_int_equal(ft_safetensors_open_bytes(&st, bytes, n, "f", &e), FT_OK);
    assert_string_equal(ft_safetensors_find(st, "mask")->dtype, "BOOL");
    assert_int_equal(ft_safetensors_tensor(st, "mask", &t, &e), FT_EDATA);
    assert_string_equal(e.msg, "f: tensor 'mask': dtype BOOL cannot be used: F32, F16, BF16, F64, I32, I64 and U8 can");
    assert_int_equal(ft_safetensors_tensor(st, "deep", &t, &e), FT_EDATA);
    assert_string_equal(e.msg, "f: tensor 'deep': 5 dimensions, and a tensor has at most 4");
    assert_int_equal(ft_safetensors_tensor(st, "mosk", &t, &e), FT_EDATA);
    assert_string_equal(e.msg, "f: no tensor 'mosk'; did you mean 'mask'?");
    assert_int_equal(ft_safetensors_tensor(st, "quite another", &t, &e), FT_EDATA);
    assert_string_equal(e.msg, "f: no tensor 'quite another'");
    assert_null(t);
    ft_safetensors_release(st);
    free(bytes);
}

static void a_file_without_tensors_is_valid(void **state)
{
    ft_safetensors *st;
    ft_err e;
    size_t n;
    unsigned char *bytes = scratch_bytes("{}", 0, &n);
    (void)state;
    assert_int_equal(ft_safetensors_open_bytes(&st, bytes, n, "f", &e), FT_OK);
    assert_int_equal(ft_safetensors_count(st), 0);
    assert_null(ft_safetensors_find(st, "a"));
    assert_null(ft_safetensors_metadata(st, "format"));
    ft_safetensors_release(st);
    free(bytes);
}

static void a_missing_file_is_named(void **state)
{
    ft_safetensors *st = NULL;
    ft_err e;
    (void)state;
    assert_int_equal(ft_safetensors_open(&st, "no/such/file", &e), FT_EIO);
    assert_string_equal(e.msg, "no/such/file: No such file or directory");
    assert_null(st);
}

/* ==== Shards ==== */

#define ONE(name) "{\"" name "\":" T("U8", "[1]", "[0,1]") "}"

static void write_index(const char *text)
{
    char p[1024];
    FILE *f = fopen(scratch_path(p, "model.safetensors.index.json"), "w");
    fputs(text, f);
    fclose(f);
}

static void shards_are_one_checkpoint(void **state)
{
    ft_safetensors *st;
    ft_tensor *t;
    ft_err e;
    (void)state;
    scratch_write("m-1", "{\"__metadata__\":{\"k\":\"1\"},\"x\":" T("U8", "[1]", "[0,1]") "}", 1);
    scratch_write("m-2", "{\"y\":" T("U8", "[1]", "[0,1]") ",\"unlisted\":" T("U8", "[1]", "[1,2]") "}", 2);
    write_index("{\"metadata\":{\"total_size\":2},\"weight_map\":{\"y\":\"m-2\",\"x\":\"m-1\"}}");
    assert_int_equal(ft_safetensors_open_dir(&st, scratch_root(), &e), FT_OK);
    assert_int_equal(ft_safetensors_count(st), 2);
    assert_string_equal(ft_safetensors_name(st, 0), "y");
    assert_string_equal(ft_safetensors_name(st, 1), "x");
    assert_null(ft_safetensors_find(st, "unlisted"));
    assert_string_equal(ft_safetensors_metadata(st, "k"), "1");
    assert_int_equal(ft_safetensors_tensor(st, "x", &t, &e), FT_OK);
    ft_safetensors_release(st);
    assert_int_equal(*(unsigned char *)t->data, 0);
    ft_tensor_release(t);
}

static void a_single_file_comes_before_an_index(void **state)
{
    ft_safetensors *st;
    ft_err e;
    (void)state;
    scratch_write("model.safetensors", ONE("whole"), 1);
    write_index("nonsense");
    assert_int_equal(ft_safetensors_open_dir(&st, scratch_root(), &e), FT_OK);
    assert_non_null(ft_safetensors_find(st, "whole"));
    ft_safetensors_release(st);
}

static void each_broken_index_has_its_message(void **state)
{
    static const struct {
        const char *index, *message;
    } broken[] = {
        { "", "not valid JSON: '[' or '{' expected near end of file" },
        { "[]", "not a JSON object" },
        { "{}", "weight_map is missing or not an object" },
        { "{\"weight_map\":[]}", "weight_map is missing or not an object" },
        { "{\"weight_map\":{}}", "weight_map is empty" },
        { "{\"weight_map\":{\"x\":1}}", "weight_map: the shard of 'x' is not a string" },
        { "{\"weight_map\":{\"x\":\"../m-1\"}}", "weight_map: the shard of 'x' is '../m-1', not a plain file name" },
        { "{\"weight_map\":{\"x\":\"/m-1\"}}", "not a plain file name" },
        { "{\"weight_map\":{\"x\":\"..\"}}", "not a plain file name" },
        { "{\"weight_map\":{\"x\":\"\"}}", "not a plain file name" },
        { "{\"weight_map\":{\"x\":\"m-1\",\"x\":\"m-1\"}}", "duplicate object key" },
        { "{\"weight_map\":{\"x\":\"m-1\",\"z\":\"m-1\"}}", "weight_map: tensor 'z' is not in its shard m-1" },
        { "{\"weight_map\":{\"x\":\"m-1\",\"z\":\"m-9\"}}", "m-9: No such file or directory" },
        { "{\"weight_map\":{\"x\":\"m-1\",\"z\":\"bad\"}}",
          "bad: truncated: header promises 1 bytes of data, file has 0" },
    };
    const size_t live = ft_mem_get().live;
    (void)state;
    scratch_write("m-1", ONE("x"), 1);
    scratch_write("bad", ONE("z"), 0);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ft_safetensors *st = NULL;
        ft_err e;
        write_index(broken[i].index);
        assert_int_not_equal(ft_safetensors_open_dir(&st, scratch_root(), &e), FT_OK);
        assert_non_null(strstr(e.msg, "model.safetensors.index.json: "));
        if (!strstr(e.msg, broken[i].message)) fail_msg("want '%s', have '%s'", broken[i].message, e.msg);
        assert_null(st);
        assert_int_equal(ft_mem_get().live, live);
    }
}

static void a_directory_without_weights_is_told(void **state)
{
    char p[1024];
    ft_safetensors *st = NULL;
    ft_err e;
    (void)state;
    assert_int_equal(ft_safetensors_open_dir(&st, scratch_root(), &e), FT_EIO);
    assert_non_null(strstr(e.msg, "none of model.safetensors, model.safetensors.index.json, pytorch_model.bin and"));
    scratch_write("pytorch_model.bin", "{}", 0);
    assert_int_equal(ft_safetensors_open_dir(&st, scratch_root(), &e), FT_EDATA);
    assert_non_null(strstr(e.msg, "pytorch_model.bin: not written by torch.save"));
    assert_int_equal(ft_safetensors_open_dir(&st, scratch_path(p, "pytorch_model.bin"), &e), FT_EIO);
    assert_non_null(strstr(e.msg, "not a directory"));
    assert_int_equal(ft_safetensors_open_dir(&st, scratch_path(p, "none"), &e), FT_EIO);
    assert_null(st);
}

/* ==== Memory ==== */

static ft_status open_and_read(int sharded, ft_err *e)
{
    char p[1024];
    ft_safetensors *st = NULL;
    ft_tensor *view = NULL, *copy = NULL;

    ft_status s =
        sharded ? ft_safetensors_open_dir(&st, scratch_root(), e) : ft_safetensors_open(&st, scratch_path(p, "m-1"), e);
    if (!s) s = ft_safetensors_tensor(st, "x", &view, e);
    if (!s) s = ft_safetensors_tensor(st, "d", &copy, e);
    ft_safetensors_release(st);
    ft_tensor_release(view);
    ft_tensor_release(copy);
    return s;
}

/* jansson allocates here too: main gives it the counting allocator. */
static void every_failed_allocation_is_reported_and_leaves_nothing(void **state)
{
    (void)state;
    scratch_write(
        "m-1", "{\"__metadata__\":{\"k\":\"v\"},\"x\":" T("U8", "[1]", "[8,9]") ",\"d\":" T("F64", "[1]", "[0,8]") "}",
        9);
    write_index("{\"weight_map\":{\"x\":\"m-1\",\"d\":\"m-1\"}}");
    for (int sharded = 0; sharded < 2; sharded++) {
        const size_t live = ft_mem_get().live;
        ft_status s = FT_EMEM;
        uint64_t nth = 0;
        while (s) {
            ft_err e = { .code = FT_OK };
            ft_mem_fail_at(++nth);
            s = open_and_read(sharded, &e);
            ft_mem_fail_at(0);
            assert_true(s == FT_OK || s == FT_EMEM);
            if (s) assert_non_null(strstr(e.msg, "out of memory"));
            assert_int_equal(ft_mem_get().live, live);
            assert_true(nth < 1000);
        }
        assert_true(nth > 15);
    }
}

int main(void)
{
#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_of_ones_own_are_written_apart, scratch_setup, scratch_teardown),
        cmocka_unit_test(each_malformed_header_has_its_message),
        cmocka_unit_test(a_false_length_is_told_with_what_the_file_may_be),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_changed_byte_is_survived),
        IN_SCRATCH(names_come_in_the_order_of_the_data),
        IN_SCRATCH(a_tensor_keeps_the_mapping_alive),
        cmocka_unit_test(data_at_any_address_is_read),
        cmocka_unit_test(what_cannot_become_a_tensor_is_listed_but_told),
        cmocka_unit_test(a_file_without_tensors_is_valid),
        cmocka_unit_test(a_missing_file_is_named),
        IN_SCRATCH(shards_are_one_checkpoint),
        IN_SCRATCH(a_single_file_comes_before_an_index),
        IN_SCRATCH(each_broken_index_has_its_message),
        IN_SCRATCH(a_directory_without_weights_is_told),
        IN_SCRATCH(every_failed_allocation_is_reported_and_leaves_nothing),
    };
    json_set_alloc_funcs(ft_malloc, ft_free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
