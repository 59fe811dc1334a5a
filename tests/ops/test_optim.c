/* tests/ops/test_optim.c - one step of each optimiser against its formula in double, over several steps and sizes. */
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

#include "core/mem.h"
#include "core/rng.h"
#include "graph/lazy.h"

#define MOST 40000

static float w[MOST], g[MOST], m[MOST], v[MOST], first_w[MOST];
static double want_w[MOST], want_m[MOST], want_v[MOST];

static void threads(int n)
{
#ifdef _OPENMP
    omp_set_num_threads(n);
#else
    (void)n;
#endif
}

/* One parameter, one update. */
static void update(const ft_optim_kernel *k, float *to, float *gradient, float *first, float *second, int64_t n,
                   const float *hyper, uint8_t *awake, const uint8_t *touched, ft_lazy *lazy)
{
    ft_optim_job j = {
        .w = to, .g = gradient, .m = first, .v = second, .n = n, .awake = awake, .touched = touched, .lazy = lazy
    };

    memcpy(j.hyper, hyper, sizeof(float) * (k->moments == 2 ? 8 : 6));
    k->update(&j, 1);
}

static void fresh(int64_t n)
{
    ft_rng_normal(ft_rng_site(1, "w"), w, (size_t)n, 1);
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    for (int64_t i = 0; i < n; i++) {
        want_w[i] = (double)w[i];
        want_m[i] = want_v[i] = 0;
    }
}

static void compare(const char *isa, int step, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)w[i] - want_w[i]) <= 2e-6 * (1 + fabs(want_w[i]))))
            fail_msg("%s: step %d: weight %lld is %.9g, not %.9g", isa, step, (long long)i, (double)w[i], want_w[i]);
}

/* torch.optim.AdamW, single tensor, amsgrad off. */
static void plain_adamw(int64_t n, const float *h)
{
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)g[i] * (double)h[7];
        want_w[i] *= 1 - (double)h[0] * (double)h[4];
        want_m[i] += (d - want_m[i]) * (1 - (double)h[1]);
        want_v[i] = want_v[i] * (double)h[2] + (1 - (double)h[2]) * d * d;
        want_w[i] -= (double)h[0] / (double)h[5] * want_m[i] / (sqrt(want_v[i]) / sqrt((double)h[6]) + (double)h[3]);
    }
}

/* torch.optim.SGD, dampening 0. */
static void plain_sgd(int64_t n, const float *h)
{
    for (int64_t i = 0; i < n; i++) {
        double d = (double)g[i] * (double)h[4] + (double)h[2] * want_w[i];
        if (h[1] > 0) {
            want_m[i] = h[5] > 0 ? d : (double)h[1] * want_m[i] + d;
            d = h[3] > 0 ? d + (double)h[1] * want_m[i] : want_m[i];
        }
        want_w[i] -= (double)h[0] * d;
    }
}

static void steps(const char *isa, const char *name, int64_t n, const float *hyper)
{
    const ft_optim_kernel *k = ft_optim_find(name);
    const int adam = strcmp(name, "adamw") == 0;
    float h[8];

    assert_non_null(k);
    assert_int_equal(k->moments, adam ? 2 : 1);
    memcpy(h, hyper, sizeof h);
    fresh(n);
    for (int t = 1; t <= 8; t++) {
        ft_rng_normal(ft_rng_site((uint64_t)t, "g"), g, (size_t)n, 0.3f);
        if (adam) {
            h[5] = (float)(1 - pow((double)h[1], t));
            h[6] = (float)(1 - pow((double)h[2], t));
        } else {
            h[5] = t == 1;
            if (t == 1) memset(m, 0xff, sizeof m); /* the first step may not read it */
        }
        update(k, w, g, m, v, n, h, NULL, NULL, NULL);
        if (adam)
            plain_adamw(n, h);
        else
            plain_sgd(n, h);
        compare(isa, t, n);
    }
}

static void in_every_instruction_set(const char *name, const float *hyper)
{
    static const int64_t sizes[] = { 0, 1, 5, 16, 37, 1000, MOST };
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int i = 0; i < n; i++) {
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) steps(names[i], name, sizes[s], hyper);
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

static void adamw_follows_its_formula(void **state)
{
    (void)state;
    in_every_instruction_set("adamw", (const float[8]){ 1e-2f, 0.9f, 0.999f, 1e-8f, 0.01f, 0, 0, 1 });
    in_every_instruction_set("adamw", (const float[8]){ 1e-3f, 0.8f, 0.95f, 1e-6f, 0, 0, 0, 0.37f });
}

static void sgd_follows_its_formula(void **state)
{
    (void)state;
    in_every_instruction_set("sgd", (const float[8]){ 0.1f, 0, 0, 0, 1 });
    in_every_instruction_set("sgd", (const float[8]){ 0.1f, 0, 0.05f, 0, 0.5f });
    in_every_instruction_set("sgd", (const float[8]){ 0.1f, 0.9f, 0.05f, 0, 1 });
    in_every_instruction_set("sgd", (const float[8]){ 0.1f, 0.9f, 0.05f, 1, 0.7f });
}

static void sgd_without_momentum_needs_no_moments(void **state)
{
    (void)state;
    const float h[] = { 0.1f, 0, 0, 0, 1, 1 };
    float one[] = { 1, 2 }, grad[] = { 1, -1 };

    update(ft_optim_find("sgd"), one, grad, NULL, NULL, 2, h, NULL, NULL, NULL);
    assert_true(fabsf(one[0] - 0.9f) < 1e-7f && fabsf(one[1] - 2.1f) < 3e-7f);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    const float adamw[] = { 1e-2f, 0.9f, 0.999f, 1e-8f, 0.01f, 0.1f, 0.001f, 1 }, sgd[] = { 0.1f, 0.9f, 0.1f, 1, 1, 1 };

    for (int k = 0; k < 2; k++) {
        for (int n = 1; n <= 3; n++) {
            threads(n);
            fresh(MOST);
            ft_rng_normal(ft_rng_site(3, "g"), g, MOST, 1);
            update(ft_optim_find(k ? "sgd" : "adamw"), w, g, m, v, MOST, k ? sgd : adamw, NULL, NULL, NULL);
            if (n == 1) memcpy(first_w, w, sizeof w);
            assert_memory_equal(first_w, w, sizeof w);
        }
    }
    threads(2);
}

/* A table of which few rows have gradients, others later: the bits of updating everything, without reading moments. */
static void what_never_had_a_gradient_only_decays(void **state)
{
    (void)state;
    enum { N = MOST - 7, BLOCKS = (N + FT_OPTIM_BLOCK - 1) / FT_OPTIM_BLOCK };
    static float all_w[MOST], all_m[MOST], all_v[MOST];
    static uint8_t awake[BLOCKS], touched[BLOCKS];
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int i = 0; i < n; i++) {
        float h[8] = { 0, 0.9f, 0.999f, 1e-8f, 0.01f, 0, 0, 0.7f };
        int slept = 0, woke = 0;
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        const ft_optim_kernel *k = ft_optim_find("adamw");
        fresh(N);
        memcpy(all_w, w, sizeof w);
        memset(all_m, 0, sizeof all_m);
        memset(all_v, 0, sizeof all_v);
        memset(awake, 0, sizeof awake);
        for (int t = 1; t <= 6; t++) {
            h[0] = t == 4 ? 0 : 1e-2f / (float)t; /* a schedule may come to nothing */
            h[5] = (float)(1 - pow(0.9, t));
            h[6] = (float)(1 - pow(0.999, t));
            memset(g, 0, sizeof g);
            for (int64_t row = t; row < N / 100; row += 31 + 7 * t)
                ft_rng_normal(ft_rng_site((uint64_t)(row + t), "g"), g + row * 100, 100, 0.3f);
            g[N - 1] = t == 5;
            update(k, all_w, g, all_m, all_v, N, h, NULL, NULL, NULL);
            /* marks of this update alone: what has moments but no mark goes on as if its gradient were read */
            memset(touched, 0, sizeof touched);
            for (int64_t j = 0; j < N; j++) touched[j / FT_OPTIM_BLOCK] |= g[j] != 0;
            for (int64_t j = 0; j < N && t > 1; j++)
                if (!touched[j / FT_OPTIM_BLOCK]) g[j] = NAN;
            update(k, w, g, m, v, N, h, awake, t > 1 ? touched : NULL, NULL);
            assert_memory_equal(w, all_w, sizeof(float) * N);
            assert_memory_equal(m, all_m, sizeof(float) * N);
            assert_memory_equal(v, all_v, sizeof(float) * N);
        }
        for (int b = 0; b < BLOCKS; b++) *(awake[b] ? &woke : &slept) += 1;
        assert_true(slept > BLOCKS / 4 && woke > BLOCKS / 8 && awake[BLOCKS - 1]);
        memset(g, 0, sizeof g);
        for (int64_t j = 0; j < N; j++)
            if (!awake[j / FT_OPTIM_BLOCK]) m[j] = v[j] = NAN;
        update(k, w, g, m, v, N, h, awake, NULL, NULL);
        /* nor is a gradient that was never written, for its norm at least not where that holds for 8 blocks */
        int unread = 0;
        memcpy(touched, awake, sizeof touched);
        for (int b = 0; b < BLOCKS; b++) {
            int near = 0;
            for (int o = b / 8 * 8; o < BLOCKS && o < b / 8 * 8 + 8; o++) near |= touched[o];
            for (int64_t j = (int64_t)b * FT_OPTIM_BLOCK; !near && j < N && j < (int64_t)(b + 1) * FT_OPTIM_BLOCK; j++)
                g[j] = NAN;
            unread += !near;
        }
        assert_true(unread > 0);
        assert_true(ft_op_active()->square_sum(g, N, touched) == 0);
        assert_true(isnan(ft_op_active()->square_sum(g, N, NULL)));
        update(k, w, g, m, v, N, h, awake, touched, NULL);
        for (int64_t j = 0; j < N; j++) assert_true(isfinite(w[j]));
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

/* The same with decay that is put off: the bits are there when they are looked at, wholly or a few rows at a time, and what
 * sleeps is not touched before that. */
static void decay_can_wait(void **state)
{
    (void)state;
    enum { N = MOST - 7, BLOCKS = (N + FT_OPTIM_BLOCK - 1) / FT_OPTIM_BLOCK, UPDATES = FT_LAZY_MOST - 1 };
    static float all_w[MOST], all_m[MOST], all_v[MOST], old[MOST];
    static uint8_t awake[BLOCKS], touched[BLOCKS];
    const char *names[8], *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int i = 0; i < n; i++) {
        float h[8] = { 0, 0.9f, 0.999f, 1e-8f, 0.01f, 0, 0, 0.7f };
        int behind = 0;
        ft_lazy *lazy;
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        assert_int_equal(ft_lazy_new(&lazy, N, NULL), FT_OK);
        const ft_optim_kernel *k = ft_optim_find("adamw");
        fresh(N);
        memcpy(all_w, w, sizeof w);
        memcpy(old, w, sizeof w);
        memset(all_m, 0, sizeof all_m);
        memset(all_v, 0, sizeof all_v);
        memset(awake, 0, sizeof awake);
        for (int t = 1; t <= UPDATES; t++) {
            h[0] = t == 4 ? 0 : 1e-2f / (float)t;
            h[5] = (float)(1 - pow(0.9, t));
            h[6] = (float)(1 - pow(0.999, t));
            memset(g, 0, sizeof g);
            memset(touched, 0, sizeof touched);
            for (int64_t row = t * 17 % 97; row < N / 100; row += 400) {
                ft_rng_normal(ft_rng_site((uint64_t)(row + t), "g"), g + row * 100, 100, 0.3f);
                for (int64_t j = row * 100; j < row * 100 + 100; j++) touched[j / FT_OPTIM_BLOCK] = 1;
            }
            update(k, all_w, g, all_m, all_v, N, h, NULL, NULL, NULL);
            update(k, w, g, m, v, N, h, awake, touched, lazy);
            assert_int_equal(lazy->n, t < 4 ? t : t - 1); /* a factor of one is none */
            const int64_t b = t * 31 % BLOCKS, at = b * FT_OPTIM_BLOCK;
            if (!awake[b] && lazy->since[b] == 0 && t > 1) {
                assert_memory_equal(w + at, old + at, sizeof *w);
                behind++;
            }
            ft_op_active()->settle(lazy, w, N, b, b + 1);
            const size_t some = sizeof *w * (size_t)(N - at < FT_OPTIM_BLOCK ? N - at : FT_OPTIM_BLOCK);
            assert_memory_equal(w + at, all_w + at, some);
        }
        assert_true(behind > 20);
        assert_memory_not_equal(w, all_w, sizeof(float) * N);
        ft_op_active()->settle(lazy, w, N, 0, BLOCKS);
        assert_memory_equal(w, all_w, sizeof(float) * N);
        assert_memory_equal(m, all_m, sizeof(float) * N);
        assert_memory_equal(v, all_v, sizeof(float) * N);
        ft_free(lazy);
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
}

/* A bowl with axes of different steepness: both must reach its bottom. */
static void a_quadratic_is_minimised(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        float h[8] = { 0.05f, 0.9f, 0.999f, 1e-8f, 0, 0, 0, 1 };
        if (k) memcpy(h, (const float[8]){ 0.05f, 0.9f, 0, 0, 1, 0 }, sizeof h);
        fresh(64);
        for (int t = 1; t <= 600; t++) {
            for (int i = 0; i < 64; i++) g[i] = (w[i] - 1) * (0.2f + 0.1f * (float)(i % 10));
            if (k) {
                h[5] = t == 1;
            } else {
                h[0] = 0.05f * (1 - (float)t / 601);
                h[5] = (float)(1 - pow(0.9, t));
                h[6] = (float)(1 - pow(0.999, t));
            }
            update(ft_optim_find(k ? "sgd" : "adamw"), w, g, m, v, 64, h, NULL, NULL, NULL);
        }
        for (int i = 0; i < 64; i++)
            if (!(fabsf(w[i] - 1) < 1e-2f)) fail_msg("optimiser %d: weight %d is %g", k, i, (double)w[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_follows_its_formula),
        cmocka_unit_test(sgd_follows_its_formula),
        cmocka_unit_test(sgd_without_momentum_needs_no_moments),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(what_never_had_a_gradient_only_decays),
        cmocka_unit_test(decay_can_wait),
        cmocka_unit_test(a_quadratic_is_minimised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
