/* tests/data/rows.h - what a reader makes of some bytes, written down as a string.
 *
 * A row becomes "line: cell|cell", a refused one "! message" without the file's
 * name; so a whole reading is compared with one string.
 */
#ifndef TESTS_DATA_ROWS_H
#define TESTS_DATA_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/mem.h"
#include "data/reader.h"

#define PATH_SIZE 200
#define BYTES(text) text, sizeof(text) - 1

/* Write n bytes to a new file whose name ends in `suffix`; the caller unlinks it. */
static inline void make_file(char path[PATH_SIZE], const char *suffix, const char *bytes, size_t n)
{
    snprintf(path, PATH_SIZE, "%s/ft_rows_XXXXXX%s", P_tmpdir, suffix);
    const int fd = mkstemps(path, (int)strlen(suffix));
    assert_true(fd >= 0);
    assert_true(write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

static inline void add_row(ft_buf *b, const ft_row *row)
{
    ft_buf_printf(b, NULL, "%lld: ", (long long)row->line);
    for (size_t i = 0; i < row->n; i++) ft_buf_printf(b, NULL, "%s%s", i ? "|" : "", row->cells[i].ptr);
    ft_buf_putc(b, '\n', NULL);
}

/* The message behind the file's name. */
static inline const char *without_path(const char *msg, const char *path)
{
    const char *at = strstr(msg, path);
    return at == msg ? msg + strlen(path) : msg;
}

/* Read everything; add the transcript to b. Stops at an error that is not FT_EDATA, which is returned. */
static inline ft_status transcribe(ft_buf *b, ft_reader *r, const char *path)
{
    const ft_row *row;
    ft_err e;

    for (;;) {
        const ft_status s = ft_reader_next(r, &row, &e);
        if (s == FT_EDATA)
            ft_buf_printf(b, NULL, "! %s\n", without_path(e.msg, path));
        else if (s || !row)
            return s;
        else
            add_row(b, row);
        assert_true((s == FT_EDATA) == (ft_reader_bad(r) != NULL));
    }
}

/* Reading these bytes gives this transcript; an error of ft_reader_open is "open: message". */
static inline void expect_rows(const char *suffix, const ft_reader_opts *o, const char *bytes, size_t n,
                               const char *transcript)
{
    char path[PATH_SIZE];
    ft_buf b = { 0 };
    ft_reader *r;
    ft_err e;

    make_file(path, suffix, bytes, n);
    const ft_status s = ft_reader_open(&r, path, o, &e);
    if (s) {
        assert_null(r);
        ft_buf_printf(&b, NULL, "open: %s", without_path(e.msg, path));
    } else {
        assert_int_equal(transcribe(&b, r, path), FT_OK);
    }
    unlink(path);
    assert_string_equal(b.data ? b.data : "", transcript);
    ft_reader_close(r);
    ft_buf_free(&b);
}

#endif
