/* runtime/data/source.c - buffered reading for the row readers.
 *
 * Parsers see UTF-8 only, and all bytes enter the window in fill(). UTF-8 is read into the window itself and checked record
 * by record; other encodings go through a buffer of raw bytes, as do the first ones, which tell the encoding.
 */
#include "data/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"

enum { CHUNK = 256 * 1024, RAW = CHUNK / 2 - 2 };

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

/* One read of up to n bytes; *got is 0 at the end of the file. */
static ft_status read_some(const ft_source *s, char *to, size_t n, size_t *got, ft_err *e)
{
    for (;;) {
        const ssize_t k = read(s->fd, to, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return ft_fail_errno(e, "%s", s->name);
        *got = (size_t)k;
        return FT_OK;
    }
}

static ft_status fill_decoded(ft_source *s, ft_err *e)
{
    size_t got = 0, used;
    const ft_status st = s->raw_n < RAW ? read_some(s, s->raw + s->raw_n, RAW - s->raw_n, &got, e) : FT_OK;

    if (st) return st;
    s->eof = got == 0 && s->raw_n < RAW;
    s->raw_n += got;
    s->n += ft_charset_decode(s->charset, s->raw, s->raw_n, s->eof, s->data + s->start + s->n, &used);
    memmove(s->raw, s->raw + used, s->raw_n - used);
    s->raw_n -= used;
    return FT_OK;
}

static ft_status fill(ft_source *s, ft_err *e)
{
    size_t got = 0;
    ft_status st = make_room(s, e);

    if (st) return st;
    if (s->charset != FT_CHARSET_UTF8) return fill_decoded(s, e);
    if (s->raw_n) { /* what told the encoding */
        memcpy(s->data + s->start + s->n, s->raw, s->raw_n);
        s->n += s->raw_n;
        s->raw_n = 0;
        return FT_OK;
    }
    st = read_some(s, s->data + s->start + s->n, CHUNK, &got, e);
    if (st) return st;
    s->n += got;
    s->eof = got == 0;
    return FT_OK;
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

/* Read the first bytes, and settle the encoding by them and by what was asked for. */
static ft_status settle(ft_source *s, ft_err *e)
{
    size_t got = 1, mark;

    while (s->raw_n < 4 && got) {
        const ft_status st = read_some(s, s->raw + s->raw_n, RAW - s->raw_n, &got, e);
        if (st) return st;
        s->raw_n += got;
    }
    const char *problem = ft_charset_settle(&s->charset, s->raw, s->raw_n, &mark);
    if (problem) return ft_fail(e, FT_EDATA, "%s:1: %s", s->name, problem);
    s->raw_n -= mark;
    memmove(s->raw, s->raw + mark, s->raw_n);
    return FT_OK;
}

ft_status ft_source_open(ft_source *s, const char *path, const char *encoding, size_t max, ft_err *e)
{
    const int is_stdin = !strcmp(path, "-");

    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->line = 1;
    s->max = max;
    ft_status st = ft_charset_find(&s->charset, encoding, e);
    if (st) return st;
    s->cap = 2 * (size_t)CHUNK;
    s->name = ft_strdup(is_stdin ? "standard input" : path);
    s->data = ft_malloc(s->cap);
    s->raw = ft_malloc(RAW);
    if (!s->name || !s->data || !s->raw) {
        st = ft_fail_mem(e, s->cap);
    } else {
        s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
        st = s->fd < 0 ? ft_fail_errno(e, "%s", path) : settle(s, e);
    }
    if (st) ft_source_close(s);
    return st;
}

void ft_source_close(ft_source *s)
{
    if (s->fd > STDIN_FILENO) close(s->fd);
    ft_free(s->name);
    ft_free(s->data);
    ft_free(s->raw);
    memset(s, 0, sizeof *s);
    s->fd = -1;
}
