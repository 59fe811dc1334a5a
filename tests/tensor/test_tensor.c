/* tests/tensor/test_tensor.c - life of tensors and views, and half precision over every value there is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "tensor/tensor.h"

/* ==== Life ==== */

static void shapes_print_count_and_compare(void **state)
{
    char text[96];
    (void)state;
    const ft_shape a = ft_shape_of(2, 2, 3, 9, 9), b = ft_shape_of(2, 2, 3, 1, 1), c = ft_shape_of(3, 2, 3, 1, 1);
    const ft_shape number = ft_shape_of(0, 0, 0, 0, 0),
                   most = ft_shape_of(4, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
    assert_string_equal(ft_shape_text(&a, text), "(2,3)");
    assert_string_equal(ft_shape_text(&number, text), "()");
    assert_int_equal(strlen(ft_shape_text(&most, text)), 4 * 19 + 5);
    assert_int_equal(ft_shape_count(&a), 6);
    assert_int_equal(ft_shape_count(&number), 1);
    assert_true(ft_shape_equal(&a, &b));
    assert_false(ft_shape_equal(&a, &c));
}

static void zeros_are_zero_and_counted(void **state)
{
    const ft_shape shape = ft_shape_of(2, 3, 5, 1, 1);
    const size_t live = ft_mem_get().live;
    ft_tensor *t;
    ft_err e;
    (void)state;
    for (int d = FT_F32; d <= FT_U8; d++) {
        assert_int_equal(ft_tensor_zeros(&t, (ft_dtype)d, &shape, &e), FT_OK);
        assert_int_equal(t->bytes, 15 * ft_dtype_size((ft_dtype)d));
        for (size_t i = 0; i < t->bytes; i++) assert_int_equal(((char *)t->data)[i], 0);
        ft_tensor_release(t);
    }
    assert_int_equal(ft_mem_get().live, live);
}

static void impossible_shapes_are_refused(void **state)
{
    const ft_shape negative = ft_shape_of(1, -1, 1, 1, 1), huge = ft_shape_of(2, INT64_MAX, 4, 1, 1);
    const ft_shape empty = ft_shape_of(2, 0, INT64_MAX, 1, 1);
    ft_shape five = ft_shape_of(4, 1, 1, 1, 1);
    ft_tensor *t;
    ft_err e;
    (void)state;
    five.rank = 5;
    assert_int_equal(ft_tensor_new(&t, FT_F32, &negative, &e), FT_ESHAPE);
    assert_int_equal(ft_tensor_new(&t, FT_F32, &huge, &e), FT_ESHAPE);
    assert_int_equal(ft_tensor_new(&t, FT_F32, &five, &e), FT_ESHAPE);
    assert_string_equal(e.msg, "a tensor has 0 to 4 dimensions, not 5");
    assert_int_equal(ft_tensor_new(&t, FT_F32, &empty, &e), FT_OK);
    assert_int_equal(t->bytes, 0);
    ft_tensor_release(t);
}

static void a_view_shares_bytes_and_keeps_its_base(void **state)
{
    const ft_shape whole = ft_shape_of(2, 3, 4, 1, 1), row = ft_shape_of(1, 4, 1, 1, 1);
    const size_t live = ft_mem_get().live;
    ft_tensor *base, *view, *inner;
    ft_err e;
    (void)state;
    assert_int_equal(ft_tensor_zeros(&base, FT_F32, &whole, &e), FT_OK);
    ((float *)base->data)[8] = 5;
    assert_int_equal(ft_tensor_view(&view, base, 8, &row, &e), FT_OK);
    const ft_shape one = ft_shape_of(0, 1, 1, 1, 1);
    assert_int_equal(ft_tensor_view(&inner, view, 0, &one, &e), FT_OK);
    ft_tensor_release(base);
    ft_tensor_release(view);
    assert_true(*(float *)inner->data == 5);
    ft_tensor_release(inner);
    assert_int_equal(ft_mem_get().live, live);
}

static void a_view_cannot_leave_its_base(void **state)
{
    const ft_shape whole = ft_shape_of(1, 12, 1, 1, 1), four = ft_shape_of(1, 4, 1, 1, 1);
    ft_tensor *base, *view;
    ft_err e;
    (void)state;
    assert_int_equal(ft_tensor_zeros(&base, FT_F32, &whole, &e), FT_OK);
    assert_int_equal(ft_tensor_view(&view, base, 9, &four, &e), FT_ESHAPE);
    assert_string_equal(e.msg, "view of 4 elements at 9 leaves its base of 12");
    assert_int_equal(ft_tensor_view(&view, base, -1, &four, &e), FT_ESHAPE);
    assert_int_equal(ft_tensor_view(&view, base, INT64_MAX, &four, &e), FT_ESHAPE);
    assert_int_equal(ft_tensor_view(&view, base, 8, &four, &e), FT_OK);
    ft_tensor_release(view);
    ft_tensor_release(base);
}

static void count_drop(void *ctx) { ++*(int *)ctx; }

static void foreign_bytes_are_dropped_once_and_never_freed(void **state)
{
    const ft_shape shape = ft_shape_of(1, 2, 1, 1, 1);
    const size_t live = ft_mem_get().live;
    float bytes[2] = { 1, 2 };
    int drops = 0;
    ft_tensor *t, *view;
    ft_err e;
    (void)state;
    assert_int_equal(ft_tensor_wrap(&t, FT_F32, &shape, bytes, count_drop, &drops, &e), FT_OK);
    assert_int_equal(ft_tensor_view(&view, t, 0, &shape, &e), FT_OK);
    ft_tensor_release(t);
    assert_int_equal(drops, 0);
    ft_tensor_release(view);
    assert_int_equal(drops, 1);
    assert_int_equal(ft_tensor_wrap(&t, FT_F32, &shape, bytes, NULL, NULL, &e), FT_OK);
    ft_tensor_release(t);
    assert_true(bytes[1] == 2);
    assert_int_equal(ft_mem_get().live, live);
}

static void a_shape_only_tensor_has_bytes_but_no_data(void **state)
{
    const ft_shape shape = ft_shape_of(2, 1000, 1000, 1, 1);
    ft_tensor *t, *u;
    ft_err e;
    (void)state;
    assert_int_equal(ft_tensor_shape_only(&t, FT_F32, &shape, &e), FT_OK);
    assert_null(t->data);
    assert_int_equal(t->bytes, 4000000);
    assert_int_equal(ft_tensor_shape_only(&u, FT_BF16, &shape, &e), FT_OK);
    assert_int_equal(ft_tensor_convert(u, t, &e), FT_ESTATE);
    ft_tensor_release(t);
    ft_tensor_release(u);
}

static void a_failed_allocation_leaves_nothing(void **state)
{
    const ft_shape shape = ft_shape_of(1, 10, 1, 1, 1);
    const size_t live = ft_mem_get().live;
    ft_tensor *t;
    ft_err e;
    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        ft_mem_fail_at(nth);
        assert_int_equal(ft_tensor_zeros(&t, FT_F32, &shape, &e), FT_EMEM);
        ft_mem_fail_at(0);
        assert_int_equal(ft_mem_get().live, live);
    }
}

/* ==== Half precision ==== */

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* The definition of binary16: sign, five bits of exponent, ten of fraction. */
static float f16_by_definition(unsigned h)
{
    const int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
    const double sign = h & 0x8000u ? -1 : 1;

    if (exponent == 31) return fraction ? NAN : (float)(sign * INFINITY);
    return (float)(exponent ? sign * ldexp(1024 + fraction, exponent - 25) : sign * ldexp(fraction, -24));
}

static void every_f16_has_its_value_and_comes_back(void **state)
{
    (void)state;
    for (unsigned h = 0; h <= 0xffff; h++) {
        const float want = f16_by_definition(h), have = ft_f16_to((uint16_t)h);
        if (isnan(want)) {
            assert_true(isnan(have));
            assert_true(isnan(ft_f16_to(ft_f16_from(have))));
            continue;
        }
        assert_int_equal(bits_of(have), bits_of(want));
        assert_int_equal(ft_f16_from(have), h);
    }
}

static void every_bf16_has_its_value_and_comes_back(void **state)
{
    (void)state;
    for (unsigned h = 0; h <= 0xffff; h++) {
        const float x = ft_bf16_to((uint16_t)h);
        assert_int_equal(bits_of(x), h << 16);
        if (isnan(x))
            assert_true(isnan(ft_bf16_to(ft_bf16_from(x))));
        else
            assert_int_equal(ft_bf16_from(x), h);
    }
}

/* Between each value and the next: just below the middle goes down, just above goes up, the middle to the
 * even one. Rounding is monotonic, so this settles every float there is. The step after the largest value
 * counts as a full one: its upper half is infinite. */
static void check_steps(uint16_t (*from)(float), float (*to)(uint16_t), unsigned infinite, float beyond)
{
    for (unsigned h = 0; h < infinite; h++) {
        const float next = h + 1 == infinite ? beyond : to((uint16_t)(h + 1));
        const float middle = (float)(((double)to((uint16_t)h) + (double)next) / 2);
        for (unsigned sign = 0; sign <= 0x8000; sign += 0x8000) {
            const float s = sign ? -1.0f : 1.0f;
            assert_int_equal(from(s * nextafterf(middle, 0)), sign | h);
            assert_int_equal(from(s * middle), sign | (h + (h & 1)));
            assert_int_equal(from(s * nextafterf(middle, INFINITY)), sign | (h + 1));
        }
    }
}

static void f16_rounds_to_nearest_even_everywhere(void **state)
{
    (void)state;
    check_steps(ft_f16_from, ft_f16_to, 0x7c00, 65536.0f);
    assert_int_equal(ft_f16_from(3.0e38f), 0x7c00);
    assert_int_equal(ft_f16_from(1.0e-40f), 0);
    assert_int_equal(ft_f16_from(-1.0e-40f), 0x8000);
}

static void bf16_rounds_to_nearest_even_everywhere(void **state)
{
    (void)state;
    /* up to the last value but one, since what lies beyond the largest is no float */
    check_steps(ft_bf16_from, ft_bf16_to, 0x7f7f, ft_bf16_to(0x7f7f));
    assert_int_equal(ft_bf16_from(0x1.fefffep127f), 0x7f7f);
    assert_int_equal(ft_bf16_from(0x1.ffp127f), 0x7f80);
    assert_int_equal(ft_bf16_from(-INFINITY), 0xff80);
}

static void convert_goes_between_all_float_dtypes(void **state)
{
    static const ft_dtype kinds[] = { FT_F32, FT_F16, FT_BF16 };
    const ft_shape shape = ft_shape_of(2, 2, 2, 1, 1);
    const float values[4] = { 1, -0.5f, 0, 384 };
    ft_tensor *source, *a, *b, *back;
    ft_err e;
    (void)state;
    assert_int_equal(ft_tensor_wrap(&source, FT_F32, &shape, (void *)values, NULL, NULL, &e), FT_OK);
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(ft_tensor_new(&a, kinds[i / 3], &shape, &e), FT_OK);
        assert_int_equal(ft_tensor_new(&b, kinds[i % 3], &shape, &e), FT_OK);
        assert_int_equal(ft_tensor_new(&back, FT_F32, &shape, &e), FT_OK);
        assert_int_equal(ft_tensor_convert(a, source, &e), FT_OK);
        assert_int_equal(ft_tensor_convert(b, a, &e), FT_OK);
        assert_int_equal(ft_tensor_convert(back, b, &e), FT_OK);
        assert_memory_equal(back->data, values, sizeof values);
        ft_tensor_release(a);
        ft_tensor_release(b);
        ft_tensor_release(back);
    }
    ft_tensor_release(source);
}

static void convert_refuses_other_shapes_and_integers(void **state)
{
    const ft_shape four = ft_shape_of(1, 4, 1, 1, 1), square = ft_shape_of(2, 2, 2, 1, 1);
    ft_tensor *a, *b, *c, *d;
    ft_err e;
    (void)state;
    assert_int_equal(ft_tensor_zeros(&a, FT_F32, &four, &e), FT_OK);
    assert_int_equal(ft_tensor_zeros(&b, FT_F32, &square, &e), FT_OK);
    assert_int_equal(ft_tensor_zeros(&c, FT_I32, &four, &e), FT_OK);
    assert_int_equal(ft_tensor_zeros(&d, FT_I32, &four, &e), FT_OK);
    ((int32_t *)c->data)[3] = 70000;
    assert_int_equal(ft_tensor_convert(a, b, &e), FT_ESHAPE);
    assert_string_equal(e.msg, "cannot copy (2,2) into (4)");
    assert_int_equal(ft_tensor_convert(a, c, &e), FT_ESHAPE);
    assert_string_equal(e.msg, "cannot convert i32 to f32");
    assert_int_equal(ft_tensor_convert(c, a, &e), FT_ESHAPE);
    assert_int_equal(ft_tensor_convert(d, c, &e), FT_OK);
    assert_int_equal(((int32_t *)d->data)[3], 70000);
    ft_tensor_release(a);
    ft_tensor_release(b);
    ft_tensor_release(c);
    ft_tensor_release(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_print_count_and_compare),
        cmocka_unit_test(zeros_are_zero_and_counted),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(a_view_shares_bytes_and_keeps_its_base),
        cmocka_unit_test(a_view_cannot_leave_its_base),
        cmocka_unit_test(foreign_bytes_are_dropped_once_and_never_freed),
        cmocka_unit_test(a_shape_only_tensor_has_bytes_but_no_data),
        cmocka_unit_test(a_failed_allocation_leaves_nothing),
        cmocka_unit_test(every_f16_has_its_value_and_comes_back),
        cmocka_unit_test(every_bf16_has_its_value_and_comes_back),
        cmocka_unit_test(f16_rounds_to_nearest_even_everywhere),
        cmocka_unit_test(bf16_rounds_to_nearest_even_everywhere),
        cmocka_unit_test(convert_goes_between_all_float_dtypes),
        cmocka_unit_test(convert_refuses_other_shapes_and_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
