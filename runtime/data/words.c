/* runtime/data/words.c - words paired by their number. */
#include "data/words.h"

#include <string.h>

#include "core/mem.h"

struct ft_aligner {
    ft_word_kinds kinds[2];
};

ft_status ft_aligner_new(ft_aligner **out, const ft_tokenizer *a, const ft_tokenizer *b, ft_err *e)
{
    ft_aligner *m = ft_calloc(1, sizeof *m);

    *out = NULL;
    if (!m) return ft_fail_mem(e, sizeof *m);
    ft_status s = ft_word_kinds_of(&m->kinds[0], a, e);
    if (!s) s = ft_word_kinds_of(&m->kinds[1], b, e);
    if (!s && m->kinds[0].rule != m->kinds[1].rule)
        s = ft_fail(e, FT_EUSAGE, "the two tokenisers cut texts into words in different ways");
    if (s)
        ft_aligner_free(m);
    else
        *out = m;
    return s;
}

void ft_aligner_free(ft_aligner *m)
{
    if (!m) return;
    ft_word_kinds_free(&m->kinds[0]);
    ft_word_kinds_free(&m->kinds[1]);
    ft_free(m);
}

/* The next place from `at` on where a word begins; n if there is none, -1 for an id that is none of the tokeniser's. */
static int64_t next_word(const ft_word_kinds *k, const int32_t *ids, int64_t at, int64_t n)
{
    for (; at < n; at++) {
        if (ids[at] < 0 || ids[at] >= k->vocab) return -1;
        if (ft_word_begins(k, ids, at)) break;
    }
    return at;
}

/* Words of a pair of rows; with `places`, their places counted from the rows' beginnings. -1 as above. */
static int64_t pair_words(const ft_aligner *m, const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b,
                          int32_t *places_a, int32_t *places_b)
{
    int64_t count = 0;

    for (int64_t i = 0, j = 0;; i++, j++) {
        i = next_word(&m->kinds[0], a, i, n_a);
        j = next_word(&m->kinds[1], b, j, n_b);
        if (i < 0 || j < 0) return -1;
        if (i == n_a || j == n_b) return count;
        if (places_a) {
            places_a[count] = (int32_t)i;
            places_b[count] = (int32_t)j;
        }
        count++;
    }
}

static ft_status unknown_id(ft_err *e) { return ft_fail(e, FT_EDATA, "a token id is none of its tokeniser's"); }

ft_status ft_align_count(const ft_aligner *m, const ft_tokens *a, const ft_tokens *b, const int32_t *index, int32_t n,
                         int64_t *count, ft_err *e)
{
    *count = 0;
    for (int32_t k = 0; k < n; k++) {
        const int32_t i = index[k];
        if (i < 0 || i >= a->n || i >= b->n)
            return ft_fail(e, FT_EUSAGE, "example %d: one side has %lld, the other %lld", i, (long long)a->n,
                           (long long)b->n);
        const int64_t got = pair_words(m, a->ids + a->offset[i], a->offset[i + 1] - a->offset[i], b->ids + b->offset[i],
                                       b->offset[i + 1] - b->offset[i], NULL, NULL);
        if (got < 0) return unknown_id(e);
        *count += got;
    }
    return FT_OK;
}

static int64_t pair_rows(const ft_aligner *m, const int32_t *a, const ft_ragged *rows_a, const int32_t *b,
                         const ft_ragged *rows_b, int32_t *places_a, int32_t *places_b)
{
    int64_t total = 0;

    for (int32_t r = 0; r < rows_a->n_rows; r++) {
        const int32_t at_a = rows_a->offsets[r], at_b = rows_b->offsets[r];
        const int64_t got = pair_words(m, a + at_a, rows_a->offsets[r + 1] - at_a, b + at_b,
                                       rows_b->offsets[r + 1] - at_b, places_a + total, places_b + total);
        if (got < 0) return -1;
        for (int64_t k = total; k < total + got; k++) {
            places_a[k] += at_a;
            places_b[k] += at_b;
        }
        total += got;
    }
    return total;
}

ft_status ft_align_batch(const ft_aligner *m, const ft_tensor *ids_a, const ft_ragged *rows_a, const ft_tensor *ids_b,
                         const ft_ragged *rows_b, ft_tensor **places_a, ft_tensor **places_b, ft_err *e)
{
    const int64_t T = rows_a->n_tokens;

    *places_a = *places_b = NULL;
    if (rows_a->n_rows != rows_b->n_rows || ids_a->dtype != FT_I32 || ids_b->dtype != FT_I32 ||
        ft_shape_count(&ids_a->shape) != T || ft_shape_count(&ids_b->shape) != rows_b->n_tokens)
        return ft_fail(e, FT_ESHAPE, "aligning words: batches of %d and %d rows", rows_a->n_rows, rows_b->n_rows);
    int32_t *scratch = ft_malloc((size_t)(T ? T : 1) * 2 * sizeof *scratch);
    if (!scratch) return ft_fail_mem(e, (size_t)T * 2 * sizeof *scratch);
    const int64_t n = pair_rows(m, ids_a->data, rows_a, ids_b->data, rows_b, scratch, scratch + T);
    const ft_shape shape = ft_shape_of(1, n < 0 ? 0 : n, 0, 0, 0);
    ft_status s = n < 0 ? unknown_id(e) : ft_tensor_new(places_a, FT_I32, &shape, e);
    if (!s) s = ft_tensor_new(places_b, FT_I32, &shape, e);
    if (!s && n) {
        memcpy((*places_a)->data, scratch, (size_t)n * sizeof *scratch);
        memcpy((*places_b)->data, scratch + T, (size_t)n * sizeof *scratch);
    }
    if (s) ft_tensor_release(*places_a);
    if (s) *places_a = NULL;
    ft_free(scratch);
    return s;
}
