/* tests/ops/test_product_bf16.c - products in bf16 against products of rounded operands in double.
 *
 * On a processor without bf16 instructions only the refusals are tested; the others are skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"
#include "graph/lazy.h"
#include "graph/op.h"
#include "ops/product/bf16.h"
#include "ops/product/layouts.h"
#include "ops/product/product.h"
#include "tensor/tensor.h"

/* The three products of a map; results have a row more than needed. */
typedef struct products {
    ft_bf16_map m;
    size_t work;
    float *x, *w, *dy, *bias, *y, *dx, *dw;
} products;

static int available(void)
{
    ft_err e = { 0 };

    unsetenv("FTPIPE_NO_BF16");
    if (!ft_product_select("onednn", NULL, &e) && !ft_product_bf16(&e)) return 1;
    print_message("skipped: %s\n", e.msg);
    return 0;
}

static float *numbers(int64_t n, const char *site)
{
    float *x = malloc(sizeof *x * (size_t)(n + 1));
    assert_non_null(x);
    ft_rng_normal(ft_rng_site(5, site), x, (size_t)n, 1.0f);
    return x;
}

static products begin(int64_t R, int64_t O, int64_t I)
{
    ft_err e = { 0 };
    products p = { .m = { .R = R, .O = O, .I = I } };

    p.x = numbers(R * I, "x");
    p.w = numbers(O * I, "w");
    p.dy = numbers(R * O, "dy");
    p.bias = numbers(O, "bias");
    p.y = numbers((R + 1) * O, "y");
    p.dx = numbers((R + 1) * I, "dx");
    p.dw = numbers((O + 1) * I, "dw");
    p.m.w = p.w;
    assert_int_equal(ft_bf16_prepare(&p.m, &e), FT_OK);
    p.work = ft_bf16_work(&p.m, 1);
    p.m.work = ft_block_alloc(p.work);
    assert_non_null(p.m.work);
    memset(p.m.work, 0xff, p.work); /* NaN: what is not written must not be read */
    return p;
}

static void end(products *p)
{
    float *all[] = { p->x, p->w, p->dy, p->bias, p->y, p->dx, p->dw };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    ft_block_free(p->m.work, p->work);
    omp_set_num_threads(2);
}

static void run(products *p, int add)
{
    ft_bf16_forward(&p->m, p->x, add ? p->bias : NULL, p->y);
    ft_bf16_grad_x(&p->m, p->dy, add, p->dx);
    ft_bf16_grad_w(&p->m, p->dy, p->x, add, p->dw);
}

/* got = start + sum over k of a[k * sa] * b[k * sb], operands rounded, up to float32 sums. */
static void near(const products *p, const char *what, float got, double start, int64_t K, const float *a, int64_t sa,
                 const float *b, int64_t sb)
{
    double sum = start, size = fabs(start);

    for (int64_t k = 0; k < K; k++) {
        const double t = (double)ft_bf16_to(ft_bf16_from(a[k * sa])) * (double)ft_bf16_to(ft_bf16_from(b[k * sb]));
        sum += t;
        size += fabs(t);
    }
    if (!(fabs(sum - (double)got) <= 1e-6 * (1 + size)))
        fail_msg("%s of %lld rows, %lldx%lld: %.9g, not %.9g", what, (long long)p->m.R, (long long)p->m.O,
                 (long long)p->m.I, (double)got, sum);
}

/* Every product stored and added, every `stride`-th element compared, and nothing written behind the result. */
static void check(int64_t R, int64_t O, int64_t I, int64_t stride)
{
    for (int add = 0; add < 2; add++) {
        products p = begin(R, O, I);
        float *dx0 = numbers((R + 1) * I, "dx"), *dw0 = numbers((O + 1) * I, "dw"), *y0 = numbers((R + 1) * O, "y");
        run(&p, add);
        for (int64_t i = 0; i < R * O; i += stride)
            near(&p, "y", p.y[i], add ? (double)p.bias[i % O] : 0, I, p.x + i / O * I, 1, p.w + i % O * I, 1);
        for (int64_t i = 0; i < R * I; i += stride)
            near(&p, "dx", p.dx[i], add ? (double)dx0[i] : 0, O, p.dy + i / I * O, 1, p.w + i % I, I);
        for (int64_t i = 0; i < O * I; i += stride)
            near(&p, "dw", p.dw[i], add ? (double)dw0[i] : 0, R, p.dy + i / I, O, p.x + i % I, I);
        assert_memory_equal(p.y + R * O, y0 + R * O, sizeof *y0 * (size_t)O);
        assert_memory_equal(p.dx + R * I, dx0 + R * I, sizeof *dx0 * (size_t)I);
        assert_memory_equal(p.dw + O * I, dw0 + O * I, sizeof *dw0 * (size_t)I);
        free(dx0);
        free(dw0);
        free(y0);
        end(&p);
    }
}

static void products_are_those_of_rounded_operands(void **state)
{
    (void)state;
    static const int64_t rows[] = { 0, 1, 2, 15, 16, 17, 31, 33, 47, 49, 64, 65, 100 };

    if (!available()) skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check(rows[i], 65 + (int64_t)i, 64 + 3 * (int64_t)i, 5);
}

/* Panels of rows change at 1024, sums of weight gradients at 480, 960 and 1440, their blocks at 96 outputs; those of a vocabulary, from 8192
 * outputs on, are sums of 480 of them for at most 320 rows. */
static void sizes_around_the_cuts(void **state)
{
    (void)state;
    if (!available()) skip();
    check(479, 96, 64, 13);
    check(481, 192, 70, 13);
    check(961, 64, 64, 17);
    check(1510, 97, 70, 17);
    check(1023, 64, 130, 17);
    check(1025, 97, 64, 17);
    check(1119, 200, 96, 17);
    check(0, 8192, 64, 97);
    check(1, 8191, 64, 97);
    check(75, 8192, 70, 997);
    check(330, 8350, 64, 997);
    check(643, 8640, 65, 9973);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = { { 261, 401, 65 }, { 1100, 192, 128 }, { 700, 96, 300 }, { 330, 8300, 70 } };

    if (!available()) skip();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        products p = begin(sizes[i][0], sizes[i][1], sizes[i][2]), first = begin(sizes[i][0], sizes[i][1], sizes[i][2]);
        omp_set_num_threads(1);
        run(&first, 0);
        for (int threads = 2; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            run(&p, 0);
            assert_memory_equal(p.y, first.y, sizeof *p.y * (size_t)(p.m.R * p.m.O));
            assert_memory_equal(p.dx, first.dx, sizeof *p.dx * (size_t)(p.m.R * p.m.I));
            assert_memory_equal(p.dw, first.dw, sizeof *p.dw * (size_t)(p.m.O * p.m.I));
        }
        end(&p);
        end(&first);
    }
}

static void new_numbers_of_rows_need_nothing_new(void **state)
{
    (void)state;
    const ft_rng_key key = ft_rng_site(7, "rows");

    if (!available()) skip();
    products warm = begin(10, 128, 96);
    end(&warm);
    const uint64_t before = ft_product_prepared();
    assert_true(before > 0);
    for (uint64_t i = 0; i < 200; i++) {
        products p = begin(1 + (int64_t)ft_rng_below(key, i, 1500), 128, 96);
        run(&p, (int)(i % 2));
        end(&p);
    }
    assert_true(ft_product_prepared() == before);
}

static void a_changed_weight_is_read_anew(void **state)
{
    (void)state;
    if (!available()) skip();
    products p = begin(3, 64, 64);
    p.m.weight = 1u << 30; /* no parameter's */
    run(&p, 0);
    const float y = p.y[0], dx = p.dx[0];
    for (int64_t i = 0; i < 64 * 64; i++) p.w[i] *= 2.0f;
    run(&p, 0);
    assert_true(p.y[0] == y && p.dx[0] == dx); /* kept: nobody said that it changed */
    ft_weights_changed();
    run(&p, 0);
    assert_true(p.y[0] == 2 * y && p.dx[0] == 2 * dx);
    ft_kept_forget();
    end(&p);
}

static void weights_that_cannot_be_kept_give_the_same_bits(void **state)
{
    (void)state;
    if (!available()) skip();
    products kept = begin(40, 70, 90), loose = begin(40, 70, 90);
    kept.m.weight = 1u << 30;
    run(&kept, 0);
    run(&loose, 0);
    assert_memory_equal(kept.y, loose.y, sizeof *kept.y * 40 * 70);
    const size_t live = ft_mem_get().live;
    ft_kept_forget();
    assert_true(ft_mem_get().live < live); /* what was kept was counted */
    loose.m.weight = 1u << 30;
    ft_mem_fail_at(1);
    run(&loose, 0);
    ft_mem_fail_at(0);
    assert_memory_equal(kept.y, loose.y, sizeof *kept.y * 40 * 70);
    assert_memory_equal(kept.dx, loose.dx, sizeof *kept.dx * 40 * 90);
    end(&kept);
    end(&loose);
}

/* One AdamW step of a weight in use; with `awake`, some blocks may sleep and owe their decay. */
static void step(products *p, float *m, float *v, uint8_t *awake, ft_lazy *lazy)
{
    const int64_t O = p->m.O, I = p->m.I;
    ft_optim_job jobs[2] = { { .w = p->bias, .g = p->dy, .m = m + O * I, .v = v + O * I, .n = O },
                             { .w = p->w,
                               .g = p->dw,
                               .m = m,
                               .v = v,
                               .n = O * I,
                               .lines = O,
                               .weight = p->m.weight,
                               .awake = awake,
                               .lazy = lazy } };
    const float hyper[8] = { 1e-2f, 0.9f, 0.999f, 1e-8f, 0.01f, 0.1f, 0.001f, 1 };

    for (int k = 0; k < 2; k++) memcpy(jobs[k].hyper, hyper, sizeof hyper);
    ft_optim_find("adamw")->update(jobs, 2);
    ft_weights_changed();
}

/* Products with the weight as the step left it are those with a copy that is laid out as a whole. */
static void compare_with_copy(const products *p)
{
    products copy = begin(p->m.R, p->m.O, p->m.I);

    memcpy(copy.w, p->w, sizeof *p->w * (size_t)(p->m.O * p->m.I));
    run(&copy, 0);
    assert_memory_equal(p->y, copy.y, sizeof *p->y * (size_t)(p->m.R * p->m.O));
    assert_memory_equal(p->dx, copy.dx, sizeof *p->dx * (size_t)(p->m.R * p->m.I));
    end(&copy);
}

static void check_steps(int64_t O, int64_t I, int with_sleep)
{
    const size_t n = (size_t)(O * I), blocks = n / FT_OPTIM_BLOCK + 1;
    products p = begin(40, O, I);
    float *m = calloc(n + (size_t)O, sizeof *m), *v = calloc(n + (size_t)O, sizeof *v);
    uint8_t *awake = calloc(blocks, 1);
    ft_lazy *lazy = NULL;
    int fresh = 0;

    assert_true(m && v && awake && ft_lazy_new(&lazy, O * I, NULL) == FT_OK);
    p.m.weight = 1u << 30;
    for (int t = 0; t < 3; t++) {
        run(&p, 0);
        if (t) compare_with_copy(&p);
        /* first without a gradient in some lines, then everywhere */
        if (with_sleep && t == 0) memset(p.dw + I, 0, sizeof *p.dw * (size_t)(O / 2 * I));
        step(&p, m, v, with_sleep ? awake : NULL, with_sleep ? lazy : NULL);
        if (with_sleep) ft_op_active()->settle(lazy, p.w, O * I, 0, (O * I + FT_OPTIM_BLOCK - 1) / FT_OPTIM_BLOCK);
    }
    assert_non_null(ft_kept(p.m.weight, FT_BF16_FORWARD, ft_bf16_packed(&p.m, 0), &fresh));
    assert_true(fresh); /* it was laid out by the step, not to be done again */
    run(&p, 0);
    compare_with_copy(&p);
    ft_kept_forget();
    end(&p);
    free(m);
    free(v);
    free(awake);
    ft_free(lazy);
}

static void a_step_lays_out_the_weights_in_use(void **state)
{
    (void)state;
    if (!available()) skip();
    static const int64_t sizes[][2] = { { 64, 64 }, { 96, 384 }, { 70, 90 }, { 200, 65 }, { 65, 3100 }, { 384, 100 } };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int with_sleep = 0; with_sleep < 2; with_sleep++) check_steps(sizes[k][0], sizes[k][1], with_sleep);
}

/* Float32: the turned weight is that of turning it as a whole; what is stale or unknown is not offered. */
static void a_part_of_a_layout_is_that_of_the_whole(void **state)
{
    (void)state;
    enum { O = 83, I = 77, ID = 1 << 30 };
    int fresh;
    void *at[FT_LAYOUT_KINDS];
    float *w = numbers((int64_t)O * I, "w"), *kept = ft_kept(ID, FT_TURNED, sizeof(float) * O * I, &fresh);

    assert_non_null(kept);
    assert_false(ft_layouts_renew(ID, I, O + 1, at));
    assert_false(ft_layouts_renew(0, O, I, at));
    assert_true(ft_layouts_renew(ID, O, I, at) && at[FT_TURNED] == kept && !at[FT_BF16_FORWARD]);
    assert_false(ft_layouts_renew(ID, O, I, at)); /* it counts as the next weights' by now */
    at[FT_TURNED] = kept;
    for (int64_t o = 0; o < O; o += 48) ft_layouts_fill(at, w, O, I, o, O - o < 48 ? O - o : 48);
    for (int64_t k = 0; k < (int64_t)O * I; k++) assert_true(kept[k % I * O + k / I] == w[k]);
    ft_weights_changed();
    assert_true(ft_kept(ID, FT_TURNED, sizeof(float) * O * I, &fresh) == kept && fresh);
    ft_weights_changed();
    assert_false(ft_layouts_renew(ID, O, I, at));
    ft_kept_forget();
    free(w);
}

static void nan_is_passed_on(void **state)
{
    (void)state;
    if (!available()) skip();
    products p = begin(20, 64, 64);
    p.x[5 * 64 + 3] = NAN;
    run(&p, 0);
    assert_true(isnan(p.y[5 * 64]) && !isnan(p.y[4 * 64]));
    assert_true(isnan(p.dw[3]) && !isnan(p.dw[4]));
    end(&p);
}

/* What a layout holds of x (R,C): x[r,c] rounded to nearest even, 0 beyond. Numbers too small to be normal may be 0. */
static void holds(const float *x, int64_t R, int64_t C, int64_t r, int64_t c, uint16_t got)
{
    const float was = r < R && c < C ? x[r * C + c] : 0.0f;

    if (isnan(was)) {
        assert_true(isnan(ft_bf16_to(got)));
    } else if (fpclassify(was) == FP_SUBNORMAL && (got & 0x7fff) == 0) {
        assert_int_equal(got >> 15, signbit(was) != 0);
    } else {
        assert_int_equal(got, ft_bf16_from(was));
    }
}

/* R rows and C columns in every layout, each padded: n to whole 32, m to whole 64. */
static void check_layouts(const ft_layouts *l, const float *x, int64_t R, int64_t C)
{
    const int64_t n = (R + 31) / 32 * 32, m = (C + 63) / 64 * 64, k = (C + 31) / 32 * 32, wide = n + 32;
    uint16_t *to = malloc(sizeof *to * (size_t)((n + 64) * (m + 64) + C * wide));

    assert_non_null(to);
    l->rows(x, C, R, C, n, m, to);
    for (int64_t i = 0; i < n * m; i++) holds(x, R, C, i / m, i % m, to[i]);
    l->turned_rows(x, C, R, C, n, wide, to);
    for (int64_t i = 0; i < C * n; i++) holds(x, R, C, i % n, i / n, to[i / n * wide + i % n]);
    if (C <= 64) {
        l->pairs(x, C, R, C, n, to);
        for (int64_t i = 0; i < n * 64; i++) holds(x, R, C, i / 128 * 2 + i % 2, i % 128 / 2, to[i]);
        l->weight_pairs(x, C, R, C, n, to + 2); /* also where lines of the cache do not begin */
        for (int64_t i = 0; i < n * 64; i++) holds(x, R, C, i / 128 * 2 + i % 2, i % 128 / 2, to[i + 2]);
    }
    if (R <= 64) {
        l->turned_weight_pairs(x, C, C, R, k, 64, to);
        for (int64_t i = 0; i < k * 64; i++) holds(x, R, C, i % 128 / 2, i / 128 * 2 + i % 2, to[i]);
    }
    free(to);
    float *turned = malloc(sizeof *turned * (size_t)(C * (R + 3) + 1));
    assert_non_null(turned);
    l->turned(x, C, R, C, turned, R + 3);
    for (int64_t i = 0; i < R * C; i++)
        assert_memory_equal(&turned[i % C * (R + 3) + i / C], &x[i], sizeof *x); /* NaN too */
    free(turned);
}

static void layouts_of_every_level_round_to_nearest_even(void **state)
{
    (void)state;
    const char *names[8], *before = ft_op_active()->isa;
    const float awkward[] = { 0.0f,     -0.0f,     INFINITY,   -INFINITY,  NAN,        3.4028235e38f, 1.17549435e-38f,
                              1.0e-40f, -1.0e-45f, 1.0039062f, 1.0117188f, -1.0039063f };
    const int64_t shapes[][2] = { { 1, 1 },  { 32, 64 }, { 33, 17 },  { 64, 100 },
                                  { 7, 64 }, { 70, 48 }, { 130, 65 }, { 0, 5 } };

    for (int i = ft_op_isas(names); i-- > 0;) {
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
            const int64_t R = shapes[k][0], C = shapes[k][1];
            float *x = numbers(R * C, "layout");
            for (int64_t j = 0; j < R * C; j += 3) x[j] = awkward[(j / 3) % 12];
            check_layouts(ft_op_active()->layouts, x, R, C);
            free(x);
        }
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

static void a_lack_is_told_with_its_reason(void **state)
{
    (void)state;
    ft_err e = { 0 };

    assert_int_equal(ft_product_select("openblas", NULL, &e), FT_OK);
    assert_int_equal(ft_product_bf16(&e), FT_EUSAGE);
    assert_non_null(strstr(e.msg, "OpenBLAS"));
    setenv("FTPIPE_NO_BF16", "1", 1);
    if (ft_product_select("onednn", NULL, &e)) skip();
    assert_int_equal(ft_product_bf16(&e), FT_EUSAGE);
    assert_non_null(strstr(e.msg, "FTPIPE_NO_BF16"));
    unsetenv("FTPIPE_NO_BF16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_of_every_level_round_to_nearest_even),
        cmocka_unit_test(products_are_those_of_rounded_operands),
        cmocka_unit_test(sizes_around_the_cuts),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(new_numbers_of_rows_need_nothing_new),
        cmocka_unit_test(a_changed_weight_is_read_anew),
        cmocka_unit_test(weights_that_cannot_be_kept_give_the_same_bits),
        cmocka_unit_test(a_step_lays_out_the_weights_in_use),
        cmocka_unit_test(a_part_of_a_layout_is_that_of_the_whole),
        cmocka_unit_test(nan_is_passed_on),
        cmocka_unit_test(a_lack_is_told_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
