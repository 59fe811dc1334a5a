/* runtime/script/bind.c - boxes, errors, shapes, option tables. */
#include "script/bind.h"

#include <string.h>

#include "graph/lazy.h"

ft_box *ft_lua_box(lua_State *L, const char *class_name, int n_user)
{
    ft_box *b = lua_newuserdatauv(L, sizeof *b, n_user);
    b->p = NULL;
    luaL_setmetatable(L, class_name);
    return b;
}

void *ft_lua_check(lua_State *L, int arg, const char *class_name)
{
    ft_box *b = luaL_checkudata(L, arg, class_name);
    if (!b->p) luaL_argerror(L, arg, "is closed");
    return b->p;
}

ft_tensor *ft_lua_tensor(lua_State *L, int arg)
{
    ft_tensor *t = ft_lua_check(L, arg, FT_TENSOR);
    ft_lazy_settle(t);
    return t;
}

void ft_lua_class(lua_State *L, const char *class_name, const luaL_Reg *methods, lua_CFunction close)
{
    luaL_newmetatable(L, class_name);
    if (close) {
        lua_pushcfunction(L, close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, close);
        lua_setfield(L, -2, "__close");
    }
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "locked");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

int ft_lua_raise(lua_State *L, const ft_err *e)
{
    luaL_where(L, 1);
    lua_pushstring(L, e->msg);
    lua_concat(L, 2);
    return lua_error(L);
}

int ft_lua_nil(lua_State *L, const ft_err *e)
{
    lua_pushnil(L);
    lua_pushstring(L, e->msg);
    return 2;
}

void ft_lua_shape(lua_State *L, int arg, ft_shape *shape)
{
    luaL_checktype(L, arg, LUA_TTABLE);
    const lua_Integer n = luaL_len(L, arg);
    luaL_argcheck(L, n <= FT_MAX_RANK, arg, "a shape has at most 4 dimensions");
    int64_t d[FT_MAX_RANK] = { 1, 1, 1, 1 };
    for (int i = 0; i < (int)n; i++) {
        lua_geti(L, arg, i + 1);
        int ok;
        d[i] = lua_tointegerx(L, -1, &ok);
        luaL_argcheck(L, ok && d[i] >= 0, arg, "a shape holds whole numbers, not negative");
        lua_pop(L, 1);
    }
    *shape = ft_shape_of((int)n, d[0], d[1], d[2], d[3]);
}

void ft_lua_push_shape(lua_State *L, const ft_shape *shape)
{
    lua_createtable(L, shape->rank, 0);
    for (int i = 0; i < shape->rank; i++) {
        lua_pushinteger(L, shape->dim[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static int get(lua_State *L, int arg, const char *field)
{
    if (lua_isnoneornil(L, arg)) return 0;
    luaL_checktype(L, arg, LUA_TTABLE);
    if (lua_getfield(L, arg, field) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    return 0;
}

double ft_lua_opt_number(lua_State *L, int arg, const char *field, double fallback)
{
    if (!get(L, arg, field)) return fallback;
    int ok;
    const double x = lua_tonumberx(L, -1, &ok);
    if (!ok) luaL_error(L, "field '%s' must be a number", field);
    lua_pop(L, 1);
    return x;
}

void ft_lua_opt_call(lua_State *L, int arg, const char *field, lua_Integer n)
{
    if (!get(L, arg, field)) return;
    lua_pushinteger(L, n);
    lua_call(L, 1, 0);
}

int ft_lua_opt_flag(lua_State *L, int arg, const char *field, int fallback)
{
    if (!get(L, arg, field)) return fallback;
    const int x = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return x;
}

const char *ft_lua_opt_string(lua_State *L, int arg, const char *field, const char *fallback)
{
    if (!get(L, arg, field)) return fallback;
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "field '%s' must be a string", field);
    const char *s = lua_tostring(L, -1);
    lua_pop(L, 1);
    return s;
}
