/* runtime/data/source.c - buffered reading for the row readers.
 *
 * Parsers see UTF-8 only, and all bytes enter the window in fill(): another
 * encoding is a name in the table below and a conversion there.
 */
#include "data/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/mem.h"

enum { CHUNK = 256 * 1024 };

/* UTF-8 needs no conversion: the bytes are read into the window itself and checked record by record. */
static const char *const encodings[] = { "utf-8", "utf8" };

static ft_status check_encoding(const char *name, ft_err *e)
{
    if (!name) return FT_OK;
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if (!strcasecmp(name, encodings[i])) return FT_OK;
    return ft_fail(e, FT_EUSAGE, "encoding \"%s\" is not known; use \"utf-8\" and convert the file", name);
}

/* ==== The window ==== */

/* Make room for a chunk behind the window: move it to the front, and grow only if that is not enough. */
static ft_status make_room(ft_source *s, ft_err *e)
{
    if (s->start + s->n + CHUNK <= s->cap) return FT_OK;
    if (s->n + CHUNK > s->cap) {
        size_t cap = s->cap * 2;
        while (cap < s->n + CHUNK) cap *= 2;
        char *bigger = ft_malloc(cap);
        if (!bigger) return ft_fail_mem(e, cap);
        memcpy(bigger, s->data + s->start, s->n);
        ft_free(s->data);
        s->data = bigger;
        s->cap = cap;
    } else {
        memmove(s->data, s->data + s->start, s->n);
    }
    s->start = 0;
    return FT_OK;
}

static ft_status fill(ft_source *s, ft_err *e)
{
    const ft_status st = make_room(s, e);
    if (st) return st;
    for (;;) {
        const ssize_t got = read(s->fd, s->data + s->start + s->n, CHUNK);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ft_fail_errno(e, "%s", s->name);
        s->n += (size_t)got;
        s->eof = got == 0;
        return FT_OK;
    }
}

ft_status ft_source_need(ft_source *s, size_t offset, ft_err *e)
{
    while (s->n <= offset && !s->eof && s->n <= s->max) {
        const ft_status st = fill(s, e);
        if (st) return st;
    }
    return FT_OK;
}

ft_status ft_source_find(ft_source *s, size_t from, char c, size_t *at, ft_err *e)
{
    for (;;) {
        const char *base = ft_source_at(s);
        const char *hit = from < s->n ? memchr(base + from, c, s->n - from) : NULL;
        if (hit) {
            *at = (size_t)(hit - base);
            return FT_OK;
        }
        *at = SIZE_MAX;
        if (s->eof || s->n > s->max) return FT_OK;
        if (from < s->n) from = s->n;
        const ft_status st = fill(s, e);
        if (st) return st;
    }
}

ft_status ft_source_line(ft_source *s, size_t from, ft_line *line, ft_err *e)
{
    size_t at;
    const ft_status st = ft_source_find(s, from, '\n', &at, e);
    if (st) return st;

    line->next = at == SIZE_MAX ? (s->eof ? s->n : SIZE_MAX) : at + 1;
    line->end = at == SIZE_MAX ? s->n : at;
    if (line->end > s->max) line->next = SIZE_MAX;
    if (line->end > from && ft_source_at(s)[line->end - 1] == '\r') line->end--;
    return FT_OK;
}

void ft_source_take(ft_source *s, size_t n, int64_t lines)
{
    const char *base = ft_source_at(s), *lf = lines ? memrchr(base, '\n', n) : NULL;

    s->column = lf ? n - 1 - (size_t)(lf - base) : s->column + n;
    s->start += n;
    s->n -= n;
    s->line += lines;
}

ft_status ft_source_skip_line(ft_source *s, ft_err *e)
{
    for (;;) {
        const char *lf = s->n ? memchr(ft_source_at(s), '\n', s->n) : NULL;
        if (lf) {
            ft_source_take(s, (size_t)(lf - ft_source_at(s)) + 1, 1);
            return FT_OK;
        }
        ft_source_take(s, s->n, 0);
        if (s->eof) return FT_OK;
        const ft_status st = fill(s, e);
        if (st) return st;
    }
}

/* ==== Opening ==== */

static ft_status skip_mark(ft_source *s, ft_err *e)
{
    const ft_status st = ft_source_need(s, 2, e);
    if (st) return st;
    const char *p = ft_source_at(s);
    if (s->n >= 2 && (!memcmp(p, "\xff\xfe", 2) || !memcmp(p, "\xfe\xff", 2)))
        return ft_fail(e, FT_EDATA, "%s:1: this is UTF-16; convert it to UTF-8", s->name);
    if (s->n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3)) {
        ft_source_take(s, 3, 0);
        s->column = 0;
    }
    return FT_OK;
}

ft_status ft_source_open(ft_source *s, const char *path, const char *encoding, size_t max, ft_err *e)
{
    const int is_stdin = !strcmp(path, "-");

    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->line = 1;
    s->max = max;
    ft_status st = check_encoding(encoding, e);
    if (st) return st;
    s->cap = 2 * (size_t)CHUNK;
    s->name = ft_strdup(is_stdin ? "standard input" : path);
    s->data = ft_malloc(s->cap);
    if (!s->name || !s->data) {
        st = ft_fail_mem(e, s->cap);
    } else {
        s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
        st = s->fd < 0 ? ft_fail_errno(e, "%s", path) : skip_mark(s, e);
    }
    if (st) ft_source_close(s);
    return st;
}

void ft_source_close(ft_source *s)
{
    if (s->fd > STDIN_FILENO) close(s->fd);
    ft_free(s->name);
    ft_free(s->data);
    memset(s, 0, sizeof *s);
    s->fd = -1;
}
