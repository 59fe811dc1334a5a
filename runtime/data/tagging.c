/* runtime/data/tagging.c - words among the tokens of windows, and Viterbi's algorithm over tags. */
#include "data/tagging.h"

#include <math.h>
#include <string.h>

#include "core/mem.h"

void ft_tagging_free(ft_tagging *g)
{
    ft_free(g->row);
    ft_free(g->word);
    memset(g, 0, sizeof *g);
}

static ft_status grow(int32_t **array, int64_t *cap, int64_t want, ft_err *e)
{
    int64_t n = *cap ? *cap : 1024;

    if (want <= *cap) return FT_OK;
    while (n < want) n *= 2;
    int32_t *p = ft_realloc(*array, (size_t)n * sizeof *p);
    if (!p) return ft_fail_mem(e, (size_t)n * sizeof *p);
    *array = p;
    *cap = n;
    return FT_OK;
}

/* ==== Words among tokens ==== */

/* Where a word is answered for so far. */
typedef struct place {
    uint32_t begin;  /* of the word's first token */
    int64_t token;   /* -1: nowhere yet */
    uint32_t around; /* tokens that its window shows on the poorer side */
} place;

/* Tokens of window k that stand before token t, without end where the text begins there; and behind it. */
static uint32_t around(const ft_encoding *x, size_t k, size_t from, size_t t, size_t to)
{
    const uint32_t left = k ? (uint32_t)(t - from) : UINT32_MAX;
    const uint32_t right = k + 1 < x->n_windows ? (uint32_t)(to - 1 - t) : UINT32_MAX;
    return left < right ? left : right;
}

/* The words of window k that it shows better than the windows before. */
static void look(const ft_encoding *x, size_t k, const uint32_t *spans, int32_t n_words, place *places)
{
    size_t from = x->window_at[k], to = x->window_at[k + 1];

    while (from < to && x->sequence[from] < 0) from++;
    while (to > from && x->sequence[to - 1] < 0) to--;
    int32_t w = 0, before = -1;
    for (size_t t = from; t < to; t++) {
        while (w < n_words && spans[2 * w + 1] <= x->begin[t]) w++;
        if (w == n_words) return;
        if (x->end[t] <= spans[2 * w]) continue;
        place *p = &places[w];
        if (w == before || (p->token >= 0 && x->begin[t] > p->begin)) continue;
        before = w;
        const uint32_t shown = around(x, k, from, t, to);
        if (p->token < 0 || shown > p->around) *p = (place){ x->begin[t], (int64_t)t, shown };
    }
}

ft_status ft_tagging_add(ft_tagging *g, ft_tokens *tokens, const ft_encoding *x, int32_t row, const uint32_t *spans,
                         int32_t n_words, ft_err *e)
{
    ft_status s = grow(&g->row, &g->cap_n, g->n + (int64_t)x->n_windows, e);
    place *places = ft_malloc(((size_t)n_words + 1) * sizeof *places);

    if (!s && !places) s = ft_fail_mem(e, ((size_t)n_words + 1) * sizeof *places);
    if (!s) s = grow(&g->word, &g->cap_total, g->total + (int64_t)x->n, e);
    for (size_t k = 0; k < x->n_windows && !s; k++) {
        const size_t from = x->window_at[k], n = x->window_at[k + 1] - from;
        s = ft_tokens_add(tokens, x->ids + from, x->type_ids + from, (int64_t)n, e);
        g->row[g->n + (int64_t)k] = row;
    }
    if (!s) {
        for (int32_t w = 0; w < n_words; w++) places[w].token = -1;
        for (size_t k = 0; k < x->n_windows; k++) look(x, k, spans, n_words, places);
        for (size_t t = 0; t < x->n; t++) g->word[g->total + (int64_t)t] = -1;
        for (int32_t w = 0; w < n_words; w++)
            if (places[w].token >= 0) g->word[g->total + places[w].token] = w;
        g->n += (int64_t)x->n_windows;
        g->total += (int64_t)x->n;
    }
    ft_free(places);
    return s;
}

/* ==== Tags ==== */

int ft_tag_log_softmax(const float *logits, int32_t n, float *out)
{
    double top = -INFINITY, sum = 0.0;

    for (int32_t k = 0; k < n; k++) top = logits[k] > top ? logits[k] : top;
    for (int32_t k = 0; k < n; k++) sum += exp((double)logits[k] - top);
    const double lse = top + log(sum);
    for (int32_t k = 0; k < n; k++) out[k] = (float)((double)logits[k] - lse);
    return isfinite(lse);
}

/* Of tag k for a word. One that nothing is known of goes on with an entity sooner than it begins another. */
static double score_of(const ft_tag_rules *r, const float *x, int32_t k)
{
    if (x[0] != FT_TAG_UNSEEN) return (double)x[k];
    return r->kind[k] == FT_TAG_BEGIN || r->kind[k] == FT_TAG_SINGLE ? -1e-9 : 0.0;
}

void ft_tag_viterbi(const ft_tag_rules *r, const float *x, int32_t n, double *work, int32_t *back, int32_t *path)
{
    const int32_t C = r->n;
    double *old = work, *now = work + C;

    if (n == 0) return;
    for (int32_t k = 0; k < C; k++) old[k] = r->start[k] ? score_of(r, x, k) : -INFINITY;
    for (int32_t i = 1; i < n; i++) {
        const float *row = x + (int64_t)i * C;
        for (int32_t b = 0; b < C; b++) {
            int32_t best = 0;
            double most = -INFINITY;
            for (int32_t a = 0; a < C; a++)
                if (r->follow[a * C + b] && old[a] > most) most = old[a], best = a;
            now[b] = most + score_of(r, row, b);
            back[(int64_t)i * C + b] = best;
        }
        double *spare = old;
        old = now;
        now = spare;
    }
    int32_t last = 0;
    double most = -INFINITY;
    for (int32_t k = 0; k < C; k++)
        if (r->stop[k] && old[k] > most) most = old[k], last = k;
    for (int32_t i = n - 1; i >= 0; i--) {
        path[i] = last;
        last = i ? back[(int64_t)i * C + last] : last;
    }
}

/* Whether tag b is of the same entity as tag a before it. */
static int goes_on(const ft_tag_rules *r, int32_t a, int32_t b)
{
    const int open = r->kind[a] == FT_TAG_BEGIN || r->kind[a] == FT_TAG_INSIDE;
    return open && (r->kind[b] == FT_TAG_INSIDE || r->kind[b] == FT_TAG_END) && r->type[a] == r->type[b];
}

int ft_tag_next_span(const ft_tag_rules *r, const float *x, const int32_t *path, int32_t n, int32_t *at,
                     ft_tag_span *out)
{
    int32_t i = *at, seen = 0;
    double sum = 0.0;

    while (i < n && r->kind[path[i]] == FT_TAG_OUTSIDE) i++;
    *at = i;
    if (i >= n) return 0;
    out->first = i;
    out->type = r->type[path[i]];
    do {
        const float *row = x + (int64_t)i * r->n;
        if (row[0] != FT_TAG_UNSEEN) {
            sum += exp((double)row[path[i]]);
            seen++;
        }
        i++;
    } while (i < n && goes_on(r, path[i - 1], path[i]));
    out->last = i - 1;
    out->score = seen ? sum / seen : 1.0;
    *at = i;
    return 1;
}
