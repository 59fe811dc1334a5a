/* runtime/script/lib_store.c - "ftpipe.core.store": reading and writing safetensors. */
#include <string.h>

#include "script/bind.h"
#include "script/libs.h"
#include "tensor/safetensors.h"

#define CHECKPOINT "ft.safetensors"

static ft_safetensors *check(lua_State *L) { return ft_lua_check(L, 1, CHECKPOINT); }

/* store.open(path) and store.open_dir(dir) -> checkpoint, or nil, message */
static int open_with(lua_State *L, ft_status (*open)(ft_safetensors **, const char *, ft_err *))
{
    ft_err e;
    ft_safetensors *st;
    const char *path = luaL_checkstring(L, 1);
    ft_box *b = ft_lua_box(L, CHECKPOINT, 0);
    if (open(&st, path, &e)) return ft_lua_nil(L, &e);
    b->p = st;
    return 1;
}

static int store_open(lua_State *L) { return open_with(L, ft_safetensors_open); }
static int store_open_dir(lua_State *L) { return open_with(L, ft_safetensors_open_dir); }

static int st_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, CHECKPOINT);
    ft_safetensors_release(b->p);
    b->p = NULL;
    return 0;
}

/* st:names() -> { names } */
static int st_names(lua_State *L)
{
    const ft_safetensors *st = check(L);
    const size_t n = ft_safetensors_count(st);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, ft_safetensors_name(st, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* st:info(name) -> dtype as stored, shape, bytes; nil if there is none */
static int st_info(lua_State *L)
{
    const ft_safetensors_info *i = ft_safetensors_find(check(L), luaL_checkstring(L, 2));
    if (!i) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, i->dtype);
    lua_createtable(L, i->rank, 0);
    for (int k = 0; k < i->rank; k++) {
        lua_pushinteger(L, i->dim[k]);
        lua_rawseti(L, -2, k + 1);
    }
    lua_pushinteger(L, (lua_Integer)i->bytes);
    return 3;
}

/* st:tensor(name) -> tensor over the mapping (read-only), or nil, message */
static int st_tensor(lua_State *L)
{
    ft_err e;
    ft_tensor *t;
    ft_safetensors *st = check(L);
    const char *name = luaL_checkstring(L, 2);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    if (ft_safetensors_tensor(st, name, &t, &e)) return ft_lua_nil(L, &e);
    b->p = t;
    return 1;
}

/* st:private(name) -> the tensor in pages of its own that may be written to; nil where it is better copied */
static int st_private(lua_State *L)
{
    ft_err e;
    ft_tensor *t;
    ft_safetensors *st = check(L);
    const char *name = luaL_checkstring(L, 2);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    if (ft_safetensors_private(st, name, &t, &e)) return ft_lua_raise(L, &e);
    b->p = t;
    if (!t) lua_pushnil(L);
    return 1;
}

static int st_metadata(lua_State *L)
{
    lua_pushstring(L, ft_safetensors_metadata(check(L), luaL_checkstring(L, 2)));
    return 1;
}

static const luaL_Reg methods[] = {
    { "names", st_names },       { "info", st_info },   { "tensor", st_tensor }, { "private", st_private },
    { "metadata", st_metadata }, { "close", st_close }, { NULL, NULL },
};

static lua_Integer count_fields(lua_State *L, int arg)
{
    lua_Integer n = 0;
    if (lua_isnoneornil(L, arg)) return 0;
    luaL_checktype(L, arg, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) n++;
    return n;
}

/* store.write(path, { name = tensor }, { key = text }, floats = nil | "f32" | "bf16" | "f16") -> true, or nil, message */
static int store_write(lua_State *L)
{
    static const char *const kinds[] = { "f32", "bf16", "f16", NULL };
    static const ft_dtype dtypes[] = { FT_F32, FT_BF16, FT_F16 };
    ft_err e;
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 4);
    const int keep = lua_isnil(L, 4), floats = keep ? 0 : luaL_checkoption(L, 4, NULL, kinds);
    const lua_Integer n = count_fields(L, 2), n_meta = count_fields(L, 3);
    const char **names = lua_newuserdatauv(L, (size_t)(n + 2 * n_meta) * sizeof *names + 1, 0);
    ft_tensor **tensors = lua_newuserdatauv(L, (size_t)n * sizeof *tensors + 1, 0);
    const char **keys = names + n, **values = keys + n_meta;
    lua_Integer i = 0, k = 0;

    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1), i++) { /* the tables keep what is pointed to */
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, 2, "names must be strings");
        names[i] = lua_tostring(L, -2);
        tensors[i] = ft_lua_tensor(L, -1);
    }
    if (n_meta)
        for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1), k++) {
            luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING, 3,
                          "metadata are strings");
            keys[k] = lua_tostring(L, -2);
            values[k] = lua_tostring(L, -1);
        }
    const ft_status s = keep ? ft_safetensors_write(path, (size_t)n, names, tensors, (size_t)n_meta, keys, values, &e)
                             : ft_safetensors_write_as(path, dtypes[floats], (size_t)n, names, tensors, (size_t)n_meta,
                                                       keys, values, &e);
    if (s) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    { "open", store_open },
    { "open_dir", store_open_dir },
    { "write", store_write },
    { NULL, NULL },
};

int ft_open_store(lua_State *L)
{
    ft_lua_class(L, CHECKPOINT, methods, st_close);
    luaL_newlib(L, functions);
    return 1;
}
