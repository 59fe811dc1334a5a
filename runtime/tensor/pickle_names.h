/* runtime/tensor/pickle_names.h - the only names that a pickle may call, and what calling them gives. */
#ifndef FT_TENSOR_PICKLE_NAMES_H
#define FT_TENSOR_PICKLE_NAMES_H

#include "tensor/pickle.h"

/* The number of a name, or -1: it is not known. */
int ft_pickle_name(const char *module, size_t module_length, const char *name, size_t name_length);

/* What a known name gives for these arguments. */
ft_status ft_pickle_call(ft_pickle *p, int name, ft_pickle_value arguments, ft_pickle_value *out, ft_err *e);

/* The storage that a persistent id ("storage", class, key, device, elements) stands for. */
ft_status ft_pickle_persistent(ft_pickle *p, ft_pickle_value id, ft_pickle_value *out, ft_err *e);

/* Room for one more of n elements of that size, zeroed. */
ft_status ft_pickle_grow(void *list, size_t *cap, size_t n, size_t size, ft_err *e);

/* A new, empty list or dictionary. */
ft_status ft_pickle_chain_new(ft_pickle *p, ft_pickle_kind kind, ft_pickle_value *out, ft_err *e);

#endif
