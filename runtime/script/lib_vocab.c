/* runtime/script/lib_vocab.c - "ftpipe.core.vocab": learning a vocabulary; lua/ftpipe/vocabulary.lua is its face. */
#include "core/mem.h"
#include "script/bind.h"
#include "script/libs.h"
#include "text/wordpiece_train.h"

#define COUNTER "ft.word_counter"
#define LEARNT "ft.wordpiece_vocab"

static ft_word_counts *check_counter(lua_State *L) { return ft_lua_check(L, 1, COUNTER); }
static ft_wordpiece_vocab *check_learnt(lua_State *L) { return ft_lua_check(L, 1, LEARNT); }

/* vocab.counter { lowercase, strip_accents, cjk } -> counter */
static int vocab_counter(lua_State *L)
{
    ft_err e;
    ft_word_counts *w;
    const ft_word_opts o = {
        .lowercase = ft_lua_opt_flag(L, 1, "lowercase", 1),
        .strip_accents = ft_lua_opt_flag(L, 1, "strip_accents", -1),
        .cjk = ft_lua_opt_flag(L, 1, "cjk", 1),
    };
    ft_box *b = ft_lua_box(L, COUNTER, 0);
    if (ft_words_new(&w, &o, &e)) return ft_lua_raise(L, &e);
    b->p = w;
    return 1;
}

static int counter_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, COUNTER);
    ft_words_free(b->p);
    b->p = NULL;
    return 0;
}

/* counter:add(text) -> true, or nil, message */
static int counter_add(lua_State *L)
{
    ft_err e;
    size_t n;
    ft_word_counts *w = check_counter(L);
    const char *text = luaL_checklstring(L, 2, &n);
    if (ft_words_add(w, text, n, &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

/* counter:open(path, doc) -> true, or nil, message */
static int counter_open(lua_State *L)
{
    ft_err e;
    ft_word_counts *w = check_counter(L);
    const char *path = luaL_checkstring(L, 2);
    if (ft_words_open(w, path, lua_toboolean(L, 3), &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

/* counter:step() -> bytes counted, 0 at the end of the file; or nil, message */
static int counter_step(lua_State *L)
{
    ft_err e;
    size_t n;
    if (ft_words_step(check_counter(L), &n, &e)) return ft_lua_nil(L, &e);
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

/* counter:totals() -> occurrences, distinct words, occurrences of words that are too long */
static int counter_totals(lua_State *L)
{
    ft_err e;
    ft_word_totals t;
    if (ft_words_totals(check_counter(L), &t, &e)) return ft_lua_raise(L, &e);
    lua_pushinteger(L, (lua_Integer)t.words);
    lua_pushinteger(L, (lua_Integer)t.distinct);
    lua_pushinteger(L, (lua_Integer)t.too_long);
    return 3;
}

static int64_t whole(lua_State *L, const char *field)
{
    lua_getfield(L, 2, field);
    int ok;
    const lua_Integer x = lua_tointegerx(L, -1, &ok);
    if (!ok) luaL_error(L, "field '%s' must be a whole number", field);
    lua_pop(L, 1);
    return x;
}

/* counter:learn { size, min_frequency, limit_alphabet, min_word_count } -> vocabulary, or nil, message */
static int counter_learn(lua_State *L)
{
    ft_err e;
    ft_word_counts *w = check_counter(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    const ft_wordpiece_opts o = {
        .size = whole(L, "size"),
        .min_frequency = whole(L, "min_frequency"),
        .limit_alphabet = whole(L, "limit_alphabet"),
        .min_word_count = whole(L, "min_word_count"),
    };
    ft_box *b = ft_lua_box(L, LEARNT, 0);
    b->p = ft_calloc(1, sizeof(ft_wordpiece_vocab));
    if (!b->p) return luaL_error(L, "out of memory");
    if (ft_wordpiece_learn(w, &o, b->p, &e)) return ft_lua_nil(L, &e);
    return 1;
}

static int learnt_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, LEARNT);
    if (b->p) ft_wordpiece_free(b->p);
    ft_free(b->p);
    b->p = NULL;
    return 0;
}

/* vocabulary:save(dir) -> true, or nil, message */
static int learnt_save(lua_State *L)
{
    ft_err e;
    if (ft_wordpiece_save(check_learnt(L), luaL_checkstring(L, 2), &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

/* vocabulary:tokens() -> { tokens in the order of their ids } */
static int learnt_tokens(lua_State *L)
{
    const ft_vocab *v = &check_learnt(L)->vocab;
    lua_createtable(L, v->ids, 0);
    for (int32_t id = 0; id < v->ids; id++) {
        size_t n;
        const char *token = ft_vocab_token_of(v, id, &n);
        lua_pushlstring(L, token, n);
        lua_rawseti(L, -2, id + 1);
    }
    return 1;
}

/* vocabulary:facts() -> tokens, characters, of them kept, pairs joined, count of the last pair */
static int learnt_facts(lua_State *L)
{
    const ft_wordpiece_vocab *v = check_learnt(L);
    lua_pushinteger(L, v->vocab.ids);
    lua_pushinteger(L, v->characters);
    lua_pushinteger(L, v->alphabet);
    lua_pushinteger(L, v->joined);
    lua_pushinteger(L, v->last_count);
    return 5;
}

static const luaL_Reg counter_methods[] = {
    { "add", counter_add },     { "open", counter_open },   { "step", counter_step }, { "totals", counter_totals },
    { "learn", counter_learn }, { "close", counter_close }, { NULL, NULL },
};

static const luaL_Reg learnt_methods[] = {
    { "save", learnt_save }, { "tokens", learnt_tokens }, { "facts", learnt_facts }, { "close", learnt_close },
    { NULL, NULL },
};

static const luaL_Reg functions[] = { { "counter", vocab_counter }, { NULL, NULL } };

int ft_open_vocab(lua_State *L)
{
    ft_lua_class(L, COUNTER, counter_methods, counter_close);
    ft_lua_class(L, LEARNT, learnt_methods, learnt_close);
    luaL_newlib(L, functions);
    return 1;
}
