/* runtime/text/chunks.c - the list of parts, and cutting by what a pattern finds. */
#include "text/chunks.h"

#include <string.h>

#include "core/mem.h"

/* ==== The lists ==== */

void ft_chunks_free(ft_chunks *x)
{
    ft_normal_free(&x->normal);
    ft_normal_free(&x->spare);
    ft_free(x->at);
    ft_free(x->next);
    memset(x, 0, sizeof *x);
}

ft_status ft_chunks_add(ft_chunks *x, const ft_chunk *p, ft_err *e)
{
    if (x->n_next == x->cap_next) {
        const size_t cap = x->cap_next ? x->cap_next * 2 : 64;
        ft_chunk *next = ft_realloc(x->next, cap * sizeof *next);
        if (!next) return ft_fail_mem(e, cap * sizeof *next);
        x->next = next;
        x->cap_next = cap;
    }
    x->next[x->n_next++] = *p;
    return FT_OK;
}

ft_status ft_chunks_add_text(ft_chunks *x, size_t begin, size_t end, ft_err *e)
{
    const ft_chunk p = { .begin = begin, .end = end };
    return begin < end ? ft_chunks_add(x, &p, e) : FT_OK;
}

void ft_chunks_swap_parts(ft_chunks *x)
{
    ft_chunk *at = x->at;
    const size_t cap = x->cap;

    x->at = x->next;
    x->n = x->n_next;
    x->cap = x->cap_next;
    x->next = at;
    x->n_next = 0;
    x->cap_next = cap;
}

void ft_chunks_swap_text(ft_chunks *x)
{
    const ft_normal normal = x->normal;

    x->normal = x->spare;
    x->spare = normal;
    x->spare.n = 0;
}

/* ==== Cutting ==== */

/* Goes over the stretches of one part, matches and what lies between; each is held back until the next one is known. */
typedef struct cutter {
    ft_chunks *x;
    ft_cut_behavior how;
    bool has, held_match;    /* a stretch is held, and is a match */
    bool previous;           /* the stretch before was a match */
    size_t begin, end, base; /* of what is held; of the part */
} cutter;

static ft_status let_go(cutter *c, ft_err *e)
{
    const bool has = c->has;

    c->has = false;
    return has ? ft_chunks_add_text(c->x, c->base + c->begin, c->base + c->end, e) : FT_OK;
}

static bool joins(const cutter *c, bool match)
{
    if (!c->has) return false;
    switch (c->how) {
    case FT_CUT_CONTIGUOUS: return match == c->previous;
    case FT_CUT_MERGED_WITH_PREVIOUS: return match && !c->previous;
    case FT_CUT_MERGED_WITH_NEXT: return !match && c->held_match;
    default: return false;
    }
}

static ft_status stretch(cutter *c, size_t begin, size_t end, bool match, ft_err *e)
{
    ft_status s = FT_OK;

    if (joins(c, match)) {
        c->end = end;
    } else {
        s = let_go(c, e);
        c->has = !(c->how == FT_CUT_REMOVED && match);
        c->begin = begin;
        c->end = end;
    }
    c->held_match = c->previous = match;
    return s;
}

static ft_status cut_part(ft_chunks *x, const ft_chunk *p, ft_finder *find, const void *pattern, ft_cut_behavior how,
                          bool invert, ft_err *e)
{
    const char *text = x->normal.text + p->begin;
    const size_t n = p->end - p->begin;
    cutter c = { .x = x, .how = how, .base = p->begin };
    size_t at = 0, done = 0, begin, end;
    ft_status s = FT_OK;
    int found = 0;

    while (!s && (found = find(pattern, text, n, &at, &begin, &end, e)) > 0) {
        if (done < begin) s = stretch(&c, done, begin, invert, e);
        if (!s) s = stretch(&c, begin, end, !invert, e);
        done = end;
    }
    if (found < 0) return e ? e->code : FT_EDATA;
    if (!s && done < n) s = stretch(&c, done, n, invert, e);
    return s ? s : let_go(&c, e);
}

ft_status ft_chunks_cut(ft_chunks *x, ft_finder *find, const void *pattern, ft_cut_behavior how, bool invert, ft_err *e)
{
    ft_status s = FT_OK;

    x->n_next = 0;
    for (size_t i = 0; i < x->n && !s; i++) {
        const ft_chunk p = x->at[i];
        s = p.token ? ft_chunks_add(x, &p, e) : cut_part(x, &p, find, pattern, how, invert, e);
    }
    if (!s) ft_chunks_swap_parts(x);
    return s;
}
