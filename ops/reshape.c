/* ops/reshape.c - the same elements in another shape (a copy: tensors are always contiguous).
 *
 *   attr   i[4] the new rank, i[0..] its sizes; one of them may be -1 and is worked out
 */
#include "ops/elementary.h"

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_status status = ft_infer_map("reshape", c, 1, s, e);
    const int64_t *want = c->attr.i, rank = c->attr.i[4];
    int64_t known = 1;
    int open = -1;
    char a[96], b[96];

    if (status) return status;
    if (rank < 0 || rank > FT_MAX_RANK)
        return ft_fail(e, FT_EUSAGE, "reshape: rank %lld is not between 0 and %d", (long long)rank, FT_MAX_RANK);
    const int64_t n = ft_shape_count(&c->in[0]->shape);
    s->shape = ft_shape_of((int)rank, want[0], want[1], want[2], want[3]);
    for (int i = 0; i < rank; i++) {
        if (want[i] < -1 || (want[i] == -1 && open >= 0))
            return ft_fail(e, FT_EUSAGE, "reshape: sizes are at least 0 and only one may be -1, got %s",
                           ft_shape_text(&s->shape, b));
        if (want[i] == -1)
            open = i;
        else if (want[i] == 0 || known <= n)
            known *= want[i]; /* beyond n it cannot fit, and must not overflow */
    }
    if (open >= 0 ? known == 0 || n % known != 0 : known != n)
        return ft_fail(e, FT_ESHAPE, "reshape: %s with %lld elements does not fit %s",
                       ft_shape_text(&c->in[0]->shape, a), (long long)n, ft_shape_text(&s->shape, b));
    if (open >= 0) s->shape.dim[open] = n / known;
    return FT_OK;
}

static void forward(const ft_op_call *c)
{
    ft_copy_floats(c->in[0]->data, 0, c->out->data, ft_shape_count(&c->out->shape));
}

static void backward(const ft_op_call *c)
{
    if (c->d_in[0]) ft_copy_floats(c->d_out->data, c->add[0], c->d_in[0]->data, ft_shape_count(&c->d_out->shape));
}

const ft_op FT_OP(reshape) = {
    .name = "reshape",
    .min_in = 1,
    .max_in = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
