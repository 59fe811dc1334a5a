/* runtime/text/pretok_split.c - Split: cut by a string or a regular expression. */
#include <string.h>

#include "core/mem.h"
#include "text/behavior.h"
#include "text/json_get.h"
#include "text/part.h"
#include "text/pattern.h"

typedef struct split {
    ft_pattern pattern;
    ft_cut_behavior how;
    bool invert;
} split;

ft_status ft_behavior_read(ft_cut_behavior *out, const json_t *o, const char *where, ft_err *e)
{
    static const char *const names[] = {
        [FT_CUT_REMOVED] = "Removed",
        [FT_CUT_ISOLATED] = "Isolated",
        [FT_CUT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [FT_CUT_MERGED_WITH_NEXT] = "MergedWithNext",
        [FT_CUT_CONTIGUOUS] = "Contiguous",
    };
    const char *name;
    size_t n;
    const ft_status s = ft_json_text(&name, &n, o, "behavior", where, e);

    if (s) return s;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name)) continue;
        *out = (ft_cut_behavior)i;
        return FT_OK;
    }
    return ft_fail(e, FT_EDATA,
                   "%s.behavior \"%.40s\" is not Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous",
                   where, name);
}

static void split_free(void *self)
{
    split *p = self;

    if (p) ft_pattern_free(&p->pattern);
    ft_free(p);
}

static ft_status split_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    split *p = *out = ft_calloc(1, sizeof *p);

    if (!p) return ft_fail_mem(e, sizeof *p);
    ft_status s = ft_behavior_read(&p->how, o, where, e);
    if (!s && json_object_get(o, "invert")) s = ft_json_flag(&p->invert, o, "invert", where, e);
    return s ? s : ft_pattern_read(&p->pattern, o, where, e);
}

static ft_status split_cut(const void *self, ft_chunks *x, ft_err *e)
{
    const split *p = self;
    ft_pattern_walk walk;
    ft_status s = ft_pattern_begin(&walk, &p->pattern, e);

    if (!s) s = ft_chunks_cut(x, ft_pattern_find, &walk, p->how, p->invert, e);
    ft_pattern_end(&walk);
    return s;
}

const ft_part_kind ft_pretok_split = { .type = "Split", .load = split_load, .free = split_free, .cut = split_cut };
