/* runtime/data/minhash.c - shingles, signatures, bands, and groups by union of near pairs.
 *
 * Texts that fall into one bucket of a band are compared with its first and with the one before, not all with all: a
 * thousand copies of one text cost a thousand comparisons.
 */
#include "data/minhash.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define SHINGLE 5
#define BANDS 24
#define ROWS 4 /* hashes of a band */
#define HASHES (BANDS * ROWS)

/* Sorted, without repeats. */
typedef struct set {
    uint32_t *at;
    size_t n;
} set;

static uint64_t mix(uint64_t x) /* the finaliser of SplitMix64 */
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static int in_word(unsigned char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c >= 0x80; }

/* Small letters, single spaces; returns the length. out has room for n bytes. */
static size_t normalise(const char *text, size_t n, unsigned char *out)
{
    size_t k = 0;
    int gap = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 'A' && c <= 'Z') c = (unsigned char)(c - 'A' + 'a');
        if (!in_word(c)) {
            gap = k > 0;
            continue;
        }
        if (gap) out[k++] = ' ';
        gap = 0;
        out[k++] = c;
    }
    return k;
}

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t hash_of(const unsigned char *p, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) h = h * 0x100000001b3u + p[i];
    return (uint32_t)(mix(h) >> 32);
}

static ft_status make_set(set *s, const char *text, size_t n, ft_err *e)
{
    unsigned char *plain = ft_malloc(n + 1);
    if (!plain) return ft_fail_mem(e, n + 1);
    const size_t len = normalise(text, n, plain), count = len > SHINGLE ? len - SHINGLE + 1 : 1;

    s->n = 0;
    s->at = ft_malloc(count * sizeof *s->at);
    if (!s->at) {
        ft_free(plain);
        return ft_fail_mem(e, count * sizeof *s->at);
    }
    for (size_t i = 0; i < count; i++) s->at[i] = hash_of(plain + i, len < SHINGLE ? len : SHINGLE);
    ft_free(plain);
    qsort(s->at, count, sizeof *s->at, by_value);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || s->at[i] != s->at[i - 1]) s->at[s->n++] = s->at[i];
    return FT_OK;
}

static double jaccard(const set *a, const set *b)
{
    size_t i = 0, k = 0, both = 0;

    while (i < a->n && k < b->n) {
        if (a->at[i] == b->at[k]) both++;
        if (a->at[i] <= b->at[k]) {
            if (a->at[i] == b->at[k]) k++;
            i++;
        } else {
            k++;
        }
    }
    return (double)both / (double)(a->n + b->n - both);
}

static void sign(const set *s, uint32_t signature[HASHES])
{
    for (uint64_t p = 0; p < HASHES; p++) {
        const uint64_t a = mix(2 * p + 1) | 1, b = mix(2 * p + 2);
        uint32_t least = UINT32_MAX;
        for (size_t i = 0; i < s->n; i++) {
            const uint32_t h = (uint32_t)((a * s->at[i] + b) >> 32);
            if (h < least) least = h;
        }
        signature[p] = least;
    }
}

/* ==== Groups ==== */

static int32_t find(int32_t *group, int32_t i)
{
    while (group[i] != i) {
        group[i] = group[group[i]];
        i = group[i];
    }
    return i;
}

static void join(int32_t *group, int32_t a, int32_t b)
{
    a = find(group, a);
    b = find(group, b);
    if (a < b)
        group[b] = a;
    else
        group[a] = b;
}

typedef struct entry {
    uint64_t bucket;
    int32_t text;
} entry;

static int by_bucket(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->bucket != y->bucket) return x->bucket < y->bucket ? -1 : 1;
    return (x->text > y->text) - (x->text < y->text);
}

static void compare(const set *sets, int32_t a, int32_t b, double least, int32_t *group)
{
    if (find(group, a) != find(group, b) && jaccard(&sets[a], &sets[b]) >= least) join(group, a, b);
}

static void take_band(const set *sets, const uint32_t *signatures, int band, int32_t n, double least, entry *entries,
                      int32_t *group)
{
    for (int32_t i = 0; i < n; i++) {
        uint64_t h = (uint64_t)band;
        for (int r = 0; r < ROWS; r++) h = mix(h ^ signatures[(size_t)i * HASHES + (size_t)(band * ROWS + r)]);
        entries[i] = (entry){ h, i };
    }
    qsort(entries, (size_t)n, sizeof *entries, by_bucket);
    for (int32_t i = 1, first = 0; i < n; i++) {
        if (entries[i].bucket != entries[first].bucket) {
            first = i;
            continue;
        }
        compare(sets, entries[first].text, entries[i].text, least, group);
        compare(sets, entries[i - 1].text, entries[i].text, least, group);
    }
}

ft_status ft_near_groups(const char *const *texts, const size_t *lengths, int32_t n, double least, int32_t *group,
                         ft_err *e)
{
    ft_status s = FT_OK;
    const size_t count = n > 0 ? (size_t)n : 1;
    set *sets = ft_calloc(count, sizeof *sets);
    uint32_t *signatures = ft_malloc(count * HASHES * sizeof *signatures);
    entry *entries = ft_malloc(count * sizeof *entries);

    if (!sets || !signatures || !entries) s = ft_fail_mem(e, count * HASHES * sizeof *signatures);
    for (int32_t i = 0; i < n && !s; i++) {
        group[i] = i;
        s = make_set(&sets[i], texts[i], lengths[i], e);
        if (!s) sign(&sets[i], signatures + (size_t)i * HASHES);
    }
    for (int band = 0; band < BANDS && !s; band++) take_band(sets, signatures, band, n, least, entries, group);
    for (int32_t i = 0; i < n && !s; i++) group[i] = find(group, i);
    for (int32_t i = 0; i < n && sets; i++) ft_free(sets[i].at);
    ft_free(sets);
    ft_free(signatures);
    ft_free(entries);
    return s;
}

ft_status ft_near_similarity(const char *a, size_t a_len, const char *b, size_t b_len, double *similarity, ft_err *e)
{
    set x = { 0 }, y = { 0 };
    ft_status s = make_set(&x, a, a_len, e);

    if (!s) s = make_set(&y, b, b_len, e);
    if (!s) *similarity = jaccard(&x, &y);
    ft_free(x.at);
    ft_free(y.at);
    return s;
}
