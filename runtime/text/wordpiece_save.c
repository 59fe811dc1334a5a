/* runtime/text/wordpiece_save.c - a learnt vocabulary as the files of a BERT tokeniser.
 *
 * tokenizer.json is the one that loading vocab.txt would make (tok_vocab.c), so the two
 * cannot say different things.
 */
#include "core/fs.h"
#include "text/json_get.h"
#include "text/tok_internal.h"
#include "text/wordpiece_train.h"

enum { MODEL_MAX_LENGTH = 512 }; /* BERT's */

static ft_status vocab_text(ft_buf *out, const ft_wordpiece_vocab *v, ft_err *e)
{
    ft_status s = FT_OK;

    for (int32_t id = 0; id < v->vocab.ids && !s; id++) {
        size_t n;
        const char *token = ft_vocab_token_of(&v->vocab, id, &n);
        s = ft_buf_add(out, token, n, e);
        if (!s) s = ft_buf_putc(out, '\n', e);
    }
    return s;
}

static json_t *config_object(const ft_word_opts *o)
{
    return json_pack("{s:s, s:b, s:o, s:b, s:i, s:s, s:s, s:s, s:s, s:s}", "tokenizer_class", "BertTokenizer",
                     "do_lower_case", o->lowercase, "strip_accents",
                     o->strip_accents < 0 ? json_null() : json_boolean(o->strip_accents), "tokenize_chinese_chars",
                     o->cjk, "model_max_length", MODEL_MAX_LENGTH, "pad_token", "[PAD]", "unk_token", "[UNK]",
                     "cls_token", "[CLS]", "sep_token", "[SEP]", "mask_token", "[MASK]");
}

static ft_status write_file(const char *dir, const char *name, const ft_buf *bytes, ft_err *e)
{
    ft_buf path = { 0 };
    ft_status s = ft_buf_printf(&path, e, "%s/%s", dir, name);

    if (!s) s = ft_file_write(path.data, bytes->data, bytes->len, e);
    ft_buf_free(&path);
    return s;
}

ft_status ft_wordpiece_save(const ft_wordpiece_vocab *v, const char *dir, ft_err *e)
{
    ft_buf vocab = { 0 }, tokenizer = { 0 }, config = { 0 };
    json_t *o = config_object(&v->opts);

    ft_status s = o ? vocab_text(&vocab, v, e) : ft_fail(e, FT_EMEM, "out of memory: making tokenizer_config.json");
    if (!s) s = ft_json_print(&config, o, e);
    if (!s) s = ft_tokenizer_json_of_vocab(&tokenizer, &vocab, o, NULL, e);
    if (!s) s = ft_mkdirs(dir, e);
    if (!s) s = write_file(dir, ft_tokenizer_file[FT_FILE_VOCAB], &vocab, e);
    if (!s) s = write_file(dir, ft_tokenizer_file[FT_FILE_CONFIG], &config, e);
    if (!s) s = write_file(dir, ft_tokenizer_file[FT_FILE_TOKENIZER], &tokenizer, e);
    json_decref(o);
    ft_buf_free(&vocab);
    ft_buf_free(&tokenizer);
    ft_buf_free(&config);
    return s;
}
