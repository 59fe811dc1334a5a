/* tests/fuzz/fuzz_csv.c - any bytes as CSV, TSV or lines.
 *
 * The first byte chooses format, quoting, header, record limit and encoding. Besides not
 * crashing, the raw bytes of every record of UTF-8, good or bad, must stand in the input at the
 * beginning of the line that the reader names, and the lines must rise.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/bytes.h"
#include "data/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(int ok)
{
    if (!ok) __builtin_trap();
}

/* The raw bytes stand in the input where the line begins (behind a byte order mark). */
static void check_place(const char *file, size_t size, int64_t line, const char *raw, size_t raw_len)
{
    size_t at = line == 1 && size >= 3 && !memcmp(file, "\xef\xbb\xbf", 3) ? 3 : 0;

    for (int64_t n = 1; n < line; n++) {
        const char *lf = memchr(file + at, '\n', size - at);
        need(lf != NULL);
        at = (size_t)(lf - file) + 1;
    }
    need(raw_len <= size - at && !memcmp(file + at, raw, raw_len));
}

/* Cells are text, and together not longer than the record. */
static void check_row(const ft_row *row)
{
    size_t text = 0;

    for (size_t i = 0; i < row->n; i++) {
        const ft_cell *c = &row->cells[i];
        need(c->ptr[c->len] == '\0' && strlen(c->ptr) == c->len && ft_bytes_check(c->ptr, c->len) == c->len);
        text += c->len;
    }
    need(text <= row->raw_len && ft_row_get(row, "1") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const formats[] = { "csv", "tsv", "lines", "csv" }, *const quotes[] = { "auto", "none", "\"",
                                                                                               "'" };
    static const char *const encodings[] = { NULL, "utf-16le", "utf-16be", "latin-1" };
    static int fd = -1;
    static char path[64];
    ft_reader *r;
    const ft_row *row;
    const ft_bad_row *bad;
    ft_err e;

    if (!size) return 0;
    const uint8_t how = data[0];
    const ft_reader_opts o = { .format = formats[how & 3],
                               .quote = quotes[how >> 2 & 3],
                               .header = how & 16 ? "no" : "yes",
                               .encoding = encodings[how >> 6],
                               .max_record = how & 32 ? 16 : 0 };
    const char *file = (const char *)data + 1;
    size--;
    const int utf8 = !o.encoding && !(size >= 2 && (!memcmp(file, "\xff\xfe", 2) || !memcmp(file, "\xfe\xff", 2)));
    if (fd < 0) {
        fd = memfd_create("rows", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    need(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, file, size, 0) == (ssize_t)size);

    if (ft_reader_open(&r, path, &o, &e)) return 0;
    int64_t last = 0;
    for (;;) {
        const ft_status s = ft_reader_next(r, &row, &e);
        need(s == FT_OK || s == FT_EDATA);
        if (!s && !row) break;
        if (s) {
            bad = ft_reader_bad(r);
            need(bad && bad->line > last && strstr(e.msg, path) == e.msg);
            if (utf8) check_place(file, size, bad->line, bad->raw, bad->raw_len);
            last = bad->line;
        } else {
            need(row->line > last && ft_reader_bad(r) == NULL);
            if (utf8) check_place(file, size, row->line, row->raw, row->raw_len);
            check_row(row);
            last = row->line;
        }
    }
    need(ft_reader_next(r, &row, &e) == FT_OK && !row);
    ft_reader_close(r);
    return 0;
}
