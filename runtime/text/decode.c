/* runtime/text/decode.c - ids back to text: the tokens, the decoder's steps, all joined. */
#include <string.h>

#include "core/mem.h"
#include "text/tok_internal.h"

/* The token of an id for decoding: normalised added tokens in their normalised form. NULL: none, or to be skipped. */
static const char *token_text(const ft_tokenizer *t, int32_t id, bool skip_special, size_t *len)
{
    const ft_added_token *a = ft_added_of(&t->added, id);
    const char *s = a ? a->pattern : ft_vocab_token_of(t->vocab, id, len);

    if (a) *len = a->pattern_len;
    if (!s || !skip_special) return s;
    a = ft_added_find(&t->added, s, *len);
    return a && a->special ? NULL : s;
}

static ft_status collect(const ft_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, ft_strings *out,
                         ft_err *e)
{
    ft_status s = FT_OK;

    for (size_t i = 0; i < n && !s; i++) {
        size_t len;
        const char *text = token_text(t, ids[i], skip_special, &len);
        if (text) s = ft_strings_add(out, text, len, e);
    }
    return s;
}

/* Without a decoder blanks stand between tokens. */
static ft_status join(const ft_strings *in, const char *between, ft_buf *out, ft_err *e)
{
    ft_status s = ft_buf_add(out, "", 0, e);

    for (size_t i = 0; i < in->n && !s; i++) {
        size_t n;
        const char *text = ft_strings_get(in, i, &n);
        if (i) s = ft_buf_puts(out, between, e);
        if (!s) s = ft_buf_add(out, text, n, e);
    }
    return s;
}

ft_status ft_tokenizer_decode(const ft_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, ft_buf *out,
                              ft_err *e)
{
    ft_strings a = { 0 }, b = { 0 };
    ft_status s = collect(t, ids, n, skip_special, &a, e);

    for (size_t i = 0; i < t->decoder.n && !s; i++) {
        s = t->decoder.at[i].kind->decode(t->decoder.at[i].self, &a, &b, e);
        const ft_strings old = a;
        a = b;
        b = old;
    }
    if (!s) s = join(&a, t->decoder.n ? "" : " ", out, e);
    ft_strings_free(&a);
    ft_strings_free(&b);
    return s;
}
