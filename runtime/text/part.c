/* runtime/text/part.c - the lists of normalisers, pre-tokenisers and decoders, and reading them from tokenizer.json. */
#include "text/part.h"

#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"

static const ft_part_kind *const normalizers[] = {
    &ft_norm_bert_part,
    &ft_norm_lowercase,
    &ft_norm_nfc,
    &ft_norm_nfd,
    &ft_norm_nfkc,
    &ft_norm_nfkd,
    &ft_norm_strip,
    &ft_norm_strip_accents,
    &ft_norm_prepend,
    &ft_norm_replace,
    &ft_norm_precompiled,
    &ft_norm_byte_level,
    NULL,
};
static const ft_part_kind *const pre_tokenizers[] = {
    &ft_pretok_bert,        &ft_pretok_byte_level,
    &ft_pretok_metaspace,   &ft_pretok_split,
    &ft_pretok_whitespace,  &ft_pretok_whitespace_split,
    &ft_pretok_punctuation, &ft_pretok_digits,
    &ft_pretok_delimiter,   NULL,
};
static const ft_part_kind *const decoders[] = {
    &ft_decode_wordpiece,     &ft_decode_byte_level, &ft_decode_metaspace, &ft_decode_bpe, &ft_norm_replace,
    &ft_decode_byte_fallback, &ft_decode_fuse,       &ft_decode_strip,     NULL,
};

/* How each role is written: the member, and the member of a "Sequence" that lists what it is made of. */
static const struct role {
    const char *member, *list;
    const ft_part_kind *const *kinds;
} roles[FT_ROLES] = {
    { "normalizer", "normalizers", normalizers },
    { "pre_tokenizer", "pretokenizers", pre_tokenizers },
    { "decoder", "decoders", decoders },
};

enum { MAX_STEPS = 256, MAX_DEPTH = 8 };

/* ==== Loading ==== */

static ft_status unsupported(const struct role *r, const char *type, ft_err *e)
{
    ft_err known;
    size_t n = 0;

    known.msg[0] = '\0';
    for (size_t i = 0; r->kinds[i] && n < sizeof known.msg; i++)
        n += (size_t)snprintf(known.msg + n, sizeof known.msg - n, "%s%s", i ? ", " : "", r->kinds[i]->type);
    return ft_fail(e, FT_EDATA, "%s \"%.80s\" is not supported (these are: Sequence, %.600s)", r->member, type,
                   known.msg);
}

static ft_part *push(ft_parts *p, ft_err *e)
{
    if (p->n == p->cap) {
        const size_t cap = p->cap ? p->cap * 2 : 4;
        ft_part *at = ft_realloc(p->at, cap * sizeof *at);
        if (!at) return ft_fail_mem(e, cap * sizeof *at), NULL;
        p->at = at;
        p->cap = cap;
    }
    p->at[p->n] = (ft_part){ NULL, NULL };
    return &p->at[p->n++];
}

static ft_status load_one(ft_parts *p, const struct role *r, const json_t *o, const char *type, ft_err *e)
{
    const ft_part_kind *kind = NULL;

    for (size_t i = 0; r->kinds[i]; i++)
        if (!strcmp(r->kinds[i]->type, type)) kind = r->kinds[i];
    if (!kind) return unsupported(r, type, e);
    if (p->n == MAX_STEPS) return ft_fail(e, FT_EDATA, "%s: more than %d steps", r->member, MAX_STEPS);
    ft_part *part = push(p, e);
    if (!part) return FT_EMEM;
    part->kind = kind;
    return kind->load ? kind->load(&part->self, o, r->member, e) : FT_OK;
}

static ft_status load(ft_parts *p, const struct role *r, const json_t *o, int depth, ft_err *e)
{
    const char *type;
    json_t *list, *member;
    size_t i;
    ft_status s = ft_json_kind(&type, o, r->member, e);

    if (s) return s;
    if (strcmp(type, "Sequence")) return load_one(p, r, o, type, e);
    if (depth == MAX_DEPTH) return ft_fail(e, FT_EDATA, "%s: Sequences nested too deep", r->member);
    s = ft_json_member(&list, o, r->list, JSON_ARRAY, r->member, e);
    if (s) return s;
    json_array_foreach (list, i, member) {
        s = load(p, r, member, depth + 1, e);
        if (s) return s;
    }
    return FT_OK;
}

ft_status ft_parts_load(ft_parts *p, const json_t *root, ft_role role, ft_err *e)
{
    const json_t *o = json_object_get(root, roles[role].member);
    return !o || json_is_null(o) ? FT_OK : load(p, &roles[role], o, 0, e);
}

void ft_parts_free(ft_parts *p)
{
    for (size_t i = 0; i < p->n; i++) (p->at[i].kind->free ? p->at[i].kind->free : ft_free)(p->at[i].self);
    ft_free(p->at);
    memset(p, 0, sizeof *p);
}

/* ==== Use ==== */

const ft_part *ft_parts_find(const ft_parts *p, const ft_part_kind *kind)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->at[i].kind == kind) return &p->at[i];
    return NULL;
}

bool ft_parts_only(const ft_parts *p, const ft_part_kind *kind) { return p->n == 1 && p->at[0].kind == kind; }

ft_status ft_parts_normalise(const ft_parts *p, ft_normal *x, ft_normal *spare, ft_err *e)
{
    ft_status s = FT_OK;

    for (size_t i = 0; i < p->n && !s; i++) {
        s = p->at[i].kind->normalise(p->at[i].self, x, spare, e);
        const ft_normal old = *x;
        *x = *spare;
        *spare = old;
    }
    return s;
}
