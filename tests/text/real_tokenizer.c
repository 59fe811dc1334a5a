/* tests/text/real_tokenizer.c - a tokenizer against recorded digests of a real text.
 *
 *   real_tokenizer TOKENIZER TEXT [RECORD]
 *
 * TOKENIZER is what ft_tokenizer_load takes, TEXT has one sentence a line. Each mode
 * below encodes all lines and prints "mode tokens sha256", the digest being over every
 * window's length and tokens (id, type, sequence, begin, end; 32-bit little-endian; a
 * length of -1 for what cannot be encoded). With RECORD, written by
 * tests/record/record_tokenizer.py, the exit status says whether the lines are the same.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/fs.h"
#include "core/sha256.h"
#include "text/tokenizer.h"

static const struct mode {
    const char *name;
    int pair;
    ft_encode_opts opts;
} modes[] = {
    { "single", 0, { .add_special = true, .want_offsets = true } },
    { "bare", 0, { .want_offsets = true } },
    { "pair", 1, { .add_special = true, .want_offsets = true } },
    { "max_16", 0, { .max_length = 16, .add_special = true, .want_offsets = true } },
    { "pair_max_16", 1, { .max_length = 16, .add_special = true, .want_offsets = true } },
    { "pair_max_33", 1, { .max_length = 33, .add_special = true, .want_offsets = true } },
    { "pair_only_first_24",
      1,
      { .max_length = 24, .truncation = FT_ONLY_FIRST, .add_special = true, .want_offsets = true } },
    { "pair_only_second_24",
      1,
      { .max_length = 24, .truncation = FT_ONLY_SECOND, .add_special = true, .want_offsets = true } },
    { "windows_12", 0, { .max_length = 12, .add_special = true, .want_offsets = true, .windows = true, .stride = 3 } },
    { "pair_windows_40",
      1,
      { .max_length = 40,
        .truncation = FT_ONLY_SECOND,
        .add_special = true,
        .want_offsets = true,
        .windows = true,
        .stride = 5 } },
};

static ft_status add_numbers(ft_sha256 *h, const int32_t *v, size_t n, ft_err *e)
{
    unsigned char bytes[20];

    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 4; k++) bytes[i * 4 + (size_t)k] = (unsigned char)((uint32_t)v[i] >> (8 * k));
    return ft_sha256_update(h, bytes, n * 4, e);
}

static ft_status add_encoding(ft_sha256 *h, const ft_encoding *x, ft_err *e)
{
    ft_status s = FT_OK;

    for (size_t w = 0; w < x->n_windows && !s; w++) {
        const int32_t n = (int32_t)(x->window_at[w + 1] - x->window_at[w]);
        s = add_numbers(h, &n, 1, e);
        for (size_t i = x->window_at[w]; i < x->window_at[w + 1] && !s; i++) {
            const int32_t v[5] = { x->ids[i], x->type_ids[i], x->sequence[i], (int32_t)x->begin[i],
                                   (int32_t)x->end[i] };
            s = add_numbers(h, v, 5, e);
        }
    }
    return s;
}

static ft_text next_line(const char **at, const char *stop)
{
    const char *end = *at < stop ? memchr(*at, '\n', (size_t)(stop - *at)) : NULL;
    const ft_text line = { *at, (size_t)((end ? end : stop) - *at) };

    *at = end ? end + 1 : stop;
    return line;
}

/* The pair of a line is the next line; the last one has none and is left out. */
static ft_status run(const ft_tokenizer *t, const ft_map *text, const struct mode *m, ft_buf *out, ft_err *e)
{
    const char *at = (const char *)text->data, *stop = at + text->size;
    ft_encoding x = { 0 };
    ft_sha256 h = { 0 };
    unsigned char digest[FT_SHA256_SIZE];
    char hex[FT_SHA256_HEX];
    size_t tokens = 0;
    const int32_t failed = -1;

    ft_status s = ft_sha256_init(&h, e);
    while (!s && at < stop) {
        const ft_text line = next_line(&at, stop);
        const char *peek = at;
        const ft_text pair = m->pair ? next_line(&peek, stop) : (ft_text){ NULL, 0 };
        if (m->pair && at >= stop) break;
        s = ft_tokenizer_encode(t, line.data, line.len, pair.data, pair.len, &m->opts, &x, e);
        if (s == FT_EUSAGE) s = add_numbers(&h, &failed, 1, e);
        if (!s) s = add_encoding(&h, &x, e);
        tokens += x.n;
    }
    if (!s) s = ft_sha256_final(&h, digest, e);
    if (!s) {
        ft_sha256_digits(digest, hex);
        s = ft_buf_printf(out, e, "%s %zu %s\n", m->name, tokens, hex);
    }
    ft_sha256_free(&h);
    ft_encoding_free(&x);
    return s;
}

static ft_status all(const char *tokenizer, const char *text, ft_buf *out, ft_err *e)
{
    ft_tokenizer *t = NULL;
    ft_map map = { 0 };

    ft_status s = ft_tokenizer_load(&t, tokenizer, e);
    if (!s) s = ft_map_open(&map, text, e);
    for (size_t i = 0; i < sizeof modes / sizeof *modes && !s; i++) {
        const clock_t start = clock();
        s = run(t, &map, &modes[i], out, e);
        const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        fprintf(stderr, "%s: %.1f MB/s\n", modes[i].name,
                (double)map.size * (modes[i].pair ? 2 : 1) / 1e6 / (seconds > 0 ? seconds : 1e-9));
    }
    ft_map_close(&map);
    ft_tokenizer_release(t);
    return s;
}

int main(int argc, char **argv)
{
    ft_buf out = { 0 }, want = { 0 };
    ft_err e;

    if (argc < 3) return fprintf(stderr, "real_tokenizer TOKENIZER TEXT [RECORD]\n"), 2;
    ft_status s = all(argv[1], argv[2], &out, &e);
    if (!s && argc > 3) s = ft_file_read(&want, argv[3], 1 << 20, &e);
    if (s) fprintf(stderr, "%s\n", e.msg);
    if (!s) fputs(out.data, stdout);
    const int same = !s && (argc < 4 || !strcmp(out.data, want.data ? want.data : ""));
    if (!s && !same) fprintf(stderr, "differs from %s:\n%s", argv[3], want.data ? want.data : "");
    ft_buf_free(&out);
    ft_buf_free(&want);
    return same ? 0 : 1;
}
