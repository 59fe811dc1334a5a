/* runtime/script/lib_pack.c - "ftpipe.core.pack": Lua values as bytes, exactly, for artifacts that steps leave to others.
 *
 * Equal values have equal bytes: keys are sorted, integers stay integers, NaN stays NaN. Tensors and token data sets are
 * values too. What the reader has already (a tokeniser, the rows of another step) is not written: `shared` has such objects
 * by name, and their name is written instead. A table with another metatable than json.array's, a function or a foreign
 * userdata has no form: pack.bytes then gives nil and the path of what it met.
 *
 *   bytes   = "ftpack1\n" value
 *   value   = 'n' | 'N' (json.null) | 't' | 'f' | 'i' i64 | 'd' f64 | 's' u64 bytes | 'R' u64 bytes (name of a shared object)
 *           | ('T' | 'A') u64 n, u64 k, n values, k (key value); 'A' is marked as an array of JSON
 *           | 'X' u8 dtype, u8 rank, rank u64, the elements | 'K' u64 n, u64 total, u8 typed, offsets, ids [, types]
 *           | 'W' windows of texts: see data/windows.h
 *
 * All numbers are little-endian, as on every machine that this program runs on.
 */
#include <string.h>

#include "core/buf.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/sha256.h"
#include "data/tokens.h"
#include "script/bind.h"
#include "script/libs.h"
#include "script/pack.h"
#include "script/text_bind.h"

#define MAGIC FT_PACK_MAGIC
#define BYTES "ft.pack.bytes"
#define ARRAY "ft.json.array"
#define DEPTH 200

/* ==== Writing ==== */

/* The state of one call: indices on the stack of the tables object -> name, keys for a message, names that were used. */
typedef struct writing {
    lua_State *L;
    ft_buf *b;
    int shared, path, used;
} writing;

static void put(const writing *w, const void *bytes, size_t n)
{
    ft_err e;
    if (ft_buf_add(w->b, bytes, n, &e)) luaL_error(w->L, "%s", e.msg);
}

static void put_tag(const writing *w, char tag) { put(w, &tag, 1); }
static void put_u64(const writing *w, uint64_t x) { put(w, &x, sizeof x); }

static void put_string(const writing *w, int index)
{
    size_t n;
    const char *s = lua_tolstring(w->L, index, &n);
    put_tag(w, 's');
    put_u64(w, n);
    put(w, s, n);
}

static void put_number(const writing *w, int index)
{
    if (lua_isinteger(w->L, index)) {
        put_tag(w, 'i');
        put_u64(w, (uint64_t)lua_tointeger(w->L, index));
    } else {
        const double x = lua_tonumber(w->L, index);
        put_tag(w, 'd');
        put(w, &x, sizeof x);
    }
}

static void put_tensor(const writing *w, const ft_tensor *t)
{
    unsigned char head[FT_PACK_TENSOR_HEAD];

    if (!t->data) luaL_error(w->L, "a tensor without values cannot be stored");
    put(w, head, ft_pack_tensor_head(t, head));
    put(w, t->data, t->bytes);
}

static void put_tokens(const writing *w, const ft_tokens *t)
{
    static const int64_t zero = 0;
    const unsigned char typed = t->types != NULL;

    put_tag(w, 'K');
    put_u64(w, (uint64_t)t->n);
    put_u64(w, (uint64_t)t->total);
    put(w, &typed, 1);
    put(w, t->offset ? t->offset : &zero, (size_t)(t->n + 1) * sizeof *t->offset);
    put(w, t->ids, (size_t)t->total * sizeof *t->ids);
    if (typed) put(w, t->types, (size_t)t->total * sizeof *t->types);
}

static void put_windows(const writing *w, const ft_windows *x)
{
    ft_err e;

    put_tag(w, 'W');
    if (ft_windows_write(x, w->b, &e)) luaL_error(w->L, "%s", e.msg);
}

/* What has no form: an error whose message is the path of keys to it. */
static int refuse(const writing *w, const char *what, int depth)
{
    lua_State *L = w->L;
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    for (int i = 1; i <= depth; i++) {
        lua_rawgeti(L, w->path, i);
        if (i > 1) luaL_addchar(&b, '.');
        luaL_tolstring(L, -1, NULL);
        lua_remove(L, -2);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    return luaL_error(L, "%s%s%s cannot be stored", what, depth ? " in " : "", lua_tostring(L, -1));
}

static void put_value(const writing *w, int index, int depth);

/* The value on top of the stack, which is that of the key below it; takes the value. */
static void put_field(const writing *w, int depth)
{
    lua_pushvalue(w->L, -2);
    lua_rawseti(w->L, w->path, depth + 1);
    put_value(w, lua_gettop(w->L), depth + 1);
    lua_pop(w->L, 1);
}

/* Keys beyond 1..n, into two lists on the stack: strings, whole numbers; both sorted. Returns how many there are. */
static lua_Integer other_keys(const writing *w, int index, lua_Integer n, int depth)
{
    lua_State *L = w->L;
    lua_newtable(L);
    lua_newtable(L);
    const int strings = lua_gettop(L) - 1, numbers = strings + 1;
    lua_Integer n_strings = 0, n_numbers = 0;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            lua_pushvalue(L, -2);
            lua_rawseti(L, strings, ++n_strings);
        } else if (lua_isinteger(L, -2)) {
            const lua_Integer k = lua_tointeger(L, -2);
            if (k >= 1 && k <= n) continue;
            lua_pushinteger(L, k);
            lua_rawseti(L, numbers, ++n_numbers);
        } else {
            refuse(w, "a key that is neither text nor a whole number", depth);
        }
    }
    for (int list = strings; list <= numbers; list++) {
        lua_getfield(L, LUA_REGISTRYINDEX, "ft.sort");
        lua_pushvalue(L, list);
        lua_call(L, 1, 0);
    }
    return n_strings + n_numbers;
}

static int is_array(const writing *w, int index, int depth)
{
    if (!lua_getmetatable(w->L, index)) return 0;
    luaL_getmetatable(w->L, ARRAY);
    const int same = lua_rawequal(w->L, -1, -2);
    lua_pop(w->L, 2);
    if (!same) refuse(w, "an object", depth);
    return 1;
}

/* How many values there are before the first hole. The border that rawlen finds depends on how the table was filled. */
static lua_Integer values_in_order(lua_State *L, int index)
{
    const lua_Integer most = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer n = 1; n <= most; n++) {
        const int type = lua_rawgeti(L, index, n);
        lua_pop(L, 1);
        if (type == LUA_TNIL) return n - 1;
    }
    return most;
}

static void put_table(const writing *w, int index, int depth)
{
    lua_State *L = w->L;
    const int array = is_array(w, index, depth);
    const lua_Integer n = values_in_order(L, index);
    const lua_Integer k = other_keys(w, index, n, depth);
    const int lists = lua_gettop(L) - 1;

    put_tag(w, array ? 'A' : 'T');
    put_u64(w, (uint64_t)n);
    put_u64(w, (uint64_t)k);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_pushinteger(L, i);
        lua_rawgeti(L, index, i);
        put_field(w, depth);
        lua_pop(L, 1);
    }
    for (int list = lists; list <= lists + 1; list++) {
        const lua_Integer m = (lua_Integer)lua_rawlen(L, list);
        for (lua_Integer i = 1; i <= m; i++) {
            lua_rawgeti(L, list, i);
            if (lua_type(L, -1) == LUA_TSTRING)
                put_string(w, -1);
            else
                put_number(w, -1);
            lua_pushvalue(L, -1);
            lua_rawget(L, index);
            put_field(w, depth);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 2);
}

static int put_shared(const writing *w, int index)
{
    lua_pushvalue(w->L, index);
    lua_rawget(w->L, w->shared);
    const int there = !lua_isnil(w->L, -1);
    if (there) {
        size_t n;
        const char *name = lua_tolstring(w->L, -1, &n);
        put_tag(w, 'R');
        put_u64(w, n);
        put(w, name, n);
        lua_pushvalue(w->L, -1);
        lua_pushboolean(w->L, 1);
        lua_rawset(w->L, w->used);
    }
    lua_pop(w->L, 1);
    return there;
}

static void put_value(const writing *w, int index, int depth)
{
    lua_State *L = w->L;

    if (depth > DEPTH)
        luaL_error(L, "a value nested deeper than %d levels (or that contains itself) cannot be stored", DEPTH);
    luaL_checkstack(L, 16, "a value is nested too deep");
    switch (lua_type(L, index)) {
    case LUA_TNIL: put_tag(w, 'n'); return;
    case LUA_TLIGHTUSERDATA: put_tag(w, 'N'); return; /* json.null is the only one that Lua sees */
    case LUA_TBOOLEAN: put_tag(w, lua_toboolean(L, index) ? 't' : 'f'); return;
    case LUA_TNUMBER: put_number(w, index); return;
    case LUA_TSTRING: put_string(w, index); return;
    case LUA_TTABLE:
        if (!put_shared(w, index)) put_table(w, index, depth);
        return;
    case LUA_TUSERDATA:
        if (put_shared(w, index)) return;
        if (luaL_testudata(L, index, FT_TENSOR))
            put_tensor(w, ft_lua_tensor(L, index));
        else if (luaL_testudata(L, index, FT_TOKENS))
            put_tokens(w, ft_lua_check(L, index, FT_TOKENS));
        else if (luaL_testudata(L, index, FT_WINDOWS))
            put_windows(w, ft_lua_check(L, index, FT_WINDOWS));
        else
            refuse(w, "a userdata", depth);
        return;
    default: refuse(w, luaL_typename(L, index), depth);
    }
}

static int bytes_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, BYTES);
    if (b->p) ft_buf_free(b->p);
    ft_free(b->p);
    b->p = NULL;
    return 0;
}

/* (box, value, shared objects) */
static int write_value(lua_State *L)
{
    const ft_box *box = lua_touserdata(L, 1);
    for (int i = 0; i < 3; i++) lua_newtable(L);
    const writing w = { L, box->p, 4, 5, 6 };
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, 2, "shared objects have names");
        lua_pushvalue(L, -1);
        lua_pushvalue(L, -3);
        lua_rawset(L, w.shared);
    }
    put(&w, MAGIC, strlen(MAGIC));
    put_value(&w, 2, 0);
    lua_settop(L, w.used);
    return 1;
}

/* pack.bytes(value [, { name = shared object }]) -> bytes as an object with :write(path), :sha256() and :size(), and a table
 * whose keys are the names of the shared objects that occur; or nil and what cannot be stored */
static int pack_bytes(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    ft_box *b = ft_lua_box(L, BYTES, 0);
    b->p = ft_calloc(1, sizeof(ft_buf));
    if (!b->p) return luaL_error(L, "out of memory");
    lua_pushcfunction(L, write_value);
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    if (lua_pcall(L, 3, 1, 0)) {
        ft_buf_free(b->p);
        ft_free(b->p);
        b->p = NULL;
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    return 2;
}

/* b:write(path) -> true, or nil, message; the file appears whole or not at all */
static int bytes_write(lua_State *L)
{
    ft_err e;
    const ft_buf *b = ft_lua_check(L, 1, BYTES);
    if (ft_file_write(luaL_checkstring(L, 2), b->data, b->len, &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

static int bytes_sha256(lua_State *L)
{
    ft_err e;
    char hex[FT_SHA256_HEX];
    const ft_buf *b = ft_lua_check(L, 1, BYTES);
    if (ft_sha256_hex(b->data, b->len, hex, &e)) return ft_lua_raise(L, &e);
    lua_pushstring(L, hex);
    return 1;
}

static int bytes_size(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)((const ft_buf *)ft_lua_check(L, 1, BYTES))->len);
    return 1;
}

/* ==== Reading ==== */

typedef struct reading {
    lua_State *L;
    const unsigned char *at, *end;
    int shared;
} reading;

static const void *take(reading *r, uint64_t n)
{
    if (n > (uint64_t)(r->end - r->at)) luaL_error(r->L, "ends in the middle of a value");
    const void *p = r->at;
    r->at += n;
    return p;
}

static uint64_t take_u64(reading *r)
{
    uint64_t x;
    memcpy(&x, take(r, sizeof x), sizeof x);
    return x;
}

/* A count of things of which each takes at least `size` bytes of what is left. */
static uint64_t take_count(reading *r, uint64_t size)
{
    const uint64_t n = take_u64(r);
    if (n > (uint64_t)(r->end - r->at) / size) luaL_error(r->L, "announces more than it holds");
    return n;
}

static void read_tensor(reading *r)
{
    ft_err e;
    ft_shape shape = ft_shape_of(0, 1, 1, 1, 1);
    const unsigned char *head = take(r, 2);
    uint64_t count = 1;

    if (head[0] > FT_U8 || head[1] > FT_MAX_RANK) luaL_error(r->L, "holds a tensor of an unknown form");
    const ft_dtype dtype = (ft_dtype)head[0];
    shape.rank = head[1];
    for (int i = 0; i < shape.rank; i++) {
        const uint64_t d = take_u64(r);
        if (d > (1u << 31) || (d && count > (uint64_t)(r->end - r->at) / d))
            luaL_error(r->L, "announces more than it holds");
        shape.dim[i] = (int64_t)d;
        count *= d;
    }
    const void *bytes = take(r, count * ft_dtype_size(dtype));
    ft_box *b = ft_lua_box(r->L, FT_TENSOR, 0);
    ft_tensor *t;
    if (ft_tensor_new(&t, dtype, &shape, &e)) luaL_error(r->L, "%s", e.msg);
    b->p = t;
    if (t->bytes) memcpy(t->data, bytes, t->bytes);
}

static void read_tokens(reading *r)
{
    const uint64_t n = take_count(r, sizeof(int64_t)), total = take_u64(r);
    const unsigned char typed = *(const unsigned char *)take(r, 1);
    const unsigned char *offsets = take(r, (n + 1) * sizeof(int64_t));
    if (total > (uint64_t)(r->end - r->at) / sizeof(int32_t)) luaL_error(r->L, "announces more than it holds");
    const unsigned char *ids = take(r, total * sizeof(int32_t));
    const unsigned char *types = typed ? take(r, total * sizeof(int32_t)) : NULL;
    int64_t before = 0, here;

    for (uint64_t i = 0; i <= n; i++, before = here) {
        memcpy(&here, offsets + i * sizeof here, sizeof here);
        if (here < before || (uint64_t)here > total || (i == 0 && here) || (i == n && (uint64_t)here != total))
            luaL_error(r->L, "holds tokens whose rows do not fit");
    }
    ft_tokens *t = ft_lua_push_tokens(r->L);
    t->offset = ft_malloc((n + 1) * sizeof *t->offset);
    t->ids = ft_malloc((total + 1) * sizeof *t->ids);
    if (typed) t->types = ft_malloc((total + 1) * sizeof *t->types);
    if (!t->offset || !t->ids || (typed && !t->types)) luaL_error(r->L, "out of memory");
    memcpy(t->offset, offsets, (n + 1) * sizeof *t->offset);
    memcpy(t->ids, ids, total * sizeof *t->ids);
    if (types) memcpy(t->types, types, total * sizeof *t->types);
    t->n = (int64_t)n;
    t->total = (int64_t)total;
    t->cap_n = (int64_t)n + 1;
    t->cap_total = (int64_t)total + 1;
}

static void read_windows(reading *r)
{
    ft_err e;
    size_t used;

    if (ft_windows_read(ft_lua_push_windows(r->L), r->at, (size_t)(r->end - r->at), &used, &e))
        luaL_error(r->L, "%s", e.msg);
    r->at += used;
}

static void read_value(reading *r, int depth);

static void read_table(reading *r, int array, int depth)
{
    lua_State *L = r->L;
    const uint64_t n = take_count(r, 1), k = take_count(r, 2);

    lua_createtable(L, n < (1u << 30) ? (int)n : 0, k < (1u << 30) ? (int)k : 0);
    for (uint64_t i = 1; i <= n; i++) {
        read_value(r, depth + 1);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    for (uint64_t i = 0; i < k; i++) {
        read_value(r, depth + 1);
        if (lua_type(L, -1) != LUA_TSTRING && !lua_isinteger(L, -1)) luaL_error(L, "holds a key of a wrong type");
        read_value(r, depth + 1);
        lua_rawset(L, -3);
    }
    if (array) luaL_setmetatable(L, ARRAY);
}

static void push_null(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "ftpipe.core.json");
    lua_getfield(L, -1, "null");
    lua_replace(L, -3);
    lua_pop(L, 1);
}

static void read_value(reading *r, int depth)
{
    lua_State *L = r->L;
    const unsigned char tag = *(const unsigned char *)take(r, 1);
    uint64_t n;
    double x;

    if (depth > DEPTH) luaL_error(L, "is nested too deep");
    luaL_checkstack(L, 8, "is nested too deep");
    switch (tag) {
    case 'n': lua_pushnil(L); return;
    case 'N': push_null(L); return;
    case 't': lua_pushboolean(L, 1); return;
    case 'f': lua_pushboolean(L, 0); return;
    case 'i': lua_pushinteger(L, (lua_Integer)take_u64(r)); return;
    case 'd':
        memcpy(&x, take(r, sizeof x), sizeof x);
        lua_pushnumber(L, x);
        return;
    case 's':
        n = take_u64(r);
        lua_pushlstring(L, take(r, n), n);
        return;
    case 'R':
        n = take_u64(r);
        lua_pushlstring(L, take(r, n), n);
        if (lua_rawget(L, r->shared) == LUA_TNIL) luaL_error(L, "refers to an object that is not there");
        return;
    case 'T': read_table(r, 0, depth); return;
    case 'A': read_table(r, 1, depth); return;
    case 'X': read_tensor(r); return;
    case 'K': read_tokens(r); return;
    case 'W': read_windows(r); return;
    default: luaL_error(L, "holds an unknown tag %d", tag);
    }
}

static int map_close(lua_State *L)
{
    ft_map_close(lua_touserdata(L, 1));
    return 0;
}

/* (bytes as light userdata, end, shared objects) */
static int read_all(lua_State *L)
{
    reading r = { L, lua_touserdata(L, 1), lua_touserdata(L, 2), 3 };
    const size_t n = strlen(MAGIC);

    if ((size_t)(r.end - r.at) < n || memcmp(r.at, MAGIC, n) != 0)
        luaL_error(L, "is not a packed value of this version");
    r.at += n;
    read_value(&r, 0);
    if (r.at != r.end) luaL_error(L, "goes on after its end");
    return 1;
}

static int decode(lua_State *L, const unsigned char *data, size_t n, const char *name)
{
    if (n == 0) data = (const unsigned char *)""; /* an empty file has no bytes to point at */
    lua_pushcfunction(L, read_all);
    lua_pushlightuserdata(L, (void *)(uintptr_t)data);
    lua_pushlightuserdata(L, (void *)(uintptr_t)(data + n));
    lua_pushvalue(L, 2);
    if (!lua_pcall(L, 3, 1, 0)) return 1;
    lua_pushnil(L);
    lua_pushfstring(L, "%s %s", name, lua_tostring(L, -2));
    return 2;
}

static void no_shared(lua_State *L)
{
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) return;
    lua_newtable(L);
    lua_replace(L, 2);
}

/* pack.read(path [, { name = shared object }]) -> value, or nil, message */
static int pack_read(lua_State *L)
{
    ft_err e;
    const char *path = luaL_checkstring(L, 1);
    no_shared(L);
    ft_map *m = lua_newuserdatauv(L, sizeof *m, 0);
    m->data = NULL;
    m->size = 0;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, map_close);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    if (ft_map_open(m, path, &e)) return ft_lua_nil(L, &e);
    const int n = decode(L, m->data, m->size, path);
    ft_map_close(m);
    return n;
}

/* pack.decode(bytes [, { name = shared object }]) -> value, or nil, message */
static int pack_decode(lua_State *L)
{
    size_t n;
    const char *bytes = luaL_checklstring(L, 1, &n);
    no_shared(L);
    return decode(L, (const unsigned char *)bytes, n, "the packed value");
}

static const luaL_Reg methods[] = {
    { "write", bytes_write }, { "sha256", bytes_sha256 }, { "size", bytes_size }, { "close", bytes_close },
    { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "bytes", pack_bytes },        { "read", pack_read }, { "decode", pack_decode },
    { "digests", ft_pack_digests }, { NULL, NULL },
};

int ft_open_pack(lua_State *L)
{
    /* The classes of what is read: without them it would never be released. */
    luaL_requiref(L, "ftpipe.core.tensor", ft_open_tensor, 0);
    luaL_requiref(L, "ftpipe.core.text", ft_open_text, 0);
    lua_pop(L, 2);
    ft_lua_class(L, BYTES, methods, bytes_close);
    luaL_newlib(L, functions);
    return 1;
}
