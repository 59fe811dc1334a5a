/* runtime/text/word_table.c - open addressing with linear probing, at most two thirds full. */
#include "text/word_table.h"

#include <string.h>

#include "core/mem.h"

static void place(ft_word_slot *slots, size_t mask, uint32_t tag, uint32_t word)
{
    size_t i = tag & mask;

    while (slots[i].word) i = (i + 1) & mask;
    slots[i] = (ft_word_slot){ tag, word };
}

static ft_status grow(ft_word_table *t, ft_err *e)
{
    const size_t size = t->slots ? (t->mask + 1) * 2 : 4096, cap = size / 3 * 2;

    if (size > UINT32_MAX) return ft_fail(e, FT_EDATA, "too many distinct words: %zu", t->n);
    ft_word *words = ft_realloc(t->words, cap * sizeof *words);
    if (!words) return ft_fail_mem(e, cap * sizeof *words);
    t->words = words;
    ft_word_slot *slots = ft_calloc(size, sizeof *slots);
    if (!slots) return ft_fail_mem(e, size * sizeof *slots);
    for (size_t i = 0; i < t->n; i++) place(slots, size - 1, words[i].hash, (uint32_t)i + 1);
    ft_free(t->slots);
    t->slots = slots;
    t->mask = size - 1;
    t->cap = cap;
    return FT_OK;
}

ft_status ft_word_table_add(ft_word_table *t, const char *word, size_t len, uint32_t hash, uint64_t count, ft_err *e)
{
    if (t->n == t->cap) {
        const ft_status s = grow(t, e);
        if (s) return s;
    }
    size_t i = hash & t->mask;
    for (; t->slots[i].word; i = (i + 1) & t->mask) {
        if (t->slots[i].tag != hash) continue;
        ft_word *w = &t->words[t->slots[i].word - 1];
        if (w->len != len || memcmp(t->bytes.data + w->at, word, len)) continue;
        w->count += count;
        return FT_OK;
    }
    const ft_status s = ft_buf_add(&t->bytes, word, len, e);
    if (s) return s;
    t->words[t->n++] = (ft_word){ t->bytes.len - len, count, (uint32_t)len, hash };
    t->slots[i] = (ft_word_slot){ hash, (uint32_t)t->n };
    return FT_OK;
}

ft_status ft_word_table_take(ft_word_table *t, ft_word_table *from, ft_err *e)
{
    for (size_t i = 0; i < from->n; i++) {
        const ft_word *w = &from->words[i];
        const ft_status s = ft_word_table_add(t, from->bytes.data + w->at, w->len, w->hash, w->count, e);
        if (s) return s;
    }
    ft_word_table_free(from);
    return FT_OK;
}

void ft_word_table_free(ft_word_table *t)
{
    ft_buf_free(&t->bytes);
    ft_free(t->words);
    ft_free(t->slots);
    memset(t, 0, sizeof *t);
}
