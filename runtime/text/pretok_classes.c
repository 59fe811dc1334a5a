/* runtime/text/pretok_classes.c - pre-tokenisers that cut by what a character is: WhitespaceSplit, Whitespace, Punctuation,
 * Digits and CharDelimiterSplit. */
#include <string.h>

#include "core/mem.h"
#include "text/behavior.h"
#include "text/gpt2_words.h"
#include "text/json_get.h"
#include "text/part.h"
#include "text/unicode.h"

/* Finds runs of characters for which `is` holds, or, with `single`, such characters one by one. */
typedef struct class
{
    bool (*is)(uint32_t cp, uint32_t of);
    bool single;
    uint32_t of; /* for `is` */
} class;

static int find(const void *pattern, const char *s, size_t n, size_t *at, size_t *begin, size_t *end, ft_err *e)
{
    const class *c = pattern;
    size_t i = *at, used = 0;

    (void)e;
    for (; i < n; i += used)
        if (c->is(ft_utf8_get(s + i, &used), c->of)) break;
    if (i >= n) return 0;
    *begin = i;
    do {
        i += used;
    } while (!c->single && i < n && c->is(ft_utf8_get(s + i, &used), c->of));
    *end = *at = i;
    return 1;
}

static bool is_space(uint32_t cp, uint32_t of) { return (void)of, (ft_uc_class(cp) & FT_UC_SPACE) != 0; }
static bool is_punct(uint32_t cp, uint32_t of) { return (void)of, (ft_uc_class(cp) & FT_UC_PUNCT) != 0; }
static bool is_digit(uint32_t cp, uint32_t of) { return (void)of, ft_uc_is_number(cp); }
static bool is_same(uint32_t cp, uint32_t of) { return cp == of; }

static ft_status whitespace_split(const void *self, ft_chunks *x, ft_err *e)
{
    static const class spaces = { is_space, true, 0 };
    (void)self;
    return ft_chunks_cut(x, find, &spaces, FT_CUT_REMOVED, false, e);
}

/* \w+|[^\w\s]+ */
static int find_word(const void *pattern, const char *s, size_t n, size_t *at, size_t *begin, size_t *end, ft_err *e)
{
    size_t i = *at, used = 0;
    unsigned kind = FT_UC_SPACE;

    (void)pattern;
    (void)e;
    for (; i < n; i += used) {
        kind = ft_uc_class(ft_utf8_get(s + i, &used)) & (FT_UC_WORD | FT_UC_SPACE);
        if (kind & FT_UC_WORD || !kind) break;
    }
    if (i >= n) return 0;
    *begin = i;
    do {
        i += used;
    } while (i < n && (ft_uc_class(ft_utf8_get(s + i, &used)) & (FT_UC_WORD | FT_UC_SPACE)) == kind);
    *end = *at = i;
    return 1;
}

static ft_status whitespace(const void *self, ft_chunks *x, ft_err *e)
{
    return ft_chunks_cut(x, find_word, self, FT_CUT_REMOVED, true, e);
}

static ft_status punctuation_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    ft_cut_behavior *how = *out = ft_calloc(1, sizeof *how);

    if (!how) return ft_fail_mem(e, sizeof *how);
    *how = FT_CUT_ISOLATED;
    return json_object_get(o, "behavior") ? ft_behavior_read(how, o, where, e) : FT_OK;
}

static ft_status punctuation(const void *self, ft_chunks *x, ft_err *e)
{
    static const class marks = { is_punct, true, 0 };
    return ft_chunks_cut(x, find, &marks, *(const ft_cut_behavior *)self, false, e);
}

static ft_status digits_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    bool *single = *out = ft_calloc(1, sizeof *single);

    if (!single) return ft_fail_mem(e, sizeof *single);
    return json_object_get(o, "individual_digits") ? ft_json_flag(single, o, "individual_digits", where, e) : FT_OK;
}

static ft_status digits(const void *self, ft_chunks *x, ft_err *e)
{
    const bool single = *(const bool *)self;
    const class numbers = { is_digit, true, 0 };
    return ft_chunks_cut(x, find, &numbers, single ? FT_CUT_ISOLATED : FT_CUT_CONTIGUOUS, false, e);
}

static ft_status delimiter_load(void **out, const json_t *o, const char *where, ft_err *e)
{
    const char *text;
    size_t n, used;
    class *c = *out = ft_calloc(1, sizeof *c);

    if (!c) return ft_fail_mem(e, sizeof *c);
    const ft_status s = ft_json_text(&text, &n, o, "delimiter", where, e);
    if (s) return s;
    if (!n || ft_utf8_count(text, n) != 1) return ft_fail(e, FT_EDATA, "%s.delimiter: want one character", where);
    *c = (class){ is_same, true, ft_utf8_get(text, &used) };
    return FT_OK;
}

static ft_status delimiter(const void *self, ft_chunks *x, ft_err *e)
{
    return ft_chunks_cut(x, find, self, FT_CUT_REMOVED, false, e);
}

const ft_part_kind ft_pretok_whitespace_split = { .type = "WhitespaceSplit", .cut = whitespace_split };
const ft_part_kind ft_pretok_whitespace = { .type = "Whitespace", .cut = whitespace };
const ft_part_kind ft_pretok_punctuation = { .type = "Punctuation", .load = punctuation_load, .cut = punctuation };
const ft_part_kind ft_pretok_digits = { .type = "Digits", .load = digits_load, .cut = digits };
const ft_part_kind ft_pretok_delimiter = { .type = "CharDelimiterSplit", .load = delimiter_load, .cut = delimiter };
