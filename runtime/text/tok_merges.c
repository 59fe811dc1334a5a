/* runtime/text/tok_merges.c - the tokenizer.json that a vocab.json and a merges.txt amount to.
 *
 * Two families have these files: GPT-2's, and RoBERTa's with <s> and </s> around texts. tokenizer_config.json says which
 * (tokenizer_class), else the vocabulary does: RoBERTa's has a <mask>.
 */
#include <string.h>

#include "text/json_get.h"
#include "text/tok_internal.h"
#include "text/unicode.h"

/* ==== Which family ==== */

static const struct family {
    const char *class;
    bool roberta;
} families[] = {
    { "GPT2Tokenizer", false },    { "RobertaTokenizer", true }, { "LongformerTokenizer", true },
    { "BartTokenizer", true },     { "LEDTokenizer", true },     { "BlenderbotTokenizer", true },
    { "GPTNeoXTokenizer", false },
};

static ft_status find_family(bool *roberta, const json_t *config, const ft_vocab *v, ft_err *e)
{
    const char *class = json_string_value(json_object_get(config, "tokenizer_class"));

    *roberta = ft_vocab_id(v, "<mask>", 6) >= 0 && ft_vocab_id(v, "</s>", 4) >= 0;
    if (!class) return FT_OK;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const size_t n = strlen(families[i].class);
        if (strncmp(class, families[i].class, n) || (class[n] && strcmp(class + n, "Fast"))) continue;
        *roberta = families[i].roberta;
        return FT_OK;
    }
    return ft_fail(e, FT_EDATA, "tokenizer_config.json: tokenizer_class \"%.80s\" is not supported with a vocab.json",
                   class);
}

/* ==== Parts ==== */

/* One merge a line; a first line "#version: ..." and a missing last line break are fine. */
static ft_status read_merges(json_t *list, const ft_buf *file, ft_err *e)
{
    const char *s = file->data, *stop = s + file->len;

    for (int line = 1; s < stop; line++) {
        const char *end = memchr(s, '\n', (size_t)(stop - s));
        size_t n = (size_t)((end ? end : stop) - s);
        if (n && s[n - 1] == '\r') n--;
        ft_status status = ft_utf8_check(s, n, e);
        if (status) return ft_context(e, "merges.txt: line %d", line);
        if (n && !(n >= 8 && !memcmp(s, "#version", 8)) && json_array_append_new(list, json_stringn(s, n)))
            return ft_fail(e, FT_EMEM, "out of memory: reading merges.txt");
        if (!end) break;
        s = end + 1;
    }
    return FT_OK;
}

static bool config_flag(const json_t *config, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(config, key);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static json_t *post_processor(const json_t *config, const char *cls, int32_t cls_id, const char *sep, int32_t sep_id)
{
    return json_pack("{s:s, s:[s,i], s:[s,i], s:b, s:b}", "type", "RobertaProcessing", "sep", sep, sep_id, "cls", cls,
                     cls_id, "trim_offsets", config_flag(config, "trim_offsets", true), "add_prefix_space",
                     config_flag(config, "add_prefix_space", false));
}

static const char *name_of(const json_t *config, const json_t *special, ft_special which)
{
    bool said;
    const char *name = ft_special_name(config, special, which, &said);
    return name ? name : ft_special_default(which, FT_STYLE_ROBERTA);
}

/* Published RoBERTa vocabularies let the mask take the blank before it. */
static void mask_takes_blank(json_t *added, const char *mask)
{
    size_t i;
    json_t *o;

    json_array_foreach (added, i, o)
        if (!strcmp(json_string_value(json_object_get(o, "content")), mask))
            json_object_set_new(o, "lstrip", json_true());
}

static ft_status roberta_parts(json_t **post, json_t *added, const json_t *config, const json_t *special,
                               const ft_vocab *v, ft_err *e)
{
    const char *cls = name_of(config, special, FT_CLS), *sep = name_of(config, special, FT_SEP);
    const ft_status s = ft_added_of_configs(added, config, special, v, FT_STYLE_ROBERTA, e);

    if (s) return s;
    if (!json_object_get(config, "added_tokens_decoder")) mask_takes_blank(added, name_of(config, special, FT_MASK));
    *post = post_processor(config, cls, ft_vocab_id(v, cls, strlen(cls)), sep, ft_vocab_id(v, sep, strlen(sep)));
    return *post ? FT_OK : ft_fail(e, FT_EMEM, "out of memory: making tokenizer.json");
}

/* GPT-2 has one special token and puts nothing around texts. */
static ft_status gpt2_parts(json_t **post, json_t *added, const ft_vocab *v, ft_err *e)
{
    static const char end[] = "<|endoftext|>";
    const int32_t id = ft_vocab_id(v, end, sizeof end - 1);

    *post = json_null();
    if (id < 0) return FT_OK;
    json_t *o = json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", end, "single_word", 0, "lstrip",
                          0, "rstrip", 0, "normalized", 0, "special", 1);
    return json_array_append_new(added, o) ? ft_fail(e, FT_EMEM, "out of memory: making tokenizer.json") : FT_OK;
}

/* ==== The whole ==== */

/* Takes over added, post, vocab and merges. NULL: no memory. */
static json_t *assemble(const json_t *config, json_t *added, json_t *post, json_t *vocab, json_t *merges)
{
    const int prefix = config_flag(config, "add_prefix_space", false);

    return json_pack("{s:s, s:n, s:n, s:o, s:n, s:{s:s, s:b, s:b, s:b}, s:o, s:{s:s, s:b, s:b, s:b},"
                     " s:{s:s, s:n, s:n, s:s, s:s, s:b, s:b, s:b, s:o, s:o}}",
                     "version", "1.0", "truncation", "padding", "added_tokens", added, "normalizer", "pre_tokenizer",
                     "type", "ByteLevel", "add_prefix_space", prefix, "trim_offsets", 1, "use_regex", 1,
                     "post_processor", post, "decoder", "type", "ByteLevel", "add_prefix_space", 1, "trim_offsets", 1,
                     "use_regex", 1, "model", "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix", "",
                     "end_of_word_suffix", "", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", 0, "vocab", vocab,
                     "merges", merges);
}

static ft_status read_vocab(json_t **object, ft_vocab *v, const ft_buf *file, ft_err *e)
{
    ft_status s = ft_json_parse(object, file->data, file->len, e);

    if (s) return s;
    json_t *model = json_pack("{s:O}", "vocab", *object);
    s = model ? ft_vocab_read(v, model, e) : ft_fail(e, FT_EMEM, "out of memory: reading vocab.json");
    json_decref(model);
    return s;
}

ft_status ft_tokenizer_json_of_merges(ft_buf *out, const ft_buf *vocab, const ft_buf *merges, const json_t *config,
                                      const json_t *special, ft_err *e)
{
    ft_vocab v = { 0 };
    json_t *tokens = NULL, *added = json_array(), *pairs = json_array(), *post = NULL, *all = NULL;
    bool roberta = false;

    ft_status s = added && pairs ? FT_OK : ft_fail(e, FT_EMEM, "out of memory: making tokenizer.json");
    if (!s) s = read_vocab(&tokens, &v, vocab, e);
    if (!s) s = find_family(&roberta, config, &v, e);
    if (!s) s = read_merges(pairs, merges, e);
    if (!s) s = roberta ? roberta_parts(&post, added, config, special, &v, e) : gpt2_parts(&post, added, &v, e);
    if (!s) {
        all = assemble(config, added, post, tokens, pairs);
        added = post = tokens = pairs = NULL;
        s = all ? ft_json_print(out, all, e) : ft_fail(e, FT_EMEM, "out of memory: making tokenizer.json");
    }
    json_decref(all);
    json_decref(tokens);
    json_decref(added);
    json_decref(pairs);
    json_decref(post);
    ft_vocab_free(&v);
    return s;
}
