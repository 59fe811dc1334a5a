/* runtime/data/mask.c - draws for masked language modelling. */
#include "data/mask.h"

#include <string.h>

#include "core/mem.h"
#include "core/rng.h"
#include "text/word_rule.h"

struct ft_masker {
    ft_rng_key key;
    uint64_t below; /* a draw below this chooses */
    bool whole_word;
    int32_t mask, n_random;
    ft_word_kinds kinds;
    int32_t *random; /* (n_random) ids that may stand in for another */
};

static bool ordinary(const ft_masker *m, int32_t id)
{
    return m->kinds.role[id] == FT_BEGINS_WORD || m->kinds.role[id] == FT_CONTINUES_WORD;
}

ft_status ft_masker_new(ft_masker **out, const ft_tokenizer *t, const ft_mask_opts *opts, ft_err *e)
{
    const int32_t mask = ft_tokenizer_special(t, FT_MASK);

    *out = NULL;
    if (!(opts->rate > 0 && opts->rate <= 1))
        return ft_fail(e, FT_EUSAGE, "the share of masked tokens must lie between 0 and 1, got %g", opts->rate);
    if (mask < 0) return ft_fail(e, FT_EUSAGE, "the tokeniser has no mask token ([MASK] or <mask>)");
    ft_masker *m = ft_calloc(1, sizeof *m);
    if (!m) return ft_fail_mem(e, sizeof *m);
    m->key = ft_rng_site(opts->seed, "masked_lm");
    m->below = (uint64_t)(opts->rate * 4294967296.0);
    m->whole_word = opts->whole_word;
    m->mask = mask;
    ft_status s = ft_word_kinds_of(&m->kinds, t, e);
    if (!s) m->random = ft_malloc((size_t)m->kinds.vocab * sizeof *m->random);
    if (!s && !m->random) s = ft_fail_mem(e, (size_t)m->kinds.vocab * sizeof *m->random);
    for (int32_t id = 0; id < m->kinds.vocab && !s; id++)
        if (ordinary(m, id)) m->random[m->n_random++] = id;
    if (!s && !m->n_random) s = ft_fail(e, FT_EUSAGE, "the tokeniser has no ordinary token");
    if (s)
        ft_masker_free(m);
    else
        *out = m;
    return s;
}

void ft_masker_free(ft_masker *m)
{
    if (!m) return;
    ft_word_kinds_free(&m->kinds);
    ft_free(m->random);
    ft_free(m);
}

static void draw(const ft_masker *m, uint32_t place, uint32_t example, uint32_t epoch, uint32_t out[4])
{
    const uint32_t counter[4] = { place, example, epoch, 0 };
    ft_rng_block(m->key, counter, out);
}

/* What stands in for `id` once it is chosen; w[1] and w[2] of its own draw decide. */
static int32_t replacement(const ft_masker *m, int32_t id, const uint32_t w[4])
{
    if (w[1] < 3435973837u) return m->mask; /* 0.8 of 2^32 */
    if (w[1] < 3865470566u)                 /* 0.9 */
        return m->random[((uint64_t)w[2] * (uint64_t)m->n_random) >> 32];
    return id;
}

/* The chosen places of one row into place[], which has room for n, and what then stands there into becomes[]. */
static int32_t choose(const ft_masker *m, const int32_t *ids, int32_t n, uint32_t example, uint32_t epoch,
                      int32_t *place, int32_t *becomes)
{
    int32_t count = 0;
    bool word = false; /* the word that goes on here was chosen */

    for (int32_t k = 0; k < n; k++) {
        uint32_t w[4];
        if (!ordinary(m, ids[k])) {
            word = false;
            continue;
        }
        draw(m, (uint32_t)k, example, epoch, w);
        const bool goes_on = m->whole_word && k > 0 && ordinary(m, ids[k - 1]) && !ft_word_begins(&m->kinds, ids, k);
        if (!goes_on) word = w[0] < m->below;
        if (!word) continue;
        place[count] = k;
        becomes[count++] = replacement(m, ids[k], w);
    }
    return count;
}

static ft_status check(const ft_masker *m, const int32_t *ids, int64_t n, ft_err *e)
{
    for (int64_t k = 0; k < n; k++)
        if (ids[k] < 0 || ids[k] >= m->kinds.vocab)
            return ft_fail(e, FT_EDATA, "token id %d is none of the tokeniser's %d", ids[k], m->kinds.vocab);
    return FT_OK;
}

ft_status ft_mask_count(const ft_masker *m, const ft_tokens *t, const int32_t *index, int32_t n, uint32_t epoch,
                        int64_t *count, ft_err *e)
{
    int32_t *place = NULL;
    int64_t cap = 0;
    ft_status s = FT_OK;

    *count = 0;
    for (int32_t i = 0; i < n && !s; i++) {
        if (index[i] < 0 || index[i] >= t->n) {
            s = ft_fail(e, FT_EUSAGE, "example %d is outside 0..%lld", index[i], (long long)t->n - 1);
            break;
        }
        const int64_t from = t->offset[index[i]], len = t->offset[index[i] + 1] - from;
        if (len > cap) {
            ft_free(place);
            cap = len;
            place = ft_malloc((size_t)cap * 2 * sizeof *place);
            if (!place) s = ft_fail_mem(e, (size_t)cap * 2 * sizeof *place);
        }
        if (!s) s = check(m, t->ids + from, len, e);
        if (!s) *count += choose(m, t->ids + from, (int32_t)len, (uint32_t)index[i], epoch, place, place + cap);
    }
    ft_free(place);
    return s;
}

/* Mask every row; places and what stands there now into the two halves of `out` (T each). Returns how many. */
static int32_t mask_rows(const ft_masker *m, int32_t *ids, const ft_ragged *rows, uint32_t epoch, int32_t *out)
{
    int32_t total = 0, *place = out, *label = out + rows->n_tokens;

    for (int32_t r = 0; r < rows->n_rows; r++) {
        const int32_t at = rows->offsets[r], n = rows->offsets[r + 1] - at;
        const int32_t got = choose(m, ids + at, n, (uint32_t)rows->example[r], epoch, place + total, label + total);
        for (int32_t k = total; k < total + got; k++) {
            const int32_t becomes = label[k];
            place[k] += at;
            label[k] = ids[place[k]];
            ids[place[k]] = becomes;
        }
        total += got;
    }
    return total;
}

ft_status ft_mask_apply(const ft_masker *m, ft_tensor *ids, const ft_ragged *rows, uint32_t epoch, ft_tensor **places,
                        ft_tensor **labels, ft_err *e)
{
    const int64_t T = ft_shape_count(&ids->shape);

    *places = *labels = NULL;
    if (ids->dtype != FT_I32 || T != rows->n_tokens)
        return ft_fail(e, FT_ESHAPE, "masking: %lld ids for %d tokens", (long long)T, rows->n_tokens);
    ft_status s = check(m, ids->data, T, e);
    if (s) return s;
    int32_t *scratch = ft_malloc((size_t)(T ? T : 1) * 2 * sizeof *scratch);
    if (!scratch) return ft_fail_mem(e, (size_t)T * 2 * sizeof *scratch);
    const int32_t n = mask_rows(m, ids->data, rows, epoch, scratch);
    const ft_shape shape = ft_shape_of(1, n, 0, 0, 0);
    s = ft_tensor_new(places, FT_I32, &shape, e);
    if (!s) s = ft_tensor_new(labels, FT_I32, &shape, e);
    if (!s && n) {
        memcpy((*places)->data, scratch, (size_t)n * sizeof *scratch);
        memcpy((*labels)->data, scratch + T, (size_t)n * sizeof *scratch);
    }
    if (s) ft_tensor_release(*places);
    if (s) *places = NULL;
    ft_free(scratch);
    return s;
}
