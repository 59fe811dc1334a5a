/* runtime/text/tokenizer.c - life, vocabulary, encoding of one text and of many.
 *
 * Scratch memory belongs to the tokenizer, not to threads: a call takes a set and puts
 * it back, so there are as many sets as there were calls at once.
 */
#include "text/tokenizer.h"

#include <string.h>

#include "core/mem.h"
#include "text/encoding.h"

/* ==== Life ==== */

ft_tokenizer *ft_tokenizer_retain(ft_tokenizer *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void ft_tokenizer_release(ft_tokenizer *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) > 1) return;
    while (t->idle) {
        ft_scratch *next = t->idle->next;
        ft_scratch_free(t->idle);
        t->idle = next;
    }
    pthread_mutex_destroy(&t->lock);
    for (int i = 0; i < FT_TOKENIZER_FILES; i++) ft_buf_free(&t->files[i]);
    ft_free(t->blanks);
    ft_parts_free(&t->norm);
    ft_parts_free(&t->pretok);
    ft_parts_free(&t->decoder);
    ft_post_free(&t->post);
    ft_added_free(&t->added);
    if (t->kind) t->kind->free(t->model);
    ft_free(t);
}

/* ==== Vocabulary ==== */

int32_t ft_tokenizer_vocab_size(const ft_tokenizer *t)
{
    int32_t n = t->vocab->ids;

    for (size_t i = 0; i < t->added.n; i++)
        if (t->added.tokens[i].id >= n) n = t->added.tokens[i].id + 1;
    return n;
}

int32_t ft_tokenizer_id(const ft_tokenizer *t, const char *token, size_t len)
{
    const ft_added_token *added = ft_added_find(&t->added, token, len);
    return added ? added->id : ft_vocab_id(t->vocab, token, len);
}

const char *ft_tokenizer_token(const ft_tokenizer *t, int32_t id, size_t *len)
{
    const ft_added_token *added = ft_added_of(&t->added, id);

    if (!added) return ft_vocab_token_of(t->vocab, id, len);
    *len = added->content_len;
    return added->content;
}

int32_t ft_tokenizer_special(const ft_tokenizer *t, ft_special which)
{
    return which >= FT_PAD && which < FT_SPECIALS ? t->special[which] : -1;
}

/* ==== Encoding ==== */

/* The idle list is the one part of a tokenizer that changes after loading; `lock` guards it. */
static ft_scratch *take_scratch(const ft_tokenizer *shared)
{
    ft_tokenizer *t = (ft_tokenizer *)(uintptr_t)shared;

    pthread_mutex_lock(&t->lock);
    ft_scratch *x = t->idle;
    if (x) t->idle = x->next;
    pthread_mutex_unlock(&t->lock);
    return x ? x : ft_calloc(1, sizeof *x);
}

static void put_scratch(const ft_tokenizer *shared, ft_scratch *x)
{
    ft_tokenizer *t = (ft_tokenizer *)(uintptr_t)shared;

    pthread_mutex_lock(&t->lock);
    x->next = t->idle;
    t->idle = x;
    pthread_mutex_unlock(&t->lock);
}

static ft_status encode(const ft_tokenizer *t, ft_text text, ft_text pair, const ft_encode_opts *opts, ft_scratch *x,
                        ft_encoding *out, ft_err *e)
{
    const bool two = pair.data != NULL;
    ft_raw *raw = x->raw;

    ft_encoding_clear(out);
    raw[1].n = 0;
    ft_status s = ft_tokenizer_raw(t, text.data, text.len, x, &raw[0], e);
    if (!s && two) {
        s = ft_tokenizer_raw(t, pair.data, pair.len, x, &raw[1], e);
        if (s) ft_context(e, "second text");
    }
    if (!s) s = ft_encoding_compose(out, &t->post, raw, two, opts, e);
    if (s) ft_encoding_clear(out);
    return s;
}

ft_status ft_tokenizer_encode(const ft_tokenizer *t, const char *text, size_t len, const char *pair, size_t pair_len,
                              const ft_encode_opts *opts, ft_encoding *out, ft_err *e)
{
    ft_encoding_clear(out);
    ft_scratch *x = take_scratch(t);
    if (!x) return ft_fail_mem(e, sizeof *x);
    const ft_status s = encode(t, (ft_text){ text, len }, (ft_text){ pair, pair_len }, opts, x, out, e);
    put_scratch(t, x);
    return s;
}

/* Keep the error of the smallest index. */
static void keep_first(size_t *bad, size_t i, ft_err *kept, const ft_err *found)
{
    if (i >= *bad) return;
    *bad = i;
    *kept = *found;
}

ft_status ft_tokenizer_encode_batch(const ft_tokenizer *t, const ft_text *texts, const ft_text *pairs, size_t n,
                                    const ft_encode_opts *opts, ft_encoding *out, ft_err *e)
{
    const ft_text none = { NULL, 0 };
    size_t bad = SIZE_MAX;
    ft_err first = { FT_OK, "" };

#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 16) if (n > 32)
#endif
    for (size_t i = 0; i < n; i++) {
        ft_err mine;
        const ft_text pair = pairs ? pairs[i] : none;
        if (!ft_tokenizer_encode(t, texts[i].data, texts[i].len, pair.data, pair.len, opts, &out[i], &mine)) continue;
#ifdef _OPENMP
#pragma omp critical(ft_tokenizer_batch)
#endif
        keep_first(&bad, i, &first, &mine);
    }
    if (bad == SIZE_MAX) return FT_OK;
    for (size_t i = 0; i < n; i++) ft_encoding_clear(&out[i]);
    ft_context(&first, "text %zu", bad);
    return ft_fail(e, first.code, "%s", first.msg);
}
