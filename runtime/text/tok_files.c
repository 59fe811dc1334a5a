/* runtime/text/tok_files.c - loading and saving a tokenizer's files.
 *
 * Their bytes stay in memory, so that a fine-tuned model is saved with the very files
 * its base model came with.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/fs.h"
#include "core/mem.h"
#include "text/json_get.h"
#include "text/tok_internal.h"

enum { MAX_BYTES = 1 << 28 };

const char *const ft_tokenizer_file[FT_TOKENIZER_FILES] = {
    "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"
};

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* Read dir/name into b. A file that is not there is left out, b stays empty. */
static ft_status read_if_there(ft_buf *b, const char *dir, const char *name, ft_err *e)
{
    ft_buf path = { 0 };
    ft_status s = ft_buf_printf(&path, e, "%s/%s", dir, name);

    if (!s && exists(path.data)) s = ft_file_read(b, path.data, MAX_BYTES, e);
    ft_buf_free(&path);
    return s;
}

/* What a directory without a file that we read is told: SentencePiece's own files hold less than tokenizer.json does. */
static ft_status nothing_there(const char *dir, ft_err *e)
{
    static const char *const pieces[] = { "spm.model", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model" };

    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        ft_buf path = { 0 };
        const ft_status s = ft_buf_printf(&path, e, "%s/%s", dir, pieces[i]);
        const bool there = !s && exists(path.data);
        ft_buf_free(&path);
        if (s) return s;
        if (there)
            return ft_fail(e, FT_EDATA,
                           "%s: has SentencePiece's %s alone, which is not read; want the tokenizer.json that the fast "
                           "tokenizer of transformers saves",
                           dir, pieces[i]);
    }
    return ft_fail(e, FT_EIO, "%s: has no tokenizer.json, no vocab.txt, and no vocab.json with merges.txt", dir);
}

static ft_status read_directory(ft_tokenizer *t, const char *dir, ft_err *e)
{
    ft_buf old = { 0 };
    ft_status s = FT_OK;

    for (int i = 0; i < FT_TOKENIZER_FILES && !s; i++) s = read_if_there(&t->files[i], dir, ft_tokenizer_file[i], e);
    if (s || t->files[FT_FILE_TOKENIZER].len) return s;
    const bool pair = t->files[FT_FILE_VOCAB_JSON].len && t->files[FT_FILE_MERGES].len;
    if (!t->files[FT_FILE_VOCAB].len && !pair) return nothing_there(dir, e);
    s = read_if_there(&old, dir, "added_tokens.json", e);
    if (!s && old.len) s = ft_fail(e, FT_EDATA, "%s: added_tokens.json is not supported; want a tokenizer.json", dir);
    ft_buf_free(&old);
    return s;
}

static ft_status read_files(ft_tokenizer *t, const char *path, ft_err *e)
{
    struct stat st;

    if (stat(path, &st)) return ft_fail_errno(e, "%s", path);
    if (S_ISDIR(st.st_mode)) return read_directory(t, path, e);
    const size_t n = strlen(path);
    const int json = n >= 5 && !strcmp(path + n - 5, ".json");
    return ft_file_read(&t->files[json ? FT_FILE_TOKENIZER : FT_FILE_VOCAB], path, MAX_BYTES, e);
}

/* The special tokens' ids. The unknown token is the model's, whatever the configs say; where they say nothing, it is the
 * first of the usual names that there is. */
static void name_specials(ft_tokenizer *t, const json_t *config, const json_t *special)
{
    for (int k = 0; k < FT_SPECIALS; k++) {
        bool said = false;
        const char *name = k == FT_UNK ? t->kind->unk(t->model) : NULL;
        if (!name) name = ft_special_name(config, special, (ft_special)k, &said);
        t->special[k] = name ? ft_tokenizer_id(t, name, strlen(name)) : -1;
        for (int style = 0; style < FT_STYLES && !name && !said && t->special[k] < 0; style++) {
            const char *usual = ft_special_default((ft_special)k, style);
            t->special[k] = ft_tokenizer_id(t, usual, strlen(usual));
        }
    }
}

/* The tokenizer.json of the files, made where there is none. */
static ft_status make_json(ft_tokenizer *t, const json_t *config, const json_t *special, ft_err *e)
{
    ft_buf *json = &t->files[FT_FILE_TOKENIZER];
    const bool lines = t->files[FT_FILE_VOCAB].len > 0;

    if (json->len) return FT_OK;
    const ft_status s = lines ? ft_tokenizer_json_of_vocab(json, &t->files[FT_FILE_VOCAB], config, special, e)
                              : ft_tokenizer_json_of_merges(json, &t->files[FT_FILE_VOCAB_JSON],
                                                            &t->files[FT_FILE_MERGES], config, special, e);
    return s ? ft_context(e, "%s", lines ? "vocab.txt" : "vocab.json") : s;
}

static ft_status build(ft_tokenizer *t, ft_err *e)
{
    json_t *config, *special;
    ft_buf *json = &t->files[FT_FILE_TOKENIZER];
    const char *source = json->len ? "tokenizer.json" : t->files[FT_FILE_VOCAB].len ? "vocab.txt" : "vocab.json";

    ft_status s = ft_tokenizer_configs(&config, &special, t->files, e);
    if (!s) s = make_json(t, config, special, e);
    if (!s) {
        s = ft_tokenizer_from_json(t, json->data, json->len, e);
        if (s) ft_context(e, "%s", source);
    }
    if (!s) name_specials(t, config, special);
    json_decref(config);
    json_decref(special);
    return s;
}

ft_status ft_tokenizer_load(ft_tokenizer **out, const char *path, ft_err *e)
{
    ft_tokenizer *t = *out = ft_calloc(1, sizeof *t);

    if (!t) return ft_fail_mem(e, sizeof *t);
    atomic_init(&t->refs, 1);
    pthread_mutex_init(&t->lock, NULL);
    ft_status s = read_files(t, path, e);
    if (!s) {
        s = build(t, e);
        if (s) ft_context(e, "%s", path);
    }
    if (s) {
        ft_tokenizer_release(t);
        *out = NULL;
    }
    return s;
}

ft_status ft_tokenizer_save(const ft_tokenizer *t, const char *dir, ft_err *e)
{
    ft_buf path = { 0 };
    ft_status s = ft_mkdirs(dir, e);

    for (int i = 0; i < FT_TOKENIZER_FILES && !s; i++) {
        if (!t->files[i].len) continue;
        ft_buf_clear(&path);
        s = ft_buf_printf(&path, e, "%s/%s", dir, ft_tokenizer_file[i]);
        if (!s) s = ft_file_write(path.data, t->files[i].data, t->files[i].len, e);
    }
    ft_buf_free(&path);
    return s;
}
