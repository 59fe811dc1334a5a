/* tests/text/test_wordpiece_train.c - vocabularies learnt from text, against a plain form of the algorithm that
 * counts all pairs anew for each piece; counting; errors. Recorded ones: test_wordpiece_recorded.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <omp.h>

#include "core/fs.h"
#include "core/mem.h"
#include "text/wordpiece_train.h"

static char dir[512], path[1024];
static const ft_word_opts uncased = { .lowercase = true, .strip_accents = -1, .cjk = true };

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

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static const char *write_file(const char *name, const char *text, size_t n)
{
    ft_err e;

    if (ft_file_write(in_dir(name), text, n, &e)) fail_msg("%s", e.msg);
    return path;
}

static ft_word_counts *counter(const ft_word_opts *o)
{
    ft_word_counts *w;
    ft_err e;

    if (ft_words_new(&w, o, &e)) fail_msg("%s", e.msg);
    return w;
}

static ft_word_counts *counted(const char *text, size_t n)
{
    ft_word_counts *w = counter(&uncased);
    ft_err e;

    if (ft_words_add(w, text, n, &e)) fail_msg("%s", e.msg);
    return w;
}

static ft_status read_whole(ft_word_counts *w, const char *file, bool doc, ft_err *e)
{
    size_t n = 1;
    ft_status s = ft_words_open(w, file, doc, e);

    while (!s && n) s = ft_words_step(w, &n, e);
    return s;
}

static ft_word_totals totals_of(ft_word_counts *w)
{
    ft_word_totals t;
    ft_err e;

    if (ft_words_totals(w, &t, &e)) fail_msg("%s", e.msg);
    return t;
}

/* How often a word was counted. */
static uint64_t count_of(ft_word_counts *w, const char *word)
{
    const ft_word_totals t = totals_of(w);
    uint64_t count;
    size_t n;

    for (uint64_t i = 0; i < t.distinct; i++) {
        const char *s = ft_words_get(w, i, &n, &count);
        if (n == strlen(word) && !memcmp(s, word, n)) return count;
    }
    return 0;
}

/* The tokens, one a line; w is freed. */
static ft_buf learnt(ft_word_counts *w, ft_wordpiece_opts o)
{
    ft_wordpiece_vocab v = { 0 };
    ft_buf b = { 0 };
    ft_err e;

    if (ft_wordpiece_learn(w, &o, &v, &e)) fail_msg("%s", e.msg);
    for (int32_t id = 0; id < v.vocab.ids; id++) {
        size_t n;
        const char *token = ft_vocab_token_of(&v.vocab, id, &n);
        ft_buf_add(&b, token, n, NULL);
        ft_buf_putc(&b, '\n', NULL);
    }
    ft_wordpiece_free(&v);
    ft_words_free(w);
    return b;
}

static void learning_fails(ft_word_counts *w, ft_wordpiece_opts o, ft_status code, const char *words)
{
    ft_wordpiece_vocab v = { 0 };
    ft_err e = { FT_OK, "" };

    assert_int_equal(ft_wordpiece_learn(w, &o, &v, &e), code);
    if (!strstr(e.msg, words)) fail_msg("\"%s\" does not say \"%s\"", e.msg, words);
    ft_wordpiece_free(&v);
}

static const ft_wordpiece_opts usual = { .size = 100, .min_frequency = 1, .limit_alphabet = 1000, .min_word_count = 1 };

/* ==== The plain form ==== */

enum { MAX_TOKENS = 300, MAX_WORDS = 400, MAX_LETTERS = 16 };

typedef struct plain {
    char token[MAX_TOKENS][64];
    int n_tokens;
    int word[MAX_WORDS][MAX_LETTERS], len[MAX_WORDS], n_words;
    int64_t pairs[MAX_TOKENS][MAX_TOKENS];
} plain;

static int plain_id(plain *p, const char *token)
{
    for (int i = 0; i < p->n_tokens; i++)
        if (!strcmp(p->token[i], token)) return i;
    assert_true(p->n_tokens < MAX_TOKENS);
    snprintf(p->token[p->n_tokens], sizeof p->token[0], "%s", token);
    return p->n_tokens++;
}

/* Count all pairs; the first of the most frequent ones is *a, *b. Returns its count. */
static int64_t plain_best(plain *p, int *a, int *b)
{
    int64_t best = 0;

    memset(p->pairs, 0, sizeof p->pairs);
    for (int k = 0; k < p->n_words; k++)
        for (int i = 0; i + 1 < p->len[k]; i++) p->pairs[p->word[k][i]][p->word[k][i + 1]]++;
    for (int i = 0; i < p->n_tokens; i++)
        for (int j = 0; j < p->n_tokens; j++)
            if (p->pairs[i][j] > best) best = p->pairs[ *a = i][ *b = j];
    return best;
}

static void plain_join(plain *p, int a, int b)
{
    char token[160];
    snprintf(token, sizeof token, "%s%s", p->token[a], p->token[b] + 2);
    const int id = p->n_tokens;
    assert_int_equal(plain_id(p, token), id); /* it is new */

    for (int k = 0; k < p->n_words; k++) {
        int n = 0;
        for (int i = 0; i < p->len[k];) {
            const int here = p->word[k][i] == a && i + 1 < p->len[k] && p->word[k][i + 1] == b;
            p->word[k][n++] = here ? id : p->word[k][i];
            i += 1 + here;
        }
        p->len[k] = n;
    }
}

/* The vocabulary of words of ASCII letters parted by blanks; each letter must begin a word. */
static ft_buf plain_learn(const char *text, const ft_wordpiece_opts *o)
{
    static const char *const special[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" };
    plain *p = calloc(1, sizeof *p);
    ft_buf b = { 0 };
    int x = 0, y = 0;

    for (int i = 0; i < 5; i++) plain_id(p, special[i]);
    for (int c = 'a'; c <= 'z'; c++)
        if (strchr(text, c)) plain_id(p, (char[]){ (char)c, 0 });
    for (int c = 'a'; c <= 'z'; c++)
        for (const char *s = text; *s; s++)
            if (s[0] != ' ' && s[1] == c) plain_id(p, (char[]){ '#', '#', (char)c, 0 });
    for (const char *s = text; *s; s++) {
        if (*s == ' ') continue;
        const int first = s == text || s[-1] == ' ';
        if (first) p->n_words++;
        const int k = p->n_words - 1;
        p->word[k][p->len[k]++] = plain_id(p, first ? (char[]){ *s, 0 } : (char[]){ '#', '#', *s, 0 });
    }
    while (p->n_tokens < o->size && plain_best(p, &x, &y) >= o->min_frequency) plain_join(p, x, y);
    for (int i = 0; i < p->n_tokens; i++) ft_buf_printf(&b, NULL, "%s\n", p->token[i]);
    free(p);
    return b;
}

/* Words of the first `letters` letters, some of them again and again, so that pairs tie and overlap. */
static void make_words(ft_buf *text, uint64_t seed, uint32_t letters, int words, uint32_t longest)
{
    uint64_t x = seed * 2654435761u + 1;

    ft_buf_clear(text);
    for (int k = 0; k < words; k++) {
        const size_t before = text->len;
        for (uint32_t n = 0; n == 0 || (n < longest && x >> 40 & 7); n++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            ft_buf_putc(text, (char)('a' + (x >> 33) % letters), NULL);
        }
        if (k % 3 == 0) ft_buf_printf(text, NULL, " %s", strndupa(text->data + before, text->len - before));
        ft_buf_putc(text, ' ', NULL);
    }
}

static void recounting_all_pairs_gives_the_same_vocabulary(void **state)
{
    ft_buf text = { 0 };

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const ft_wordpiece_opts o = { .size = 40 + (int64_t)(seed * 37 % 160),
                                      .min_frequency = 1 + (int64_t)seed % 3,
                                      .limit_alphabet = 26,
                                      .min_word_count = 1 };
        make_words(&text, seed, 1 + (uint32_t)seed % 5, 20 + (int)seed * 3, MAX_LETTERS);
        ft_buf want = plain_learn(text.data, &o), got = learnt(counted(text.data, text.len), o);
        if (strcmp(got.data, want.data)) fail_msg("seed %d: got\n%s\nwant\n%s", (int)seed, got.data, want.data);
        ft_buf_free(&want);
        ft_buf_free(&got);
    }
    ft_buf_free(&text);
}

/* ==== Counting ==== */

static void words_are_cut_as_the_tokeniser_cuts_them(void **state)
{
    static const char text[] =
        "The cat's CAT, the caf\xc3\xa9 cafe\xcc\x81\xc2\xa0the \xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\n"
        "the\xe2\x80\x94"
        "cat \x01"
        "c\x02"
        "at";
    (void)state;
    ft_word_counts *w = counted(text, sizeof text - 1);
    assert_int_equal(count_of(w, "the"), 4);
    assert_int_equal(count_of(w, "cat"), 4);
    assert_int_equal(count_of(w, "cafe"), 2);
    assert_int_equal(count_of(w, "\xe4\xbd\xa0"), 2);
    assert_int_equal(count_of(w, "'"), 1);
    assert_int_equal(count_of(w, "\xe2\x80\x94"), 1);
    assert_int_equal(totals_of(w).words, 17);
    assert_int_equal(totals_of(w).distinct, 9);
    ft_words_free(w);
}

static void words_above_100_characters_are_left_out(void **state)
{
    ft_buf text = { 0 };

    (void)state;
    for (int n = 99; n <= 102; n++) {
        for (int i = 0; i < n; i++) ft_buf_putc(&text, 'x', NULL);
        ft_buf_putc(&text, ' ', NULL);
        for (int i = 0; i < n; i++) ft_buf_puts(&text, "\xd0\xb6", NULL);
        ft_buf_putc(&text, '\n', NULL);
    }
    ft_word_counts *w = counted(text.data, text.len);
    assert_int_equal(totals_of(w).words, 4);
    assert_int_equal(totals_of(w).too_long, 4);
    ft_words_free(w);
    ft_buf_free(&text);
}

/* Many lines with words of several scripts, and a long one without a line break at the end. */
static ft_buf much_text(void)
{
    ft_buf words = { 0 }, text = { 0 };

    for (uint64_t k = 0; text.len < 5u << 20; k++) {
        make_words(&words, k % 997, 20, 30, 9);
        ft_buf_add(&text, words.data, words.len, NULL);
        if (k % 5 == 0) ft_buf_puts(&text, "\xe4\xbd\xa0\xe5\xa5\xbd \xc3\x89t\xc3\xa9 \xf0\x9f\x99\x82", NULL);
        if (text.len < 2u << 20) ft_buf_putc(&text, '\n', NULL);
    }
    ft_buf_free(&words);
    return text;
}

static void threads_parts_and_files_do_not_change_the_vocabulary(void **state)
{
    const ft_wordpiece_opts o = { .size = 400, .min_frequency = 2, .limit_alphabet = 1000, .min_word_count = 1 };
    const int before = omp_get_max_threads();
    ft_buf text = much_text();
    ft_err e;

    (void)state;
    omp_set_num_threads(1);
    ft_buf want = learnt(counted(text.data, text.len), o);
    for (int threads = 1; threads <= 12; threads += threads < 3 ? 1 : 9) {
        omp_set_num_threads(threads);
        ft_buf got = learnt(counted(text.data, text.len), o);
        assert_string_equal(got.data, want.data);
        ft_buf_free(&got);

        ft_word_counts *w = counter(&uncased);
        if (read_whole(w, write_file("much.txt", text.data, text.len), threads == 2, &e)) fail_msg("%s", e.msg);
        got = learnt(w, o);
        assert_string_equal(got.data, want.data);
        ft_buf_free(&got);
    }
    omp_set_num_threads(before);
    ft_word_counts *w = counter(&uncased);
    for (const char *s = text.data, *end; *s; s = end) {
        end = strpbrk(s, " \n");
        end = end ? end + 1 : s + strlen(s);
        assert_int_equal(ft_words_add(w, s, (size_t)(end - s), &e), FT_OK);
    }
    ft_buf got = learnt(w, o);
    assert_string_equal(got.data, want.data);
    ft_buf_free(&got);
    ft_buf_free(&want);
    ft_buf_free(&text);
}

static void lines_of_tags_are_left_out_on_request(void **state)
{
    static const char text[] = "<doc id=\"1\" title=\"tag\">\nTitle\n\na <doc b </doc>\n</doc>\n<docs>\n</doc>";
    ft_err e;

    (void)state;
    for (int doc = 0; doc < 2; doc++) {
        ft_word_counts *w = counter(&uncased);
        if (read_whole(w, write_file("doc.txt", text, sizeof text - 1), doc, &e)) fail_msg("%s", e.msg);
        assert_int_equal(count_of(w, "tag"), !doc);
        assert_int_equal(count_of(w, "title"), doc ? 1 : 2);
        assert_int_equal(count_of(w, "doc"), doc ? 2 : 5);
        assert_int_equal(count_of(w, "docs"), 1);
        ft_words_free(w);
    }
}

static void a_long_line_is_cut_without_taking_its_middle_for_a_tag(void **state)
{
    enum { TIMES = 1000000 };
    ft_buf text = { 0 };
    ft_err e;

    (void)state;
    ft_buf_puts(&text, "a ", NULL);
    for (int i = 0; i < TIMES; i++) ft_buf_puts(&text, "<doc ", NULL);
    ft_word_counts *w = counter(&uncased);
    if (read_whole(w, write_file("long.txt", text.data, text.len), true, &e)) fail_msg("%s", e.msg);
    assert_int_equal(count_of(w, "doc"), TIMES);
    ft_words_free(w);
    ft_buf_free(&text);
}

static void bytes_that_are_not_utf8_are_named(void **state)
{
    ft_buf text = much_text();
    ft_err e = { FT_OK, "" };
    size_t n;

    (void)state;
    ft_word_counts *w = counter(&uncased);
    assert_int_equal(ft_words_add(w, "good \xff bad", 10, &e), FT_EDATA);
    assert_non_null(strstr(e.msg, "byte 5"));
    assert_int_equal(totals_of(w).words, 0);
    int64_t line = 1;
    for (const char *s = text.data; s < text.data + (1 << 20); s++) line += *s == '\n';
    char *at = strchr(text.data + (1 << 20), '\n') + 4;
    *at = '\xfe';
    assert_int_equal(read_whole(w, write_file("bad.txt", text.data, text.len), false, &e), FT_EDATA);
    char want[80];
    snprintf(want, sizeof want, "bad.txt: line %lld: ", (long long)line + 1);
    if (!strstr(e.msg, want) || !strstr(e.msg, "byte 3 is 0xfe")) fail_msg("%s", e.msg);
    assert_int_equal(ft_words_step(w, &n, &e), FT_ESTATE);
    assert_int_equal(read_whole(w, in_dir("nowhere.txt"), false, &e), FT_EIO);
    assert_non_null(strstr(e.msg, "nowhere.txt"));
    assert_int_equal(read_whole(w, dir, false, &e), FT_EIO);
    ft_words_free(w);
    ft_buf_free(&text);
}

/* ==== Learning ==== */

static void text_without_words_is_an_error(void **state)
{
    (void)state;
    ft_word_counts *w = counted(" \n\t \xc2\xa0\x01", 7);
    learning_fails(w, usual, FT_EDATA, "no words");
    assert_int_equal(ft_words_add(w, "a b b", 5, NULL), FT_OK);
    ft_wordpiece_opts o = usual;
    o.min_word_count = 3;
    learning_fails(w, o, FT_EDATA, "min_word_count");
    ft_words_free(w);
}

static void size_without_room_for_the_alphabet_names_the_least(void **state)
{
    ft_wordpiece_opts o = usual;

    (void)state;
    ft_word_counts *w = counted("abc abd", 7); /* a b c d ##b ##c ##d */
    o.size = 11;
    learning_fails(w, o, FT_EUSAGE, "size of 12 or more");
    o.size = 12;
    ft_buf got = learnt(w, o);
    assert_string_equal(got.data, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\n##b\n##c\n##d\n");
    ft_buf_free(&got);
}

static void of_equally_frequent_characters_the_lower_are_kept(void **state)
{
    const ft_wordpiece_opts o = { .size = 50, .min_frequency = 1, .limit_alphabet = 3, .min_word_count = 1 };

    (void)state;
    ft_buf got = learnt(counted("e d c b a \xd0\xb6 e \xd0\xb6", 17), o);
    assert_string_equal(got.data, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\ne\n\xd0\xb6\n");
    ft_buf_free(&got);
}

static void options_out_of_range_are_named(void **state)
{
    (void)state;
    ft_word_counts *w = counted("a", 1);
    learning_fails(w, (ft_wordpiece_opts){ 0, 1, 1, 1 }, FT_EUSAGE, "size");
    learning_fails(w, (ft_wordpiece_opts){ (1 << 24) + 1, 1, 1, 1 }, FT_EUSAGE, "size");
    learning_fails(w, (ft_wordpiece_opts){ 10, 0, 1, 1 }, FT_EUSAGE, "min_frequency");
    learning_fails(w, (ft_wordpiece_opts){ 10, 1, -1, 1 }, FT_EUSAGE, "limit_alphabet");
    learning_fails(w, (ft_wordpiece_opts){ 10, 1, 1, 0 }, FT_EUSAGE, "min_word_count");
    ft_words_free(w);
}

static void a_vocabulary_reports_what_it_is_made_of(void **state)
{
    ft_wordpiece_opts o = { .size = 50, .min_frequency = 2, .limit_alphabet = 3, .min_word_count = 2 };
    ft_wordpiece_vocab v = { 0 };
    ft_err e;

    (void)state;
    ft_word_counts *w = counted("abc abc abc ab ab x abd abd once", 32);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(ft_wordpiece_learn(w, &o, &v, &e), FT_OK);
        assert_int_equal(v.characters, 4); /* a b c d: x and once are too rare */
        assert_int_equal(v.alphabet, 3);
        assert_int_equal(v.joined, 2); /* ab 7 times, abc 3 times */
        assert_int_equal(v.last_count, 3);
        assert_int_equal(v.vocab.ids, 5 + 3 + 2 + 2);
    }
    ft_wordpiece_free(&v);
    ft_words_free(w);
}

static ft_status whole_run(const char *text, size_t n, ft_err *e)
{
    const ft_wordpiece_opts o = { .size = 60, .min_frequency = 1, .limit_alphabet = 50, .min_word_count = 1 };
    ft_wordpiece_vocab v = { 0 };
    ft_word_counts *w;
    ft_word_totals totals;

    ft_status s = ft_words_new(&w, &uncased, e);
    if (!s) s = ft_words_add(w, text, n, e);
    if (!s) s = ft_words_totals(w, &totals, e);
    if (!s) s = ft_wordpiece_learn(w, &o, &v, e);
    if (!s) s = ft_wordpiece_save(&v, in_dir("memory"), e);
    ft_wordpiece_free(&v);
    ft_words_free(w);
    return s;
}

static void exhausted_memory_is_reported_and_nothing_leaks(void **state)
{
    const size_t before = ft_mem_get().live;
    ft_buf text = { 0 };
    ft_err e;
    int failures = 0;

    (void)state;
    make_words(&text, 3, 4, 60, 9);
    ft_buf_puts(&text, " \xc3\xa9t\xc3\xa9", NULL);
    const size_t own = ft_mem_get().live;
    for (uint64_t nth = 1;; nth++) {
        ft_mem_fail_at(nth);
        const ft_status s = whole_run(text.data, text.len, &e);
        ft_mem_fail_at(0);
        assert_int_equal(ft_mem_get().live, own);
        if (!s) break;
        assert_int_equal(s, FT_EMEM);
        failures++;
    }
    assert_true(failures > 20);
    ft_buf_free(&text);
    assert_int_equal(ft_mem_get().live, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recounting_all_pairs_gives_the_same_vocabulary),
        cmocka_unit_test(words_are_cut_as_the_tokeniser_cuts_them),
        cmocka_unit_test(words_above_100_characters_are_left_out),
        cmocka_unit_test(threads_parts_and_files_do_not_change_the_vocabulary),
        cmocka_unit_test(lines_of_tags_are_left_out_on_request),
        cmocka_unit_test(a_long_line_is_cut_without_taking_its_middle_for_a_tag),
        cmocka_unit_test(bytes_that_are_not_utf8_are_named),
        cmocka_unit_test(text_without_words_is_an_error),
        cmocka_unit_test(size_without_room_for_the_alphabet_names_the_least),
        cmocka_unit_test(of_equally_frequent_characters_the_lower_are_kept),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(a_vocabulary_reports_what_it_is_made_of),
        cmocka_unit_test(exhausted_memory_is_reported_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
