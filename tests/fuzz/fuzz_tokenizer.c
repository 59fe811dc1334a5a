/* tests/fuzz/fuzz_tokenizer.c - hostile tokenizer.json and vocab.txt, and hostile text.
 *
 * The first byte's lowest bit picks the format; the file's bytes go up to the first 0xFF
 * (which is no UTF-8), the text to encode is what follows. The bytes go through a memory
 * file, because loading takes a path.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/mem.h"
#include "text/tokenizer.h"

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
    ft_buf_free(&b);
    ft_encoding_free(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    const size_t live = ft_mem_get().live;
    const uint8_t *file = data + 1, *stop = data + size, *mark = memchr(file, 0xFF, size - 1);
    const size_t n = (size_t)((mark ? mark : stop) - file);
    ft_err e;
    ft_tokenizer *t = NULL;
    char name[64], link[600];

    const int fd = memfd_create("t", MFD_CLOEXEC);
    if (fd < 0 || write(fd, file, n) != (ssize_t)n) abort();
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const char *tmp = getenv("TMPDIR"), *form = data[0] & 1 ? "json" : "txt";
    snprintf(link, sizeof link, "%.500s/ft_fuzz_tokenizer_%ld.%s", tmp ? tmp : "/tmp", (long)getpid(), form);
    unlink(link);
    if (symlink(name, link)) abort();
    if (!ft_tokenizer_load(&t, link, &e) && mark) encode(t, mark + 1, (size_t)(stop - mark - 1));
    unlink(link);
    close(fd);
    ft_tokenizer_release(t);
    if (ft_mem_get().live != live) abort();
    return 0;
}
