/* runtime/text/behavior.h - the "behavior" of pre-tokenisers that cut by a pattern. */
#ifndef FT_TEXT_BEHAVIOR_H
#define FT_TEXT_BEHAVIOR_H

#include "text/chunks.h"

struct json_t;

/* Read o.behavior; `where` is o's place in its file. */
ft_status ft_behavior_read(ft_cut_behavior *out, const struct json_t *o, const char *where, ft_err *e);

#endif
