/* tests/fuzz/fuzz_tagging.c - any text cut into words, and its words found again among the tokens of windows.
 *
 * The first byte chooses how long tokens and windows are; the second gives a place at which words are cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/tagging.h"
#include "text/unicode.h"
#include "text/word_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(int ok)
{
    if (!ok) abort();
}

static void check_words(const ft_word_spans *w, size_t characters, uint32_t cut)
{
    uint32_t at = 0;

    for (size_t i = 0; i < w->n; i++) {
        need(w->at[2 * i] >= at && w->at[2 * i + 1] > w->at[2 * i] && w->at[2 * i + 1] <= characters);
        at = w->at[2 * i + 1];
        need(cut <= w->at[2 * i] || cut >= at);
    }
}

/* Every white space lies between words. */
static void check_spaces(const ft_word_spans *w, const char *text, size_t n)
{
    size_t used, word = 0;
    uint32_t i = 0;

    for (size_t at = 0; at < n; at += used, i++) {
        const uint32_t cp = ft_utf8_get(text + at, &used);
        while (word < w->n && w->at[2 * word + 1] <= i) word++;
        if (word < w->n && w->at[2 * word] <= i) need(!(ft_uc_class(cp) & FT_UC_SPACE));
    }
}

/* Tokens of `width` characters in windows of `length` tokens, half of which the next one shares. */
static void windows_over(ft_encoding *x, uint32_t characters, uint32_t width, size_t length)
{
    const size_t step = length > 1 ? length / 2 : 1;
    const size_t tokens = (characters + width - 1) / width;

    x->n_windows = 1;
    while ((x->n_windows - 1) * step + length < tokens) x->n_windows++;
    x->window_at = calloc(x->n_windows + 1, sizeof *x->window_at);
    const size_t most = x->n_windows * length;
    x->ids = calloc(most + 1, sizeof *x->ids);
    x->type_ids = calloc(most + 1, sizeof *x->type_ids);
    x->sequence = calloc(most + 1, 1);
    x->begin = calloc(most + 1, sizeof *x->begin);
    x->end = calloc(most + 1, sizeof *x->end);
    for (size_t k = 0; k < x->n_windows; k++) {
        for (size_t t = k * step; t < k * step + length && t < tokens; t++, x->n++) {
            x->begin[x->n] = (uint32_t)t * width;
            x->end[x->n] = (uint32_t)t * width + width < characters ? (uint32_t)t * width + width : characters;
        }
        x->window_at[k + 1] = x->n;
    }
}

static void check_tagging(const ft_word_spans *w, uint32_t characters, uint32_t width, size_t length)
{
    ft_encoding x = { 0 };
    ft_tagging g = { 0 };
    ft_tokens tokens = { 0 };
    unsigned char *seen = calloc(w->n + 1, 1);

    windows_over(&x, characters, width, length);
    need(!ft_tagging_add(&g, &tokens, &x, 7, w->at, (int32_t)w->n, NULL));
    need(g.n == tokens.n && g.total == tokens.total && (size_t)g.total == x.n);
    for (int64_t t = 0; t < g.total; t++) {
        const int32_t word = g.word[t];
        if (word < 0) continue;
        need((size_t)word < w->n && !seen[word] && x.begin[t] < w->at[2 * word + 1] && x.end[t] > w->at[2 * word]);
        seen[word] = 1;
    }
    if (width == 1)
        for (size_t i = 0; i < w->n; i++) need(seen[i]); /* every character is a token: no word goes without */
    free(x.ids), free(x.type_ids), free(x.sequence), free(x.begin), free(x.end), free(x.window_at);
    free(seen);
    ft_tagging_free(&g);
    ft_tokens_free(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ft_word_spans w = { 0 };

    if (size < 2) return 0;
    const char *text = (const char *)data + 2;
    const uint32_t cut = data[1];
    if (ft_utf8_check(text, size - 2, NULL)) {
        need(ft_word_split(text, size - 2, FT_WORDS_FINE, NULL, 0, &w, NULL) == FT_EDATA);
        return 0;
    }
    const uint32_t characters = (uint32_t)ft_utf8_count(text, size - 2);
    for (int style = 0; style < 2; style++) {
        need(!ft_word_split(text, size - 2, (ft_word_style)style, &cut, 1, &w, NULL));
        check_words(&w, characters, cut);
        check_spaces(&w, text, size - 2);
        check_tagging(&w, characters, 1 + (data[0] & 3), 1 + (data[0] >> 2));
    }
    ft_word_spans_free(&w);
    return 0;
}
