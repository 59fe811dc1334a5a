/* tests/text/test_recorded.c - ids and offsets as Hugging Face `tokenizers` gave them.
 *
 * The fixtures' form and how to record them anew: tests/record/record_tokenizer.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"
#include "text/tokenizer.h"

#define DIR "tests/fixtures/tokenizer/"

enum { MAX_LINES = 400 };

/* The lines of a file; those of it are NUL-terminated in b. */
typedef struct lines {
    ft_buf b;
    char *at[MAX_LINES];
    int n;
} lines;

static void read_lines(lines *l, const char *path)
{
    ft_err e;

    memset(l, 0, sizeof *l);
    if (ft_file_read(&l->b, path, 1 << 20, &e)) fail_msg("%s", e.msg);
    for (char *p = l->b.data, *end; (end = strchr(p, '\n')); p = end + 1) {
        *end = '\0';
        assert_true(l->n < MAX_LINES);
        l->at[l->n++] = p;
    }
}

static ft_tokenizer *load(const char *path)
{
    ft_tokenizer *t;
    ft_err e;

    if (ft_tokenizer_load(&t, path, &e)) fail_msg("%s", e.msg);
    return t;
}

/* The form of a recorded line. */
static void print_encoding(ft_buf *b, const ft_encoding *x)
{
    for (size_t w = 0; w < x->n_windows; w++) {
        ft_buf_putc(b, '\t', NULL);
        for (size_t i = x->window_at[w]; i < x->window_at[w + 1]; i++)
            ft_buf_printf(b, NULL, "%s%d:%d:%d:%u:%u", i > x->window_at[w] ? " " : "", x->ids[i], x->type_ids[i],
                          x->sequence[i], x->begin[i], x->end[i]);
    }
}

static void check_encoding(const ft_tokenizer *t, const lines *text, const char *recorded, ft_encoding *x, ft_buf *b)
{
    int i, pair, max_length, stride;
    ft_err e;

    assert_int_equal(sscanf(recorded, "%d %d %d %d", &i, &pair, &max_length, &stride), 4);
    const ft_encode_opts o = { .max_length = (size_t)max_length,
                               .add_special = true,
                               .want_offsets = true,
                               .windows = stride >= 0,
                               .stride = stride > 0 ? (size_t)stride : 0 };
    const char *second = pair < 0 ? NULL : text->at[pair];
    if (ft_tokenizer_encode(t, text->at[i], strlen(text->at[i]), second, second ? strlen(second) : 0, &o, x, &e))
        fail_msg("%s", e.msg);
    ft_buf_clear(b);
    ft_buf_printf(b, NULL, "%d %d %d %d", i, pair, max_length, stride);
    print_encoding(b, x);
    assert_string_equal(b->data, recorded);
}

static void check_decoding(const ft_tokenizer *t, char *recorded, ft_buf *b)
{
    int32_t ids[4096];
    size_t n = 0;
    char *at = strchr(recorded, '\t') + 1, *text = strchr(at, '\t') + 1;
    ft_err e;

    while (at < text) ids[n++] = (int32_t)strtol(at, &at, 10), at++;
    ft_buf_clear(b);
    assert_int_equal(ft_tokenizer_decode(t, ids, n, recorded[7] == '1', b, &e), FT_OK);
    assert_string_equal(b->data, text);
}

static void check_all(const char *tokenizer, const char *record)
{
    lines text, want;
    ft_encoding x = { 0 };
    ft_buf b = { 0 };
    ft_tokenizer *t = load(tokenizer);

    read_lines(&text, DIR "sentences.txt");
    read_lines(&want, record);
    assert_true(want.n > 5 * text.n);
    for (int i = 0; i < want.n; i++) {
        if (strncmp(want.at[i], "decode", 6))
            check_encoding(t, &text, want.at[i], &x, &b);
        else
            check_decoding(t, want.at[i], &b);
    }
    ft_encoding_free(&x);
    ft_buf_free(&b);
    ft_buf_free(&text.b);
    ft_buf_free(&want.b);
    ft_tokenizer_release(t);
}

static void tokenizer_json_gives_the_recorded_tokens(void **state)
{
    (void)state;
    check_all(DIR "json", DIR "json.tsv");
    check_all(DIR "json/tokenizer.json", DIR "json.tsv");
}

static void vocab_txt_alone_is_lower_case(void **state)
{
    (void)state;
    check_all(DIR "lower", DIR "lower.tsv");
    check_all(DIR "lower/vocab.txt", DIR "lower.tsv");
}

static void tokenizer_config_makes_a_vocab_txt_cased(void **state)
{
    (void)state;
    check_all(DIR "cased", DIR "cased.tsv");
}

static void vocab_json_and_merges_are_byte_level(void **state)
{
    (void)state;
    check_all(DIR "bytes", DIR "bytes.tsv");
}

static void unigram_with_precompiled_rules(void **state)
{
    (void)state;
    check_all(DIR "unigram.json", DIR "unigram.tsv");
}

static void bpe_falls_back_to_bytes(void **state)
{
    (void)state;
    check_all(DIR "fallback.json", DIR "fallback.tsv");
}

static void sequences_of_many_parts(void **state)
{
    (void)state;
    check_all(DIR "parts.json", DIR "parts.tsv");
}

static void same_bytes(const char *a, const char *b)
{
    ft_buf x = { 0 }, y = { 0 };
    ft_err e;

    if (ft_file_read(&x, a, 1 << 20, &e) || ft_file_read(&y, b, 1 << 20, &e)) fail_msg("%s", e.msg);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    ft_buf_free(&x);
    ft_buf_free(&y);
}

/* A new directory, its path in dir. */
static void make_dir(char dir[512])
{
    const char *tmp = getenv("TMPDIR");

    snprintf(dir, 512, "%s/ft_recorded_XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
}

static void saved_tokenizers_give_the_same_tokens(void **state)
{
    char dir[512], sub[600], json[700], vocab[700], config[700];
    ft_err e;

    (void)state;
    make_dir(dir);
    snprintf(sub, sizeof sub, "%s/sub", dir);
    snprintf(json, sizeof json, "%s/tokenizer.json", sub);
    snprintf(vocab, sizeof vocab, "%s/vocab.txt", sub);
    snprintf(config, sizeof config, "%s/tokenizer_config.json", sub);
    ft_tokenizer *t = load(DIR "cased");
    assert_int_equal(ft_tokenizer_save(t, sub, &e), FT_OK);
    ft_tokenizer_release(t);

    same_bytes(vocab, DIR "cased/vocab.txt");
    same_bytes(config, DIR "cased/tokenizer_config.json");
    check_all(json, DIR "cased.tsv"); /* the generated tokenizer.json on its own */
    check_all(sub, DIR "cased.tsv");
    ft_remove_tree(dir, &e);
}

static void saving_copies_tokenizer_json_byte_for_byte(void **state)
{
    char dir[512], json[600], vocab[600];
    ft_err e;

    (void)state;
    make_dir(dir);
    snprintf(json, sizeof json, "%s/tokenizer.json", dir);
    snprintf(vocab, sizeof vocab, "%s/vocab.txt", dir);
    ft_tokenizer *t = load(DIR "json");
    assert_int_equal(ft_tokenizer_save(t, dir, &e), FT_OK);
    ft_tokenizer_release(t);
    same_bytes(json, DIR "json/tokenizer.json");
    assert_int_not_equal(access(vocab, F_OK), 0);
    ft_remove_tree(dir, &e);
}

static void batch_equals_one_by_one(void **state)
{
    enum { N = 200 };
    static ft_encoding out[N];
    ft_text texts[N], pairs[N];
    lines text;
    ft_encoding x = { 0 };
    ft_buf a = { 0 }, b = { 0 };
    ft_err e;
    const ft_encode_opts o = { .max_length = 20, .add_special = true, .want_offsets = true };
    ft_tokenizer *t = load(DIR "json");

    (void)state;
    read_lines(&text, DIR "sentences.txt");
    for (int i = 0; i < N; i++) {
        const char *first = text.at[i % text.n], *second = text.at[i * 7 % text.n];
        texts[i] = (ft_text){ first, strlen(first) };
        pairs[i] = i % 3 ? (ft_text){ second, strlen(second) } : (ft_text){ NULL, 0 };
    }
    assert_int_equal(ft_tokenizer_encode_batch(t, texts, pairs, N, &o, out, &e), FT_OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(ft_tokenizer_encode(t, texts[i].data, texts[i].len, pairs[i].data, pairs[i].len, &o, &x, &e),
                         FT_OK);
        ft_buf_clear(&a);
        ft_buf_clear(&b);
        print_encoding(&a, &x);
        print_encoding(&b, &out[i]);
        assert_string_equal(a.data, b.data);
        assert_int_equal(x.full_length, out[i].full_length);
        ft_encoding_free(&out[i]);
    }
    ft_encoding_free(&x);
    ft_buf_free(&a);
    ft_buf_free(&b);
    ft_buf_free(&text.b);
    ft_tokenizer_release(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer_json_gives_the_recorded_tokens),
        cmocka_unit_test(vocab_txt_alone_is_lower_case),
        cmocka_unit_test(tokenizer_config_makes_a_vocab_txt_cased),
        cmocka_unit_test(vocab_json_and_merges_are_byte_level),
        cmocka_unit_test(unigram_with_precompiled_rules),
        cmocka_unit_test(bpe_falls_back_to_bytes),
        cmocka_unit_test(sequences_of_many_parts),
        cmocka_unit_test(saved_tokenizers_give_the_same_tokens),
        cmocka_unit_test(saving_copies_tokenizer_json_byte_for_byte),
        cmocka_unit_test(batch_equals_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
