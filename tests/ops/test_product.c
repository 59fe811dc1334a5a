/* tests/ops/test_product.c - matrix products of both libraries against a plain one in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "core/rng.h"
#include "ops/product/product.h"

enum form { NT, NN, TN };

typedef struct product_case {
    enum form form;
    int64_t M, N, K;
    int64_t pad; /* what each leading dimension has beyond the matrix */
    int bias, add;
} product_case;

static void set_threads(int n)
{
#ifdef _OPENMP
    omp_set_dynamic(0);
    omp_set_num_threads(n);
#else
    (void)n;
#endif
}

static float *numbers(int64_t n, const char *site)
{
    float *x = malloc(sizeof *x * (size_t)(n + 1));
    assert_non_null(x);
    ft_rng_normal(ft_rng_site(5, site), x, (size_t)n, 1.0f);
    return x;
}

static void run(const product_case *p, const float *X, int64_t ldx, const float *W, int64_t ldw, const float *bias,
                float *Y, int64_t ldy)
{
    if (p->form == NT)
        ft_product_nt(p->M, p->N, p->K, X, ldx, W, ldw, bias, p->add, Y, ldy);
    else if (p->form == NN)
        ft_product_nn(p->M, p->N, p->K, X, ldx, W, ldw, bias, p->add, Y, ldy);
    else
        ft_product_tn(p->M, p->N, p->K, X, ldx, W, ldw, p->add, Y, ldy);
}

/* One element, and the sum of the absolute values of what it adds up. */
static double plain(const product_case *p, const float *X, int64_t ldx, const float *W, int64_t ldw, int64_t m,
                    int64_t n, double *size)
{
    double sum = 0;

    *size = 0;
    for (int64_t k = 0; k < p->K; k++) {
        const double x = (double)X[p->form == TN ? k * ldx + m : m * ldx + k];
        const double w = (double)W[p->form == NT ? n * ldw + k : k * ldw + n];
        sum += x * w;
        *size += fabs(x * w);
    }
    return sum;
}

/* Right in every element, nothing touched beside them, same bits on 1, 2 and 3 threads. */
static void check(const product_case *p)
{
    const int64_t ldx = (p->form == TN ? p->M : p->K) + p->pad, ldw = (p->form == NT ? p->K : p->N) + 2 * p->pad;
    const int64_t ldy = p->N + 3 * p->pad, y_size = p->M * ldy;
    float *X = numbers((p->form == TN ? p->K : p->M) * ldx, "X"),
          *W = numbers((p->form == NT ? p->N : p->K) * ldw, "W");
    float *bias = p->bias ? numbers(p->N, "bias") : NULL, *before = numbers(y_size, "Y");
    float *Y = malloc(sizeof *Y * (size_t)(y_size + 1)), *first = malloc(sizeof *Y * (size_t)(y_size + 1));

    assert_true(Y && first);
    if (!p->add) /* a stored product must not read what was there */
        for (int64_t m = 0; m < p->M; m++)
            for (int64_t n = 0; n < p->N; n++) before[m * ldy + n] = NAN;
    for (int threads = 1; threads <= 3; threads++) {
        set_threads(threads);
        memcpy(Y, before, sizeof *Y * (size_t)y_size);
        run(p, X, ldx, W, ldw, bias, Y, ldy);
        if (threads == 1) memcpy(first, Y, sizeof *Y * (size_t)y_size);
        if (memcmp(first, Y, sizeof *Y * (size_t)y_size) != 0)
            fail_msg("form %d, %lldx%lldx%lld: other bits on %d threads", (int)p->form, (long long)p->M,
                     (long long)p->N, (long long)p->K, threads);
    }
    for (int64_t m = 0; m < p->M; m++) {
        for (int64_t n = 0; n < p->N; n++) {
            double size, want = plain(p, X, ldx, W, ldw, m, n, &size);
            if (p->add) want += (double)before[m * ldy + n];
            if (bias) want += (double)bias[n];
            const double off = fabs((double)Y[m * ldy + n] - want);
            if (!(off <= 1e-6 * (size + fabs(want) + 1)))
                fail_msg("form %d, %lldx%lldx%lld: element (%lld,%lld) is %.9g, not %.9g", (int)p->form,
                         (long long)p->M, (long long)p->N, (long long)p->K, (long long)m, (long long)n,
                         (double)Y[m * ldy + n], want);
        }
        assert_memory_equal(Y + m * ldy + p->N, before + m * ldy + p->N, sizeof *Y * (size_t)(ldy - p->N));
    }
    free(X);
    free(W);
    free(bias);
    free(before);
    free(Y);
    free(first);
    set_threads(2);
}

/* 1: has a bias; 2: adds; wide leading dimensions in every second case. */
static void check_all(const int64_t (*sizes)[3], size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (enum form f = NT; f <= TN; f++)
            for (int how = 0; how < 4; how++) {
                if (f != NT && (how & 1)) continue;
                check(&(product_case){ f, sizes[i][0], sizes[i][1], sizes[i][2], how & 2 ? 0 : (int64_t)(3 * (i % 2)),
                                       how & 1, how >> 1 });
                check(&(product_case){ f, sizes[i][0], sizes[i][1], sizes[i][2], 5, how & 1, how >> 1 });
            }
}

static int use(void **state)
{
    static const char *const names[] = { "openblas", "onednn" };
    ft_err e = { 0 };
    const char *name = names[*state != NULL];

    if (ft_product_select(name, NULL, &e)) {
        print_message("%s\n", e.msg);
        return 1;
    }
    return 0;
}

static void small_and_odd_sizes(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = { { 1, 1, 1 }, { 1, 1, 7 },   { 1, 9, 1 },    { 5, 1, 1 },
                                        { 3, 5, 7 }, { 17, 33, 9 }, { 31, 63, 65 }, { 2, 384, 33 } };

    assert_int_equal(use(state), 0);
    check_all(sizes, sizeof sizes / sizeof *sizes);
}

static void random_sizes(void **state)
{
    int64_t sizes[12][3];
    const ft_rng_key key = ft_rng_site(11, "sizes");

    for (uint64_t i = 0; i < 36; i++) sizes[i / 3][i % 3] = 1 + (int64_t)ft_rng_below(key, i, 90);
    assert_int_equal(use(state), 0);
    check_all((const int64_t(*)[3])sizes, 12);
}

/* On both sides of every cut: rows of 128, columns of 384, 1024 rows, blocks of gradients from 128 and 192 rows. */
static void sizes_around_the_cuts(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = { { 127, 20, 6 },  { 128, 20, 6 },  { 129, 385, 6 }, { 130, 384, 5 },
                                        { 1, 769, 8 },   { 383, 6, 4 },   { 385, 7, 9 },   { 1030, 390, 3 },
                                        { 1023, 10, 3 }, { 1024, 11, 2 }, { 1601, 5, 7 },  { 200, 3, 1500 } };

    assert_int_equal(use(state), 0);
    check_all(sizes, sizeof sizes / sizeof *sizes);
}

/* Large enough for panels to be handed to several threads. */
static void sizes_that_use_threads(void **state)
{
    static const int64_t sizes[][3] = { { 261, 401, 65 }, { 1030, 70, 41 }, { 400, 61, 103 }, { 5, 1200, 403 } };

    assert_int_equal(use(state), 0);
    check_all(sizes, sizeof sizes / sizeof *sizes);
}

/* A vocabulary's scores, and sums over its words, on both sides of their cuts. */
static void sizes_of_a_vocabulary(void **state)
{
    static const int64_t sizes[][3] = { { 3, 8191, 2 }, { 5, 8192, 2 }, { 127, 5, 8192 }, { 128, 6, 8191 } };

    assert_int_equal(use(state), 0);
    check_all(sizes, sizeof sizes / sizeof *sizes);
    check(&(product_case){ NT, 641, 8200, 3, 0, 1, 0 });
    check(&(product_case){ NN, 640, 8193, 2, 5, 0, 1 });
    check(&(product_case){ NN, 193, 386, 8192, 0, 0, 0 });
    check(&(product_case){ NT, 128, 30, 8200, 3, 1, 1 });
}

static void products_with_no_rows_or_columns_touch_nothing(void **state)
{
    float y = 3, x = 1;

    assert_int_equal(use(state), 0);
    ft_product_nt(0, 4, 2, &x, 2, &x, 2, NULL, 0, &y, 4);
    ft_product_nn(4, 0, 2, &x, 2, &x, 1, NULL, 0, &y, 1);
    ft_product_tn(0, 4, 2, &x, 1, &x, 4, 0, &y, 4);
    assert_true(y == 3);
}

/* The weight gradient of a batch without tokens is zero. */
static void an_empty_sum_is_zero(void **state)
{
    const float x[4] = { 1, 2, 3, 4 };
    float y[4] = { NAN, NAN, NAN, NAN }, kept[4] = { 1, 2, 3, 4 };

    assert_int_equal(use(state), 0);
    ft_product_tn(2, 2, 0, x, 2, x, 2, 0, y, 2);
    ft_product_tn(2, 2, 0, x, 2, x, 2, 1, kept, 2);
    for (int i = 0; i < 4; i++) assert_true(y[i] == 0 && kept[i] == x[i]);
}

static void nan_is_passed_on(void **state)
{
    const float x[4] = { 1, NAN, 0, 1 }, w[4] = { 0, 0, 1, 1 };
    float y[4] = { 0 };

    assert_int_equal(use(state), 0);
    ft_product_nn(2, 2, 2, x, 2, w, 2, NULL, 0, y, 2);
    assert_true(isnan(y[0]) && isnan(y[1]) && !isnan(y[2]));
}

static void an_unknown_library_is_refused_with_the_choice(void **state)
{
    (void)state;
    ft_err e = { 0 };

    assert_int_equal(ft_product_select("mkl", NULL, &e), FT_EUSAGE);
    assert_non_null(strstr(e.msg, "openblas"));
    assert_non_null(strstr(e.msg, "'mkl'"));
}

static void a_choice_is_active_and_says_what_it_is(void **state)
{
    ft_err e = { 0 };

    assert_int_equal(use(state), 0);
    const ft_product *p = ft_product_active(&e);
    assert_non_null(p);
    assert_string_equal(p->name, *state ? "onednn" : "openblas");
    assert_true(p->version[0] >= '0' && p->version[0] <= '9');
    assert_true(strlen(p->kernel) > 0);
}

#define both(f)                                                                                                        \
    { #f " (openblas)", f, NULL, NULL, NULL }, { #f " (onednn)", f, NULL, NULL, "onednn" }

int main(void)
{
    const struct CMUnitTest tests[] = {
        both(small_and_odd_sizes),
        both(random_sizes),
        both(sizes_around_the_cuts),
        both(sizes_that_use_threads),
        both(sizes_of_a_vocabulary),
        both(products_with_no_rows_or_columns_touch_nothing),
        both(an_empty_sum_is_zero),
        both(nan_is_passed_on),
        both(a_choice_is_active_and_says_what_it_is),
        cmocka_unit_test(an_unknown_library_is_refused_with_the_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
