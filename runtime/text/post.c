/* runtime/text/post.c - templates of special tokens. */
#include "text/post.h"

#include <string.h>

#include "core/mem.h"

ft_status ft_template_add(ft_template *t, int sequence, int32_t id, int32_t type_id, ft_err *e)
{
    if (t->n == t->cap) {
        const size_t cap = t->cap ? t->cap * 2 : 8;
        ft_post_piece *p = ft_realloc(t->pieces, cap * sizeof *p);
        if (!p) return ft_fail_mem(e, cap * sizeof *p);
        t->pieces = p;
        t->cap = cap;
    }
    t->pieces[t->n++] = (ft_post_piece){ (int8_t)sequence, id, type_id };
    t->n_special += sequence < 0;
    return FT_OK;
}

typedef struct line {
    ft_template *to;
    ft_post_piece piece;
} line;

static ft_status add_all(const line *all, size_t n, ft_err *e)
{
    ft_status s = FT_OK;

    for (size_t i = 0; i < n && !s; i++)
        s = ft_template_add(all[i].to, all[i].piece.sequence, all[i].piece.id, all[i].piece.type_id, e);
    return s;
}

ft_status ft_post_bert(ft_post *p, int32_t cls, int32_t sep, ft_err *e)
{
    const line all[] = {
        { &p->single, { -1, cls, 0 } }, { &p->single, { 0, 0, 0 } },  { &p->single, { -1, sep, 0 } },
        { &p->pair, { -1, cls, 0 } },   { &p->pair, { 0, 0, 0 } },    { &p->pair, { -1, sep, 0 } },
        { &p->pair, { 1, 0, 1 } },      { &p->pair, { -1, sep, 1 } },
    };
    return add_all(all, sizeof all / sizeof *all, e);
}

ft_status ft_post_roberta(ft_post *p, int32_t cls, int32_t sep, ft_err *e)
{
    const line all[] = {
        { &p->single, { -1, cls, 0 } }, { &p->single, { 0, 0, 0 } }, { &p->single, { -1, sep, 0 } },
        { &p->pair, { -1, cls, 0 } },   { &p->pair, { 0, 0, 0 } },   { &p->pair, { -1, sep, 0 } },
        { &p->pair, { -1, sep, 0 } },   { &p->pair, { 1, 0, 0 } },   { &p->pair, { -1, sep, 0 } },
    };
    return add_all(all, sizeof all / sizeof *all, e);
}

ft_status ft_post_none(ft_post *p, ft_err *e)
{
    ft_status s = ft_template_add(&p->single, 0, 0, 0, e);
    if (!s) s = ft_template_add(&p->pair, 0, 0, 0, e);
    return s ? s : ft_template_add(&p->pair, 1, 0, 1, e);
}

void ft_post_free(ft_post *p)
{
    ft_free(p->single.pieces);
    ft_free(p->pair.pieces);
    memset(p, 0, sizeof *p);
}
