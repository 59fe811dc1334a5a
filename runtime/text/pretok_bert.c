/* runtime/text/pretok_bert.c - BertPreTokenizer: split at white space, which is dropped; every punctuation character is a
 * word. */
#include "text/pretok_bert.h"

#include "text/part.h"
#include "text/unicode.h"

int ft_bert_word(const char *s, size_t n, size_t *at, size_t *begin, size_t *end)
{
    size_t i = *at, used;
    unsigned class = FT_UC_SPACE;

    for (; i < n; i += used) {
        class = ft_uc_class(ft_utf8_get(s + i, &used));
        if (!(class & FT_UC_SPACE)) break;
    }
    *begin = i;
    if (i < n) i += used;
    while (i < n && !(class & FT_UC_PUNCT)) {
        if (ft_uc_class(ft_utf8_get(s + i, &used)) & (FT_UC_SPACE | FT_UC_PUNCT)) break;
        i += used;
    }
    *end = *at = i;
    return *begin < n;
}

static int next_word(const void *self, const char *s, size_t n, size_t *at, size_t *begin, size_t *end, ft_err *e)
{
    (void)self;
    (void)e;
    return ft_bert_word(s, n, at, begin, end);
}

/* The words are the matches, so what lies between them is what goes. */
static ft_status bert_cut(const void *self, ft_chunks *x, ft_err *e)
{
    return ft_chunks_cut(x, next_word, self, FT_CUT_REMOVED, true, e);
}

const ft_part_kind ft_pretok_bert = { .type = "BertPreTokenizer", .cut = bert_cut };
