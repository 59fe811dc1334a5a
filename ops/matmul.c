/* ops/matmul.c - product of two matrices, or of two stacks of them one by one.
 *
 *   y[m,n] = sum_k A[m,k] * B[k,n]
 *
 *   in     a (M,K), or (K,M) if i[0] is 1      b (K,N), or (N,K) if i[1] is 1
 *          or both with the same leading axis (S,...), a stack
 *   out    y (M,N) or (S,M,N)
 *   attr   i[0], i[1]: 1 if a, b is given transposed
 *
 *   dA = dy B^T      dB = A^T dy
 *
 * The library products take their left factor plain or their right one transposed, not
 * both: where a and b are both given transposed, one factor is turned in the workspace.
 */
#include "ops/elementary.h"

#define STACK_FROM 4 /* matrices from which on threads take whole matrices */

typedef struct sizes {
    int64_t S, M, N, K;
    int ta, tb;
} sizes;

static sizes sizes_of(const ft_op_call *c)
{
    const ft_shape *a = &c->in[0]->shape, *b = &c->in[1]->shape;
    const int at = a->rank - 2, bt = b->rank - 2, ta = c->attr.i[0] != 0, tb = c->attr.i[1] != 0;

    return (sizes){ .S = a->rank == 3 ? a->dim[0] : 1,
                    .M = a->dim[at + ta],
                    .K = a->dim[at + !ta],
                    .N = b->dim[bt + !tb],
                    .ta = ta,
                    .tb = tb };
}

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    ft_status status = ft_want_dtype("matmul", c, 0, FT_F32, e);
    char text[2][96];

    if (!status) status = ft_want_dtype("matmul", c, 1, FT_F32, e);
    if (status) return status;
    const ft_shape *a = &c->in[0]->shape, *b = &c->in[1]->shape;
    const int fit = a->rank == b->rank && (a->rank == 2 || (a->rank == 3 && a->dim[0] == b->dim[0]));
    const sizes z = fit ? sizes_of(c) : (sizes){ 0 };
    if (!fit || z.K == 0 || b->dim[b->rank - 2 + z.tb] != z.K)
        return ft_fail(e, FT_ESHAPE, "matmul: %s%s and %s%s do not multiply", ft_shape_text(a, text[0]),
                       c->attr.i[0] ? " transposed" : "", ft_shape_text(b, text[1]), c->attr.i[1] ? " transposed" : "");
    if (!ft_product_active(e)) return e ? e->code : FT_EUSAGE;
    s->dtype = FT_F32;
    s->shape = a->rank == 3 ? ft_shape_of(3, z.S, z.M, z.N, 0) : ft_shape_of(2, z.M, z.N, 0, 0);
    if (z.ta && z.tb) {
        s->work_forward = sizeof(float) * (size_t)(z.S * z.M * z.K);
        s->work_backward = sizeof(float) * (size_t)(z.S * z.M * z.N);
    }
    s->flops = 2.0 * (double)z.S * (double)z.M * (double)z.N * (double)z.K;
    s->bytes = 4.0 * (double)z.S * (double)(z.M * z.K + z.K * z.N + z.M * z.N);
    return FT_OK;
}

/* y (C,R) = x (R,C) turned; returns y. */
static const float *turn(const float *x, int64_t R, int64_t C, float *y)
{
    for (int64_t r = 0; r < R; r++)
        for (int64_t i = 0; i < C; i++) y[i * R + r] = x[r * C + i];
    return y;
}

static void forward_one(const sizes *z, const float *a, const float *b, float *y, float *work)
{
    const int64_t M = z->M, N = z->N, K = z->K;

    if (z->ta && z->tb)
        ft_product_nt(M, N, K, turn(a, K, M, work), K, b, K, NULL, 0, y, N);
    else if (z->ta)
        ft_product_tn(M, N, K, a, M, b, N, 0, y, N);
    else if (z->tb)
        ft_product_nt(M, N, K, a, K, b, K, NULL, 0, y, N);
    else
        ft_product_nn(M, N, K, a, K, b, N, NULL, 0, y, N);
}

/* dy_turned is dy (M,N) as (N,M), where both factors are transposed. */
static void grad_a(const sizes *z, const float *b, const float *dy, const float *dy_turned, int add, float *da)
{
    const int64_t M = z->M, N = z->N, K = z->K;

    if (z->ta && z->tb)
        ft_product_tn(K, M, N, b, K, dy_turned, M, add, da, M);
    else if (z->ta)
        ft_product_nt(K, M, N, b, N, dy, N, NULL, add, da, M);
    else if (z->tb)
        ft_product_nn(M, K, N, dy, N, b, K, NULL, add, da, K);
    else
        ft_product_nt(M, K, N, dy, N, b, N, NULL, add, da, K);
}

static void grad_b(const sizes *z, const float *a, const float *dy, const float *dy_turned, int add, float *db)
{
    const int64_t M = z->M, N = z->N, K = z->K;

    if (z->ta && z->tb)
        ft_product_nt(N, K, M, dy_turned, M, a, M, NULL, add, db, K);
    else if (z->ta)
        ft_product_nn(K, N, M, a, M, dy, N, NULL, add, db, N);
    else if (z->tb)
        ft_product_tn(N, K, M, dy, N, a, K, add, db, K);
    else
        ft_product_tn(K, N, M, a, K, dy, N, add, db, N);
}

static void forward(const ft_op_call *c)
{
    const sizes z = sizes_of(c);
    const float *a = c->in[0]->data, *b = c->in[1]->data;
    float *y = c->out->data, *work = c->work;

#pragma omp parallel for schedule(static) if (z.S >= STACK_FROM)
    for (int64_t s = 0; s < z.S; s++)
        forward_one(&z, a + s * z.M * z.K, b + s * z.K * z.N, y + s * z.M * z.N, work ? work + s * z.M * z.K : NULL);
}

static void backward(const ft_op_call *c)
{
    const sizes z = sizes_of(c);
    const float *a = c->in[0]->data, *b = c->in[1]->data, *dy = c->d_out->data;
    float *da = c->d_in[0] ? c->d_in[0]->data : NULL, *db = c->d_in[1] ? c->d_in[1]->data : NULL, *work = c->work;

    if (!da && !db) return;
#pragma omp parallel for schedule(static) if (z.S >= STACK_FROM)
    for (int64_t s = 0; s < z.S; s++) {
        const float *g = dy + s * z.M * z.N;
        const float *turned = z.ta && z.tb ? turn(g, z.M, z.N, work + s * z.M * z.N) : NULL;
        if (da) grad_a(&z, b + s * z.K * z.N, g, turned, c->add[0], da + s * z.M * z.K);
        if (db) grad_b(&z, a + s * z.M * z.K, g, turned, c->add[1], db + s * z.K * z.N);
    }
}

const ft_op FT_OP(matmul) = {
    .name = "matmul",
    .min_in = 2,
    .max_in = 2,
    .keeps_in = 3,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
