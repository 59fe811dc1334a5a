/* tests/fuzz/fuzz_jsonl.c - any bytes as JSON Lines or as an array of objects.
 *
 * The first byte chooses the format and the record limit. Every row is written as JSON Lines
 * and read again: the second reading must give the same cells.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/bytes.h"
#include "data/reader.h"
#include "data/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(int ok)
{
    if (!ok) __builtin_trap();
}

/* A file in memory with these bytes; its name is in path. */
static void put_file(int *fd, char path[64], const void *bytes, size_t n)
{
    if (*fd < 0) *fd = memfd_create("rows", 0);
    snprintf(path, 64, "/proc/self/fd/%d", *fd);
    need(*fd >= 0 && ftruncate(*fd, 0) == 0 && pwrite(*fd, bytes, n, 0) == (ssize_t)n);
}

static void compare(const ft_row *a, const ft_row *b)
{
    need(a->n == b->n);
    for (size_t i = 0; i < a->n; i++) {
        need(!strcmp(a->names[i].ptr, b->names[i].ptr) && a->cells[i].kind == b->cells[i].kind);
        need(a->cells[i].len == b->cells[i].len && !memcmp(a->cells[i].ptr, b->cells[i].ptr, a->cells[i].len));
    }
}

static void write_and_read_again(const ft_row *row)
{
    static int fd = -1;
    const ft_reader_opts o = { .format = "jsonl" };
    const char *names[64];
    char path[64], *data = NULL;
    size_t size = 0;
    const ft_row *again;
    ft_writer *w = NULL;
    ft_reader *r;

    if (row->n == 0 || row->n > 64) return;
    for (size_t i = 0; i < row->n; i++) names[i] = row->names[i].ptr;
    FILE *f = open_memstream(&data, &size);
    need(f && !ft_writer_open(&w, f, "memory",
                              &(ft_writer_opts){ .format = "jsonl", .names = names, .n_names = row->n }, NULL));
    need(!ft_writer_row(w, row->cells, NULL) && !ft_writer_close(w, NULL) && !fclose(f));
    put_file(&fd, path, data, size);
    need(!ft_reader_open(&r, path, &o, NULL) && !ft_reader_next(r, &again, NULL) && again);
    compare(row, again);
    need(!ft_reader_next(r, &again, NULL) && !again);
    ft_reader_close(r);
    free(data);
}

static void check_row(const ft_row *row)
{
    for (size_t i = 0; i < row->n; i++) {
        const ft_cell *c = &row->cells[i];
        need(c->ptr[c->len] == '\0' && strlen(c->ptr) == c->len && ft_bytes_check(c->ptr, c->len) == c->len);
        need(ft_row_get(row, row->names[i].ptr) == c);
    }
    ft_row_get(row, "a.b");
    ft_row_get(row, "a.1.b");
    write_and_read_again(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[64];
    ft_reader *r;
    const ft_row *row;
    ft_err e;
    int64_t last = 1;

    if (!size) return 0;
    const ft_reader_opts o = { .format = data[0] & 1 ? "json" : "jsonl", .max_record = data[0] & 2 ? 16 : 0 };
    put_file(&fd, path, data + 1, size - 1);
    if (ft_reader_open(&r, path, &o, &e)) return 0;
    for (;;) {
        const ft_status s = ft_reader_next(r, &row, &e);
        need(s == FT_OK || s == FT_EDATA);
        if (!s && !row) break;
        const int64_t line = s ? ft_reader_bad(r)->line : row->line;
        need(line >= last);
        last = line;
        if (!s) check_row(row);
    }
    ft_reader_close(r);
    return 0;
}
