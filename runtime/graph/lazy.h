/* runtime/graph/lazy.h - weight decay that is put off until somebody reads the weights.
 *
 * A row of a table that no text has looked up yet has no gradient and no moments: an update only multiplies it by a factor near
 * one. In a table of 250,002 rows of 768 (XLM-RoBERTa) where most are such, that reads and writes 1.5 GB. So AdamW notes the factor, and whoever reads or writes the weights first multiplies by what was noted, one factor after the
 * other: the bits are those of having done it at once.
 *
 * The notes hang on the tensor that is the parameter's value, while an optimiser holds it. The tape settles what an op reads
 * (graph/tape.c; ops that look rows up settle those alone), Lua's bindings what a script reaches (script/bind.h).
 */
#ifndef FT_GRAPH_LAZY_H
#define FT_GRAPH_LAZY_H

#include "graph/op.h"

#define FT_LAZY_MOST 254  /* factors noted at most; then all blocks are settled */
#define FT_LAZY_NEVER 255 /* of a block that is awake: every update changes it at once */

typedef struct ft_lazy {
    int n; /* factors noted since all blocks were settled; FT_LAZY_MOST only within an update */
    float factor[FT_LAZY_MOST];
    uint8_t since[]; /* of each FT_OPTIM_BLOCK weights: the first factor that they were not yet multiplied by */
} ft_lazy;

/* Notes for n weights, all asleep and owing nothing; ft_free frees them. */
ft_status ft_lazy_new(ft_lazy **out, int64_t n, ft_err *e);

/* Bring the tensor, or what it is a view of, to the state that it would have without notes. Before any read or write. */
void ft_lazy_settle(const ft_tensor *t);

#endif
