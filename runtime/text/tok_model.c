/* runtime/text/tok_model.c - the list of tokenizer models. */
#include "text/tok_model.h"

#include "core/mem.h"

const ft_model_kind *const ft_model_kinds[] = { &ft_model_wordpiece, NULL };

ft_status ft_pieces_reserve(ft_pieces *p, size_t n, ft_err *e)
{
    if (n <= p->cap) return FT_OK;
    size_t cap = p->cap ? p->cap : 64;
    while (cap < n) cap *= 2;
    ft_piece *at = ft_realloc(p->at, cap * sizeof *at);
    if (!at) return ft_fail_mem(e, cap * sizeof *at);
    p->at = at;
    p->cap = cap;
    return FT_OK;
}
