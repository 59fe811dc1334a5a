/* runtime/script/lib_corpus.c - "ftpipe.core.corpus": packed unlabelled text, and the masks of masked language models. */
#include <string.h>

#include "core/mem.h"
#include "data/mask.h"
#include "data/packer.h"
#include "data/words.h"
#include "script/bind.h"
#include "script/libs.h"

#define PACKER "ft.packer"
#define MASKER "ft.masker"
#define ALIGNER "ft.aligner"

static ft_packer *check_packer(lua_State *L) { return ft_lua_check(L, 1, PACKER); }
static ft_masker *check_masker(lua_State *L) { return ft_lua_check(L, 1, MASKER); }

/* ==== Packing ==== */

/* corpus.packer(path, tokeniser, length [, apart]) -> packer, or nil, message; apart: each text is a window of its own */
static int corpus_packer(lua_State *L)
{
    ft_err e;
    ft_packer *p;
    const char *path = luaL_checkstring(L, 1);
    ft_tokenizer *t = ft_lua_check(L, 2, FT_TOKENIZER);
    const lua_Integer length = luaL_checkinteger(L, 3);
    const bool packs = !lua_toboolean(L, 4);
    ft_box *b = ft_lua_box(L, PACKER, 0);
    luaL_argcheck(L, length <= INT32_MAX, 3, "too long");
    if (ft_packer_new(&p, path, t, (int32_t)length, packs, &e)) return ft_lua_nil(L, &e);
    b->p = p;
    return 1;
}

static int packer_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, PACKER);
    ft_packer_free(b->p);
    b->p = NULL;
    return 0;
}

/* packer:add({ texts, false where a document ends }, n) -> true, or nil, message */
static int packer_add(lua_State *L)
{
    ft_err e;
    ft_packer *p = check_packer(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    const lua_Integer n = luaL_checkinteger(L, 3);
    luaL_argcheck(L, n >= 0, 3, "is negative");
    ft_text *texts = lua_newuserdatauv(L, (size_t)n * sizeof *texts + 1, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, 2, i + 1);
        texts[i] = (ft_text){ NULL, 0 };
        if (lua_toboolean(L, -1)) texts[i].data = luaL_checklstring(L, -1, &texts[i].len);
        lua_pop(L, 1); /* the table keeps the string */
    }
    if (ft_packer_add(p, texts, (size_t)n, &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

/* packer:finish() -> windows, tokens, documents; or nil, message. The packer is closed. */
static int packer_finish(lua_State *L)
{
    ft_err e;
    ft_packed out;
    const ft_status s = ft_packer_finish(check_packer(L), &out, &e);
    packer_close(L);
    if (s) return ft_lua_nil(L, &e);
    lua_pushinteger(L, out.windows);
    lua_pushinteger(L, out.tokens);
    lua_pushinteger(L, out.documents);
    return 3;
}

/* corpus.open(path, length (0: apart), vocabulary size) -> tokens, or nil, message */
static int corpus_open(lua_State *L)
{
    ft_err e;
    const char *path = luaL_checkstring(L, 1);
    const lua_Integer length = luaL_checkinteger(L, 2), vocab = luaL_checkinteger(L, 3);
    luaL_argcheck(L, length <= INT32_MAX, 2, "too long");
    luaL_argcheck(L, vocab <= INT32_MAX, 3, "too large");
    ft_box *b = ft_lua_box(L, FT_TOKENS, 0);
    b->p = ft_calloc(1, sizeof(ft_tokens));
    if (!b->p) return luaL_error(L, "out of memory");
    if (ft_packed_open(b->p, path, (int32_t)length, (int32_t)vocab, &e)) return ft_lua_nil(L, &e);
    return 1;
}

/* ==== Masking ==== */

/* corpus.masker(tokeniser, { seed, rate, whole_word }) -> masker, or nil, message */
static int corpus_masker(lua_State *L)
{
    ft_err e;
    ft_masker *m;
    const ft_tokenizer *t = ft_lua_check(L, 1, FT_TOKENIZER);
    const ft_mask_opts o = {
        .seed = (uint64_t)ft_lua_opt_number(L, 2, "seed", 1),
        .rate = ft_lua_opt_number(L, 2, "rate", 0.15),
        .whole_word = ft_lua_opt_flag(L, 2, "whole_word", 0),
    };
    ft_box *b = ft_lua_box(L, MASKER, 0);
    if (ft_masker_new(&m, t, &o, &e)) return ft_lua_nil(L, &e);
    b->p = m;
    return 1;
}

static int masker_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, MASKER);
    ft_masker_free(b->p);
    b->p = NULL;
    return 0;
}

/* The example numbers of the table at arg, from 0 on. Lua frees them. */
static int32_t *read_examples(lua_State *L, int arg, lua_Integer *n)
{
    luaL_checktype(L, arg, LUA_TTABLE);
    *n = luaL_len(L, arg);
    int32_t *index = lua_newuserdatauv(L, (size_t)*n * sizeof *index + 1, 0);
    for (lua_Integer i = 0; i < *n; i++) {
        lua_geti(L, arg, i + 1);
        index[i] = (int32_t)(luaL_checkinteger(L, -1) - 1);
        lua_pop(L, 1);
    }
    return index;
}

/* masker:count(tokens, { examples }, epoch) -> tokens that are masked; example numbers count from 1 */
static int masker_count(lua_State *L)
{
    ft_err e;
    int64_t count;
    lua_Integer n;
    const ft_masker *m = check_masker(L);
    const ft_tokens *t = ft_lua_check(L, 2, FT_TOKENS);
    const lua_Integer epoch = luaL_checkinteger(L, 4);
    const int32_t *index = read_examples(L, 3, &n);
    if (ft_mask_count(m, t, index, (int32_t)n, (uint32_t)epoch, &count, &e)) return ft_lua_raise(L, &e);
    lua_pushinteger(L, count);
    return 1;
}

/* masker:apply(ids, rows, epoch) -> places (M), labels (M), both i32; the ids are masked in place */
static int masker_apply(lua_State *L)
{
    ft_err e;
    ft_tensor *places, *labels;
    const ft_masker *m = check_masker(L);
    ft_tensor *ids = ft_lua_tensor(L, 2);
    const ft_ragged *rows = ft_lua_check(L, 3, FT_RAGGED);
    const lua_Integer epoch = luaL_checkinteger(L, 4);
    ft_box *a = ft_lua_box(L, FT_TENSOR, 0), *b = ft_lua_box(L, FT_TENSOR, 0);
    if (ft_mask_apply(m, ids, rows, (uint32_t)epoch, &places, &labels, &e)) return ft_lua_raise(L, &e);
    a->p = places;
    b->p = labels;
    return 2;
}

/* ==== The same words in two vocabularies ==== */

/* corpus.aligner(tokeniser, tokeniser) -> aligner, or nil, message */
static int corpus_aligner(lua_State *L)
{
    ft_err e;
    ft_aligner *m;
    const ft_tokenizer *a = ft_lua_check(L, 1, FT_TOKENIZER), *b = ft_lua_check(L, 2, FT_TOKENIZER);
    ft_box *box = ft_lua_box(L, ALIGNER, 0);
    if (ft_aligner_new(&m, a, b, &e)) return ft_lua_nil(L, &e);
    box->p = m;
    return 1;
}

static int aligner_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, ALIGNER);
    ft_aligner_free(b->p);
    b->p = NULL;
    return 0;
}

/* aligner:count(tokens, tokens, { examples }) -> words that both have; example numbers count from 1 */
static int aligner_count(lua_State *L)
{
    ft_err e;
    int64_t count;
    lua_Integer n;
    const ft_aligner *m = ft_lua_check(L, 1, ALIGNER);
    const ft_tokens *a = ft_lua_check(L, 2, FT_TOKENS), *b = ft_lua_check(L, 3, FT_TOKENS);
    const int32_t *index = read_examples(L, 4, &n);
    if (ft_align_count(m, a, b, index, (int32_t)n, &count, &e)) return ft_lua_raise(L, &e);
    lua_pushinteger(L, count);
    return 1;
}

/* aligner:places(ids, rows, ids, rows) -> places (M) in the first, places (M) in the second batch, both i32 */
static int aligner_places(lua_State *L)
{
    ft_err e;
    ft_tensor *places_a, *places_b;
    const ft_aligner *m = ft_lua_check(L, 1, ALIGNER);
    const ft_tensor *ids_a = ft_lua_tensor(L, 2), *ids_b = ft_lua_tensor(L, 4);
    const ft_ragged *rows_a = ft_lua_check(L, 3, FT_RAGGED), *rows_b = ft_lua_check(L, 5, FT_RAGGED);
    ft_box *a = ft_lua_box(L, FT_TENSOR, 0), *b = ft_lua_box(L, FT_TENSOR, 0);
    if (ft_align_batch(m, ids_a, rows_a, ids_b, rows_b, &places_a, &places_b, &e)) return ft_lua_raise(L, &e);
    a->p = places_a;
    b->p = places_b;
    return 2;
}

static const luaL_Reg packer_methods[] = {
    { "add", packer_add }, { "finish", packer_finish }, { "close", packer_close }, { NULL, NULL }
};

static const luaL_Reg masker_methods[] = {
    { "count", masker_count }, { "apply", masker_apply }, { "close", masker_close }, { NULL, NULL }
};

static const luaL_Reg aligner_methods[] = {
    { "count", aligner_count }, { "places", aligner_places }, { "close", aligner_close }, { NULL, NULL }
};

static const luaL_Reg functions[] = {
    { "packer", corpus_packer },   { "open", corpus_open }, { "masker", corpus_masker },
    { "aligner", corpus_aligner }, { NULL, NULL },
};

int ft_open_corpus(lua_State *L)
{
    ft_lua_class(L, PACKER, packer_methods, packer_close);
    ft_lua_class(L, MASKER, masker_methods, masker_close);
    ft_lua_class(L, ALIGNER, aligner_methods, aligner_close);
    luaL_newlib(L, functions);
    return 1;
}
