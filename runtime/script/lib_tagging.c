/* runtime/script/lib_tagging.c - "ftpipe.core.tagging": words of rows, the tokens that answer for them, and their best tags.
 *
 * The words of a row are one string of 32-bit numbers, begin and end of each in code points of its text from 0: rows may
 * have millions of them. What stands for all rows is a tensor: `first` (rows + 1) says how many words stand before
 * each row.
 */
#include <string.h>

#include "core/mem.h"
#include "data/tagging.h"
#include "script/libs.h"
#include "script/text_bind.h"
#include "text/unicode.h"
#include "text/word_split.h"

#define SPANS "ft.word_spans"
#define TAGGING "ft.tagging"
#define CHUNK 512

/* ==== Words ==== */

static int spans_close(lua_State *L)
{
    ft_word_spans_free(lua_touserdata(L, 1));
    return 0;
}

static const uint32_t *check_words(lua_State *L, int arg, lua_Integer *n)
{
    size_t bytes;
    const char *s = luaL_checklstring(L, arg, &bytes);
    luaL_argcheck(L, bytes % 8 == 0, arg, "no words");
    *n = (lua_Integer)(bytes / 8);
    uint32_t *copy = lua_newuserdatauv(L, bytes + 1, 0); /* a string need not be aligned */
    memcpy(copy, s, bytes);
    return copy;
}

/* tagging.split(text, "fine" or "spaced" [, { code points, ascending }]) -> words, or nil, message */
static int tagging_split(lua_State *L)
{
    static const char *const styles[] = { "fine", "spaced", NULL };
    ft_err e;
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    const ft_word_style style = (ft_word_style)luaL_checkoption(L, 2, NULL, styles);
    lua_settop(L, 3);
    const lua_Integer n = lua_isnil(L, 3) ? 0 : luaL_len(L, 3);
    uint32_t *cuts = lua_newuserdatauv(L, (size_t)n * sizeof *cuts + 1, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, 3, i + 1);
        cuts[i] = (uint32_t)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    ft_word_spans *w = lua_newuserdatauv(L, sizeof *w, 0);
    memset(w, 0, sizeof *w);
    luaL_setmetatable(L, SPANS);
    if (ft_word_split(text, len, style, cuts, (size_t)n, w, &e)) return ft_lua_nil(L, &e);
    lua_pushlstring(L, w->n ? (const char *)w->at : "", 2 * w->n * sizeof *w->at);
    return 1;
}

/* tagging.join({ words }) -> text, words: with a blank between each two */
static int tagging_join(lua_State *L)
{
    luaL_Buffer b;
    uint32_t at = 0;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    const lua_Integer n = luaL_len(L, 1);
    uint32_t *words = lua_newuserdatauv(L, 2 * (size_t)n * sizeof *words + 1, 0);
    luaL_buffinit(L, &b);
    for (lua_Integer i = 0; i < n; i++) {
        size_t len;
        if (i) luaL_addchar(&b, ' ');
        lua_geti(L, 1, i + 1);
        const char *s = luaL_checklstring(L, -1, &len);
        words[2 * i] = at;
        words[2 * i + 1] = at + (uint32_t)ft_utf8_count(s, len);
        at = words[2 * i + 1] + 1;
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    lua_pushlstring(L, (const char *)words, 2 * (size_t)n * sizeof *words);
    return 2;
}

/* tagging.count(words) -> how many; tagging.span(words, i) -> begin, end of word i */
static int tagging_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)(lua_rawlen(L, 1) / 8));
    return 1;
}

static int tagging_span(lua_State *L)
{
    uint32_t at[2];
    size_t bytes;
    const char *s = luaL_checklstring(L, 1, &bytes);
    const lua_Integer i = luaL_checkinteger(L, 2);
    luaL_argcheck(L, i >= 1 && i <= (lua_Integer)(bytes / 8), 2, "no such word");
    memcpy(at, s + (i - 1) * 8, sizeof at);
    lua_pushinteger(L, at[0]);
    lua_pushinteger(L, at[1]);
    return 2;
}

/* tagging.words(text, words) -> { the words themselves } */
static int tagging_words(lua_State *L)
{
    size_t len, at = 0;
    uint32_t i = 0;
    lua_Integer n;
    const char *text = luaL_checklstring(L, 1, &len);
    const uint32_t *span = check_words(L, 2, &n);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer w = 0; w < n; w++) {
        size_t used, begin = len;
        for (; at < len && i < span[2 * w + 1]; at += used, i++) {
            if (i == span[2 * w]) begin = at;
            ft_utf8_get(text + at, &used);
        }
        if (begin > at) return luaL_error(L, "word %I is not in the text", w + 1);
        lua_pushlstring(L, text + begin, at - begin);
        lua_rawseti(L, -2, w + 1);
    }
    return 1;
}

/* tagging.locate(words, begin, end) -> first and last word that code points [begin, end) touch, or nil */
static int tagging_locate(lua_State *L)
{
    lua_Integer n, first = 0;
    const lua_Integer begin = luaL_checkinteger(L, 2), end = luaL_checkinteger(L, 3);
    const uint32_t *at = check_words(L, 1, &n);
    while (first < n && (lua_Integer)at[2 * first + 1] <= begin) first++;
    lua_Integer last = first;
    while (last < n && (lua_Integer)at[2 * last] < end) last++;
    if (last == first) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, first + 1);
    lua_pushinteger(L, last);
    return 2;
}

/* ==== Rows in windows ==== */

static int tagging_close(lua_State *L)
{
    ft_tagging_free(lua_touserdata(L, 1));
    return 0;
}

/* Push an i32 vector of n zeros. */
static int32_t *push_vector(lua_State *L, int64_t n)
{
    ft_err e;
    ft_tensor *t;
    const ft_shape shape = ft_shape_of(1, n, 0, 0, 0);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    if (ft_tensor_zeros(&t, FT_I32, &shape, &e)) ft_lua_raise(L, &e);
    b->p = t;
    return t->data;
}

/* The table { row, word, first } of what was found; `first` lies on top of the stack. */
static void push_places(lua_State *L, const ft_tagging *g)
{
    lua_createtable(L, 0, 3);
    lua_insert(L, -2);
    lua_setfield(L, -2, "first");
    int32_t *to = push_vector(L, g->n);
    if (g->n) memcpy(to, g->row, (size_t)g->n * sizeof *to);
    lua_setfield(L, -2, "row");
    to = push_vector(L, g->total);
    if (g->total) memcpy(to, g->word, (size_t)g->total * sizeof *to);
    lua_setfield(L, -2, "word");
}

/* The encoded rows of a chunk, whose words are elements of the table at index 3. */
static ft_status add_rows(lua_State *L, ft_tagging *g, ft_tokens *tokens, const ft_encoding *x, lua_Integer first,
                          lua_Integer n, int full, ft_err *e)
{
    ft_status s = FT_OK;

    for (lua_Integer i = 0; i < n && !s; i++) {
        lua_Integer words;
        lua_geti(L, 3, first + i + 1);
        const uint32_t *spans = check_words(L, -1, &words);
        s = ft_tagging_add(g, tokens, &x[i], (int32_t)(first + i), spans, (int32_t)words, e);
        lua_pop(L, 2);
        lua_pushinteger(L, (lua_Integer)x[i].full_length);
        lua_rawseti(L, full, first + i + 1);
    }
    return s;
}

/* tagging.encode(tokeniser, { texts }, { words }, { max_length, stride, tick }) -> tokens, places, { tokens of each row uncut }.
 * places: { row (windows) of each window, word (tokens) that a token answers for or -1, first (rows + 1) }, all from 0. Or
 * nil, message, number of the text that is not UTF-8. */
static int tagging_encode(lua_State *L)
{
    ft_err e;
    const ft_tokenizer *t = ft_lua_check(L, 1, FT_TOKENIZER);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 4);
    const lua_Integer total = luaL_len(L, 2);
    luaL_argcheck(L, luaL_len(L, 3) == total, 3, "needs the words of each text");
    const ft_encode_opts o = {
        .max_length = (size_t)ft_lua_opt_number(L, 4, "max_length", 0),
        .stride = (size_t)ft_lua_opt_number(L, 4, "stride", 0),
        .stride_yields = true,
        .truncation = FT_ONLY_FIRST,
        .add_special = true,
        .want_offsets = true,
        .windows = true,
    };
    ft_text *texts = lua_newuserdatauv(L, CHUNK * sizeof *texts, 0);
    ft_lua_encodings *x = ft_lua_push_encodings(L, CHUNK);
    ft_tagging *g = lua_newuserdatauv(L, sizeof *g, 0);
    memset(g, 0, sizeof *g);
    luaL_setmetatable(L, TAGGING);
    lua_createtable(L, (int)total, 0);
    const int full = lua_gettop(L);
    ft_tokens *tokens = ft_lua_push_tokens(L);

    for (lua_Integer first = 0; first < total; first += CHUNK) {
        const lua_Integer n = total - first < CHUNK ? total - first : CHUNK;
        ft_lua_texts(L, 2, first + 1, n, texts, 0);
        if (ft_tokenizer_encode_batch(t, texts, NULL, (size_t)n, &o, x->at, &e)) {
            lua_Integer bad = 0;
            while (bad + 1 < n &&
                   !ft_tokenizer_encode(t, texts[bad].data, texts[bad].len, NULL, 0, &o, &x->at[0], NULL))
                bad++;
            ft_lua_nil(L, &e);
            lua_pushinteger(L, first + bad + 1);
            return 3;
        }
        if (add_rows(L, g, tokens, x->at, first, n, full, &e)) return ft_lua_raise(L, &e);
        ft_lua_opt_call(L, 4, "tick", first + n);
    }
    int32_t *before = push_vector(L, total + 1);
    for (lua_Integer i = 0; i < total; i++) {
        lua_geti(L, 3, i + 1);
        before[i + 1] = before[i] + (int32_t)(lua_rawlen(L, -1) / 8);
        lua_pop(L, 1);
    }
    push_places(L, g);
    lua_pushvalue(L, full);
    return 3;
}

/* ==== Gold tags ==== */

/* An i32 vector at arg; n: as many elements as it must have, or -1. */
static const ft_tensor *check_vector(lua_State *L, int arg, int64_t n)
{
    const ft_tensor *t = ft_lua_tensor(L, arg);
    luaL_argcheck(L, t->dtype == FT_I32 && t->data && t->shape.rank == 1 && (n < 0 || t->shape.dim[0] == n), arg,
                  "not the i32 vector that is wanted here");
    return t;
}

/* tagging.gold(first, { marks of each row }) -> i32 (words), the tag of each word from 0: 0 where nothing is marked. A row's
 * marks are { first word, last word, tag of the first, tag of the others, ... }; words and tags count from 1. */
static int tagging_gold(lua_State *L)
{
    const ft_tensor *f = check_vector(L, 1, -1);
    const int32_t *first = f->data;
    const int64_t rows = f->shape.dim[0] - 1;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    int32_t *gold = push_vector(L, first[rows]);
    for (int64_t r = 0; r < rows; r++) {
        lua_geti(L, 2, r + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        const lua_Integer n = luaL_len(L, -1);
        for (lua_Integer k = 1; k + 3 <= n; k += 4) {
            lua_Integer m[4];
            for (int j = 0; j < 4; j++) {
                lua_geti(L, -1, k + j);
                m[j] = luaL_checkinteger(L, -1);
                lua_pop(L, 1);
            }
            if (m[0] < 1 || m[1] < m[0] || m[1] > first[r + 1] - first[r])
                return luaL_error(L, "row %I has no words %I to %I", (lua_Integer)r + 1, m[0], m[1]);
            for (lua_Integer w = m[0]; w <= m[1]; w++) gold[first[r] + w - 1] = (int32_t)(w == m[0] ? m[2] : m[3]) - 1;
        }
        lua_pop(L, 1);
    }
    return 1;
}

/* What the functions below read of `places`: its tensors stay in the table at `arg`. */
typedef struct places {
    const int32_t *row, *word, *first;
    int64_t windows, tokens, rows;
} places;

static places check_places(lua_State *L, int arg, const ft_tokens *t)
{
    luaL_checktype(L, arg, LUA_TTABLE);
    const ft_tensor *found[3];
    const char *const names[] = { "row", "word", "first" };
    for (int i = 0; i < 3; i++) {
        lua_getfield(L, arg, names[i]);
        found[i] = check_vector(L, -1, -1);
        lua_pop(L, 1);
    }
    const places p = { found[0]->data,         found[1]->data,         found[2]->data,
                       found[0]->shape.dim[0], found[1]->shape.dim[0], found[2]->shape.dim[0] - 1 };
    luaL_argcheck(L, p.windows == t->n && p.tokens == t->total, arg, "not the places of these tokens");
    return p;
}

static const ft_tokens *check_tokens(lua_State *L, int arg) { return ft_lua_check(L, arg, FT_TOKENS); }

/* tagging.token_labels(tokens, places, gold) -> i32 (tokens), the gold tag of the word that a token answers for, or -100 */
static int tagging_token_labels(lua_State *L)
{
    const ft_tokens *t = check_tokens(L, 1);
    const places p = check_places(L, 2, t);
    const int32_t *gold = check_vector(L, 3, p.first[p.rows])->data;
    int32_t *out = push_vector(L, t->total);
    for (int64_t w = 0; w < t->n; w++)
        for (int64_t k = t->offset[w]; k < t->offset[w + 1]; k++)
            out[k] = p.word[k] < 0 ? -100 : gold[p.first[p.row[w]] + p.word[k]];
    return 1;
}

/* tagging.words_of(tokens, places) -> how many words each window answers for */
static int tagging_words_of(lua_State *L)
{
    const ft_tokens *t = check_tokens(L, 1);
    const places p = check_places(L, 2, t);
    lua_createtable(L, (int)t->n, 0);
    for (int64_t w = 0; w < t->n; w++) {
        lua_Integer n = 0;
        for (int64_t k = t->offset[w]; k < t->offset[w + 1]; k++) n += p.word[k] >= 0;
        lua_pushinteger(L, n);
        lua_rawseti(L, -2, w + 1);
    }
    return 1;
}

/* ==== What a model says ==== */

/* tagging.scores(words, tags) -> f32 (words, tags) in which no word has been answered for yet */
static int tagging_scores(lua_State *L)
{
    ft_err e;
    ft_tensor *t;
    const ft_shape shape = ft_shape_of(2, luaL_checkinteger(L, 1), luaL_checkinteger(L, 2), 0, 0);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    if (ft_tensor_new(&t, FT_F32, &shape, &e)) return ft_lua_raise(L, &e);
    b->p = t;
    float *x = t->data;
    for (int64_t i = 0; i < shape.dim[0] * shape.dim[1]; i++) x[i] = FT_TAG_UNSEEN;
    return 1;
}

/* (words, tags) f32 at arg */
static const ft_tensor *check_scores(lua_State *L, int arg, int64_t words)
{
    const ft_tensor *t = ft_lua_tensor(L, arg);
    luaL_argcheck(L, t->dtype == FT_F32 && t->data && t->shape.rank == 2 && (words < 0 || t->shape.dim[0] == words),
                  arg, "must be f32 with a row of scores for each word");
    return t;
}

/* tagging.collect(scores, tokens, places, { windows }, logits): put the log-probabilities of these windows' words, whose
 * tokens lie end to end in logits (T, tags), in their places. Gives the number of a window whose logits are not finite. */
static int tagging_collect(lua_State *L)
{
    const ft_tokens *t = check_tokens(L, 2);
    const places p = check_places(L, 3, t);
    const ft_tensor *scores = check_scores(L, 1, p.first[p.rows]), *logits = check_scores(L, 5, -1);
    const int32_t C = (int32_t)scores->shape.dim[1];
    luaL_checktype(L, 4, LUA_TTABLE);
    luaL_argcheck(L, logits->shape.dim[1] == C, 5, "another number of tags");
    float *to = scores->data;
    const float *x = logits->data;
    int64_t left = logits->shape.dim[0];
    const lua_Integer n = luaL_len(L, 4);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 4, i);
        const lua_Integer w = luaL_checkinteger(L, -1) - 1;
        lua_pop(L, 1);
        luaL_argcheck(L, w >= 0 && w < t->n && t->offset[w + 1] - t->offset[w] <= left, 4,
                      "no such window in these logits");
        for (int64_t k = t->offset[w]; k < t->offset[w + 1]; k++, x += C, left--) {
            if (p.word[k] < 0) continue;
            if (!ft_tag_log_softmax(x, C, to + (int64_t)(p.first[p.row[w]] + p.word[k]) * C)) {
                lua_pushinteger(L, w + 1);
                return 1;
            }
        }
    }
    luaL_argcheck(L, left == 0, 5, "more logits than tokens");
    return 0;
}

/* tagging.losses(scores, first, gold) -> { -log p of each row's gold tags }, { words of it that have scores } */
static int tagging_losses(lua_State *L)
{
    const ft_tensor *f = check_vector(L, 2, -1);
    const int32_t *first = f->data;
    const int64_t rows = f->shape.dim[0] - 1;
    const ft_tensor *scores = check_scores(L, 1, first[rows]);
    const int32_t *gold = check_vector(L, 3, first[rows])->data;
    const int64_t C = scores->shape.dim[1];
    const float *x = scores->data;
    lua_createtable(L, (int)rows, 0);
    lua_createtable(L, (int)rows, 0);
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0.0;
        lua_Integer n = 0;
        for (int64_t w = first[r]; w < first[r + 1]; w++) {
            if (x[w * C] == FT_TAG_UNSEEN) continue;
            luaL_argcheck(L, gold[w] >= 0 && gold[w] < C, 3, "a tag that there is no score for");
            sum -= (double)x[w * C + gold[w]];
            n++;
        }
        lua_pushnumber(L, sum);
        lua_rawseti(L, -3, r + 1);
        lua_pushinteger(L, n);
        lua_rawseti(L, -2, r + 1);
    }
    return 2;
}

static const void *check_bytes(lua_State *L, int arg, const char *field, size_t want)
{
    size_t n;
    lua_getfield(L, arg, field);
    const char *s = lua_tolstring(L, -1, &n);
    if (!s || n != want) luaL_error(L, "rules.%s must be %I bytes", field, (lua_Integer)want);
    lua_pop(L, 1);
    return s; /* the table holds it */
}

/* Rules of C tags: a table of strings, `type` of 32-bit numbers. `types` takes a copy of those. */
static ft_tag_rules check_rules(lua_State *L, int arg, size_t C, int32_t *types)
{
    luaL_checktype(L, arg, LUA_TTABLE);
    memcpy(types, check_bytes(L, arg, "type", C * sizeof *types), C * sizeof *types);
    return (ft_tag_rules){
        .n = (int32_t)C,
        .kind = check_bytes(L, arg, "kind", C),
        .type = types,
        .start = check_bytes(L, arg, "start", C),
        .stop = check_bytes(L, arg, "stop", C),
        .follow = check_bytes(L, arg, "follow", C * C),
    };
}

static void set_entity(lua_State *L, const ft_tag_span *s, int k)
{
    lua_createtable(L, 4, 0);
    lua_pushinteger(L, s->first + 1);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, s->last + 1);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, s->type);
    lua_rawseti(L, -2, 3);
    lua_pushnumber(L, s->score);
    lua_rawseti(L, -2, 4);
    lua_rawseti(L, -2, k);
}

/* tagging.decode(scores, first, rules) -> for each row its entities { first word, last word, type, score }, of the most
 * probable tags that the rules allow: see data/tagging.h */
static int tagging_decode(lua_State *L)
{
    const ft_tensor *f = check_vector(L, 2, -1);
    const int32_t *first = f->data;
    const int64_t rows = f->shape.dim[0] - 1;
    const ft_tensor *scores = check_scores(L, 1, first[rows]);
    const int64_t C = scores->shape.dim[1];
    const float *x = scores->data;
    int64_t longest = 0;
    for (int64_t r = 0; r < rows; r++) longest = first[r + 1] - first[r] > longest ? first[r + 1] - first[r] : longest;
    int32_t *types = lua_newuserdatauv(L, (size_t)C * sizeof *types, 0);
    double *work = lua_newuserdatauv(L, 2 * (size_t)C * sizeof *work, 0);
    int32_t *back = lua_newuserdatauv(L, (size_t)(longest * C + longest + 1) * sizeof *back, 0),
            *path = back + longest * C;
    const ft_tag_rules rules = check_rules(L, 3, (size_t)C, types);

    lua_createtable(L, (int)rows, 0);
    for (int64_t r = 0; r < rows; r++) {
        const int32_t n = first[r + 1] - first[r];
        const float *row = x + (int64_t)first[r] * C;
        ft_tag_span span;
        int count = 0;
        lua_newtable(L);
        ft_tag_viterbi(&rules, row, n, work, back, path);
        for (int32_t at = 0; ft_tag_next_span(&rules, row, path, n, &at, &span);) set_entity(L, &span, ++count);
        lua_rawseti(L, -2, r + 1);
    }
    return 1;
}

static const luaL_Reg functions[] = {
    { "split", tagging_split },       { "join", tagging_join },     { "count", tagging_count },
    { "span", tagging_span },         { "words", tagging_words },   { "locate", tagging_locate },
    { "encode", tagging_encode },     { "gold", tagging_gold },     { "token_labels", tagging_token_labels },
    { "words_of", tagging_words_of }, { "scores", tagging_scores }, { "collect", tagging_collect },
    { "losses", tagging_losses },     { "decode", tagging_decode }, { NULL, NULL },
};

int ft_open_tagging(lua_State *L)
{
    static const luaL_Reg none[] = { { NULL, NULL } };
    ft_lua_class(L, SPANS, none, spans_close);
    ft_lua_class(L, TAGGING, none, tagging_close);
    luaL_newlib(L, functions);
    return 1;
}
