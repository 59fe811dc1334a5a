/* tests/text/test_wordpiece_recorded.c - recorded corpora give the recorded vocabulary, and the files that are saved
 * with it the ids that `tokenizers` gives.
 *
 * The fixtures' form and how to record them anew: tests/record/wordpiece_reference.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/fs.h"
#include "text/tokenizer.h"
#include "text/wordpiece_train.h"

#define FIXTURES "tests/fixtures/wordpiece_train/"

static char dir[512];

static int make_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(dir, sizeof dir, "%s/ft_wordpiece_XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    ft_err e;
    (void)state;
    return (int)ft_remove_tree(dir, &e);
}

static ft_buf read_file(const char *name)
{
    ft_buf b = { 0 };
    ft_err e;

    if (ft_file_read(&b, name, 1 << 26, &e)) fail_msg("%s", e.msg);
    return b;
}

static void read_whole(ft_word_counts *w, const char *file)
{
    size_t n = 1;
    ft_err e;

    if (ft_words_open(w, file, false, &e)) fail_msg("%s", e.msg);
    while (n)
        if (ft_words_step(w, &n, &e)) fail_msg("%s", e.msg);
}

/* Ids of each line of the corpus by the tokeniser in dir, in the form of the fixture. */
static ft_buf encode_lines(const char *tokenizer, const ft_buf *corpus)
{
    const ft_encode_opts o = { .add_special = true };
    ft_tokenizer *t;
    ft_encoding x = { 0 };
    ft_buf b = { 0 };
    ft_err e;

    if (ft_tokenizer_load(&t, tokenizer, &e)) fail_msg("%s", e.msg);
    for (const char *s = corpus->data, *end; (end = strchrnul(s, '\n')) < corpus->data + corpus->len; s = end + 1) {
        while (*end != '\n') end += strcspn(end + 1, "\n") + 1; /* a NUL is text */
        if (ft_tokenizer_encode(t, s, (size_t)(end - s), NULL, 0, &o, &x, &e)) fail_msg("%s", e.msg);
        for (size_t i = 0; i < x.n; i++) ft_buf_printf(&b, NULL, "%s%d", i ? " " : "", x.ids[i]);
        ft_buf_putc(&b, '\n', NULL);
    }
    ft_encoding_free(&x);
    ft_tokenizer_release(t);
    return b;
}

static void expect_file(const ft_buf *got, const char *case_name, const char *ending)
{
    char name[200];
    snprintf(name, sizeof name, FIXTURES "%s.%s", case_name, ending);
    ft_buf want = read_file(name);

    if (got->len != want.len || memcmp(got->data, want.data, want.len))
        fail_msg("%s: differs from\n%s", name, got->data);
    ft_buf_free(&want);
}

static void check_case(const char *name, ft_word_opts words, ft_wordpiece_opts o)
{
    char file[200], out[700], made[800];
    ft_wordpiece_vocab v = { 0 };
    ft_err e;

    snprintf(file, sizeof file, FIXTURES "%s.txt", name);
    snprintf(out, sizeof out, "%s/%s", dir, name);
    snprintf(made, sizeof made, "%s/vocab.txt", out);
    ft_word_counts *w;
    if (ft_words_new(&w, &words, &e)) fail_msg("%s", e.msg);
    read_whole(w, file);
    if (ft_wordpiece_learn(w, &o, &v, &e) || ft_wordpiece_save(&v, out, &e)) fail_msg("%s: %s", name, e.msg);
    ft_buf corpus = read_file(file), tokens = read_file(made);
    ft_buf ids = encode_lines(out, &corpus);
    snprintf(made, sizeof made, "%s/tokenizer.json", out);
    assert_int_equal(remove(made), 0); /* now vocab.txt and tokenizer_config.json are read */
    ft_buf same = encode_lines(out, &corpus);
    expect_file(&tokens, name, "vocab");
    expect_file(&ids, name, "ids");
    expect_file(&same, name, "ids");
    ft_buf_free(&corpus);
    ft_buf_free(&tokens);
    ft_buf_free(&ids);
    ft_buf_free(&same);
    ft_wordpiece_free(&v);
    ft_words_free(w);
}

static void recorded_corpora_give_the_recorded_vocabulary_and_ids(void **state)
{
    ft_buf cases = read_file(FIXTURES "cases.txt");
    int n = 0;

    (void)state;
    for (char *line = strtok(cases.data, "\n"); line; line = strtok(NULL, "\n"), n++) {
        char name[64];
        long long size, frequency, alphabet, word;
        int lower, strip, cjk;
        assert_int_equal(sscanf(line, "%63s %lld %d %d %d %lld %lld %lld", name, &size, &lower, &strip, &cjk,
                                &frequency, &alphabet, &word),
                         8);
        check_case(name, (ft_word_opts){ .lowercase = lower, .strip_accents = strip, .cjk = cjk },
                   (ft_wordpiece_opts){ size, frequency, alphabet, word });
    }
    assert_true(n >= 15);
    ft_buf_free(&cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(recorded_corpora_give_the_recorded_vocabulary_and_ids) };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
