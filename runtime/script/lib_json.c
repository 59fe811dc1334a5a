/* runtime/script/lib_json.c - "ftpipe.core.json": JSON to Lua values and back.
 *
 * decode: objects and arrays become tables, null becomes json.null. encode is canonical:
 * keys in byte order, no spaces, integers without a point, other numbers in the shortest
 * form that reads back exactly; so equal values have equal bytes in every locale. A table
 * is an array if it has the metatable json.array's or keys 1..n with n > 0; an empty table
 * is an object unless made by json.array().
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "script/bind.h"
#include "script/libs.h"

#define ARRAY "ft.json.array"
#define DEPTH 200

static char null_mark;

/* ==== Decoding ==== */

/* Whole numbers are Lua integers, also in a text where some integer was too big and all were read as doubles. */
static void push_real(lua_State *L, double x)
{
    if (x == floor(x) && fabs(x) < 0x1p53)
        lua_pushinteger(L, (lua_Integer)x);
    else
        lua_pushnumber(L, x);
}

static void push(lua_State *L, const json_t *v)
{
    luaL_checkstack(L, 6, "JSON is nested too deep");
    switch (json_typeof(v)) {
    case JSON_OBJECT: {
        const char *key;
        json_t *item;
        lua_createtable(L, 0, (int)json_object_size(v));
        json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
            lua_pushstring(L, key);
            push(L, item);
            lua_rawset(L, -3);
        }
        break;
    }
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(v), 0);
        luaL_setmetatable(L, ARRAY);
        for (size_t i = 0; i < json_array_size(v); i++) {
            push(L, json_array_get(v, i));
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        break;
    case JSON_STRING: lua_pushlstring(L, json_string_value(v), json_string_length(v)); break;
    case JSON_INTEGER: lua_pushinteger(L, (lua_Integer)json_integer_value(v)); break;
    case JSON_REAL: push_real(L, json_real_value(v)); break;
    case JSON_TRUE: lua_pushboolean(L, 1); break;
    case JSON_FALSE: lua_pushboolean(L, 0); break;
    case JSON_NULL: lua_pushlightuserdata(L, &null_mark); break;
    }
}

static int protected_push(lua_State *L)
{
    push(L, lua_touserdata(L, 1));
    return 1;
}

/* json.decode(text) -> value, or nil, message with line and column */
static int decode(lua_State *L)
{
    size_t n;
    json_error_t at;
    const char *text = luaL_checklstring(L, 1, &n);

    lua_pushcfunction(L, protected_push); /* before the tree exists: pushing may fail */
    json_t *v = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &at);
    if (!v && json_error_code(&at) == json_error_numeric_overflow)
        v = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &at);
    if (!v) {
        lua_pushnil(L);
        lua_pushfstring(L, "invalid JSON at line %d, column %d: %s", at.line, at.column, at.text);
        return 2;
    }
    lua_pushlightuserdata(L, v);
    const int failed = lua_pcall(L, 1, 1, 0);
    json_decref(v);
    return failed ? lua_error(L) : 1;
}

/* ==== Encoding ==== */

#define WRITER "ft.json.writer"

typedef struct name {
    const char *s;
    size_t n;
} name;

/* The text so far, and the names of all objects that are open: an object's own are the last ones. They belong to the
 * tables, which nothing changes meanwhile. Lives in a box, so that an error of Lua's releases it. */
typedef struct writer {
    ft_buf text;
    name *names;
    size_t n, cap;
} writer;

static int close_writer(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, WRITER);
    writer *w = b->p;

    if (w) {
        ft_buf_free(&w->text);
        ft_free(w->names);
        ft_free(w);
    }
    b->p = NULL;
    return 0;
}

static void add(lua_State *L, writer *w, const char *s, size_t n)
{
    ft_err e = { 0 };
    if (ft_buf_add(&w->text, s, n, &e)) ft_lua_raise(L, &e);
}

static void add_name(lua_State *L, writer *w)
{
    if (w->n == w->cap) {
        const size_t cap = w->cap ? 2 * w->cap : 32;
        name *more = ft_realloc(w->names, cap * sizeof *more);
        if (!more) luaL_error(L, "not enough memory");
        w->names = more;
        w->cap = cap;
    }
    name *k = &w->names[w->n];
    k->s = lua_tolstring(L, -1, &k->n);
    w->n++;
}

static int by_bytes(const void *left, const void *right)
{
    const name *a = left, *b = right;
    const int order = memcmp(a->s, b->s, a->n < b->n ? a->n : b->n);

    return order ? order : (a->n > b->n) - (a->n < b->n);
}

static void encode_string(lua_State *L, writer *w, const char *s, size_t n)
{
    size_t done = 0; /* bytes before this one are written */
    char escape[8];

    add(L, w, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
        if (c == '"' || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", c);
        else if (c == '\n')
            snprintf(escape, sizeof escape, "\\n");
        else
            snprintf(escape, sizeof escape, "\\u%04x", c);
        add(L, w, s + done, i - done);
        add(L, w, escape, strlen(escape));
        done = i + 1;
    }
    add(L, w, s + done, n - done);
    add(L, w, "\"", 1);
}

static void encode_number(lua_State *L, writer *w, int index)
{
    char text[40];
    const double x = lua_tonumber(L, index);

    if (lua_isinteger(L, index)) {
        snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, index));
    } else if (!isfinite(x)) {
        snprintf(text, sizeof text, "null"); /* JSON has no NaN */
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, x);
            for (char *p = text; *p; p++)
                if (*p == ',') *p = '.'; /* a locale's decimal comma */
            if (strtod(text, NULL) == x) break;
        }
    }
    add(L, w, text, strlen(text));
}

static void encode_value(lua_State *L, writer *w, int index, int depth);

static int is_array(lua_State *L, int index)
{
    if (luaL_getmetafield(L, index, "__name") != LUA_TNIL) {
        const int yes = strcmp(lua_tostring(L, -1), ARRAY) == 0;
        lua_pop(L, 1);
        if (yes) return 1;
    }
    return lua_rawlen(L, index) > 0;
}

static void encode_array(lua_State *L, writer *w, int index, int depth)
{
    const lua_Integer n = (lua_Integer)lua_rawlen(L, index);

    add(L, w, "[", 1);
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1) add(L, w, ",", 1);
        lua_rawgeti(L, index, i);
        encode_value(L, w, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    add(L, w, "]", 1);
}

static void encode_object(lua_State *L, writer *w, int index, int depth)
{
    const size_t first = w->n;

    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "JSON objects have string keys, got a %s", luaL_typename(L, -1));
        add_name(L, w);
    }
    const size_t last = w->n;
    if (last > first) qsort(w->names + first, last - first, sizeof *w->names, by_bytes);
    add(L, w, "{", 1);
    for (size_t i = first; i < last; i++) {
        const name k = w->names[i];
        if (i > first) add(L, w, ",", 1);
        encode_string(L, w, k.s, k.n);
        add(L, w, ":", 1);
        lua_pushlstring(L, k.s, k.n);
        lua_rawget(L, index);
        encode_value(L, w, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    add(L, w, "}", 1);
    w->n = first;
}

static void encode_value(lua_State *L, writer *w, int index, int depth)
{
    size_t n;
    const char *s;

    if (depth > DEPTH) luaL_error(L, "value is nested deeper than %d levels (or contains itself)", DEPTH);
    luaL_checkstack(L, 12, "value is nested too deep");
    switch (lua_type(L, index)) {
    case LUA_TTABLE:
        if (is_array(L, index))
            encode_array(L, w, index, depth);
        else
            encode_object(L, w, index, depth);
        return;
    case LUA_TBOOLEAN:
        s = lua_toboolean(L, index) ? "true" : "false";
        add(L, w, s, strlen(s));
        return;
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA: add(L, w, "null", 4); return;
    case LUA_TSTRING:
        s = lua_tolstring(L, index, &n);
        encode_string(L, w, s, n);
        return;
    case LUA_TNUMBER: encode_number(L, w, index); return;
    default: luaL_error(L, "a %s has no JSON form", luaL_typename(L, index));
    }
}

/* json.encode(value) -> canonical text */
static int encode(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    ft_box *b = ft_lua_box(L, WRITER, 0);
    writer *w = b->p = ft_calloc(1, sizeof *w);
    if (!w) return luaL_error(L, "not enough memory");
    encode_value(L, w, 1, 0);
    lua_pushlstring(L, w->text.data, w->text.len);
    lua_pushcfunction(L, close_writer);
    lua_pushvalue(L, 2);
    lua_call(L, 1, 0);
    return 1;
}

/* json.array(t = {}) -> t, marked as an array even when empty */
static int array(lua_State *L)
{
    if (lua_isnone(L, 1)) lua_newtable(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_setmetatable(L, ARRAY);
    return 1;
}

static const luaL_Reg functions[] = {
    { "decode", decode },
    { "encode", encode },
    { "array", array },
    { NULL, NULL },
};

int ft_open_json(lua_State *L)
{
    luaL_newmetatable(L, ARRAY);
    lua_pop(L, 1);
    static const luaL_Reg none[] = { { NULL, NULL } };
    ft_lua_class(L, WRITER, none, close_writer);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, &null_mark);
    lua_setfield(L, -2, "null");
    return 1;
}
