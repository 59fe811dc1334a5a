/* runtime/graph/optim.h - optimisers over groups of parameters.
 *
 * A group has its own learning rate and weight decay. The optimiser owns gradients and
 * moments, each in one arena laid out group by group; parameters point into the
 * gradient arena while it lives. Only one optimiser may hold a parameter at a time.
 */
#ifndef FT_GRAPH_OPTIM_H
#define FT_GRAPH_OPTIM_H

#include "graph/op.h"
#include "graph/param.h"

typedef struct ft_optim ft_optim;

typedef struct ft_optim_opts {
    double beta1, beta2, eps; /* AdamW; 0 means the defaults 0.9, 0.999, 1e-8 */
    double momentum;          /* SGD */
    int nesterov;
} ft_optim_opts;

/* kind: "adamw" or "sgd". */
ft_status ft_optim_new(ft_optim **out, const char *kind, const ft_optim_opts *opts, ft_err *e);
/* Add trainable parameters; a parameter may be in one group only. Before the first step. */
ft_status ft_optim_add(ft_optim *o, ft_param *const *params, size_t n, double lr, double weight_decay, ft_err *e);
void ft_optim_free(ft_optim *o); /* parameters lose their gradients */

/* One update from the gradients gathered since the last one: scales them so that their global norm is at most
 * clip (0: no clipping), moves every parameter that has a gradient, and forgets the gradients. lr_scale multiplies
 * every group's learning rate (the schedule). *norm gets the norm before clipping. A NaN or Inf gradient is
 * FT_ENUM and names the parameter; nothing is changed then. */
ft_status ft_optim_step(ft_optim *o, double lr_scale, double clip, double *norm, ft_err *e);

/* For checkpoints: number of steps done, and state tensors (views) of parameter i, moment 0 or 1 (NULL if the kind has none).
 * Who writes to a moment does so before the next step, and asks for it again to write after that. */
int64_t ft_optim_steps(const ft_optim *o);
void ft_optim_set_steps(ft_optim *o, int64_t steps);
size_t ft_optim_count(const ft_optim *o);
ft_param *ft_optim_param(const ft_optim *o, size_t i);
ft_tensor *ft_optim_moment(const ft_optim *o, size_t i, int which);

#endif
