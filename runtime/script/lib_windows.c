/* runtime/script/lib_windows.c - "ftpipe.core.windows": long texts as windows that remember what their tokens stand for. */
#include <string.h>

#include "core/mem.h"
#include "script/libs.h"
#include "script/text_bind.h"

#define CHUNK 512

static ft_windows *check(lua_State *L) { return ft_lua_check(L, 1, FT_WINDOWS); }

static int windows_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, FT_WINDOWS);
    if (b->p) ft_windows_free(b->p);
    ft_free(b->p);
    b->p = NULL;
    return 0;
}

/* ==== Making ==== */

/* The first of n texts that cannot be encoded, from 0; *e says why. */
static lua_Integer first_bad(const ft_tokenizer *t, const ft_text *texts, const ft_text *pairs, lua_Integer n,
                             const ft_encode_opts *o, ft_encoding *x, ft_err *e)
{
    const ft_text none = { NULL, 0 };

    for (lua_Integer i = 0; i < n; i++) {
        const ft_text pair = pairs ? pairs[i] : none;
        if (ft_tokenizer_encode(t, texts[i].data, texts[i].len, pair.data, pair.len, o, x, e)) return i;
    }
    return 0;
}

/* windows.encode(tokeniser, texts, pairs or nil, { max_length, stride, tick }) -> tokens, windows, { tokens of each row uncut }.
 * Windows of max_length tokens slide over the text, or over the second one of a pair, and share `stride` tokens of it with
 * the next, half a window of it where a long first text leaves no more. Or nil, message, number of the text that is not UTF-8 or leaves no room. */
static int windows_encode(lua_State *L)
{
    ft_err e;
    const ft_tokenizer *t = ft_lua_check(L, 1, FT_TOKENIZER);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 4);
    const int has_pairs = !lua_isnil(L, 3);
    const lua_Integer total = luaL_len(L, 2);
    const ft_encode_opts o = {
        .max_length = (size_t)ft_lua_opt_number(L, 4, "max_length", 0),
        .stride = (size_t)ft_lua_opt_number(L, 4, "stride", 0),
        .stride_yields = true,
        .truncation = has_pairs ? FT_ONLY_SECOND : FT_ONLY_FIRST,
        .add_special = true,
        .want_offsets = true,
        .windows = true,
    };
    ft_text *texts = lua_newuserdatauv(L, 2 * CHUNK * sizeof *texts, 0), *pairs = texts + CHUNK;
    ft_lua_encodings *x = ft_lua_push_encodings(L, CHUNK);
    ft_tokens *tokens = ft_lua_push_tokens(L);
    ft_windows *w = ft_lua_push_windows(L);
    lua_createtable(L, (int)total, 0);
    const int full = lua_gettop(L);

    for (lua_Integer first = 0; first < total; first += CHUNK) {
        const lua_Integer n = total - first < CHUNK ? total - first : CHUNK;
        ft_lua_texts(L, 2, first + 1, n, texts, 0);
        if (has_pairs) ft_lua_texts(L, 3, first + 1, n, pairs, 0);
        const ft_text *second = has_pairs ? pairs : NULL;
        ft_status s = ft_tokenizer_encode_batch(t, texts, second, (size_t)n, &o, x->at, &e);
        if (s) {
            const lua_Integer bad = first_bad(t, texts, second, n, &o, &x->at[0], &e);
            ft_lua_nil(L, &e);
            lua_pushinteger(L, first + bad + 1);
            return 3;
        }
        for (lua_Integer i = 0; i < n && !s; i++) {
            const ft_text text = has_pairs ? pairs[i] : texts[i];
            ft_encoding_trim(&x->at[i], has_pairs, text.data, text.len);
            s = ft_windows_add(w, tokens, &x->at[i], (int32_t)(first + i), has_pairs, &e);
            lua_pushinteger(L, (lua_Integer)x->at[i].full_length);
            lua_rawseti(L, full, first + i + 1);
        }
        if (s) return ft_lua_raise(L, &e);
        ft_lua_opt_call(L, 4, "tick", first + n);
    }
    return 3;
}

/* ==== Looking ==== */

static int64_t check_window(lua_State *L, const ft_windows *w, int arg)
{
    const lua_Integer i = luaL_checkinteger(L, arg);
    luaL_argcheck(L, i >= 1 && i <= w->n, arg, "no such window");
    return i - 1;
}

/* w:count() -> windows */
static int windows_count(lua_State *L)
{
    lua_pushinteger(L, check(L)->n);
    return 1;
}

/* w:row(i) -> the row that window i is of */
static int windows_row(lua_State *L)
{
    const ft_windows *w = check(L);
    lua_pushinteger(L, w->row[check_window(L, w, 2)] + 1);
    return 1;
}

/* w:text(i) -> the first token of the text in window i, and how many it has of it */
static int windows_text(lua_State *L)
{
    const ft_windows *w = check(L);
    const int64_t i = check_window(L, w, 2);
    lua_pushinteger(L, w->first[i] + 1);
    lua_pushinteger(L, w->at[i + 1] - w->at[i]);
    return 2;
}

/* w:place(i, token) -> code points [begin, end), from 0, of a token of the text in window i */
static int windows_place(lua_State *L)
{
    const ft_windows *w = check(L);
    const int64_t i = check_window(L, w, 2);
    const int64_t at = w->at[i] + luaL_checkinteger(L, 3) - 1 - w->first[i];
    luaL_argcheck(L, at >= w->at[i] && at < w->at[i + 1], 3, "not a token of the text");
    lua_pushinteger(L, w->begin[at]);
    lua_pushinteger(L, w->end[at]);
    return 2;
}

/* w:locate(i, begin, end) -> first and last token of window i that cover code points [begin, end), from 0; nil where the
 * span is not all within the window */
static int windows_locate(lua_State *L)
{
    int32_t first, last;
    const ft_windows *w = check(L);
    const int64_t i = check_window(L, w, 2);
    const lua_Integer begin = luaL_checkinteger(L, 3), end = luaL_checkinteger(L, 4);
    luaL_argcheck(L, begin >= 0 && begin <= end && end <= UINT32_MAX, 3, "no span");
    if (!ft_windows_locate(w, i, (uint32_t)begin, (uint32_t)end, &first, &last)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, first + 1);
    lua_pushinteger(L, last + 1);
    return 2;
}

/* ==== Spans ==== */

#define MOST_SPANS 1000

/* { begin, end, score } in code points on top of the stack's table, as its element k */
static void set_span(lua_State *L, const ft_windows *w, int64_t i, const ft_span_score *s, int k)
{
    const int64_t at = w->at[i] - w->first[i];
    lua_createtable(L, 3, 0);
    lua_pushinteger(L, w->begin[at + s->first]);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, w->end[at + s->last]);
    lua_rawseti(L, -2, 2);
    lua_pushnumber(L, s->score);
    lua_rawseti(L, -2, 3);
    lua_rawseti(L, -2, k);
}

/* w:best({ windows }, logits (T,2), k, longest) -> for each of these windows, whose tokens lie end to end in logits, a
 * list of at most k spans { begin, end, score }, best first, with `null`: the score of the window's first token as both
 * ends, which says that there is no answer */
static int windows_best(lua_State *L)
{
    ft_span_score best[MOST_SPANS];
    const ft_windows *w = check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    const ft_tensor *t = ft_lua_tensor(L, 3);
    const lua_Integer k = luaL_checkinteger(L, 4), longest = luaL_checkinteger(L, 5), n = luaL_len(L, 2);
    luaL_argcheck(L, t->dtype == FT_F32 && t->data && t->shape.rank == 2 && t->shape.dim[1] == 2, 3,
                  "logits must be f32 (T,2)");
    luaL_argcheck(L, k >= 1 && k <= MOST_SPANS, 4, "from 1 to 1000 spans");
    luaL_argcheck(L, longest >= 1 && longest <= INT32_MAX, 5, "spans have at least one token");
    const float *x = t->data;
    int64_t left = t->shape.dim[0];

    lua_createtable(L, (int)n, 0);
    for (lua_Integer j = 1; j <= n; j++) {
        lua_geti(L, 2, j);
        const int64_t i = check_window(L, w, -1);
        lua_pop(L, 1);
        luaL_argcheck(L, w->length[i] <= left && w->length[i] > 0, 3, "fewer logits than tokens");
        const int found = ft_windows_best(w, i, x, (int32_t)longest, best, (int)k);
        lua_createtable(L, found, 1);
        for (int s = 0; s < found; s++) set_span(L, w, i, &best[s], s + 1);
        lua_pushnumber(L, (double)x[0] + (double)x[1]);
        lua_setfield(L, -2, "null");
        lua_rawseti(L, -2, j);
        x += 2 * (int64_t)w->length[i];
        left -= w->length[i];
    }
    luaL_argcheck(L, left == 0, 3, "more logits than tokens");
    return 1;
}

static const luaL_Reg methods[] = {
    { "count", windows_count },   { "row", windows_row },   { "text", windows_text },   { "place", windows_place },
    { "locate", windows_locate }, { "best", windows_best }, { "close", windows_close }, { NULL, NULL },
};

static const luaL_Reg functions[] = { { "encode", windows_encode }, { NULL, NULL } };

/* Windows may come out of the store before anybody has asked for this module. */
ft_windows *ft_lua_push_windows(lua_State *L)
{
    const int known = luaL_getmetatable(L, FT_WINDOWS) != LUA_TNIL;

    lua_pop(L, 1);
    if (!known) ft_lua_class(L, FT_WINDOWS, methods, windows_close);
    ft_box *b = ft_lua_box(L, FT_WINDOWS, 0);
    b->p = ft_calloc(1, sizeof(ft_windows));
    if (!b->p) luaL_error(L, "out of memory");
    return b->p;
}

int ft_open_windows(lua_State *L)
{
    ft_lua_class(L, FT_WINDOWS, methods, windows_close);
    luaL_newlib(L, functions);
    return 1;
}
