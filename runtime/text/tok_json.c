/* runtime/text/tok_json.c - a tokenizer from the text of a tokenizer.json.
 *
 * What is not supported is an error that names the component: ids that are only nearly
 * right would train a model on noise. "padding" and "truncation" are not read.
 */
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/tok_internal.h"

/* ==== Model ==== */

static ft_status read_model(ft_tokenizer *t, const json_t *root, ft_err *e)
{
    json_t *o;
    ft_status s = ft_json_member(&o, root, "model", JSON_OBJECT, "tokenizer", e);

    if (!s) s = ft_model_kind_of(&t->kind, o, e);
    if (!s) s = t->kind->load(&t->model, o, e);
    if (!s) t->vocab = t->kind->vocab(t->model);
    return s;
}

/* ==== Added tokens ==== */

/* The id that the reference gives: the vocabulary's, else the next after it. The file must agree. */
static ft_status check_id(const ft_tokenizer *t, const ft_added_token *a, int64_t *next, ft_err *e)
{
    int64_t want = ft_tokenizer_id(t, a->content, a->content_len);

    if (want < 0) want = (*next)++;
    if (want == a->id) return FT_OK;
    return ft_fail(e, FT_EDATA, "added token \"%.80s\" has id %d, but the vocabulary makes it %lld", a->content, a->id,
                   (long long)want);
}

static ft_status read_added_token(ft_tokenizer *t, const json_t *o, int64_t *next, ft_err *e)
{
    static const char where[] = "added_tokens[]";
    ft_added_token a = { 0 };
    const char *content;
    int64_t id;

    ft_status s = ft_json_text(&content, &a.content_len, o, "content", where, e);
    if (!s) s = ft_json_int(&id, o, "id", 0, FT_VOCAB_MAX_ID, where, e);
    if (!s) s = ft_json_flag(&a.single_word, o, "single_word", where, e);
    if (!s) s = ft_json_flag(&a.lstrip, o, "lstrip", where, e);
    if (!s) s = ft_json_flag(&a.rstrip, o, "rstrip", where, e);
    if (!s) s = ft_json_flag(&a.normalized, o, "normalized", where, e);
    if (!s) s = ft_json_flag(&a.special, o, "special", where, e);
    if (s || !a.content_len) return s;
    a.content = (char *)(uintptr_t)content; /* copied by add */
    a.id = (int32_t)id;
    s = check_id(t, &a, next, e);
    return s ? s : ft_added_add(&t->added, &a, e);
}

static ft_status set_pattern(ft_added_token *a, const ft_parts *norm, ft_chunks *x, ft_err *e)
{
    const char *pattern = a->content;

    a->pattern_len = a->content_len;
    if (a->normalized && norm->n) {
        ft_status s = ft_normal_set(&x->normal, a->content, a->content_len, 0, e);
        if (!s) s = ft_parts_normalise(norm, &x->normal, &x->spare, e);
        if (s) return s;
        pattern = x->normal.n ? x->normal.text : "";
        a->pattern_len = x->normal.n;
    }
    a->pattern = ft_strndup(pattern, a->pattern_len);
    return a->pattern ? FT_OK : ft_fail_mem(e, a->pattern_len);
}

static ft_status read_added(ft_tokenizer *t, const json_t *list, ft_err *e)
{
    ft_chunks words = { 0 };
    int64_t next = (int64_t)t->vocab->n;
    size_t i;
    json_t *o;
    ft_status s = FT_OK;

    if (list && !json_is_array(list)) return ft_fail(e, FT_EDATA, "added_tokens: want an array");
    json_array_foreach (list, i, o) {
        s = read_added_token(t, o, &next, e);
        if (s) goto out;
    }
    for (i = 0; i < t->added.n && !s; i++) s = set_pattern(&t->added.tokens[i], &t->norm, &words, e);
    if (!s) s = ft_added_seal(&t->added, e);
out:
    ft_chunks_free(&words);
    return s;
}

/* ==== The whole ==== */

static ft_status read_version(const json_t *root, ft_err *e)
{
    const json_t *v = json_object_get(root, "version");

    if (!v || (json_is_string(v) && !strcmp(json_string_value(v), "1.0"))) return FT_OK;
    return ft_fail(e, FT_EDATA, "version: only \"1.0\" is supported");
}

ft_status ft_tokenizer_from_json(ft_tokenizer *t, const char *bytes, size_t n, ft_err *e)
{
    json_t *root;
    ft_status s = ft_json_parse(&root, bytes, n, e);

    if (s) return s;
    if (!json_is_object(root)) s = ft_fail(e, FT_EDATA, "want an object");
    if (!s) s = read_version(root, e);
    if (!s) s = ft_parts_load(&t->norm, root, FT_NORMALIZER, e);
    if (!s) s = ft_parts_load(&t->pretok, root, FT_PRE_TOKENIZER, e);
    if (!s) s = ft_parts_load(&t->decoder, root, FT_DECODER, e);
    if (!s) s = read_model(t, root, e);
    if (!s) s = read_added(t, json_object_get(root, "added_tokens"), e);
    if (!s) s = ft_post_load(t, root, e);
    if (!s) s = ft_tokenizer_plan(t, e);
    json_decref(root);
    return s;
}
