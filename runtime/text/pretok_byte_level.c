/* runtime/text/pretok_byte_level.c - ByteLevel: GPT-2's words, their bytes written as characters (byte_char.h).
 *
 * All in one pass, from the text into a new one. As the normaliser of that name it only writes the bytes.
 */
#include "core/mem.h"
#include "text/byte_char.h"
#include "text/gpt2_words.h"
#include "text/json_get.h"
#include "text/part.h"

typedef struct byte_level {
    bool prefix, regex;
} byte_level;

static ft_status byte_level_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    byte_level *b = *out = ft_calloc(1, sizeof *b);

    if (!b) return ft_fail_mem(e, sizeof *b);
    b->regex = true;
    ft_status s = ft_json_flag(&b->prefix, o, "add_prefix_space", where, e);
    if (!s && json_object_get(o, "use_regex")) s = ft_json_flag(&b->regex, o, "use_regex", where, e);
    return s;
}

/* Append bytes as characters; there is room. */
static void write_bytes(ft_normal *out, const char *s, const ft_span *from, size_t n)
{
    const ft_byte_char *table = ft_byte_chars();
    char *text = out->text;
    size_t to = out->n;

    for (size_t i = 0; i < n; i++) {
        const ft_byte_char *c = &table[(unsigned char)s[i]];
        text[to] = c->utf8[0];
        out->from[to++] = from[i];
        if (c->len == 1) continue;
        text[to] = c->utf8[1];
        out->from[to++] = from[i];
    }
    out->n = to;
}

static ft_status cut_part(const byte_level *b, ft_chunks *x, const ft_chunk *p, ft_err *e)
{
    const char *s = x->normal.text + p->begin;
    const ft_span *from = x->normal.from + p->begin;
    const size_t n = p->end - p->begin;
    bool blank = b->prefix && s[0] != ' ';
    ft_status status = FT_OK;

    for (size_t at = 0; at < n && !status;) {
        const size_t begin = x->spare.n;
        size_t len = n - at;
        if (b->regex) len = blank ? ft_gpt2_word_behind_blank(s, n) : ft_gpt2_word(s + at, n - at);
        if (blank) write_bytes(&x->spare, " ", from, 1);
        write_bytes(&x->spare, s + at, from + at, len);
        status = ft_chunks_add_text(x, begin, x->spare.n, e);
        at += len;
        blank = false;
    }
    return status;
}

static ft_status byte_level_cut(const void *self, ft_chunks *x, ft_err *e)
{
    x->spare.n = x->n_next = 0;
    ft_status s = ft_normal_reserve(&x->spare, 2 * (x->normal.n + x->n), e);
    for (size_t i = 0; i < x->n && !s; i++) {
        const ft_chunk p = x->at[i];
        s = p.token ? ft_chunks_add(x, &p, e) : cut_part(self, x, &p, e);
    }
    if (s) return s;
    ft_chunks_swap_parts(x);
    ft_chunks_swap_text(x);
    return FT_OK;
}

static ft_status byte_level_normalise(const void *self, const ft_normal *in, ft_normal *out, ft_err *e)
{
    (void)self;
    out->n = 0;
    const ft_status s = ft_normal_reserve(out, 2 * in->n, e);
    if (!s) write_bytes(out, in->text, in->from, in->n);
    return s;
}

const ft_part_kind ft_pretok_byte_level = { .type = "ByteLevel", .load = byte_level_load, .cut = byte_level_cut };
const ft_part_kind ft_norm_byte_level = { .type = "ByteLevel", .normalise = byte_level_normalise };
