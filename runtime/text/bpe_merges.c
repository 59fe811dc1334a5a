/* runtime/text/bpe_merges.c - the table of merges. */
#include "text/bpe_merges.h"

#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"

void ft_bpe_merges_free(ft_bpe_merges *m)
{
    ft_free(m->slots);
    memset(m, 0, sizeof *m);
}

static ft_status start(ft_bpe_merges *m, size_t n, ft_err *e)
{
    size_t slots = 16;

    while (slots < 2 * n) slots *= 2;
    m->slots = ft_malloc(slots * sizeof *m->slots);
    if (!m->slots) return ft_fail_mem(e, slots * sizeof *m->slots);
    memset(m->slots, 0xFF, slots * sizeof *m->slots);
    m->mask = slots - 1;
    return FT_OK;
}

static void put(ft_bpe_merges *m, ft_bpe_merge merge)
{
    uint64_t h = ((uint64_t)(uint32_t)merge.left << 32 | (uint32_t)merge.right) * 0x9E3779B97F4A7C15u;

    for (h ^= h >> 32;; h++) {
        ft_bpe_merge *s = &m->slots[h & m->mask];
        if (s->left >= 0 && (s->left != merge.left || s->right != merge.right)) continue;
        m->n += s->left < 0;
        *s = merge;
        return;
    }
}

typedef struct text {
    const char *s;
    size_t n;
} text;

static bool two_texts(const json_t *o, text out[2])
{
    if (json_is_array(o)) {
        if (json_array_size(o) != 2) return false;
        for (size_t i = 0; i < 2; i++) {
            const json_t *v = json_array_get(o, i);
            if (!json_is_string(v)) return false;
            out[i] = (text){ json_string_value(v), json_string_length(v) };
        }
        return true;
    }
    const char *s = json_string_value(o), *blank = s ? strchr(s, ' ') : NULL;
    if (!blank || strchr(blank + 1, ' ')) return false;
    out[0] = (text){ s, (size_t)(blank - s) };
    out[1] = (text){ blank + 1, strlen(blank + 1) };
    return true;
}

static ft_status no_token(const text *t, ft_err *e)
{
    return ft_fail(e, FT_EDATA, "the vocabulary does not have \"%.*s\"", (int)(t->n < 80 ? t->n : 80), t->s);
}

static ft_status read_merge(ft_bpe_merges *m, const ft_vocab *v, size_t prefix_len, const json_t *o, uint32_t rank,
                            ft_err *e)
{
    text t[2];
    char whole[2 * FT_VOCAB_MAX_BYTES];
    ft_bpe_merge merge = { .rank = rank };

    if (!two_texts(o, t)) return ft_fail(e, FT_EDATA, "want two tokens with one blank between them");
    merge.left = ft_vocab_id(v, t[0].s, t[0].n);
    merge.right = ft_vocab_id(v, t[1].s, t[1].n);
    if (merge.left < 0 || merge.right < 0) return no_token(&t[merge.left < 0 ? 0 : 1], e);
    const size_t skip = prefix_len < t[1].n ? prefix_len : t[1].n;
    if (t[0].n) memcpy(whole, t[0].s, t[0].n); /* tokens of the vocabulary: neither is too long */
    memcpy(whole + t[0].n, t[1].s + skip, t[1].n - skip);
    const text both = { whole, t[0].n + t[1].n - skip };
    merge.id = ft_vocab_id(v, both.s, both.n);
    if (merge.id < 0) return no_token(&both, e);
    put(m, merge);
    return FT_OK;
}

ft_status ft_bpe_merges_read(ft_bpe_merges *m, const ft_vocab *v, size_t prefix_len, const json_t *model, ft_err *e)
{
    json_t *list, *o;
    size_t i;
    uint32_t rank = 0;
    ft_status s = ft_json_member(&list, model, "merges", JSON_ARRAY, "model", e);

    if (!s) s = start(m, json_array_size(list), e);
    if (s) return s;
    json_array_foreach (list, i, o) {
        if (json_is_string(o) && !strncmp(json_string_value(o), "#version", 8)) continue;
        s = read_merge(m, v, prefix_len, o, rank++, e);
        if (s) return ft_context(e, "model.merges[%zu]", i);
    }
    return FT_OK;
}
