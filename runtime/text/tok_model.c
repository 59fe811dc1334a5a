/* runtime/text/tok_model.c - the list of tokenizer models. */
#include "text/tok_model.h"

#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"

const ft_model_kind *const ft_model_kinds[] = { &ft_model_wordpiece, &ft_model_bpe, &ft_model_unigram, NULL };

static ft_status unsupported(const char *type, ft_err *e)
{
    char known[200] = "";
    size_t n = 0;

    for (size_t i = 0; ft_model_kinds[i] && n < sizeof known; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", ft_model_kinds[i]->type);
    return ft_fail(e, FT_EDATA, "model \"%.80s\" is not supported (these are: %s)", type, known);
}

ft_status ft_model_kind_of(const ft_model_kind **out, const json_t *o, ft_err *e)
{
    const char *type = json_object_get(o, "merges")                 ? "BPE"
                       : json_is_array(json_object_get(o, "vocab")) ? "Unigram"
                                                                    : "WordPiece";
    const ft_status s = json_object_get(o, "type") ? ft_json_kind(&type, o, "model", e) : FT_OK;

    *out = NULL;
    if (s) return s;
    for (size_t i = 0; ft_model_kinds[i]; i++)
        if (!strcmp(ft_model_kinds[i]->type, type)) *out = ft_model_kinds[i];
    return *out ? FT_OK : unsupported(type, e);
}

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

ft_status ft_pieces_work(ft_pieces *p, size_t n, ft_err *e)
{
    if (n <= p->work_cap) return FT_OK;
    size_t cap = p->work_cap ? p->work_cap : 4096;
    while (cap < n) cap *= 2;
    void *work = ft_malloc(cap);
    if (!work) return ft_fail_mem(e, cap);
    ft_free(p->work);
    p->work = work;
    p->work_cap = cap;
    return FT_OK;
}

void ft_pieces_free(ft_pieces *p)
{
    ft_free(p->at);
    ft_free(p->work);
    memset(p, 0, sizeof *p);
}
