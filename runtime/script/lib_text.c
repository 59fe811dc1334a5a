/* runtime/script/lib_text.c - "ftpipe.core.text": tokenisers, and data sets of token ids. */
#include <string.h>

#include "core/mem.h"
#include "core/sha256.h"
#include "data/long_texts.h"
#include "script/libs.h"
#include "script/text_bind.h"
#include "text/answer.h"

#define SCRATCH "ft.encodings"
#define CHUNK 512

static ft_tokenizer *check_tokenizer(lua_State *L) { return ft_lua_check(L, 1, FT_TOKENIZER); }
static ft_tokens *check_tokens(lua_State *L) { return ft_lua_check(L, 1, FT_TOKENS); }

/* text.load(directory or file) -> tokeniser, or nil, message */
static int text_load(lua_State *L)
{
    ft_err e;
    ft_tokenizer *t;
    const char *path = luaL_checkstring(L, 1);
    ft_box *b = ft_lua_box(L, FT_TOKENIZER, 0);
    if (ft_tokenizer_load(&t, path, &e)) return ft_lua_nil(L, &e);
    b->p = t;
    return 1;
}

static int tokenizer_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, FT_TOKENIZER);
    ft_tokenizer_release(b->p);
    b->p = NULL;
    return 0;
}

static int tokenizer_vocab_size(lua_State *L)
{
    lua_pushinteger(L, ft_tokenizer_vocab_size(check_tokenizer(L)));
    return 1;
}

/* tok:id(token) -> id or nil; tok:token(id) -> token or nil */
static int tokenizer_id(lua_State *L)
{
    size_t n;
    const ft_tokenizer *t = check_tokenizer(L);
    const char *s = luaL_checklstring(L, 2, &n);
    const int32_t id = ft_tokenizer_id(t, s, n);
    if (id < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, id);
    return 1;
}

static int tokenizer_token(lua_State *L)
{
    size_t n = 0;
    const char *s = ft_tokenizer_token(check_tokenizer(L), (int32_t)luaL_checkinteger(L, 2), &n);
    lua_pushlstring(L, s ? s : "", s ? n : 0);
    if (!s) lua_pushnil(L);
    return 1;
}

/* tok:special("cls"|"sep"|"pad"|"unk"|"mask") -> id or nil */
static int tokenizer_special(lua_State *L)
{
    static const char *const names[] = { "pad", "unk", "cls", "sep", "mask", NULL };
    const ft_tokenizer *t = check_tokenizer(L);
    const int32_t id = ft_tokenizer_special(t, (ft_special)luaL_checkoption(L, 2, NULL, names));
    if (id < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, id);
    return 1;
}

static int tokenizer_save(lua_State *L)
{
    ft_err e;
    if (ft_tokenizer_save(check_tokenizer(L), luaL_checkstring(L, 2), &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

static ft_encode_opts read_opts(lua_State *L, int arg)
{
    const ft_encode_opts o = {
        .max_length = (size_t)ft_lua_opt_number(L, arg, "max_length", 0),
        .truncation = FT_LONGEST_FIRST,
        .add_special = ft_lua_opt_flag(L, arg, "special", 1),
        .want_offsets = ft_lua_opt_flag(L, arg, "offsets", 0),
    };
    return o;
}

static void push_ints(lua_State *L, const char *field, const int32_t *x, size_t n)
{
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushinteger(L, x[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, field);
}

static int scratch_close(lua_State *L)
{
    ft_lua_encodings *s = lua_touserdata(L, 1);
    for (size_t i = 0; i < s->n; i++) ft_encoding_free(&s->at[i]);
    s->n = 0;
    return 0;
}

ft_lua_encodings *ft_lua_push_encodings(lua_State *L, size_t n)
{
    ft_lua_encodings *s = lua_newuserdatauv(L, sizeof *s + n * sizeof s->at[0], 0);
    memset(s, 0, sizeof *s + n * sizeof s->at[0]);
    s->n = n;
    luaL_setmetatable(L, SCRATCH);
    return s;
}

/* tok:encode(text, pair or nil, opts) -> { ids, types, first, last (with offsets), full, truncated } */
static int tokenizer_encode(lua_State *L)
{
    ft_err e;
    size_t n, m = 0;
    const ft_tokenizer *t = check_tokenizer(L);
    const char *s = luaL_checklstring(L, 2, &n);
    const char *pair = luaL_optlstring(L, 3, NULL, &m);
    const ft_encode_opts o = read_opts(L, 4);
    ft_lua_encodings *x = ft_lua_push_encodings(L, 1);

    if (ft_tokenizer_encode(t, s, n, pair, m, &o, &x->at[0], &e)) return ft_lua_nil(L, &e);
    const ft_encoding *c = &x->at[0];
    lua_createtable(L, 0, 6);
    push_ints(L, "ids", c->ids, c->n);
    push_ints(L, "types", c->type_ids, c->n);
    if (o.want_offsets) {
        push_ints(L, "first", (const int32_t *)c->begin, c->n);
        push_ints(L, "last", (const int32_t *)c->end, c->n);
    }
    lua_pushinteger(L, (lua_Integer)c->full_length);
    lua_setfield(L, -2, "full");
    lua_pushboolean(L, c->truncated);
    lua_setfield(L, -2, "truncated");
    return 1;
}

/* ==== Data sets ==== */

static int tokens_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, FT_TOKENS);
    if (b->p) ft_tokens_free(b->p);
    ft_free(b->p);
    b->p = NULL;
    return 0;
}

ft_tokens *ft_lua_push_tokens(lua_State *L)
{
    ft_box *b = ft_lua_box(L, FT_TOKENS, 0);
    b->p = ft_calloc(1, sizeof(ft_tokens));
    if (!b->p) luaL_error(L, "out of memory");
    return b->p;
}

void ft_lua_texts(lua_State *L, int arg, lua_Integer first, lua_Integer n, ft_text *out, int optional)
{
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, arg, first + i);
        out[i] = (ft_text){ NULL, 0 };
        if (!optional || lua_toboolean(L, -1)) out[i].data = luaL_checklstring(L, -1, &out[i].len);
        lua_pop(L, 1);
    }
}

static ft_long read_long(lua_State *L, int arg)
{
    static const char *const names[] = { "head", "head+tail", "windows", NULL };

    if (lua_isnoneornil(L, arg)) return FT_LONG_HEAD;
    lua_getfield(L, arg, "long");
    const ft_long how = (ft_long)luaL_checkoption(L, -1, names[0], names);
    lua_pop(L, 1);
    return how;
}

/* tok:encode_all(texts, pairs or nil, opts) -> tokens, { full lengths }, { examples of each text }; or nil, message.
 * opts.long: of texts longer than opts.max_length the "head", "head+tail", or "windows", which share opts.stride tokens;
 * opts.tick(n): called now and then with how many texts are done */
static int tokenizer_encode_all(lua_State *L)
{
    ft_err e;
    const ft_tokenizer *t = check_tokenizer(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 4);
    const int has_pairs = !lua_isnil(L, 3);
    const lua_Integer total = luaL_len(L, 2);
    ft_encode_opts o = read_opts(L, 4);
    const ft_long how = read_long(L, 4);
    const size_t most = o.max_length, stride = (size_t)ft_lua_opt_number(L, 4, "stride", 0);
    if (how != FT_LONG_HEAD) o.max_length = 0;
    ft_lua_encodings *x = ft_lua_push_encodings(L, CHUNK);
    ft_text *texts = lua_newuserdatauv(L, 2 * CHUNK * sizeof *texts, 0), *pairs = texts + CHUNK;
    lua_createtable(L, (int)total, 0);
    const int full = lua_gettop(L);
    lua_createtable(L, (int)total, 0);
    ft_tokens *out = ft_lua_push_tokens(L);

    for (lua_Integer first = 0; first < total; first += CHUNK) {
        const lua_Integer n = total - first < CHUNK ? total - first : CHUNK;
        ft_lua_texts(L, 2, first + 1, n, texts, 0);
        if (has_pairs) ft_lua_texts(L, 3, first + 1, n, pairs, 1);
        ft_status s = ft_tokenizer_encode_batch(t, texts, has_pairs ? pairs : NULL, (size_t)n, &o, x->at, &e);
        for (lua_Integer i = 0; i < n && !s; i++) {
            const ft_encoding *c = &x->at[i];
            int64_t examples = 0;
            s = ft_long_add(out, c, most, how, stride, &examples, &e);
            lua_pushinteger(L, (lua_Integer)c->full_length);
            lua_rawseti(L, full, first + i + 1);
            lua_pushinteger(L, examples);
            lua_rawseti(L, full + 1, first + i + 1);
        }
        if (s) {
            ft_context(&e, "texts from %lld on", (long long)first + 1);
            return ft_lua_nil(L, &e);
        }
        ft_lua_opt_call(L, 4, "tick", first + n);
    }
    lua_pushvalue(L, full);
    lua_pushvalue(L, full + 1);
    return 3;
}

static void read_ints(lua_State *L, int arg, int32_t **out, lua_Integer *n, int32_t shift)
{
    luaL_checktype(L, arg, LUA_TTABLE);
    *n = luaL_len(L, arg);
    *out = lua_newuserdatauv(L, (size_t)*n * sizeof **out + 1, 0);
    for (lua_Integer i = 0; i < *n; i++) {
        lua_geti(L, arg, i + 1);
        (*out)[i] = (int32_t)(luaL_checkinteger(L, -1) + shift);
        lua_pop(L, 1);
    }
}

/* text.tokens() -> empty data set; tokens:add({ ids } [, { types }]) */
static int tokens_new(lua_State *L)
{
    ft_lua_push_tokens(L);
    return 1;
}

static int tokens_add(lua_State *L)
{
    ft_err e;
    int32_t *ids, *types = NULL;
    lua_Integer n, m = 0;
    ft_tokens *t = check_tokens(L);
    lua_settop(L, 3);
    read_ints(L, 2, &ids, &n, 0);
    if (!lua_isnil(L, 3)) {
        read_ints(L, 3, &types, &m, 0);
        luaL_argcheck(L, n == m, 3, "needs one type for each id");
    }
    if (ft_tokens_add(t, ids, types, n, &e)) return ft_lua_raise(L, &e);
    return 0;
}

static int tokens_count(lua_State *L)
{
    const ft_tokens *t = check_tokens(L);
    lua_pushinteger(L, t->n);
    lua_pushinteger(L, t->total);
    return 2;
}

static int tokens_length(lua_State *L)
{
    const ft_tokens *t = check_tokens(L);
    const lua_Integer i = luaL_checkinteger(L, 2);
    luaL_argcheck(L, i >= 1 && i <= t->n, 2, "no such example");
    lua_pushinteger(L, t->offset[i] - t->offset[i - 1]);
    return 1;
}

/* tokens:ids(i) -> { ids } of example i */
static int tokens_ids(lua_State *L)
{
    const ft_tokens *t = check_tokens(L);
    const lua_Integer i = luaL_checkinteger(L, 2);
    luaL_argcheck(L, i >= 1 && i <= t->n, 2, "no such example");
    lua_createtable(L, 0, 0);
    for (int64_t k = t->offset[i - 1]; k < t->offset[i]; k++) {
        lua_pushinteger(L, t->ids[k]);
        lua_rawseti(L, -2, k - t->offset[i - 1] + 1);
    }
    return 1;
}

/* tokens:digest() -> SHA-256 of lengths, ids and types */
static int tokens_digest(lua_State *L)
{
    ft_err e;
    char hex[65];
    unsigned char raw[FT_SHA256_SIZE];
    ft_sha256 h;
    const ft_tokens *t = check_tokens(L);

    ft_status s = ft_sha256_init(&h, &e);
    if (!s) s = ft_sha256_update(&h, t->offset, t->n ? (size_t)(t->n + 1) * sizeof *t->offset : 0, &e);
    if (!s) s = ft_sha256_update(&h, t->ids, (size_t)t->total * sizeof *t->ids, &e);
    if (!s && t->types) s = ft_sha256_update(&h, t->types, (size_t)t->total * sizeof *t->types, &e);
    if (!s) s = ft_sha256_final(&h, raw, &e);
    ft_sha256_free(&h);
    if (s) return ft_lua_raise(L, &e);
    ft_sha256_digits(raw, hex);
    lua_pushstring(L, hex);
    return 1;
}

static void set_tensor(lua_State *L, const char *field, ft_tensor *t)
{
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    b->p = ft_tensor_retain(t);
    lua_setfield(L, -2, field);
}

/* Fill the table on top of the stack from the batch behind the light userdata at index 1. */
static int push_batch(lua_State *L)
{
    const ft_token_batch *b = lua_touserdata(L, 1);
    lua_createtable(L, 0, 6);
    set_tensor(L, "tokens", b->ids);
    set_tensor(L, "types", b->types);
    set_tensor(L, "positions", b->positions);
    ft_box *r = ft_lua_box(L, FT_RAGGED, 0);
    r->p = ft_ragged_retain(b->rows);
    lua_setfield(L, -2, "rows");
    return 1;
}

/* tokens:batch({ examples }) -> { tokens, types, positions, rows }; example numbers count from 1 */
static int tokens_batch(lua_State *L)
{
    ft_err e;
    int32_t *index;
    lua_Integer n;
    ft_token_batch b;
    const ft_tokens *t = check_tokens(L);

    read_ints(L, 2, &index, &n, -1);
    lua_pushcfunction(L, push_batch);
    lua_pushlightuserdata(L, &b);
    if (ft_tokens_batch(t, index, (int32_t)n, &b, &e)) return ft_lua_raise(L, &e);
    const int failed = lua_pcall(L, 1, 1, 0);
    ft_token_batch_release(&b);
    return failed ? lua_error(L) : 1;
}

/* tokens:take(all, { examples }) -> of a tensor that has a row for every token, those of these examples, end to end */
static int tokens_take(lua_State *L)
{
    ft_err e;
    int32_t *index;
    lua_Integer n;
    ft_tensor *out;
    const ft_tokens *t = check_tokens(L);
    const ft_tensor *all = ft_lua_tensor(L, 2);

    luaL_argcheck(L, all->data, 2, "has no values");
    read_ints(L, 3, &index, &n, -1);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    if (ft_tokens_take(t, all, index, (int32_t)n, &out, &e)) return ft_lua_raise(L, &e);
    b->p = out;
    return 1;
}

static const luaL_Reg tokenizer_methods[] = {
    { "vocab_size", tokenizer_vocab_size }, { "id", tokenizer_id },       { "token", tokenizer_token },
    { "special", tokenizer_special },       { "save", tokenizer_save },   { "encode", tokenizer_encode },
    { "encode_all", tokenizer_encode_all }, { "close", tokenizer_close }, { NULL, NULL },
};

static const luaL_Reg tokens_methods[] = {
    { "add", tokens_add },   { "count", tokens_count },   { "length", tokens_length },
    { "ids", tokens_ids },   { "digest", tokens_digest }, { "batch", tokens_batch },
    { "take", tokens_take }, { "close", tokens_close },   { NULL, NULL },
};

/* ==== Answers ==== */

static int protected_normal_form(lua_State *L)
{
    const ft_buf *b = lua_touserdata(L, 1);
    lua_pushlstring(L, b->data ? b->data : "", b->len);
    return 1;
}

/* text.normalise_answer(answer) -> its normal form: see text/answer.h; raises where it is not UTF-8 */
static int normalise_answer(lua_State *L)
{
    ft_err e;
    size_t n;
    ft_buf b = { 0 };
    const char *s = luaL_checklstring(L, 1, &n);

    lua_pushcfunction(L, protected_normal_form);
    lua_pushlightuserdata(L, &b);
    if (ft_answer_normalise(s, n, &b, &e)) {
        ft_buf_free(&b);
        return ft_lua_raise(L, &e);
    }
    const int failed = lua_pcall(L, 1, 1, 0);
    ft_buf_free(&b);
    return failed ? lua_error(L) : 1;
}

/* text.cuts(s, i) -> whether a span that begins at byte i (from 1; #s + 1 is its end) would cut a character in two */
static int cuts(lua_State *L)
{
    size_t n;
    const char *s = luaL_checklstring(L, 1, &n);
    const lua_Integer at = luaL_checkinteger(L, 2);
    luaL_argcheck(L, at >= 1 && at <= (lua_Integer)n + 1, 2, "no place in the text");
    lua_pushboolean(L, ft_text_cuts(s, n, (size_t)at - 1));
    return 1;
}

static const luaL_Reg functions[] = {
    { "load", text_load }, { "tokens", tokens_new }, { "normalise_answer", normalise_answer },
    { "cuts", cuts },      { NULL, NULL },
};

int ft_open_text(lua_State *L)
{
    ft_lua_class(L, FT_TOKENIZER, tokenizer_methods, tokenizer_close);
    ft_lua_class(L, FT_TOKENS, tokens_methods, tokens_close);
    static const luaL_Reg none[] = { { NULL, NULL } };
    ft_lua_class(L, SCRATCH, none, scratch_close);
    luaL_newlib(L, functions);
    return 1;
}
