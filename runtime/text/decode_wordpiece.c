/* runtime/text/decode_wordpiece.c - WordPiece: blanks between words, none before "##" parts.
 *
 * Clean-up works on one token at a time, as in the reference: the blank before "." goes, but " do" followed by " not" stays
 * as it is.
 */
#include <string.h>

#include "core/mem.h"
#include "text/json_get.h"
#include "text/part.h"

static const struct rule {
    const char *from, *to;
} rules[] = {
    { " .", "." },   { " ?", "?" },           { " !", "!" },   { " ,", "," },     { " ' ", "'" },    { " n't", "n't" },
    { " 'm", "'m" }, { " do not", " don't" }, { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" },
};

typedef struct wordpiece {
    bool cleanup;
    char *prefix;
    size_t prefix_len;
} wordpiece;

static void wordpiece_free(void *self)
{
    wordpiece *w = self;

    if (w) ft_free(w->prefix);
    ft_free(w);
}

static ft_status wordpiece_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    const char *prefix;
    wordpiece *w = *out = ft_calloc(1, sizeof *w);

    if (!w) return ft_fail_mem(e, sizeof *w);
    ft_status s = ft_json_flag(&w->cleanup, o, "cleanup", where, e);
    if (!s) s = ft_json_text(&prefix, &w->prefix_len, o, "prefix", where, e);
    if (s) return s;
    w->prefix = ft_strndup(prefix, w->prefix_len);
    return w->prefix ? FT_OK : ft_fail_mem(e, w->prefix_len);
}

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

static ft_status put_token(const wordpiece *w, ft_buf *b, const char *s, size_t n, bool first, ft_err *e)
{
    const size_t start = b->len;
    const bool inside = !first && n >= w->prefix_len && !memcmp(s, w->prefix, w->prefix_len);
    ft_status status = inside || first ? FT_OK : ft_buf_putc(b, ' ', e);

    if (!status) status = ft_buf_add(b, s + (inside ? w->prefix_len : 0), n - (inside ? w->prefix_len : 0), e);
    for (size_t i = 0; !status && w->cleanup && i < sizeof rules / sizeof *rules; i++) replace(b, start, &rules[i]);
    return status;
}

static ft_status wordpiece_decode(const void *self, const ft_strings *in, ft_strings *out, ft_err *e)
{
    ft_status s = FT_OK;

    ft_strings_clear(out);
    for (size_t i = 0; i < in->n && !s; i++) {
        size_t n;
        const char *token = ft_strings_get(in, i, &n);
        s = ft_strings_begin(out, e);
        if (!s) s = put_token(self, &out->bytes, token, n, i == 0, e);
        if (!s) out->at[out->n] = out->bytes.len;
    }
    return s;
}

const ft_part_kind ft_decode_wordpiece = {
    .type = "WordPiece",
    .load = wordpiece_load,
    .free = wordpiece_free,
    .decode = wordpiece_decode,
};
