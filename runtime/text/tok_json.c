/* runtime/text/tok_json.c - a tokenizer from the text of a tokenizer.json.
 *
 * What is not supported is an error that names the component: ids that are only nearly
 * right would train a model on noise. "padding" and "truncation" are not read.
 */
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/tok_internal.h"

static ft_status unsupported(const char *what, const char *type, const char *choices, ft_err *e)
{
    return ft_fail(e, FT_EDATA, "%s \"%.80s\" is not supported (%s is)", what, type, choices);
}

/* ==== Model ==== */

static ft_status read_model(ft_tokenizer *t, const json_t *root, ft_err *e)
{
    json_t *o;
    const char *type = "WordPiece"; /* old files leave the type out */
    ft_status s = ft_json_member(&o, root, "model", JSON_OBJECT, "tokenizer", e);

    if (!s && (json_object_get(o, "type") || json_object_get(o, "merges"))) s = ft_json_kind(&type, o, "model", e);
    if (s) return s;
    for (size_t i = 0; ft_model_kinds[i]; i++)
        if (!strcmp(ft_model_kinds[i]->type, type)) t->kind = ft_model_kinds[i];
    if (!t->kind) return unsupported("model", type, "WordPiece", e);
    s = t->kind->load(&t->model, o, e);
    if (!s) t->vocab = t->kind->vocab(t->model);
    return s;
}

/* ==== Normaliser, pre-tokeniser, decoder ==== */

static ft_status read_normalizer(ft_tokenizer *t, const json_t *o, ft_err *e)
{
    const char *type;
    ft_norm *n = &t->norm;

    n->apply = ft_norm_none;
    if (!o || json_is_null(o)) return FT_OK;
    ft_status s = ft_json_kind(&type, o, "normalizer", e);
    if (s) return s;
    if (strcmp(type, "BertNormalizer")) return unsupported("normalizer", type, "BertNormalizer", e);
    n->apply = ft_norm_bert;
    s = ft_json_flag(&n->clean, o, "clean_text", "normalizer", e);
    if (!s) s = ft_json_flag(&n->cjk, o, "handle_chinese_chars", "normalizer", e);
    if (!s) s = ft_json_flag(&n->lower, o, "lowercase", "normalizer", e);
    n->strip = n->lower; /* null follows lowercase */
    const json_t *strip = json_object_get(o, "strip_accents");
    if (!s && strip && !json_is_null(strip)) s = ft_json_flag(&n->strip, o, "strip_accents", "normalizer", e);
    return s;
}

static ft_status read_pre_tokenizer(ft_tokenizer *t, const json_t *o, ft_err *e)
{
    const char *type;

    t->pretok = ft_pretok_none;
    if (!o || json_is_null(o)) return FT_OK;
    const ft_status s = ft_json_kind(&type, o, "pre_tokenizer", e);
    if (s) return s;
    if (strcmp(type, "BertPreTokenizer")) return unsupported("pre_tokenizer", type, "BertPreTokenizer", e);
    t->pretok = ft_pretok_bert;
    return FT_OK;
}

static ft_status read_decoder(ft_tokenizer *t, const json_t *o, ft_err *e)
{
    const char *type, *prefix;

    if (!o || json_is_null(o)) return FT_OK;
    ft_status s = ft_json_kind(&type, o, "decoder", e);
    if (s) return s;
    if (strcmp(type, "WordPiece")) return unsupported("decoder", type, "WordPiece", e);
    t->decoder.wordpiece = true;
    s = ft_json_flag(&t->decoder.cleanup, o, "cleanup", "decoder", e);
    if (!s) s = ft_json_text(&prefix, &t->decoder.prefix_len, o, "prefix", "decoder", e);
    if (s) return s;
    t->decoder.prefix = ft_strndup(prefix, t->decoder.prefix_len);
    return t->decoder.prefix ? FT_OK : ft_fail_mem(e, t->decoder.prefix_len);
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

static ft_status set_pattern(ft_added_token *a, const ft_norm *norm, ft_normal *normal, ft_err *e)
{
    const char *pattern = a->content;

    a->pattern_len = a->content_len;
    if (a->normalized) {
        const ft_status s = norm->apply(norm, a->content, a->content_len, 0, normal, e);
        if (s) return s;
        pattern = normal->text;
        a->pattern_len = normal->n;
    }
    a->pattern = ft_strndup(pattern, a->pattern_len);
    return a->pattern ? FT_OK : ft_fail_mem(e, a->pattern_len);
}

static ft_status read_added(ft_tokenizer *t, const json_t *list, ft_err *e)
{
    ft_normal normal = { 0 };
    int64_t next = (int64_t)t->vocab->n;
    size_t i;
    json_t *o;
    ft_status s = FT_OK;

    if (list && !json_is_array(list)) return ft_fail(e, FT_EDATA, "added_tokens: want an array");
    json_array_foreach (list, i, o) {
        s = read_added_token(t, o, &next, e);
        if (s) goto out;
    }
    for (i = 0; i < t->added.n && !s; i++) s = set_pattern(&t->added.tokens[i], &t->norm, &normal, e);
    if (!s) s = ft_added_seal(&t->added, e);
out:
    ft_normal_free(&normal);
    return s;
}

/* ==== Post-processor ==== */

static ft_status check_special_id(const ft_tokenizer *t, int64_t id, ft_err *e)
{
    if (id >= 0 && id < ft_tokenizer_vocab_size(t)) return FT_OK;
    return ft_fail(e, FT_EDATA, "post_processor: id %lld is not in the vocabulary", (long long)id);
}

static ft_status read_special_piece(const ft_tokenizer *t, ft_template *to, const json_t *o, int32_t type_id,
                                    const json_t *specials, ft_err *e)
{
    const char *name;
    size_t len, i;
    json_t *special, *ids, *id;
    ft_status s = ft_json_text(&name, &len, o, "id", "post_processor: SpecialToken", e);

    if (!s) s = ft_json_member(&special, specials, name, JSON_OBJECT, "post_processor.special_tokens", e);
    if (!s) s = ft_json_member(&ids, special, "ids", JSON_ARRAY, "post_processor.special_tokens", e);
    if (s) return s;
    json_array_foreach (ids, i, id) {
        if (!json_is_integer(id)) return ft_fail(e, FT_EDATA, "post_processor.special_tokens: ids must be integers");
        s = check_special_id(t, json_integer_value(id), e);
        if (!s) s = ft_template_add(to, -1, (int32_t)json_integer_value(id), type_id, e);
        if (s) return s;
    }
    return FT_OK;
}

static ft_status read_piece(const ft_tokenizer *t, ft_template *to, const json_t *piece, bool pair,
                            const json_t *specials, ft_err *e)
{
    const json_t *special = json_object_get(piece, "SpecialToken"), *text = json_object_get(piece, "Sequence");
    const char *name;
    size_t len;
    int64_t type_id;

    if (!special == !text) return ft_fail(e, FT_EDATA, "post_processor: a piece is a SpecialToken or a Sequence");
    ft_status s = ft_json_int(&type_id, special ? special : text, "type_id", 0, INT32_MAX, "post_processor: piece", e);
    if (s) return s;
    if (special) return read_special_piece(t, to, special, (int32_t)type_id, specials, e);
    s = ft_json_text(&name, &len, text, "id", "post_processor: Sequence", e);
    if (s) return s;
    const int b = !strcmp(name, "B");
    if ((!b && strcmp(name, "A")) || (b && !pair))
        return ft_fail(e, FT_EDATA, "post_processor: sequence \"%.20s\" is not %s", name, pair ? "A or B" : "A");
    return ft_template_add(to, b, 0, (int32_t)type_id, e);
}

static ft_status read_template(const ft_tokenizer *t, ft_template *to, const json_t *o, const char *key, bool pair,
                               ft_err *e)
{
    json_t *list, *specials, *piece;
    size_t i;
    ft_status s = ft_json_member(&list, o, key, JSON_ARRAY, "post_processor", e);

    if (!s) s = ft_json_member(&specials, o, "special_tokens", JSON_OBJECT, "post_processor", e);
    if (s) return s;
    json_array_foreach (list, i, piece) {
        s = read_piece(t, to, piece, pair, specials, e);
        if (s) return s;
    }
    return FT_OK;
}

/* ["[SEP]", 102] */
static ft_status read_named_id(const ft_tokenizer *t, int32_t *out, const json_t *o, const char *key, ft_err *e)
{
    json_t *two;
    ft_status s = ft_json_member(&two, o, key, JSON_ARRAY, "post_processor", e);

    if (s) return s;
    const json_t *id = json_array_get(two, 1);
    if (json_array_size(two) != 2 || !json_is_integer(id))
        return ft_fail(e, FT_EDATA, "post_processor.%s: want [token, id]", key);
    s = check_special_id(t, json_integer_value(id), e);
    if (!s) *out = (int32_t)json_integer_value(id);
    return s;
}

static ft_status read_post(ft_tokenizer *t, const json_t *o, ft_err *e)
{
    const char *type;
    int32_t cls, sep;

    if (!o || json_is_null(o)) return ft_post_none(&t->post, e);
    ft_status s = ft_json_kind(&type, o, "post_processor", e);
    if (s) return s;
    if (!strcmp(type, "BertProcessing")) {
        s = read_named_id(t, &cls, o, "cls", e);
        if (!s) s = read_named_id(t, &sep, o, "sep", e);
        return s ? s : ft_post_bert(&t->post, cls, sep, e);
    }
    if (strcmp(type, "TemplateProcessing"))
        return unsupported("post_processor", type, "TemplateProcessing or BertProcessing", e);
    s = read_template(t, &t->post.single, o, "single", false, e);
    return s ? s : read_template(t, &t->post.pair, o, "pair", true, e);
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
    if (!s) s = read_normalizer(t, json_object_get(root, "normalizer"), e);
    if (!s) s = read_pre_tokenizer(t, json_object_get(root, "pre_tokenizer"), e);
    if (!s) s = read_decoder(t, json_object_get(root, "decoder"), e);
    if (!s) s = read_model(t, root, e);
    if (!s) s = read_added(t, json_object_get(root, "added_tokens"), e);
    if (!s) s = read_post(t, json_object_get(root, "post_processor"), e);
    if (!s) ft_tokenizer_plan(t);
    json_decref(root);
    return s;
}
