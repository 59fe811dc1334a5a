/* runtime/graph/param.h - trainable weights: one canonical tree of names for every architecture.
 *
 * "encoder.embed.*", "encoder.layer.N.*", "encoder.pool.*", "head.*". A parameter owns its
 * value; the gradient exists only while an optimiser trains it. The first contribution of an
 * update is stored, later ones are added (has_grad), so gradients are never cleared.
 */
#ifndef FT_GRAPH_PARAM_H
#define FT_GRAPH_PARAM_H

#include "tensor/tensor.h"

typedef struct ft_param {
    char *name;
    ft_tensor *value; /* f32 */
    ft_tensor *grad;  /* f32, same shape; NULL while nothing trains it */
    int trainable;    /* cleared by freeze */
    int loaded;       /* came from a checkpoint, not from the random initialisation */
    int has_grad;     /* grad holds this update's sum so far */
    int uses;         /* how many places of the model use it (tied weights: more than 1) */
} ft_param;

/* An ordered set of parameters with unique names. */
typedef struct ft_params {
    ft_param **items;
    size_t n, cap;
    int shapes_only; /* values have no data: for forecasts */
} ft_params;

/* New zero-filled parameter at the end of the set; borrowed result. FT_EUSAGE if the name is taken. */
ft_status ft_params_add(ft_params *ps, const char *name, const ft_shape *shape, ft_param **out, ft_err *e);
/* Let the parameter have this tensor for its value; FT_ESHAPE if that is no f32 of the same shape. Nobody may hold the former
 * value any more. */
ft_status ft_param_adopt(ft_param *p, ft_tensor *value, ft_err *e);
ft_param *ft_params_find(const ft_params *ps, const char *name); /* NULL if there is none */
void ft_params_free(ft_params *ps);

/* Set `trainable` of all parameters that a glob matches. '*' matches any characters, '?' one,
 * "[0-5]" a range of single digits or characters; the glob "loaded" means all that came from the
 * checkpoint. A glob that matches nothing is FT_EUSAGE and names the nearest parameter. */
ft_status ft_params_set_trainable(ft_params *ps, const char *glob, int trainable, size_t *n_matched, ft_err *e);
int ft_glob(const char *glob, const char *name);

/* First parameter whose value (what = 0) or gradient (what = 1) has a NaN or Inf; NULL if all are finite. */
const ft_param *ft_params_nonfinite(const ft_params *ps, int what);

#endif
