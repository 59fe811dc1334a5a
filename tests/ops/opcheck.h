/* tests/ops/opcheck.h - tests any op: its promises to the tape, and its gradient.
 *
 * oc_check runs one op on given inputs in every instruction set that is built and
 * supported, and fails the test unless
 *   - infer fills a sensible spec, and the same one from shapes alone;
 *   - forward writes all of out and saved, nothing beside them, and reads nothing that is
 *     uninitialised (out, saved and work are poisoned in two ways: results must not differ);
 *   - backward reads only what keeps_in and keeps_out announce (the rest holds poison);
 *   - a gradient that is stored replaces poison, one that is added is added, and leaving
 *     any of them out changes none of the others;
 *   - results have the same bits on 1, 2 and 3 threads, and when repeated;
 *   - gradients agree with central differences of sum(out * d_out), d_out random.
 *
 * Differences: out is float32, so with a step h they carry noise of about 1e-7 / h and a
 * truncation error of about h^2 / 6 * f'''. h = 1e-2 keeps both near 2e-5 where values and
 * derivatives are of order 1. What is compared is the norm over the tested elements,
 *   |g - difference| <= tolerance * max(|g|, |difference|, 1e-2),
 * with tolerance 2e-3 unless the case says otherwise. Near a kink (max, abs, clamp) keep
 * inputs further than h away from it, or name the input in `skip`.
 *
 * Tensors made here belong to a list that oc_release empties: use it as the teardown.
 */
#ifndef FT_TESTS_OPCHECK_H
#define FT_TESTS_OPCHECK_H

#include "graph/op.h"

typedef struct oc_case {
    const char *op;
    ft_tensor *in[FT_OP_IN]; /* borrowed; NULL where an optional input is absent */
    int n_in;                /* 0: up to the last input that is not NULL */
    ft_op_attr attr;
    double tolerance; /* of the gradient; 0: 2e-3 */
    double step;      /* of the differences; 0: 1e-2 */
    unsigned skip;    /* bit i: do not compare the gradient of in[i] with differences */
    int points;       /* elements tested per input; 0: 256, evenly spread when there are more */
    int any_value;    /* out and gradients may hold NaN or Inf */
    const char *isa;  /* the only instruction set that has the op; NULL: all have it */
} oc_case;

void oc_check(const oc_case *k);

/* Result of the op in the instruction set in use; d_out and d_in as in backward (all stored, NULL if no gradient). */
ft_tensor *oc_forward(const oc_case *k);
void oc_backward(const oc_case *k, const ft_tensor *d_out, ft_tensor *d_in[FT_OP_IN]);

/* infer must fail with this status, and its message must hold the op's name and both texts (NULL: none). */
void oc_fails(const oc_case *k, ft_status want, const char *text, const char *other);

/* A tensor of unset values. */
ft_tensor *oc_new(ft_dtype dtype, ft_shape shape);
/* Normal numbers; uniform numbers in [low, high); integers in [0, below); all by seed. */
ft_tensor *oc_random(ft_shape shape, uint64_t seed);
ft_tensor *oc_uniform(ft_shape shape, uint64_t seed, double low, double high);
ft_tensor *oc_ints(ft_shape shape, uint64_t seed, int32_t below);
/* A copy of given numbers; the shape says how many. */
ft_tensor *oc_floats(ft_shape shape, const float *values);
ft_tensor *oc_int_values(ft_shape shape, const int32_t *values);
/* Row lengths, ending with a negative one. */
ft_ragged *oc_ragged(const int32_t *lengths);

/* Every element within `tolerance`, absolute plus relative. */
void oc_close(const ft_tensor *got, const float *want, double tolerance);

int oc_release(void **state);

/* A cmocka entry whose tensors are released. */
#define oc_test(f) cmocka_unit_test_teardown(f, oc_release)

/* Shapes of rank 1 to 4. */
static inline ft_shape oc_1(int64_t a) { return ft_shape_of(1, a, 0, 0, 0); }
static inline ft_shape oc_2(int64_t a, int64_t b) { return ft_shape_of(2, a, b, 0, 0); }
static inline ft_shape oc_3(int64_t a, int64_t b, int64_t c) { return ft_shape_of(3, a, b, c, 0); }
static inline ft_shape oc_4(int64_t a, int64_t b, int64_t c, int64_t d) { return ft_shape_of(4, a, b, c, d); }

#endif
