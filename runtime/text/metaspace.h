/* runtime/text/metaspace.h - the settings of Metaspace, as pre-tokeniser and as decoder. */
#ifndef FT_TEXT_METASPACE_H
#define FT_TEXT_METASPACE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

typedef enum ft_prepend { FT_PREPEND_ALWAYS, FT_PREPEND_FIRST, FT_PREPEND_NEVER } ft_prepend;

typedef struct ft_metaspace {
    char mark[4]; /* one character */
    size_t mark_len;
    ft_prepend prepend;
    bool split;
} ft_metaspace;

struct json_t;

/* As ft_part_kind's load. */
ft_status ft_metaspace_load(void **out, const struct json_t *o, const char *where, ft_err *e);

#endif
