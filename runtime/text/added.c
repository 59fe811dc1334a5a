/* runtime/text/added.c - leftmost-longest matching of added tokens.
 *
 * As in the reference, the search for the next token goes on where the last one's own
 * characters end, even if rstrip has taken the white space after it.
 */
#include "text/added.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "text/unicode.h"

/* ==== The list ==== */

static void token_free(ft_added_token *t)
{
    ft_free(t->content);
    ft_free(t->pattern);
}

void ft_added_free(ft_added *a)
{
    for (size_t i = 0; i < a->n; i++) token_free(&a->tokens[i]);
    ft_free(a->tokens);
    ft_free(a->raw);
    ft_free(a->normal);
    memset(a, 0, sizeof *a);
}

const ft_added_token *ft_added_find(const ft_added *a, const char *content, size_t len)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->tokens[i].content_len == len && !memcmp(a->tokens[i].content, content, len)) return &a->tokens[i];
    return NULL;
}

const ft_added_token *ft_added_of(const ft_added *a, int32_t id)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->tokens[i].id == id) return &a->tokens[i];
    return NULL;
}

ft_status ft_added_add(ft_added *a, const ft_added_token *t, ft_err *e)
{
    const ft_added_token *old = ft_added_find(a, t->content, t->content_len);
    ft_added_token copy = *t;

    if (!old && a->n == a->cap) {
        const size_t cap = a->cap ? a->cap * 2 : 8;
        ft_added_token *p = ft_realloc(a->tokens, cap * sizeof *p);
        if (!p) return ft_fail_mem(e, cap * sizeof *p);
        a->tokens = p;
        a->cap = cap;
    }
    copy.pattern = NULL;
    copy.content = ft_strndup(t->content, t->content_len);
    if (!copy.content) return ft_fail_mem(e, t->content_len);
    ft_added_token *to = old ? &a->tokens[old - a->tokens] : &a->tokens[a->n++];
    if (old) token_free(to);
    *to = copy;
    return FT_OK;
}

/* Bytes first, then the longer one: the longest match is tried first. */
static int by_pattern(const void *x, const void *y, void *tokens)
{
    const ft_added_token *a = (const ft_added_token *)tokens + *(const int32_t *)x;
    const ft_added_token *b = (const ft_added_token *)tokens + *(const int32_t *)y;
    const unsigned char c = (unsigned char)a->pattern[0], d = (unsigned char)b->pattern[0];

    if (c != d) return c < d ? -1 : 1;
    if (a->pattern_len != b->pattern_len) return a->pattern_len > b->pattern_len ? -1 : 1;
    return memcmp(a->pattern, b->pattern, a->pattern_len);
}

static ft_status index_set(ft_added *a, bool normal, int32_t **list, size_t *n, uint32_t at[257], ft_err *e)
{
    ft_free(*list);
    *list = ft_malloc((a->n + 1) * sizeof **list);
    if (!*list) return ft_fail_mem(e, (a->n + 1) * sizeof **list);
    *n = 0;
    for (size_t i = 0; i < a->n; i++)
        if (a->tokens[i].normalized == normal) (*list)[(*n)++] = (int32_t)i;
    qsort_r(*list, *n, sizeof **list, by_pattern, a->tokens);

    memset(at, 0, 257 * sizeof *at);
    for (size_t i = 0; i < *n; i++) {
        const ft_added_token *t = &a->tokens[(*list)[i]];
        if (i && by_pattern(*list + i - 1, *list + i, a->tokens) == 0)
            return ft_fail(e, FT_EDATA, "added tokens \"%.80s\" and \"%.80s\" are the same when normalised",
                           a->tokens[(*list)[i - 1]].content, t->content);
        at[(unsigned char)t->pattern[0] + 1]++;
    }
    for (int c = 0; c < 256; c++) at[c + 1] += at[c];
    return FT_OK;
}

ft_status ft_added_seal(ft_added *a, ft_err *e)
{
    for (size_t i = 0; i < a->n; i++)
        if (!a->tokens[i].pattern_len)
            return ft_fail(e, FT_EDATA, "added token \"%.80s\" is empty when normalised", a->tokens[i].content);
    const ft_status s = index_set(a, false, &a->raw, &a->n_raw, a->raw_at, e);
    return s ? s : index_set(a, true, &a->normal, &a->n_normal, a->normal_at, e);
}

/* ==== Searching ==== */

static const ft_added_token *match_at(const ft_added *a, bool normal, const char *s, size_t n)
{
    const uint32_t *at = (normal ? a->normal_at : a->raw_at) + (unsigned char)s[0];
    const int32_t *list = normal ? a->normal : a->raw;

    for (uint32_t i = at[0]; i < at[1]; i++) {
        const ft_added_token *t = &a->tokens[list[i]];
        if (t->pattern_len <= n && !memcmp(t->pattern, s, t->pattern_len)) return t;
    }
    return NULL;
}

static bool is_word(uint32_t cp) { return (ft_uc_class(cp) & FT_UC_WORD) != 0; }
static bool is_space(uint32_t cp) { return (ft_uc_class(cp) & FT_UC_SPACE) != 0; }

static bool stands_alone(const char *s, size_t n, size_t begin, size_t end)
{
    size_t used;
    return !(begin > 0 && is_word(ft_utf8_before(s, begin, &used))) &&
           !(end < n && is_word(ft_utf8_get(s + end, &used)));
}

static size_t strip_left(const char *s, size_t begin, size_t least)
{
    size_t used;
    while (begin > least && is_space(ft_utf8_before(s, begin, &used))) begin -= used;
    return begin;
}

static size_t strip_right(const char *s, size_t end, size_t n)
{
    size_t used;
    while (end < n && is_space(ft_utf8_get(s + end, &used))) end += used;
    return end;
}

/* Find the next token from w->scan on: sets w->next, or leaves it NULL. */
static void search(const ft_added *a, bool normal, const char *s, size_t n, ft_added_walk *w)
{
    w->next = NULL;
    if (!(normal ? a->n_normal : a->n_raw)) w->scan = n;
    while (w->scan < n) {
        const ft_added_token *t = match_at(a, normal, s + w->scan, n - w->scan);
        if (!t) {
            w->scan++;
            continue;
        }
        size_t begin = w->scan, end = begin + t->pattern_len;
        w->scan = end;
        if (t->single_word && !stands_alone(s, n, begin, end)) continue;
        if (t->lstrip && begin > w->done) begin = strip_left(s, begin, w->done);
        if (t->lstrip && begin < w->done) begin = w->done;
        if (t->rstrip) end = strip_right(s, end, n);
        w->next = t;
        w->begin = begin;
        w->end = end;
        return;
    }
}

int ft_added_next(const ft_added *a, bool normal, const char *s, size_t n, ft_added_walk *w, ft_added_part *out)
{
    if (!w->next) {
        search(a, normal, s, n, w);
        const size_t until = w->next ? w->begin : n;
        if (w->done < until) {
            *out = (ft_added_part){ NULL, w->done, until };
            w->done = until;
            return 1;
        }
        if (!w->next) return 0;
    }
    *out = (ft_added_part){ w->next, w->begin, w->end };
    w->done = w->end;
    w->next = NULL;
    return 1;
}
