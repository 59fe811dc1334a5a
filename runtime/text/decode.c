/* runtime/text/decode.c - ids back to text.
 *
 * Clean-up works on one token at a time, as in the reference: the blank before "." goes,
 * but " do" followed by " not" stays as it is.
 */
#include <string.h>

#include "core/mem.h"
#include "text/tok_internal.h"

static const struct rule {
    const char *from, *to;
} rules[] = {
    { " .", "." },   { " ?", "?" },           { " !", "!" },   { " ,", "," },     { " ' ", "'" },    { " n't", "n't" },
    { " 'm", "'m" }, { " do not", " don't" }, { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" },
};

/* Replace every `from` in b, from `start` on; `to` is not longer. */
static void replace(ft_buf *b, size_t start, const struct rule *r)
{
    const size_t from = strlen(r->from), to = strlen(r->to);
    size_t read = start, write = start;

    while (read < b->len) {
        if (b->len - read >= from && !memcmp(b->data + read, r->from, from)) {
            memcpy(b->data + write, r->to, to);
            read += from;
            write += to;
        } else {
            b->data[write++] = b->data[read++];
        }
    }
    b->len = write;
    b->data[write] = '\0';
}

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

static ft_status add_token(const ft_tokenizer *t, const char *s, size_t len, bool first, ft_buf *out, ft_err *e)
{
    const size_t start = out->len, skip = t->decoder.prefix_len;
    const bool inside = t->decoder.wordpiece && !first && len >= skip && !memcmp(s, t->decoder.prefix, skip);
    ft_status status = FT_OK;

    if (inside) {
        s += skip;
        len -= skip;
    } else if (!first) {
        status = ft_buf_putc(out, ' ', e);
    }
    if (!status) status = ft_buf_add(out, s, len, e);
    if (status || !t->decoder.cleanup) return status;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) replace(out, start, &rules[i]);
    return FT_OK;
}

ft_status ft_tokenizer_decode(const ft_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, ft_buf *out,
                              ft_err *e)
{
    bool first = true;
    ft_status s = ft_buf_add(out, "", 0, e);

    for (size_t i = 0; i < n && !s; i++) {
        size_t len;
        const char *text = token_text(t, ids[i], skip_special, &len);
        if (!text) continue;
        s = add_token(t, text, len, first, out, e);
        first = false;
    }
    return s;
}
