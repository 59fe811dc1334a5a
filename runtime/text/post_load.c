/* runtime/text/post_load.c - the post-processor of a tokenizer.json. */
#include <string.h>

#include "text/json_get.h"
#include "text/tok_internal.h"

/* ==== Templates ==== */

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

/* ==== Kinds ==== */

static ft_status two_ids(const ft_tokenizer *t, const json_t *o, int32_t *cls, int32_t *sep, ft_err *e)
{
    const ft_status s = read_named_id(t, cls, o, "cls", e);
    return s ? s : read_named_id(t, sep, o, "sep", e);
}

static ft_status load_bert(ft_tokenizer *t, const json_t *o, ft_err *e)
{
    int32_t cls, sep;
    const ft_status s = two_ids(t, o, &cls, &sep, e);
    return s ? s : ft_post_bert(&t->post, cls, sep, e);
}

/* Offsets are trimmed, or not, by at most one member of a "Sequence". */
static ft_status load_trim(ft_tokenizer *t, const json_t *o, ft_err *e)
{
    bool trim = true, prefix = true; /* where it is not said */
    ft_status s = FT_OK;

    if (json_object_get(o, "trim_offsets")) s = ft_json_flag(&trim, o, "trim_offsets", "post_processor", e);
    if (!s && json_object_get(o, "add_prefix_space"))
        s = ft_json_flag(&prefix, o, "add_prefix_space", "post_processor", e);
    if (!s && trim && t->post.trim) s = ft_fail(e, FT_EDATA, "post_processor: offsets are trimmed twice");
    if (s || !trim) return s;
    t->post.trim = true;
    t->post.prefix = prefix;
    return FT_OK;
}

static ft_status load_roberta(ft_tokenizer *t, const json_t *o, ft_err *e)
{
    int32_t cls, sep;
    ft_status s = two_ids(t, o, &cls, &sep, e);

    if (!s) s = load_trim(t, o, e);
    return s ? s : ft_post_roberta(&t->post, cls, sep, e);
}

static ft_status load_template(ft_tokenizer *t, const json_t *o, ft_err *e)
{
    const ft_status s = read_template(t, &t->post.single, o, "single", false, e);
    return s ? s : read_template(t, &t->post.pair, o, "pair", true, e);
}

static const struct kind {
    const char *type;
    ft_status (*load)(ft_tokenizer *t, const json_t *o, ft_err *e);
    bool templates;
} kinds[] = {
    { "TemplateProcessing", load_template, true },
    { "BertProcessing", load_bert, true },
    { "RobertaProcessing", load_roberta, true },
    { "ByteLevel", load_trim, false },
};

/* What adds special tokens comes last, so that nothing is trimmed of them. */
static ft_status load_one(ft_tokenizer *t, const json_t *o, bool *done, ft_err *e)
{
    const char *type;
    const ft_status s = ft_json_kind(&type, o, "post_processor", e);

    if (s) return s;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].type, type)) continue;
        if (*done) return ft_fail(e, FT_EDATA, "post_processor: \"%s\" after special tokens were added", type);
        *done = kinds[i].templates;
        return kinds[i].load(t, o, e);
    }
    return ft_fail(
        e, FT_EDATA,
        "post_processor \"%.80s\" is not supported (these are: Sequence, TemplateProcessing, BertProcessing, "
        "RobertaProcessing, ByteLevel)",
        type);
}

static ft_status load_sequence(ft_tokenizer *t, const json_t *o, bool *done, ft_err *e)
{
    json_t *list, *member;
    size_t i;
    ft_status s = ft_json_member(&list, o, "processors", JSON_ARRAY, "post_processor", e);

    if (s) return s;
    json_array_foreach (list, i, member) {
        s = load_one(t, member, done, e);
        if (s) return s;
    }
    return FT_OK;
}

ft_status ft_post_load(ft_tokenizer *t, const json_t *root, ft_err *e)
{
    const json_t *o = json_object_get(root, "post_processor");
    const json_t *type = json_object_get(o, "type");
    bool done = false;
    ft_status s = FT_OK;

    if (o && !json_is_null(o)) {
        const bool many = json_is_string(type) && !strcmp(json_string_value(type), "Sequence");
        s = many ? load_sequence(t, o, &done, e) : load_one(t, o, &done, e);
    }
    return s || done ? s : ft_post_none(&t->post, e);
}
