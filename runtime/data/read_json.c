/* runtime/data/read_json.c - one JSON array of objects, read element by element.
 *
 * The end of an element is found by counting brackets outside strings; only then
 * is its text parsed. So the array may be of any size, and a bad element is passed
 * over as a whole.
 */
#include <string.h>

#include "data/bytes.h"
#include "data/read.h"

enum { AT_START, AT_FIRST, AT_ELEMENT, AFTER_ELEMENT, AFTER_ARRAY, AT_END };

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void take(ft_reader *r, size_t n) { ft_source_take(&r->src, n, ft_bytes_lines(ft_source_at(&r->src), n)); }

/* Move to the next byte that is no white space: *c. At the end of the file it is 0 and the window is empty. */
static ft_status next_byte(ft_reader *r, char *c, ft_err *e)
{
    for (;;) {
        const ft_status s = ft_source_need(&r->src, 0, e);
        if (s) return s;
        const char *p = ft_source_at(&r->src);
        size_t i = 0;
        while (i < r->src.n && is_space(p[i])) i++;
        *c = i < r->src.n ? p[i] : '\0';
        take(r, i);
        if (r->src.n || r->src.eof) return FT_OK;
    }
}

/* ==== The end of an element ==== */

/* Take one byte into account; 1 if the element ends before it. */
static int scan_byte(ft_json_scan *t, char c)
{
    if (t->escaped) {
        t->escaped = 0;
    } else if (t->in_string) {
        t->escaped = c == '\\';
        t->in_string = c != '"';
    } else if (c == '"') {
        t->in_string = 1;
    } else if (c == '{' || c == '[') {
        t->depth++;
    } else if (t->depth == 0) {
        return c == ',' || c == ']';
    } else if (c == '}' || c == ']') {
        t->depth--;
    }
    return 0;
}

/* Go on from r->scan. *ended is 0 if the file, or the largest size of a record, ends first. */
static ft_status scan(ft_reader *r, int *ended, ft_err *e)
{
    ft_json_scan *t = &r->scan;

    *ended = 0;
    for (;;) {
        const ft_status s = ft_source_need(&r->src, t->off, e);
        if (s || t->off >= r->src.n) return s;
        const char *p = ft_source_at(&r->src);
        for (; t->off < r->src.n; t->off++) {
            if (!scan_byte(t, p[t->off])) continue;
            *ended = 1;
            return FT_OK;
        }
    }
}

/* Pass over the rest of an oversized element. */
static ft_status skip_element(ft_reader *r, ft_err *e)
{
    for (;;) {
        int ended;
        const ft_status s = scan(r, &ended, e);
        if (s) return s;
        take(r, r->scan.off);
        r->scan.off = 0;
        if (ended || r->src.eof) break;
    }
    r->skip = 0;
    r->place = AFTER_ELEMENT;
    return FT_OK;
}

/* ==== Elements ==== */

static ft_status end_with(ft_reader *r, const char *what, ft_err *e)
{
    r->place = AT_END;
    return ft_reader_reject(r, r->src.n, r->src.n, r->src.line, e, "%s", what);
}

static ft_status element(ft_reader *r, ft_err *e)
{
    const int before = r->place;
    int ended;

    memset(&r->scan, 0, sizeof r->scan);
    const ft_status s = scan(r, &ended, e);
    if (s) return s;
    if (!ended && r->src.eof && r->scan.depth == 0 && !r->scan.in_string) ended = 1; /* only "]" is missing */
    if (!ended && r->src.eof) return end_with(r, "the file ends inside an element of the array", e);
    if (!ended || r->scan.off > r->src.max) {
        const ft_status refused = ft_reader_oversized(r, e);
        r->scan.off -= r->used;
        return refused;
    }
    const char *p = ft_source_at(&r->src);
    size_t len = r->scan.off;
    while (len && is_space(p[len - 1])) len--;
    r->place = AFTER_ELEMENT;
    if (!len) return ft_reader_reject(r, 0, 0, r->src.line, e, "expected an object, got \"%c\"", p[0]);
    ft_reader_used(r, len, r->scan.off, ft_bytes_lines(p, r->scan.off));
    const ft_status found = ft_reader_object(r, len, r->scan.off, e);
    if (found && found != FT_EDATA) r->place = before; /* the element is still to be read */
    return found;
}

/* Take the brackets and commas before the next element; r->place says what comes. */
static ft_status step(ft_reader *r, char c, ft_err *e)
{
    if (r->src.n == 0 && r->place != AFTER_ARRAY)
        return end_with(r,
                        r->place == AT_START ? "the file is empty: expected an array of objects"
                                             : "the file ends inside the array: \"]\" is missing",
                        e);
    switch (r->place) {
    case AT_START:
        if (c == '[') break;
        return end_with(r,
                        c == '{' ? "expected an array of objects, got an object (for one object a line say "
                                   "format = \"jsonl\")"
                                 : "expected an array of objects",
                        e);
    case AFTER_ARRAY:
        if (r->src.n) return end_with(r, "text after the end of the array", e);
        r->place = AT_END;
        return FT_OK;
    default: break;
    }
    take(r, 1);
    r->place = r->place == AT_START ? AT_FIRST : c == ',' ? AT_ELEMENT : AFTER_ARRAY;
    return FT_OK;
}

static ft_status json_next(ft_reader *r, int *got, ft_err *e)
{
    char c;
    ft_status s = r->skip ? skip_element(r, e) : FT_OK;

    while (!s && r->place != AT_END) {
        s = next_byte(r, &c, e);
        if (s) return s;
        const int want_element = r->place == AT_ELEMENT || (r->place == AT_FIRST && c != ']');
        if (want_element && r->src.n) {
            *got = 1;
            return element(r, e);
        }
        s = step(r, c, e);
    }
    return s;
}

const ft_read_format ft_read_json = {
    .name = "json",
    .extensions = { ".json" },
    .next = json_next,
};
