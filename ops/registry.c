/* ops/registry.c - the table of all ops for one instruction set. A new op adds one line to LIST. */
#include "ops/ops.h"

#include <stddef.h>

#define LIST(X)                                                                                                        \
    X(linear)                                                                                                          \
    X(feed_forward)                                                                                                    \
    X(add)                                                                                                             \
    X(sub)                                                                                                             \
    X(mul)                                                                                                             \
    X(div)                                                                                                             \
    X(minimum)                                                                                                         \
    X(maximum)                                                                                                         \
    X(greater)                                                                                                         \
    X(less)                                                                                                            \
    X(equal)                                                                                                           \
    X(where)                                                                                                           \
    X(neg)                                                                                                             \
    X(exp)                                                                                                             \
    X(log)                                                                                                             \
    X(sqrt)                                                                                                            \
    X(abs)                                                                                                             \
    X(square)                                                                                                          \
    X(reciprocal)                                                                                                      \
    X(scale)                                                                                                           \
    X(pow)                                                                                                             \
    X(clamp)                                                                                                           \
    X(sum)                                                                                                             \
    X(mean)                                                                                                            \
    X(max)                                                                                                             \
    X(softmax)                                                                                                         \
    X(log_softmax)                                                                                                     \
    X(matmul)                                                                                                          \
    X(transpose)                                                                                                       \
    X(reshape)                                                                                                         \
    X(slice)                                                                                                           \
    X(concat)                                                                                                          \
    X(gather)                                                                                                          \
    X(pick)                                                                                                            \
    X(embed_sum)                                                                                                       \
    X(layer_norm)                                                                                                      \
    X(residual_layer_norm)                                                                                             \
    X(attention)                                                                                                       \
    X(self_attention)                                                                                                  \
    X(gelu)                                                                                                            \
    X(gelu_tanh)                                                                                                       \
    X(silu)                                                                                                            \
    X(relu)                                                                                                            \
    X(tanh)                                                                                                            \
    X(sigmoid)                                                                                                         \
    X(dropout)                                                                                                         \
    X(cross_entropy)                                                                                                   \
    X(sigmoid_cross_entropy)                                                                                           \
    X(row_first)                                                                                                       \
    X(row_sum)                                                                                                         \
    X(row_mean)                                                                                                        \
    X(row_max)                                                                                                         \
    X(row_cross_entropy)                                                                                               \
    X(row_softmax)

#define OPTIMS(X)                                                                                                      \
    X(adamw)                                                                                                           \
    X(sgd)

#define DECLARE(name) extern const ft_op FT_OP(name);
#define ENTRY(name) &FT_OP(name),
#define DECLARE_OPTIM(name) extern const ft_optim_kernel FT_KERNEL(ft_optim_##name);
#define ENTRY_OPTIM(name) &FT_KERNEL(ft_optim_##name),

LIST(DECLARE)
OPTIMS(DECLARE_OPTIM)

static const ft_op *const ops[] = { LIST(ENTRY) NULL };
static const ft_optim_kernel *const optims[] = { OPTIMS(ENTRY_OPTIM) NULL };

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

#define TABLE(name, with_tiles)                                                                                        \
    {                                                                                                                  \
        .isa = name, .ops = ops, .optims = optims, .square_sum = FT_KERNEL(ft_square_sum),                             \
        .settle = FT_KERNEL(ft_settle), .layouts = &FT_KERNEL(ft_layouts), .tiles = with_tiles,                        \
        .panel = FT_KERNEL(ft_tile_panel),                                                                             \
    }

extern const ft_op_table FT_KERNEL(ft_op_table);
const ft_op_table FT_KERNEL(ft_op_table) = TABLE(TEXT(FT_ISA), 0);

#ifdef __AVX512BF16__
/* The same code, but for the products that the table's `tiles` chooses. */
extern const ft_op_table ft_op_table_v4amx;
const ft_op_table ft_op_table_v4amx = TABLE("v4amx", 1);
#endif
