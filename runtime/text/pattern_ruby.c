/* runtime/text/pattern_ruby.c - what differs between the two syntaxes.
 *
 * \s is the property White_Space (PCRE2 adds U+180E), \w the letters, marks, digits and connectors, \h a hexadecimal digit;
 * "[" in a class begins a class in the class, "&&" is an intersection, and "{2,3}+" repeats a repetition: these three are
 * refused, like word boundaries, which rest on \w.
 */
#include "text/pattern_ruby.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

typedef struct rewriter {
    ft_buf *out;
    const char *s;
    size_t n, at;
    bool in_class;
    ft_err *e;
} rewriter;

static ft_status refuse(const rewriter *r, size_t len)
{
    return ft_fail(r->e, FT_EDATA, "regular expression: \"%.*s\" at byte %zu is not supported", (int)len, r->s + r->at,
                   r->at);
}

static ft_status copy(rewriter *r, size_t len)
{
    const ft_status s = ft_buf_add(r->out, r->s + r->at, len, r->e);

    r->at += len;
    return s;
}

/* Class escapes: what stands for them inside of a class, and outside where that differs. */
static const struct escape {
    char letter;
    const char *inside, *outside;
} escapes[] = {
    { 's', "\\p{White_Space}", NULL },
    { 'S', "\\P{White_Space}", NULL },
    { 'd', "\\p{Nd}", NULL },
    { 'D', "\\P{Nd}", NULL },
    { 'h', "0-9a-fA-F", "[0-9a-fA-F]" },
    { 'w', "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}", "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]" },
    { 'W', NULL, "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]" },
    { 'H', NULL, "[^0-9a-fA-F]" },
};

static ft_status rewrite_escape(rewriter *r)
{
    if (r->at + 1 >= r->n) return refuse(r, 1);
    const char c = r->s[r->at + 1];
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        if (escapes[i].letter != c) continue;
        const char *to = r->in_class || !escapes[i].outside ? escapes[i].inside : escapes[i].outside;
        if (!to) return refuse(r, 2);
        r->at += 2;
        return ft_buf_puts(r->out, to, r->e);
    }
    if (c == 'u' && r->at + 6 <= r->n) {
        const ft_status s = ft_buf_printf(r->out, r->e, "\\x{%.4s}", r->s + r->at + 2);
        r->at += 6;
        return s;
    }
    const char *known = r->in_class ? "tnrfvaexpP" : "tnrfvaexpPAzZ123456789";
    if (isalnum((unsigned char)c) && !strchr(known, c)) return refuse(r, 2);
    return copy(r, 2);
}

static ft_status rewrite_in_class(rewriter *r)
{
    const char c = r->s[r->at];

    if (c == '[' && r->at + 1 < r->n && r->s[r->at + 1] == ':') {
        const char *end = memmem(r->s + r->at, r->n - r->at, ":]", 2);
        return end ? copy(r, (size_t)(end - r->s) + 2 - r->at) : refuse(r, 2);
    }
    if (c == '[') return refuse(r, 1);
    if (c == '&' && r->at + 1 < r->n && r->s[r->at + 1] == '&') return refuse(r, 2);
    if (c == ']') r->in_class = false;
    return copy(r, 1);
}

static ft_status open_class(rewriter *r)
{
    size_t len = 1;

    r->in_class = true;
    if (r->at + len < r->n && r->s[r->at + len] == '^') len++;
    if (r->at + len < r->n && r->s[r->at + len] == ']') len++; /* a literal one */
    return copy(r, len);
}

/* "(?...": groups, looks, and the option i. Ruby's m is another's s, its x means the same. */
static ft_status open_group(rewriter *r)
{
    const char *s = r->s + r->at;
    const size_t n = r->n - r->at;
    size_t len = 2;

    if (n < 3 || s[1] != '?') return n > 1 && s[1] == '*' ? refuse(r, 2) : copy(r, 1);
    if (strchr(":=!>", s[2])) return copy(r, 3);
    if (s[2] == '<') return copy(r, 3);
    while (len < n && (s[len] == 'i' || s[len] == '-' || s[len] == 'x')) len++;
    if (len == 2 || len == n || (s[len] != ':' && s[len] != ')')) return refuse(r, 3);
    return copy(r, len + 1);
}

/* "{2,3}", and "+" behind it. */
static ft_status rewrite_count(rewriter *r)
{
    const char *end = memchr(r->s + r->at, '}', r->n - r->at);
    const size_t len = end ? (size_t)(end - r->s) + 1 - r->at : 1;
    const bool counts = end && len > 2 && strspn(r->s + r->at + 1, "0123456789,") == len - 2;

    if (counts && r->at + len < r->n && r->s[r->at + len] == '+') return refuse(r, len + 1);
    if (counts && r->s[r->at + 1] == ',') return refuse(r, len); /* "{,3}" is "{0,3}" there */
    return copy(r, counts ? len : 1);
}

ft_status ft_pattern_of_ruby(ft_buf *out, const char *s, size_t n, ft_err *e)
{
    rewriter r = { .out = out, .s = s, .n = n, .e = e };
    ft_status status = ft_buf_add(out, "", 0, e);

    while (!status && r.at < n) {
        const char c = s[r.at];
        if (c == '\\')
            status = rewrite_escape(&r);
        else if (r.in_class)
            status = rewrite_in_class(&r);
        else if (c == '[')
            status = open_class(&r);
        else if (c == '(')
            status = open_group(&r);
        else if (c == '{')
            status = rewrite_count(&r);
        else
            status = copy(&r, 1);
    }
    return status;
}
