/* tests/text/bench_tokenizer.c - speed of a tokenizer on a text of one sentence a line.
 *
 *   bench_tokenizer TOKENIZER TEXT
 *
 * Prints MB/s on one thread and on all: the best of three runs, of sentences read beforehand, with special tokens and without
 * offsets.
 */
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"
#include "text/tokenizer.h"

enum { CHUNK = 512, RUNS = 3 };

typedef struct lines {
    ft_text *at;
    size_t n, cap;
} lines;

static ft_status read_lines(lines *l, const ft_map *map, ft_err *e)
{
    const char *s = (const char *)map->data, *stop = s + map->size;

    while (s < stop) {
        const char *end = memchr(s, '\n', (size_t)(stop - s));
        if (!end) end = stop;
        if (l->n == l->cap) {
            l->cap = l->cap ? l->cap * 2 : 1024;
            ft_text *at = ft_realloc(l->at, l->cap * sizeof *at);
            if (!at) return ft_fail_mem(e, l->cap * sizeof *at);
            l->at = at;
        }
        l->at[l->n++] = (ft_text){ s, (size_t)(end - s) };
        s = end + 1;
    }
    return FT_OK;
}

static ft_status encode_all(const ft_tokenizer *t, const lines *l, ft_encoding *x, ft_err *e)
{
    const ft_encode_opts o = { .add_special = true };
    ft_status s = FT_OK;

    for (size_t at = 0; at < l->n && !s; at += CHUNK) {
        const size_t n = l->n - at < CHUNK ? l->n - at : CHUNK;
        s = ft_tokenizer_encode_batch(t, l->at + at, NULL, n, &o, x, e);
    }
    return s;
}

static ft_status measure(const ft_tokenizer *t, const lines *l, size_t bytes, int threads, ft_err *e)
{
    static ft_encoding x[CHUNK];
    double best = 1e9;
    ft_status s = FT_OK;

    omp_set_num_threads(threads);
    for (int i = 0; i < RUNS && !s; i++) {
        const double start = omp_get_wtime();
        s = encode_all(t, l, x, e);
        const double took = omp_get_wtime() - start;
        if (took < best) best = took;
    }
    for (int i = 0; i < CHUNK; i++) ft_encoding_free(&x[i]);
    if (!s) printf(" %6.1f MB/s on %d", (double)bytes / 1e6 / best, threads);
    return s;
}

int main(int argc, char **argv)
{
    const int all = omp_get_max_threads();
    ft_tokenizer *t = NULL;
    ft_map map = { 0 };
    lines l = { 0 };
    ft_err e;

    if (argc != 3) return fprintf(stderr, "bench_tokenizer TOKENIZER TEXT\n"), 2;
    ft_status s = ft_tokenizer_load(&t, argv[1], &e);
    if (!s) s = ft_map_open(&map, argv[2], &e);
    if (!s) s = read_lines(&l, &map, &e);
    if (!s) s = measure(t, &l, map.size, 1, &e);
    if (!s && all > 1) s = measure(t, &l, map.size, all, &e);
    if (s) fprintf(stderr, "%s\n", e.msg);
    printf("\n");
    ft_free(l.at);
    ft_map_close(&map);
    ft_tokenizer_release(t);
    return s ? 1 : 0;
}
