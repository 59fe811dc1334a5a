/* tests/fuzz/fuzz_tokenizer.c - hostile tokenizer.json, vocab.txt, vocab.json and merges.txt, and hostile text.
 *
 * The first byte picks the format; the file's bytes go up to the first 0xFF (which is no
 * UTF-8), a second file's up to the next one, the text to encode is what follows. The bytes go through
 * memory files, because loading takes a path.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "text/word_rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The tokens must be in the vocabulary and their offsets inside the text. */
static void check(const ft_tokenizer *t, const ft_encoding *x, const uint8_t *text, size_t n)
{
    size_t chars = 0;

    for (size_t i = 0; i < n; i++) chars += (text[i] & 0xC0) != 0x80;
    for (size_t i = 0; i < x->n; i++) {
        if (x->ids[i] < 0 || x->ids[i] >= ft_tokenizer_vocab_size(t)) abort();
        if (x->begin[i] > x->end[i] || x->end[i] > chars) abort();
    }
    if (x->window_at[x->n_windows] != x->n) abort();
}

static void encode(const ft_tokenizer *t, const uint8_t *text, size_t n)
{
    static const ft_encode_opts opts[] = {
        { .add_special = true, .want_offsets = true },
        { .max_length = 9, .add_special = true, .want_offsets = true },
        { .max_length = 12, .want_offsets = true, .windows = true, .stride = 4, .truncation = FT_ONLY_FIRST },
    };
    ft_encoding x = { 0 };
    ft_buf b = { 0 };
    ft_err e;

    for (size_t i = 0; i < sizeof opts / sizeof *opts; i++) {
        const char *s = (const char *)text;
        if (!ft_tokenizer_encode(t, s, n, NULL, 0, &opts[i], &x, &e)) check(t, &x, text, n);
        if (!ft_tokenizer_encode(t, s, n, s, n / 2, &opts[i], &x, &e)) check(t, &x, text, n);
    }
    ft_tokenizer_decode(t, x.ids, x.n, false, &b, &e);
    ft_word_kinds k;
    if (!ft_word_kinds_of(&k, t, &e))
        for (size_t i = 0; i < x.n; i++) ft_word_begins(&k, x.ids, (int64_t)i);
    ft_word_kinds_free(&k);
    ft_buf_free(&b);
    ft_encoding_free(&x);
}

/* A memory file with these bytes, found at `link` until both are gone. */
static int place_file(const char *link, const uint8_t *bytes, size_t n)
{
    char name[64];

    const int fd = memfd_create("t", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n) abort();
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    unlink(link);
    if (symlink(name, link)) abort();
    return fd;
}

/* Where a part ends that begins at `at`: the next 0xFF, or the end. */
static const uint8_t *part_end(const uint8_t *at, const uint8_t *stop)
{
    const uint8_t *mark = at < stop ? memchr(at, 0xFF, (size_t)(stop - at)) : NULL;
    return mark ? mark : stop;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[][2] = { { "t.txt", NULL }, { "t.json", NULL }, { "vocab.json", "merges.txt" } };
    char dir[500], link[2][600];
    int fd[2] = { -1, -1 };
    ft_err e;
    ft_tokenizer *t = NULL;

    if (size < 2) return 0;
    const size_t live = ft_mem_get().live;
    const char *const *name = names[data[0] % 3], *tmp = getenv("TMPDIR");
    const uint8_t *at = data + 1, *stop = data + size;
    snprintf(dir, sizeof dir, "%.400s/ft_fuzz_tokenizer_%ld", tmp ? tmp : "/tmp", (long)getpid());
    mkdir(dir, 0700);
    for (int i = 0; i < 2 && name[i]; i++) {
        const uint8_t *end = part_end(at, stop);
        snprintf(link[i], sizeof link[i], "%s/%s", dir, name[i]);
        fd[i] = place_file(link[i], at, (size_t)(end - at));
        at = end < stop ? end + 1 : stop;
    }
    if (!ft_tokenizer_load(&t, name[1] ? dir : link[0], &e) && at < stop) encode(t, at, (size_t)(stop - at));
    for (int i = 0; i < 2 && name[i]; i++) {
        unlink(link[i]);
        close(fd[i]);
    }
    rmdir(dir);
    ft_tokenizer_release(t);
    if (ft_mem_get().live != live) abort();
    return 0;
}
