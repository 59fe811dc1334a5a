/* runtime/data/windows.c - see windows.h. Storage grows by doubling, like that of tokens.c. */
#include "data/windows.h"

#include <string.h>

#include "core/mem.h"

void ft_windows_free(ft_windows *w)
{
    ft_free(w->row);
    ft_free(w->first);
    ft_free(w->length);
    ft_free(w->at);
    ft_free(w->begin);
    ft_free(w->end);
    memset(w, 0, sizeof *w);
}

static ft_status grow(void *array, int64_t n, size_t item, ft_err *e)
{
    void *old;

    memcpy(&old, array, sizeof old);
    void *p = ft_realloc(old, (size_t)n * item);
    if (!p) return ft_fail_mem(e, (size_t)n * item);
    memcpy(array, &p, sizeof p);
    return FT_OK;
}

static int64_t next_cap(int64_t cap, int64_t least, int64_t want)
{
    if (cap < least) cap = least;
    while (cap < want) cap *= 2;
    return cap;
}

static ft_status reserve(ft_windows *w, int64_t tokens, ft_err *e)
{
    ft_status s = FT_OK;

    if (w->n + 2 > w->cap_n) {
        const int64_t cap = next_cap(w->cap_n, 1024, w->n + 2);
        s = grow(&w->row, cap, sizeof *w->row, e);
        if (!s) s = grow(&w->first, cap, sizeof *w->first, e);
        if (!s) s = grow(&w->length, cap, sizeof *w->length, e);
        if (!s) s = grow(&w->at, cap, sizeof *w->at, e);
        if (!s) w->cap_n = cap;
    }
    if (!s && w->total + tokens > w->cap_total) {
        const int64_t cap = next_cap(w->cap_total, 16384, w->total + tokens);
        s = grow(&w->begin, cap, sizeof *w->begin, e);
        if (!s) s = grow(&w->end, cap, sizeof *w->end, e);
        if (!s) w->cap_total = cap;
    }
    return s;
}

/* Window k of an encoding: its text's tokens follow each other. */
static ft_status add_one(ft_windows *w, ft_tokens *tokens, const ft_encoding *x, size_t k, int32_t row, int sequence,
                         ft_err *e)
{
    size_t from = x->window_at[k];
    const size_t begin = from, end = x->window_at[k + 1];

    while (from < end && x->sequence[from] != sequence) from++;
    size_t to = from;
    while (to < end && x->sequence[to] == sequence) to++;
    const int64_t n = (int64_t)(to - from);

    ft_status s = reserve(w, n, e);
    if (!s) s = ft_tokens_add(tokens, x->ids + begin, x->type_ids + begin, (int64_t)(end - begin), e);
    if (s) return s;
    w->row[w->n] = row;
    w->first[w->n] = n ? (int32_t)(from - begin) : 0;
    w->length[w->n] = (int32_t)(end - begin);
    if (n) memcpy(w->begin + w->total, x->begin + from, (size_t)n * sizeof *w->begin);
    if (n) memcpy(w->end + w->total, x->end + from, (size_t)n * sizeof *w->end);
    if (w->n == 0) w->at[0] = 0;
    w->total += n;
    w->at[++w->n] = w->total;
    return FT_OK;
}

ft_status ft_windows_add(ft_windows *w, ft_tokens *tokens, const ft_encoding *x, int32_t row, int sequence, ft_err *e)
{
    ft_status s = FT_OK;

    for (size_t k = 0; k < x->n_windows && !s; k++) s = add_one(w, tokens, x, k, row, sequence, e);
    return s;
}

/* ==== As bytes ==== */

ft_status ft_windows_write(const ft_windows *w, ft_buf *out, ft_err *e)
{
    static const int64_t zero = 0;
    const uint64_t head[2] = { (uint64_t)w->n, (uint64_t)w->total };
    const size_t n = (size_t)w->n, total = (size_t)w->total;
    ft_status s = ft_buf_add(out, (const char *)head, sizeof head, e);

    if (!s && n) s = ft_buf_add(out, (const char *)w->row, n * sizeof *w->row, e);
    if (!s && n) s = ft_buf_add(out, (const char *)w->first, n * sizeof *w->first, e);
    if (!s && n) s = ft_buf_add(out, (const char *)w->length, n * sizeof *w->length, e);
    if (!s) s = ft_buf_add(out, (const char *)(w->at ? w->at : &zero), (n + 1) * sizeof *w->at, e);
    if (!s && total) s = ft_buf_add(out, (const char *)w->begin, total * sizeof *w->begin, e);
    if (!s && total) s = ft_buf_add(out, (const char *)w->end, total * sizeof *w->end, e);
    return s;
}

/* A copy of n items at *from, which moves on. */
static ft_status take(void *array, const char **from, uint64_t n, size_t item, ft_err *e)
{
    const ft_status s = grow(array, (int64_t)n + 1, item, e);
    void *to;

    if (s) return s;
    memcpy(&to, array, sizeof to);
    if (n) memcpy(to, *from, (size_t)n * item);
    *from += n * item;
    return FT_OK;
}

/* Every window lies in the arrays, and its text within the window. */
static int fits(const ft_windows *w)
{
    if (w->at[0] != 0) return 0;
    for (int64_t i = 0; i < w->n; i++) {
        if (w->at[i + 1] < w->at[i] || w->at[i + 1] > w->total) return 0;
        if (w->row[i] < 0 || w->first[i] < 0 || w->length[i] < 1) return 0;
        if (w->first[i] + (w->at[i + 1] - w->at[i]) > w->length[i]) return 0;
    }
    return w->at[w->n] == w->total;
}

ft_status ft_windows_read(ft_windows *w, const void *bytes, size_t n, size_t *used, ft_err *e)
{
    const char *p = bytes;
    uint64_t head[2];

    if (n < sizeof head) return ft_fail(e, FT_EDATA, "ends in the middle of windows");
    memcpy(head, p, sizeof head);
    p += sizeof head;
    const uint64_t left = n - sizeof head, each = 3 * sizeof *w->row + sizeof *w->at;
    if (head[0] > left / each || left - head[0] * each < sizeof *w->at ||
        head[1] > (left - head[0] * each - sizeof *w->at) / (2 * sizeof *w->begin))
        return ft_fail(e, FT_EDATA, "announces more windows than it holds");

    ft_status s = take(&w->row, &p, head[0], sizeof *w->row, e);
    if (!s) s = take(&w->first, &p, head[0], sizeof *w->first, e);
    if (!s) s = take(&w->length, &p, head[0], sizeof *w->length, e);
    if (!s) s = take(&w->at, &p, head[0] + 1, sizeof *w->at, e);
    if (!s) s = take(&w->begin, &p, head[1], sizeof *w->begin, e);
    if (!s) s = take(&w->end, &p, head[1], sizeof *w->end, e);
    if (s) return s;
    w->n = (int64_t)head[0];
    w->total = (int64_t)head[1];
    w->cap_n = w->n + 1;
    w->cap_total = w->total + 1;
    *used = (size_t)(p - (const char *)bytes);
    return fits(w) ? FT_OK : ft_fail(e, FT_EDATA, "holds windows that do not fit");
}

/* ==== Tokens and spans ==== */

int ft_windows_locate(const ft_windows *w, int64_t i, uint32_t begin, uint32_t end, int32_t *first, int32_t *last)
{
    const uint32_t *b = w->begin + w->at[i], *z = w->end + w->at[i];
    const int32_t n = (int32_t)(w->at[i + 1] - w->at[i]);
    int32_t f = 0, l = n - 1;

    if (n == 0 || b[0] > begin || z[n - 1] < end) return 0;
    while (f + 1 < n && b[f + 1] <= begin) f++;
    while (l > 0 && z[l - 1] >= end) l--;
    *first = w->first[i] + f;
    *last = w->first[i] + (l < f ? f : l);
    return 1;
}

/* Put a span in its place among the best; n are there already, k at most. */
static int insert(ft_span_score *out, int n, int k, ft_span_score s)
{
    int at = n < k ? n : k - 1;

    while (at > 0 && out[at - 1].score < s.score) {
        out[at] = out[at - 1];
        at--;
    }
    out[at] = s;
    return n < k ? n + 1 : k;
}

int ft_windows_best(const ft_windows *w, int64_t i, const float *logits, int32_t longest, ft_span_score *out, int k)
{
    const int32_t from = w->first[i], to = from + (int32_t)(w->at[i + 1] - w->at[i]);
    int n = 0;

    for (int32_t first = from; first < to && k > 0; first++) {
        const int32_t stop = to - first < longest ? to : first + longest;
        for (int32_t last = first; last < stop; last++) {
            if (w->begin[w->at[i] + first - from] >= w->end[w->at[i] + last - from]) continue; /* nothing but blanks */
            const double score = (double)logits[2 * first] + (double)logits[2 * last + 1];
            if (n == k ? score > out[k - 1].score : score == score)
                n = insert(out, n, k, (ft_span_score){ first, last, score });
        }
    }
    return n;
}
