/* runtime/net/names.h - names inside archives and on hubs: which may become paths, and a set that finds clashes. */
#ifndef FT_NET_NAMES_H
#define FT_NET_NAMES_H

#include <stddef.h>

#include "core/err.h"

/* Clean a foreign name into `out` (relative; parts without "", "."): an error for absolute names, "..", backslashes, control
 * bytes, what is not UTF-8, parts above 255 bytes, and more than `depth` parts. An empty result is the folder itself. */
ft_status ft_name_check(const char *name, int depth, char *out, size_t size, ft_err *e);

typedef struct ft_names {
    char **slot;
    size_t n, cap;
} ft_names;

/* Add a name. *known: the one that is there already and differs at most in the case of ASCII letters, or NULL. */
ft_status ft_names_add(ft_names *set, const char *name, const char **known, ft_err *e);
void ft_names_free(ft_names *set);

#endif
