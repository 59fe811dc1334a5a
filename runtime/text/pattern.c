/* runtime/text/pattern.c - literal patterns, and regular expressions by PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include <pcre2.h>
#include <string.h>

#include "core/mem.h"
#include "text/gpt2_words.h"
#include "text/json_get.h"
#include "text/pattern_ruby.h"
#include "text/unicode.h"

enum { MAX_PATTERN = 1 << 14, MAX_STEPS = 2000000, MAX_DEPTH_KIB = 16 << 10 };

static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char gpt2_short[] = "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static void *take(size_t n, void *unused) { return (void)unused, ft_malloc(n); }
static void drop(void *p, void *unused) { (void)unused, ft_free(p); }

/* ==== Reading ==== */

static ft_status compile(ft_pattern *p, const char *ruby, size_t n, const char *where, ft_err *e)
{
    ft_buf text = { 0 };
    int code = 0;
    PCRE2_SIZE at = 0;
    char why[120] = "";

    if (n > MAX_PATTERN) return ft_fail(e, FT_EDATA, "%s.pattern: more than %d bytes", where, MAX_PATTERN);
    ft_status s = ft_pattern_of_ruby(&text, ruby, n, e);
    if (s) ft_context(e, "%s.pattern", where);
    pcre2_general_context *memory = s ? NULL : pcre2_general_context_create(take, drop, NULL);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    if (!s && !context) s = ft_fail_mem(e, n);
    if (!s) {
        const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_UTF_CHECK;
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        pcre2_set_parens_nest_limit(context, 50);
        p->code = pcre2_compile((PCRE2_SPTR)text.data, text.len, options, &code, &at, context);
        if (!p->code) {
            pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
            s = ft_fail(e, code == PCRE2_ERROR_HEAP_FAILED ? FT_EMEM : FT_EDATA, "%s.pattern: %s", where, why);
        } else {
            pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* where it cannot be, matching interprets */
        }
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    ft_buf_free(&text);
    return s;
}

ft_status ft_pattern_read(ft_pattern *p, const json_t *o, const char *where, ft_err *e)
{
    json_t *pattern;
    ft_status s = ft_json_member(&pattern, o, "pattern", JSON_OBJECT, where, e);

    if (s) return s;
    const json_t *string = json_object_get(pattern, "String"), *regex = json_object_get(pattern, "Regex");
    const json_t *text = string ? string : regex;
    if (!json_is_string(text)) return ft_fail(e, FT_EDATA, "%s.pattern: want a String or a Regex", where);
    const char *bytes = json_string_value(text);
    p->len = json_string_length(text);
    p->gpt2 = !string && (!strcmp(bytes, gpt2) || !strcmp(bytes, gpt2_short));
    if (p->gpt2) return FT_OK;
    if (!string) return compile(p, bytes, p->len, where, e);
    if (!p->len) return ft_fail(e, FT_EDATA, "%s.pattern: an empty String is not supported", where);
    p->string = ft_strndup(bytes, p->len);
    return p->string ? FT_OK : ft_fail_mem(e, p->len);
}

void ft_pattern_free(ft_pattern *p)
{
    pcre2_code_free(p->code);
    ft_free(p->string);
    memset(p, 0, sizeof *p);
}

/* ==== Searching ==== */

/* What a match works with. The step limit bounds each search, the heap limit its memory. */
typedef struct matcher {
    pcre2_general_context *memory;
    pcre2_match_context *context;
    pcre2_match_data *data;
} matcher;

ft_status ft_pattern_begin(ft_pattern_walk *w, const ft_pattern *p, ft_err *e)
{
    *w = (ft_pattern_walk){ .pattern = p };
    if (!p->code) return FT_OK;
    matcher *m = w->match = ft_calloc(1, sizeof *m);
    if (m) m->memory = pcre2_general_context_create(take, drop, NULL);
    if (m && m->memory) m->context = pcre2_match_context_create(m->memory);
    if (m && m->context) m->data = pcre2_match_data_create_from_pattern(p->code, m->memory);
    if (!m || !m->data) return ft_fail_mem(e, sizeof *m);
    pcre2_set_match_limit(m->context, MAX_STEPS);
    pcre2_set_heap_limit(m->context, MAX_DEPTH_KIB);
    return FT_OK;
}

void ft_pattern_end(ft_pattern_walk *w)
{
    matcher *m = w->match;

    if (!m) return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_general_context_free(m->memory);
    ft_free(m);
    w->match = NULL;
}

static int search(const ft_pattern *p, const matcher *m, const char *s, size_t n, size_t from)
{
    const int got = pcre2_match(p->code, (PCRE2_SPTR)s, n, from, PCRE2_NO_UTF_CHECK, m->data, m->context);

    if (got != PCRE2_ERROR_JIT_STACKLIMIT) return got;
    return pcre2_match(p->code, (PCRE2_SPTR)s, n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->data, m->context);
}

/* *at is twice the place to go on from, + 1 where a match ended there: an empty match there does not count, as in the
 * reference. */
static int find_regex(const ft_pattern *p, const matcher *m, const char *s, size_t n, size_t *at, size_t *begin,
                      size_t *end, ft_err *e)
{
    size_t from = *at / 2, used;
    bool ended = *at & 1;

    while (from <= n) {
        const int got = search(p, m, s, n, from);
        if (got == PCRE2_ERROR_NOMATCH) return 0;
        if (got < 0) {
            if (got == PCRE2_ERROR_NOMEMORY) return ft_fail_mem(e, n), -1;
            ft_fail(e, FT_EDATA, "the tokeniser's regular expression takes too many steps on this text");
            return -1;
        }
        const PCRE2_SIZE *place = pcre2_get_ovector_pointer(m->data);
        const bool empty = place[0] == place[1];
        used = 1;
        if (place[1] < n) ft_utf8_get(s + place[1], &used);
        if (!empty || !ended || place[0] > from) {
            *begin = place[0];
            *end = place[1];
            *at = empty ? 2 * (place[1] + used) : 2 * place[1] + 1;
            return 1;
        }
        from += used;
        ended = false;
    }
    return 0;
}

static int find_string(const ft_pattern *p, const char *s, size_t n, size_t *at, size_t *begin, size_t *end)
{
    const char *found = memmem(s + *at, n - *at, p->string, p->len);

    if (!found) return 0;
    *begin = (size_t)(found - s);
    *end = *at = *begin + p->len;
    return 1;
}

int ft_pattern_find(const void *walk, const char *s, size_t n, size_t *at, size_t *begin, size_t *end, ft_err *e)
{
    const ft_pattern_walk *w = walk;

    if (w->pattern->code) return find_regex(w->pattern, w->match, s, n, at, begin, end, e);
    if (*at >= n) return 0;
    if (!w->pattern->gpt2) return find_string(w->pattern, s, n, at, begin, end);
    *begin = *at;
    *end = *at += ft_gpt2_word(s + *at, n - *at);
    return 1;
}
