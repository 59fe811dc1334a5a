/* runtime/text/pretok_bert.c - BertPreTokenizer, and none at all. */
#include "text/pretok.h"

#include "text/unicode.h"

int ft_pretok_none(const char *s, size_t n, size_t *at, size_t *begin, size_t *end)
{
    (void)s;
    *begin = *at;
    *end = *at = n;
    return *begin < n;
}

int ft_pretok_bert(const char *s, size_t n, size_t *at, size_t *begin, size_t *end)
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
