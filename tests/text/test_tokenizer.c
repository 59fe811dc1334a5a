/* tests/text/test_tokenizer.c - the tokenizer's interface: errors, truncation, special tokens, memory.
 *
 * Tokenizers are made here from small pieces of JSON, so that each test shows what it is about.
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
#include "core/mem.h"
#include "text/tokenizer.h"

#define VOCAB "\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"a\":4,\"b\":5,\"##b\":6,\"c\":7,\".\":8"
#define MODEL(vocab)                                                                                                   \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","                            \
    "\"max_input_chars_per_word\":5,\"vocab\":{" vocab "}}"
#define BERT                                                                                                           \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"                   \
    "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"                    \
    "\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",2],\"sep\":[\"[SEP]\",3]},"                    \
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}"
#define SMALL "{" BERT ",\"model\":" MODEL(VOCAB) "}"
#define ADDED(id, content, single, left, right, normal)                                                                \
    "{\"id\":" id ",\"content\":\"" content "\",\"single_word\":" single ",\"lstrip\":" left ",\"rstrip\":" right      \
    ",\"normalized\":" normal ",\"special\":true}"

static char dir[512], path[1024];

static int make_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(dir, sizeof dir, "%s/ft_tokenizer_XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    ft_err e;
    (void)state;
    return (int)ft_remove_tree(dir, &e);
}

static const char *write_file(const char *name, const char *text, size_t n)
{
    ft_err e;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (ft_file_write(path, text, n, &e)) fail_msg("%s", e.msg);
    return path;
}

static ft_tokenizer *from_json(const char *json)
{
    ft_tokenizer *t;
    ft_err e;

    if (ft_tokenizer_load(&t, write_file("t.json", json, strlen(json)), &e)) fail_msg("%s", e.msg);
    return t;
}

/* Loading must fail with this code, and the message must have these words. */
static void refused(const char *file, ft_status code, const char *words)
{
    ft_tokenizer *t;
    ft_err e = { FT_OK, "" };

    assert_int_equal(ft_tokenizer_load(&t, file, &e), code);
    assert_null(t);
    if (!strstr(e.msg, words)) fail_msg("\"%s\" does not say \"%s\"", e.msg, words);
}

static void refused_json(const char *json, const char *words)
{
    refused(write_file("t.json", json, strlen(json)), FT_EDATA, words);
}

static void refused_vocab(const char *text, size_t n, const char *words)
{
    refused(write_file("vocab.txt", text, n), FT_EDATA, words);
}

/* ids as "1 2 3", windows parted by "|". */
static void expect(const ft_tokenizer *t, const char *text, const char *pair, ft_encode_opts o, const char *want)
{
    ft_encoding x = { 0 };
    ft_buf b = { 0 };
    ft_err e;

    if (ft_tokenizer_encode(t, text, strlen(text), pair, pair ? strlen(pair) : 0, &o, &x, &e)) fail_msg("%s", e.msg);
    ft_buf_puts(&b, "", NULL);
    for (size_t w = 0; w < x.n_windows; w++)
        for (size_t i = x.window_at[w]; i < x.window_at[w + 1]; i++)
            ft_buf_printf(&b, NULL, "%s%d", i > x.window_at[w] ? " " : w ? "|" : "", x.ids[i]);
    assert_string_equal(b.data, want);
    ft_buf_free(&b);
    ft_encoding_free(&x);
}

static ft_status encode_fails(const ft_tokenizer *t, const char *text, size_t n, const char *pair, ft_encode_opts o,
                              const char *words)
{
    ft_encoding x = { 0 };
    ft_err e = { FT_OK, "" };

    const ft_status s = ft_tokenizer_encode(t, text, n, pair, pair ? strlen(pair) : 0, &o, &x, &e);
    if (!strstr(e.msg, words)) fail_msg("\"%s\" does not say \"%s\"", e.msg, words);
    assert_int_equal(x.n, 0);
    assert_int_equal(x.n_windows, 0);
    ft_encoding_free(&x);
    return s;
}

static const ft_encode_opts plain = { .add_special = true }, bare = { .add_special = false };

/* ==== Loading ==== */

static void missing_file_is_an_io_error_with_its_name(void **state)
{
    (void)state;
    refused("/nowhere/at/all", FT_EIO, "/nowhere/at/all");
    snprintf(path, sizeof path, "%s/empty", dir);
    assert_int_equal(ft_mkdirs(path, NULL), FT_OK);
    refused(path, FT_EIO, "no tokenizer.json, no vocab.txt, and no vocab.json");
}

static void malformed_json_names_line_and_column(void **state)
{
    (void)state;
    refused_json("{\n  \"model\": ,\n}", "line 2, column");
    refused_json("[]", "want an object");
    refused_json("{}", "has no \"model\"");
    refused_json("{\"version\":\"2.0\"}", "version");
    refused_json("{\"model\":{\"type\":\"WordPiece\"}}", "unk_token");
    refused_json("{" BERT ",\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":"
                 "\"##\",\"max_input_chars_per_word\":-1,\"vocab\":{}}}",
                 "model.max_input_chars_per_word: -1");
}

static void unsupported_components_are_named(void **state)
{
    (void)state;
    refused_json("{\"model\":{\"type\":\"WordLevel\"}}", "model \"WordLevel\" is not supported");
    refused_json("{\"normalizer\":{\"type\":\"Nmt\"}}", "normalizer \"Nmt\"");
    refused_json("{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", "pre_tokenizer \"UnicodeScripts\"");
    refused_json("{\"decoder\":{\"type\":\"CTC\"}}", "decoder \"CTC\"");
    refused_json("{\"model\":" MODEL(VOCAB) ",\"post_processor\":{\"type\":\"Own\"}}", "post_processor \"Own\"");
}

static void vocabulary_must_have_the_unknown_token(void **state)
{
    (void)state;
    refused_json("{" BERT ",\"model\":" MODEL("\"a\":0") "}", "\"[UNK]\"");
    refused_vocab("[PAD]\n[CLS]\n[SEP]\na\n", 18, "\"[UNK]\"");
    refused_vocab("[PAD]\n[UNK]\n[SEP]\na\n", 18, "\"[CLS]\"");
}

static void bad_vocabularies_name_the_line_or_token(void **state)
{
    (void)state;
    refused_vocab("", 0, "vocab.txt");
    refused_vocab("[UNK]\n\xC3\x28\n", 9, "line 2");
    refused_vocab("[UNK]\na\0b\n", 10, "NUL");
    refused_json("{\"model\":" MODEL("\"[UNK]\":0,\"x\":-1") "}", "\"x\"");
    refused_json("{\"model\":" MODEL("\"[UNK]\":0,\"x\":99999999999") "}", "\"x\"");
    refused_json("{\"model\":" MODEL("\"[UNK]\":0,\"x\":\"one\"") "}", "\"x\"");
}

static void special_ids_must_be_in_the_vocabulary(void **state)
{
    (void)state;
    refused_json("{\"model\":" MODEL(VOCAB) ",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"x\",9],"
                                            "\"sep\":[\"[SEP]\",3]}}",
                 "id 9 is not in the vocabulary");
    refused_json(
        "{\"model\":" MODEL(VOCAB) ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
                                   "[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{}}}",
        "sequence \"B\"");
    refused_json(
        "{\"model\":" MODEL(VOCAB) ",\"added_tokens\":[" ADDED("12", "new", "false", "false", "false", "false") "]}",
        "\"new\" has id 12, but the vocabulary makes it 9");
}

static void old_style_added_tokens_are_refused(void **state)
{
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    ft_err e;

    (void)state;
    snprintf(path, sizeof path, "%s/old", dir);
    assert_int_equal(ft_mkdirs(path, &e), FT_OK);
    write_file("old/vocab.txt", vocab, sizeof vocab - 1);
    write_file("old/added_tokens.json", "{}", 2);
    snprintf(path, sizeof path, "%s/old", dir);
    refused(path, FT_EDATA, "added_tokens.json");
}

static void config_adds_tokens_and_renames_special_ones(void **state)
{
    static const char vocab[] = "<pad>\n[UNK]\n<s>\n</s>\na\n";
    static const char config[] = "{\"pad_token\":\"<pad>\",\"cls_token\":{\"content\":\"<s>\",\"lstrip\":true},"
                                 "\"sep_token\":\"</s>\",\"mask_token\":null,\"do_lower_case\":false,"
                                 "\"added_tokens_decoder\":{\"5\":{\"content\":\"<new>\",\"special\":false}}}";
    ft_tokenizer *t;
    ft_err e;

    (void)state;
    snprintf(path, sizeof path, "%s/named", dir);
    assert_int_equal(ft_mkdirs(path, &e), FT_OK);
    write_file("named/vocab.txt", vocab, sizeof vocab - 1);
    write_file("named/tokenizer_config.json", config, sizeof config - 1);
    snprintf(path, sizeof path, "%s/named", dir);
    if (ft_tokenizer_load(&t, path, &e)) fail_msg("%s", e.msg);
    expect(t, "a A <new> <s>", NULL, plain, "2 4 1 5 2 3");
    assert_int_equal(ft_tokenizer_special(t, FT_PAD), 0);
    assert_int_equal(ft_tokenizer_special(t, FT_CLS), 2);
    assert_int_equal(ft_tokenizer_special(t, FT_SEP), 3);
    assert_int_equal(ft_tokenizer_special(t, FT_MASK), -1);
    assert_int_equal(ft_tokenizer_vocab_size(t), 6);
    ft_tokenizer_release(t);
}

static void tokens_and_ids_map_to_each_other(void **state)
{
    ft_tokenizer *t = from_json(SMALL), *again = ft_tokenizer_retain(t);
    size_t len = 0;

    (void)state;
    ft_tokenizer_release(again);
    assert_int_equal(ft_tokenizer_vocab_size(t), 9);
    assert_int_equal(ft_tokenizer_id(t, "##b", 3), 6);
    assert_int_equal(ft_tokenizer_id(t, "##", 2), -1);
    assert_memory_equal(ft_tokenizer_token(t, 3, &len), "[SEP]", 5);
    assert_int_equal(len, 5);
    assert_null(ft_tokenizer_token(t, 9, &len));
    assert_null(ft_tokenizer_token(t, -1, &len));
    assert_int_equal(ft_tokenizer_special(t, FT_UNK), 1);
    assert_int_equal(ft_tokenizer_special(t, FT_MASK), -1);
    ft_tokenizer_release(t);
}

/* ==== Encoding ==== */

static void words_are_cut_into_the_longest_pieces(void **state)
{
    ft_tokenizer *t = from_json(SMALL);

    (void)state;
    expect(t, "AB c.", NULL, plain, "2 4 6 7 8 3");
    expect(t, "abx bbbbb bbbbbb", NULL, bare, "1 5 6 6 6 6 1");
    expect(t, "", NULL, plain, "2 3");
    expect(t, "a", "b", plain, "2 4 3 5 3");
    expect(t, "a", "", plain, "2 4 3 3");
    ft_tokenizer_release(t);
}

static void nul_bytes_are_cleaned_away(void **state)
{
    ft_tokenizer *t = from_json(SMALL);
    ft_encoding x = { 0 };
    const ft_encode_opts o = { .want_offsets = true };

    (void)state;
    assert_int_equal(ft_tokenizer_encode(t, "a\0b", 3, NULL, 0, &o, &x, NULL), FT_OK);
    assert_int_equal(x.n, 2);
    assert_int_equal(x.ids[1], 6);
    assert_int_equal(x.begin[1], 2);
    assert_int_equal(x.end[1], 3);
    ft_encoding_free(&x);
    ft_tokenizer_release(t);
}

static void broken_utf8_names_the_byte(void **state)
{
    ft_tokenizer *t = from_json(SMALL);

    (void)state;
    assert_int_equal(encode_fails(t, "ab \xFF", 4, NULL, plain, "byte 3 is 0xff"), FT_EDATA);
    assert_int_equal(encode_fails(t, "\xE2\x82", 2, NULL, plain, "byte 0"), FT_EDATA);
    assert_int_equal(encode_fails(t, "\xED\xA0\x80", 3, NULL, plain, "byte 0"), FT_EDATA);
    assert_int_equal(encode_fails(t, "\xC0\xAF", 2, NULL, plain, "byte 0"), FT_EDATA);
    assert_int_equal(encode_fails(t, "\xF4\x90\x80\x80", 4, NULL, plain, "byte 0"), FT_EDATA);
    assert_int_equal(encode_fails(t, "a", 1, "b\x80", plain, "second text: text is not UTF-8: byte 1"), FT_EDATA);
    ft_tokenizer_release(t);
}

static void batch_reports_the_first_bad_text(void **state)
{
    enum { N = 100 };
    static ft_encoding out[N];
    ft_text texts[N];
    ft_tokenizer *t = from_json(SMALL);
    ft_err e;

    (void)state;
    for (int i = 0; i < N; i++) texts[i] = (ft_text){ i % 41 == 40 ? "\xFF" : "a", 1 };
    assert_int_equal(ft_tokenizer_encode_batch(t, texts, NULL, N, &plain, out, &e), FT_EDATA);
    assert_non_null(strstr(e.msg, "text 40: "));
    for (int i = 0; i < N; i++) {
        assert_int_equal(out[i].n, 0);
        ft_encoding_free(&out[i]);
    }
    ft_tokenizer_release(t);
}

static void truncation_follows_its_strategy(void **state)
{
    ft_tokenizer *t = from_json(SMALL);
    ft_encode_opts o = { .max_length = 7, .add_special = true };

    (void)state;
    expect(t, "a a a a", "b b b b b", o, "2 4 4 3 5 5 3");
    o.max_length = 8; /* the odd token is the longer text's */
    expect(t, "a a a a", "b b b b b", o, "2 4 4 3 5 5 5 3");
    expect(t, "a a a a a", "b b b b", o, "2 4 4 4 3 5 5 3");
    expect(t, "a a a a", "b", o, "2 4 4 4 4 3 5 3");
    o.truncation = FT_ONLY_FIRST;
    expect(t, "a a a a", "b b b b", o, "2 4 3 5 5 5 5 3");
    o.truncation = FT_ONLY_SECOND;
    expect(t, "a a a a", "b b b b", o, "2 4 4 4 4 3 5 3");
    o.max_length = 2;
    expect(t, "a a a a", NULL, o, "2 3");
    ft_tokenizer_release(t);
}

static void impossible_truncations_are_usage_errors(void **state)
{
    ft_tokenizer *t = from_json(SMALL);
    ft_encode_opts o = { .max_length = 1, .add_special = true };

    (void)state;
    assert_int_equal(encode_fails(t, "a", 1, NULL, o, "no room for 2 special tokens"), FT_EUSAGE);
    o.max_length = 5;
    o.truncation = FT_ONLY_FIRST;
    assert_int_equal(encode_fails(t, "a", 1, "b b", o, "only_first cannot reach"), FT_EUSAGE);
    o.truncation = FT_ONLY_SECOND;
    assert_int_equal(encode_fails(t, "a a a a", 7, NULL, o, "needs a second text"), FT_EUSAGE);
    o = (ft_encode_opts){ .max_length = 5, .add_special = true, .windows = true, .stride = 3 };
    assert_int_equal(encode_fails(t, "a a a a", 7, NULL, o, "stride 3 must be below the 3"), FT_EUSAGE);
    assert_int_equal(encode_fails(t, "a a a a", 7, "b", o, "only_first or only_second"), FT_EUSAGE);
    ft_tokenizer_release(t);
}

static void windows_overlap_by_the_stride(void **state)
{
    ft_tokenizer *t = from_json(SMALL);
    ft_encode_opts o = { .max_length = 5, .add_special = true, .windows = true, .stride = 1 };

    (void)state;
    expect(t, "a b c a b c", NULL, o, "2 4 5 7 3|2 7 4 5 3|2 5 7 3");
    expect(t, "a b c", NULL, o, "2 4 5 7 3");
    o.max_length = 6;
    o.truncation = FT_ONLY_SECOND;
    expect(t, "a", "a b c", o, "2 4 3 4 5 3|2 4 3 5 7 3");
    ft_tokenizer_release(t);
}

static void truncation_is_reported(void **state)
{
    ft_tokenizer *t = from_json(SMALL);
    ft_encode_opts o = { .max_length = 4, .add_special = true };
    ft_encoding x;

    (void)state;
    ft_encoding_init(&x);
    assert_int_equal(ft_tokenizer_encode(t, "a b c a", 7, NULL, 0, &o, &x, NULL), FT_OK);
    assert_true(x.truncated);
    assert_int_equal(x.full_length, 6);
    assert_int_equal(x.n, 4);
    assert_null(x.begin);
    assert_int_equal(ft_tokenizer_encode(t, "a b", 3, NULL, 0, &o, &x, NULL), FT_OK);
    assert_false(x.truncated);
    assert_int_equal(x.full_length, 4);
    ft_encoding_free(&x);
    ft_tokenizer_release(t);
}

/* ==== Added tokens ==== */

static void added_tokens_take_white_space_as_their_flags_say(void **state)
{
    ft_tokenizer *t =
        from_json("{" BERT ",\"added_tokens\":[" ADDED("9", "<L>", "false", "true", "false", "false") "," ADDED(
            "10", "<R>", "false", "false", "true",
            "false") "," ADDED("11", "one", "true", "false", "false",
                               "false") "," ADDED("12", "[N]", "false", "false", "false",
                                                  "true") "],\"model\":" MODEL(VOCAB) "}");
    ft_encoding x = { 0 };
    const ft_encode_opts o = { .want_offsets = true };

    (void)state;
    assert_int_equal(ft_tokenizer_encode(t, "a <L> b <R> c", 13, NULL, 0, &o, &x, NULL), FT_OK);
    assert_int_equal(x.n, 5);
    assert_int_equal(x.begin[1], 1); /* with the blank before it */
    assert_int_equal(x.end[1], 5);
    assert_int_equal(x.begin[3], 8);
    assert_int_equal(x.end[3], 12); /* with the blank after it */
    expect(t, "one aone onea a-one", NULL, bare, "11 1 1 4 1 11");
    expect(t, "[n] a[N]b", NULL, bare, "12 4 12 5");
    ft_encoding_free(&x);
    ft_tokenizer_release(t);
}

static void equal_patterns_are_refused(void **state)
{
    (void)state;
    refused_json("{" BERT ",\"added_tokens\":[" ADDED("9", "New", "false", "false", "false", "true") "," ADDED(
                     "10", "new", "false", "false", "false", "true") "],\"model\":" MODEL(VOCAB) "}",
                 "the same when normalised");
    refused_json("{" BERT ",\"added_tokens\":[" ADDED("9", "\\u0301", "false", "false", "false",
                                                      "true") "],\"model\":" MODEL(VOCAB) "}",
                 "empty when normalised");
}

/* ==== Decoding ==== */

static void decoding_joins_pieces_and_cleans_up(void **state)
{
    const int32_t ids[] = { 2, 4, 6, 8, 99, -1, 7, 3 };
    ft_tokenizer *t = from_json(SMALL);
    ft_buf b = { 0 };

    (void)state;
    assert_int_equal(ft_tokenizer_decode(t, ids, 8, true, &b, NULL), FT_OK);
    assert_string_equal(b.data, "[CLS] ab. c [SEP]"); /* not special: they are no added tokens here */
    ft_buf_free(&b);
    ft_tokenizer_release(t);
}

/* ==== Memory ==== */

static ft_status load_and_encode(const char *file)
{
    static const char text[] = "Caf\xC3\xA9 q\xCC\xA3\xCC\x87 <ENT> [MASK] \xE4\xBB\x8A\xE6\x97\xA5 unbelievable [NEW]";
    const ft_encode_opts o = { .max_length = 9, .add_special = true, .want_offsets = true, .windows = true };
    ft_tokenizer *t;
    ft_encoding x = { 0 };
    ft_buf b = { 0 };
    ft_err e;

    ft_status s = ft_tokenizer_load(&t, file, &e);
    if (!s) s = ft_tokenizer_encode(t, text, sizeof text - 1, NULL, 0, &o, &x, &e);
    if (!s) s = ft_tokenizer_decode(t, x.ids, x.n, false, &b, &e);
    ft_buf_free(&b);
    ft_encoding_free(&x);
    ft_tokenizer_release(t);
    return s;
}

static void sweep(const char *file)
{
    const size_t live = ft_mem_get().live;
    uint64_t n = 1;
    ft_status s;

    do {
        ft_mem_fail_at(n++);
        s = load_and_encode(file);
        ft_mem_fail_at(0);
        assert_int_equal(ft_mem_get().live, live);
        assert_true(s == FT_OK || s == FT_EMEM);
    } while (s);
    assert_true(n > 30);
}

static void every_failed_allocation_is_an_error_without_a_leak(void **state)
{
    (void)state;
    sweep("tests/fixtures/tokenizer/json");
    sweep("tests/fixtures/tokenizer/cased");
    sweep("tests/fixtures/tokenizer/bytes");
    sweep("tests/fixtures/tokenizer/unigram.json");
    sweep("tests/fixtures/tokenizer/fallback.json");
    sweep("tests/fixtures/tokenizer/parts.json");
}

static void steady_encoding_allocates_nothing(void **state)
{
    ft_tokenizer *t = from_json(SMALL);
    ft_encoding x = { 0 };

    (void)state;
    for (int i = 0; i < 5; i++) { /* buffers change places, so that both of a pair grow in the first two */
        if (i > 1) ft_mem_fail_at(1);
        const ft_status s = ft_tokenizer_encode(t, "a b c \xC3\xA9", 8, NULL, 0, &plain, &x, NULL);
        ft_mem_fail_at(0);
        assert_int_equal(s, FT_OK);
    }
    ft_encoding_free(&x);
    ft_tokenizer_release(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_file_is_an_io_error_with_its_name),
        cmocka_unit_test(malformed_json_names_line_and_column),
        cmocka_unit_test(unsupported_components_are_named),
        cmocka_unit_test(vocabulary_must_have_the_unknown_token),
        cmocka_unit_test(bad_vocabularies_name_the_line_or_token),
        cmocka_unit_test(special_ids_must_be_in_the_vocabulary),
        cmocka_unit_test(old_style_added_tokens_are_refused),
        cmocka_unit_test(config_adds_tokens_and_renames_special_ones),
        cmocka_unit_test(tokens_and_ids_map_to_each_other),
        cmocka_unit_test(words_are_cut_into_the_longest_pieces),
        cmocka_unit_test(nul_bytes_are_cleaned_away),
        cmocka_unit_test(broken_utf8_names_the_byte),
        cmocka_unit_test(batch_reports_the_first_bad_text),
        cmocka_unit_test(truncation_follows_its_strategy),
        cmocka_unit_test(impossible_truncations_are_usage_errors),
        cmocka_unit_test(windows_overlap_by_the_stride),
        cmocka_unit_test(truncation_is_reported),
        cmocka_unit_test(added_tokens_take_white_space_as_their_flags_say),
        cmocka_unit_test(equal_patterns_are_refused),
        cmocka_unit_test(decoding_joins_pieces_and_cleans_up),
        cmocka_unit_test(every_failed_allocation_is_an_error_without_a_leak),
        cmocka_unit_test(steady_encoding_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
