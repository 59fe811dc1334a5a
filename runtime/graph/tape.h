/* runtime/graph/tape.h - runs ops at once and remembers them for the way back.
 *
 * A tape holds the values of one micro-batch. In FT_TAPE_TRAIN it records every op that a
 * trainable parameter reaches; in FT_TAPE_EVAL it records nothing; in FT_TAPE_SHAPE and
 * FT_TAPE_SHAPE_EVAL it only infers shapes and adds up what either would cost, allocating
 * no data. It owns all intermediates: a value is
 * named by an index that is valid until the next ft_tape_begin, which also changes the
 * generation, so that a stale handle can be told.
 *
 * A scope (a layer, say) frees at its end what neither backward nor its results need, and what
 * backward makes again: outputs of cheap ops whose inputs are there, or, where that is wanted, all but its results.
 */
#ifndef FT_GRAPH_TAPE_H
#define FT_GRAPH_TAPE_H

#include "graph/op.h"
#include "graph/param.h"

typedef enum ft_tape_mode { FT_TAPE_TRAIN, FT_TAPE_EVAL, FT_TAPE_SHAPE, FT_TAPE_SHAPE_EVAL } ft_tape_mode;
typedef int32_t ft_var;
#define FT_NO_VAR (-1)

typedef struct ft_tape ft_tape;

ft_status ft_tape_new(ft_tape **out, ft_err *e);
void ft_tape_free(ft_tape *t);

/* Forget everything and start a new micro-batch. */
void ft_tape_begin(ft_tape *t, ft_tape_mode mode);
ft_tape_mode ft_tape_get_mode(const ft_tape *t);
uint32_t ft_tape_generation(const ft_tape *t);

/* A constant (retained), and a parameter (borrowed; one variable per parameter and generation). */
ft_status ft_tape_constant(ft_tape *t, ft_tensor *value, ft_var *out, ft_err *e);
ft_status ft_tape_param(ft_tape *t, ft_param *p, ft_var *out, ft_err *e);

/* Run an op. in[i] may be FT_NO_VAR for an optional input. attr may be NULL. */
ft_status ft_tape_apply(ft_tape *t, const ft_op *op, const ft_var *in, int n_in, const ft_op_attr *attr, ft_var *out,
                        ft_err *e);

/* The value; borrowed. NULL data in the shape modes, and after a scope freed it (then NULL is returned). */
ft_tensor *ft_tape_value(const ft_tape *t, ft_var v);
int ft_tape_needs_grad(const ft_tape *t, ft_var v);
/* The same tensor cut off from what made it: no gradient flows through. */
ft_status ft_tape_detach(ft_tape *t, ft_var v, ft_var *out, ft_err *e);

/* again: keep none of the recorded values but the results; backward runs forward a second time, to the same bits. */
int ft_tape_scope_begin(const ft_tape *t);
void ft_tape_scope_end(ft_tape *t, int mark, const ft_var *keep, int n_keep, int again);

/* From d(total)/d(loss[i]) = scale for every element of loss, add up the gradients of all trainable
 * parameters reached. Consumes the record: a second call is FT_ESTATE. */
ft_status ft_tape_backward(ft_tape *t, ft_var loss, float scale, ft_err *e);

/* Sums over the ops of this generation (forward only, once): FLOPs and bytes moved; and in the shape modes the bytes
 * of blocks that would be counted at the worst moment of forward and backward, constants and parameters left out, and
 * those of blocks that ops keep beyond this generation (weights in other layouts). */
typedef struct ft_tape_cost {
    double flops, bytes;
    size_t peak, keeps;
} ft_tape_cost;
ft_tape_cost ft_tape_get_cost(const ft_tape *t);

#endif
