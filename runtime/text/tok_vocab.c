/* runtime/text/tok_vocab.c - the tokenizer.json that a vocab.txt amounts to.
 *
 * vocab.txt has one token a line, its id is the line's number from 0; white space at the
 * end of a line is no part of the token, and of equal tokens the last one counts. The
 * JSON is what is loaded and what is saved, so the two forms cannot differ.
 */
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/tok_internal.h"
#include "text/unicode.h"

/* ==== Special tokens ==== */

static const char *const special_key[FT_SPECIALS] = { "pad_token", "unk_token", "cls_token", "sep_token",
                                                      "mask_token" };
static const char *const special_default[FT_SPECIALS][2] = {
    { "[PAD]", "<pad>" }, { "[UNK]", "<unk>" }, { "[CLS]", "<s>" }, { "[SEP]", "</s>" }, { "[MASK]", "<mask>" },
};

static const json_t *special_value(const json_t *config, const json_t *special, ft_special which)
{
    const json_t *v = json_object_get(config, special_key[which]);
    return v ? v : json_object_get(special, special_key[which]);
}

const char *ft_special_name(const json_t *config, const json_t *special, ft_special which, bool *said)
{
    const json_t *v = special_value(config, special, which);

    *said = v != NULL;
    return json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);
}

const char *ft_special_default(ft_special which, int style) { return special_default[which][style]; }

static const char *name_or_default(const json_t *config, const json_t *special, ft_special which, int style)
{
    bool said;
    const char *name = ft_special_name(config, special, which, &said);

    return said ? name : ft_special_default(which, style);
}

/* ==== Lines ==== */

static size_t trimmed(const char *s, size_t n)
{
    size_t used;
    while (n && (ft_uc_class(ft_utf8_before(s, n, &used)) & FT_UC_SPACE)) n -= used;
    return n;
}

static ft_status read_lines(ft_vocab *v, const ft_buf *file, ft_err *e)
{
    const char *s = file->len ? file->data : "", *stop = s + file->len;
    ft_status status = FT_OK;

    for (int64_t line = 0; s < stop; line++) {
        const char *end = memchr(s, '\n', (size_t)(stop - s));
        size_t n = (size_t)((end ? end : stop) - s);
        status = ft_utf8_check(s, n, e);
        if (!status && memchr(s, 0, n)) status = ft_fail(e, FT_EDATA, "has a NUL byte");
        if (!status) status = ft_vocab_add(v, s, trimmed(s, n), line, e);
        if (status) {
            ft_context(e, "line %lld", (long long)line + 1);
            return status;
        }
        if (!end) break;
        s = end + 1;
    }
    return v->n ? FT_OK : ft_fail(e, FT_EDATA, "has no tokens");
}

static ft_status vocab_object(json_t **out, const ft_vocab *v, ft_err *e)
{
    json_t *o = *out = json_object();

    for (int32_t id = 0; o && id < v->ids; id++) {
        size_t len;
        const char *s = ft_vocab_token_of(v, id, &len);
        if (!s) continue;
        char key[FT_VOCAB_MAX_BYTES + 1];
        memcpy(key, s, len);
        key[len] = '\0';
        if (json_object_set_new_nocheck(o, key, json_integer(id))) o = NULL;
    }
    return o ? FT_OK : ft_fail(e, FT_EMEM, "out of memory: making a vocabulary");
}

/* ==== Added tokens ==== */

static int flag(const json_t *o, const char *key, int otherwise)
{
    const json_t *v = json_object_get(o, key);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

/* `like` gives the flags: an object of a config, or anything else for none. */
static ft_status add_token(json_t *list, const char *content, int64_t id, const json_t *like, int special, ft_err *e)
{
    json_t *o =
        json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id, "content", content, "single_word",
                  flag(like, "single_word", 0), "lstrip", flag(like, "lstrip", 0), "rstrip", flag(like, "rstrip", 0),
                  "normalized", flag(like, "normalized", !special), "special", special);

    if (json_array_append_new(list, o)) return ft_fail(e, FT_EMEM, "out of memory: making added tokens");
    return FT_OK;
}

/* tokenizer_config.json's "added_tokens_decoder": { "100": { "content": "[UNK]", ... }, ... }, in any order. */
static ft_status add_decoder(json_t *list, const json_t *config, const ft_vocab *v, ft_err *e)
{
    const json_t *all = json_object_get(config, "added_tokens_decoder"), *o;
    const char *content;
    size_t len;

    const size_t count = json_object_size(all);
    size_t found = 0;
    for (int64_t id = 0; found < count && id < v->ids + (int64_t)count; id++) {
        char key[24];
        snprintf(key, sizeof key, "%lld", (long long)id);
        o = json_object_get(all, key);
        if (!o) continue;
        found++;
        ft_status s = ft_json_text(&content, &len, o, "content", "tokenizer_config.json: added_tokens_decoder", e);
        if (!s) s = add_token(list, content, id, o, flag(o, "special", 0), e);
        if (s) return s;
    }
    if (found < count)
        return ft_fail(e, FT_EDATA, "tokenizer_config.json: added_tokens_decoder has ids beyond the vocabulary's %d",
                       v->ids);
    return FT_OK;
}

static bool listed(const json_t *list, const char *content)
{
    size_t i;
    json_t *o;

    json_array_foreach (list, i, o)
        if (!strcmp(json_string_value(json_object_get(o, "content")), content)) return true;
    return false;
}

ft_status ft_added_of_configs(json_t *list, const json_t *config, const json_t *special, const ft_vocab *v, int style,
                              ft_err *e)
{
    ft_status s = add_decoder(list, config, v, e);

    for (int k = 0; k < FT_SPECIALS && !s; k++) {
        const char *name = name_or_default(config, special, (ft_special)k, style);
        const bool needed = k != FT_PAD && k != FT_MASK;
        if (!name && needed) s = ft_fail(e, FT_EDATA, "tokenizer_config.json: %s is no token", special_key[k]);
        if (!name) continue;
        const int32_t id = ft_vocab_id(v, name, strlen(name));
        if (id < 0 && needed) s = ft_fail(e, FT_EDATA, "does not have the special token \"%.80s\"", name);
        if (id >= 0 && !listed(list, name))
            s = add_token(list, name, id, special_value(config, special, (ft_special)k), 1, e);
    }
    return s;
}

/* ==== The whole ==== */

static ft_status check_class(const json_t *config, ft_err *e)
{
    static const char *const known[] = { "BertTokenizer",       "DistilBertTokenizer", "ElectraTokenizer",
                                         "MobileBertTokenizer", "RetriBertTokenizer",  "LxmertTokenizer" };
    const char *class = json_string_value(json_object_get(config, "tokenizer_class"));

    if (!class) return FT_OK;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const size_t n = strlen(known[i]);
        if (!strncmp(class, known[i], n) && (!class[n] || !strcmp(class + n, "Fast"))) return FT_OK;
    }
    return ft_fail(e, FT_EDATA, "tokenizer_config.json: tokenizer_class \"%.80s\" is not supported with a vocab.txt",
                   class);
}

static json_t *template_piece(const char *kind, const char *id, int type_id)
{
    return json_pack("{s:{s:s, s:i}}", kind, "id", id, "type_id", type_id);
}

static json_t *post_processor(const char *cls, int32_t cls_id, const char *sep, int32_t sep_id)
{
    json_t *post = json_pack("{s:s, s:[o,o,o], s:[o,o,o,o,o], s:{s:{s:s, s:[i], s:[s]}}}", "type", "TemplateProcessing",
                             "single", template_piece("SpecialToken", cls, 0), template_piece("Sequence", "A", 0),
                             template_piece("SpecialToken", sep, 0), "pair", template_piece("SpecialToken", cls, 0),
                             template_piece("Sequence", "A", 0), template_piece("SpecialToken", sep, 0),
                             template_piece("Sequence", "B", 1), template_piece("SpecialToken", sep, 1),
                             "special_tokens", cls, "id", cls, "ids", cls_id, "tokens", cls);

    json_object_set_new(json_object_get(post, "special_tokens"), sep,
                        json_pack("{s:s, s:[i], s:[s]}", "id", sep, "ids", sep_id, "tokens", sep));
    return post;
}

/* Takes over `added` and `vocab`. NULL: no memory. */
static json_t *assemble(const json_t *config, const json_t *special, const ft_vocab *v, json_t *added, json_t *vocab)
{
    const char *unk = name_or_default(config, special, FT_UNK, FT_STYLE_BERT);
    const char *cls = name_or_default(config, special, FT_CLS, FT_STYLE_BERT);
    const char *sep = name_or_default(config, special, FT_SEP, FT_STYLE_BERT);
    const json_t *accents = json_object_get(config, "strip_accents");
    json_t *strip = json_is_boolean(accents) ? json_boolean(json_is_true(accents)) : json_null();
    json_t *post = post_processor(cls, ft_vocab_id(v, cls, strlen(cls)), sep, ft_vocab_id(v, sep, strlen(sep)));

    return json_pack(
        "{s:s, s:n, s:n, s:o, s:{s:s, s:b, s:b, s:o, s:b}, s:{s:s}, s:o, s:{s:s, s:s, s:b},"
        " s:{s:s, s:s, s:s, s:i, s:o}}",
        "version", "1.0", "truncation", "padding", "added_tokens", added, "normalizer", "type", "BertNormalizer",
        "clean_text", 1, "handle_chinese_chars", flag(config, "tokenize_chinese_chars", 1), "strip_accents", strip,
        "lowercase", flag(config, "do_lower_case", 1), "pre_tokenizer", "type", "BertPreTokenizer", "post_processor",
        post, "decoder", "type", "WordPiece", "prefix", "##", "cleanup", 1, "model", "type", "WordPiece", "unk_token",
        unk, "continuing_subword_prefix", "##", "max_input_chars_per_word", 100, "vocab", vocab);
}

/* A config that is there (len > 0) as an object; NULL otherwise. */
static ft_status parse_config(json_t **out, const ft_buf *file, const char *name, ft_err *e)
{
    *out = NULL;
    if (!file || !file->len) return FT_OK;
    const ft_status s = ft_json_parse(out, file->data, file->len, e);
    if (s) return ft_context(e, "%s", name);
    return json_is_object(*out) ? FT_OK : ft_fail(e, FT_EDATA, "%s: want an object", name);
}

ft_status ft_tokenizer_configs(struct json_t **config, struct json_t **special, const ft_buf *files, ft_err *e)
{
    *special = NULL;
    const ft_status s = parse_config(config, &files[FT_FILE_CONFIG], ft_tokenizer_file[FT_FILE_CONFIG], e);
    return s ? s : parse_config(special, &files[FT_FILE_SPECIAL], ft_tokenizer_file[FT_FILE_SPECIAL], e);
}

ft_status ft_tokenizer_json_of_vocab(ft_buf *out, const ft_buf *vocab, const json_t *config, const json_t *special,
                                     ft_err *e)
{
    ft_vocab v = { 0 };
    json_t *tokens = NULL, *added = json_array(), *all = NULL;

    ft_status s = added ? check_class(config, e) : ft_fail(e, FT_EMEM, "out of memory: making added tokens");
    if (!s) s = read_lines(&v, vocab, e);
    if (!s) s = ft_vocab_seal(&v, e);
    if (!s) s = ft_added_of_configs(added, config, special, &v, FT_STYLE_BERT, e);
    if (!s) s = vocab_object(&tokens, &v, e);
    if (!s) {
        all = assemble(config, special, &v, added, tokens);
        added = tokens = NULL;
        s = all ? ft_json_print(out, all, e) : ft_fail(e, FT_EMEM, "out of memory: making tokenizer.json");
    }
    json_decref(all);
    json_decref(tokens);
    json_decref(added);
    ft_vocab_free(&v);
    return s;
}
