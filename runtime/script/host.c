/* runtime/script/host.c - makes the Lua state, finds modules, turns errors into text. */
#include "script/host.h"

#include <jansson.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"
#include "script/bind.h"
#include "script/embedded.h"
#include "script/libs.h"

#define SINK "ft.sink"

struct ft_host {
    lua_State *L;
    char *lua_dir;
};

const ft_host_sink *ft_host_get_sink(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, SINK);
    const ft_host_sink *s = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return s;
}

/* Lua's memory is counted with everything else. */
static void *allocate(void *ud, void *p, size_t old, size_t size)
{
    (void)ud;
    (void)old;
    if (size == 0) {
        ft_free(p);
        return NULL;
    }
    return ft_realloc(p, size);
}

/* ==== Modules ==== */

/* clang-format off: one a line */
static const luaL_Reg c_modules[] = {
    { "ftpipe.core.tensor", ft_open_tensor },   { "ftpipe.core.graph", ft_open_graph },
    { "ftpipe.core.param", ft_open_param },     { "ftpipe.core.store", ft_open_store },
    { "ftpipe.core.text", ft_open_text },       { "ftpipe.core.data", ft_open_data },
    { "ftpipe.core.net", ft_open_net },         { "ftpipe.core.json", ft_open_json },
    { "ftpipe.core.fs", ft_open_fs },           { "ftpipe.core.sys", ft_open_sys },
    { "ftpipe.core.vocab", ft_open_vocab },     { "ftpipe.core.pack", ft_open_pack },
    { "ftpipe.core.process", ft_open_process }, { "ftpipe.core.corpus", ft_open_corpus },
    { "ftpipe.core.windows", ft_open_windows }, { "ftpipe.core.tagging", ft_open_tagging },
    { "ftpipe.core.confine", ft_open_confine }, { NULL, NULL },
};
/* clang-format on */

static const ft_embedded *find_embedded(const char *name)
{
    size_t low = 0, high = ft_embedded_count;

    while (low < high) {
        const size_t mid = (low + high) / 2;
        const int order = strcmp(name, ft_embedded_lua[mid].name);
        if (order == 0) return &ft_embedded_lua[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* Load DIR/<name with slashes>.lua; returns 0 when it is not there. Leaves the chunk or raises. */
static int load_file(lua_State *L, const char *dir, const char *name)
{
    static const char *const tails[] = { ".lua", "/init.lua" };

    for (int k = 0; k < 2; k++) {
        const char *slashed = luaL_gsub(L, name, ".", "/");
        const char *path = lua_pushfstring(L, "%s/%s%s", dir, slashed, tails[k]);
        ft_buf b = { 0 };
        if (ft_file_read(&b, path, 1 << 24, NULL)) {
            ft_buf_free(&b);
            lua_pop(L, 2);
            continue;
        }
        const char *chunk = lua_pushfstring(L, "@%s", path);
        const int status = luaL_loadbufferx(L, b.data ? b.data : "", b.len, chunk, "t");
        ft_buf_free(&b);
        if (status) return lua_error(L);
        lua_replace(L, -4);
        lua_pop(L, 2);
        return 1;
    }
    return 0;
}

/* package.searchers entry: C modules, --lua DIR, embedded */
static int search(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    for (const luaL_Reg *m = c_modules; m->name; m++) {
        if (strcmp(m->name, name) != 0) continue;
        lua_pushcfunction(L, m->func);
        return 1;
    }
    const ft_host *h = lua_touserdata(L, lua_upvalueindex(1));
    if (h->lua_dir && load_file(L, h->lua_dir, name)) return 1;
    const ft_embedded *m = find_embedded(name);
    if (!m) {
        lua_pushfstring(L, "no module '%s' in ftpipe", name);
        return 1;
    }
    if (luaL_loadbufferx(L, (const char *)m->data, m->size, m->chunk, "t")) return lua_error(L);
    return 1;
}

/* core.load(source, chunk name, environment [, mode = "t"]) -> function, or nil, message; text only, unless a test says "bt" */
static int host_load(lua_State *L)
{
    size_t n;
    const char *source = luaL_checklstring(L, 1, &n), *chunk = luaL_checkstring(L, 2),
               *mode = luaL_optstring(L, 4, "t");

    lua_settop(L, 4);
    const int failed = luaL_loadbufferx(L, source, n, chunk, mode);
    lua_remove(L, 4);
    if (failed) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (!lua_isnil(L, 3)) {
        lua_pushvalue(L, 3);
        if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
    }
    return 1;
}

/* core.where(level) -> "file:line" of the caller at that level, or nil */
static int host_where(lua_State *L)
{
    lua_Debug ar;
    if (!lua_getstack(L, (int)luaL_checkinteger(L, 1), &ar) || !lua_getinfo(L, "Sl", &ar) || ar.currentline < 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
    lua_pushstring(L, ar.source);
    lua_pushinteger(L, ar.currentline);
    return 3;
}

/* core.traceback(message, level) -> text */
static int host_traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_optstring(L, 1, NULL), (int)luaL_optinteger(L, 2, 1));
    return 1;
}

/* core.definition(f) -> source chunk name, first line, last line */
static int host_definition(lua_State *L)
{
    lua_Debug ar;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_getinfo(L, ">S", &ar);
    lua_pushstring(L, ar.source);
    lua_pushinteger(L, ar.linedefined);
    lua_pushinteger(L, ar.lastlinedefined);
    return 3;
}

/* core.upvalues(f) -> { names of the outer variables that f uses }, { their values }, number of f's parameters (Lua
 * functions only) */
static int host_upvalues(lua_State *L)
{
    lua_Debug ar;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    for (int i = 1;; i++) {
        const char *name = lua_getupvalue(L, 1, i);
        if (!name) break;
        lua_rawseti(L, 3, i);
        lua_pushstring(L, name);
        lua_rawseti(L, 2, i);
    }
    lua_pushvalue(L, 1);
    lua_getinfo(L, ">u", &ar);
    lua_pushinteger(L, ar.nparams);
    return 3;
}

static int no_such_global(lua_State *L) { return luaL_error(L, "undefined variable '%s'", luaL_tolstring(L, 2, NULL)); }

static int no_new_global(lua_State *L)
{
    return luaL_error(L, "assignment to undeclared variable '%s' (use 'local')", luaL_tolstring(L, 2, NULL));
}

/* Reading an unknown global, or making one, is an error with its line. */
static void make_strict(lua_State *L)
{
    lua_pushglobaltable(L);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, no_such_global);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, no_new_global);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* host.pipeline(name) -> the text of the pipeline file that came with ftpipe, or nil, message */
static int host_pipeline(lua_State *L)
{
    const char *file = lua_pushfstring(L, "%s.lua", luaL_checkstring(L, 1));
    for (size_t i = 0; i < ft_embedded_pipeline_count; i++) {
        const ft_embedded *p = &ft_embedded_pipelines[i];
        if (strcmp(p->name, file) == 0) {
            lua_pushlstring(L, (const char *)p->data, p->size);
            return 1;
        }
    }
    lua_pushnil(L);
    lua_pushfstring(L, "there is no pipeline %s", file);
    return 2;
}

/* Whether FTPIPE_UNPROTECTED names "absence": tests then have what is missing otherwise, to show that it matters. */
static int is_complete(void)
{
    static const char word[] = "absence";
    const char *off = getenv("FTPIPE_UNPROTECTED");

    for (const char *at = off ? strstr(off, word) : NULL; at; at = strstr(at + 1, word)) {
        const char after = at[sizeof word - 1];
        if ((at == off || at[-1] == ',') && (after == '\0' || after == ',')) return 1;
    }
    return 0;
}

/* All of Lua's own library, as the program lua has it. */
static void open_rest(lua_State *L)
{
    static const luaL_Reg libs[] = {
        { LUA_IOLIBNAME, luaopen_io },
        { LUA_OSLIBNAME, luaopen_os },
        { LUA_DBLIBNAME, luaopen_debug },
        { NULL, NULL },
    };
    for (const luaL_Reg *l = libs; l->name; l++) {
        luaL_requiref(L, l->name, l->func, 1);
        lua_pop(L, 1);
    }
}

/* What reaches beyond a text chunk. The package table is on the stack. */
static void remove_rest(lua_State *L)
{
    static const char *const removed[] = { "dofile", "loadfile", "load", "collectgarbage", NULL };

    for (const char *const *r = removed; *r; r++) {
        lua_pushnil(L);
        lua_setglobal(L, *r);
    }
    lua_pushnil(L);
    lua_setfield(L, -2, "loadlib");
    lua_getglobal(L, "string");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 1);
}

static int open_all(lua_State *L)
{
    static const luaL_Reg libs[] = {
        { LUA_GNAME, luaopen_base },          { LUA_LOADLIBNAME, luaopen_package },
        { LUA_COLIBNAME, luaopen_coroutine }, { LUA_TABLIBNAME, luaopen_table },
        { LUA_STRLIBNAME, luaopen_string },   { LUA_MATHLIBNAME, luaopen_math },
        { LUA_UTF8LIBNAME, luaopen_utf8 },    { NULL, NULL },
    };
    static const luaL_Reg host[] = {
        { "load", host_load },
        { "where", host_where },
        { "traceback", host_traceback },
        { "definition", host_definition },
        { "upvalues", host_upvalues },
        { "pipeline", host_pipeline },
        { NULL, NULL },
    };

    for (const luaL_Reg *l = libs; l->name; l++) {
        luaL_requiref(L, l->name, l->func, 1);
        lua_pop(L, 1);
    }
    lua_getglobal(L, "table"); /* kept privately: a script cannot replace it */
    lua_getfield(L, -1, "sort");
    lua_setfield(L, LUA_REGISTRYINDEX, "ft.sort");
    lua_pop(L, 1);
    lua_getglobal(L, "package");
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, search, 1);
    lua_rawseti(L, -2, 1);
    lua_setfield(L, -2, "searchers");
    lua_getfield(L, -1, "loaded");
    luaL_newlib(L, host);
    lua_getglobal(L, "collectgarbage");
    lua_setfield(L, -2, "collectgarbage");
    lua_setfield(L, -2, "ftpipe.core.host");
    lua_pop(L, 1);
    if (is_complete())
        open_rest(L);
    else
        remove_rest(L);
    lua_pop(L, 1);
    luaL_requiref(L, "ftpipe.core.json", ft_open_json, 0);
    lua_pop(L, 1);
    make_strict(L);
    return 0;
}

/* ==== Life and calls ==== */

ft_status ft_host_new(ft_host **out, const char *lua_dir, const ft_host_sink *sink, ft_err *e)
{
    json_set_alloc_funcs(ft_malloc, ft_free); /* trees of JSON count like everything else */
    ft_host *h = ft_calloc(1, sizeof *h);
    if (!h) return ft_fail_mem(e, sizeof *h);
    if (lua_dir) h->lua_dir = ft_strdup(lua_dir);
    h->L = lua_newstate(allocate, NULL);
    if (!h->L || (lua_dir && !h->lua_dir)) {
        ft_host_free(h);
        return ft_fail_mem(e, 0);
    }
    lua_pushcfunction(h->L, open_all);
    lua_pushlightuserdata(h->L, h);
    if (lua_pcall(h->L, 1, 0, 0)) {
        ft_fail(e, FT_EDATA, "%s", lua_tostring(h->L, -1));
        ft_host_free(h);
        return e ? e->code : FT_EDATA;
    }
    lua_pushlightuserdata(h->L, (void *)(uintptr_t)sink);
    lua_setfield(h->L, LUA_REGISTRYINDEX, SINK);
    *out = h;
    return FT_OK;
}

void ft_host_free(ft_host *h)
{
    if (!h) return;
    if (h->L) lua_close(h->L);
    ft_free(h->lua_dir);
    ft_free(h);
}

static int with_traceback(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING) luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

typedef struct call {
    const char *module, *name;
    int argc;
    const char *const *argv;
} call;

static int run_call(lua_State *L)
{
    const call *c = lua_touserdata(L, 1);

    lua_getglobal(L, "require");
    lua_pushstring(L, c->module);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, c->name);
    lua_createtable(L, c->argc, 0);
    for (int i = 0; i < c->argc; i++) {
        lua_pushstring(L, c->argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_call(L, 1, 1);
    return 1;
}

ft_status ft_host_call(ft_host *h, const char *module, const char *name, int argc, const char *const *argv, int *code,
                       char **message, ft_err *e)
{
    lua_State *L = h->L;
    call c = { module, name, argc, argv };

    *message = NULL;
    *code = 0;
    lua_pushcfunction(L, with_traceback);
    lua_pushcfunction(L, run_call);
    lua_pushlightuserdata(L, &c);
    if (lua_pcall(L, 1, 1, -3)) {
        const char *text = lua_tostring(L, -1);
        *message = ft_strdup(text ? text : "an error that is not text");
        lua_settop(L, 0);
        return ft_fail(e, FT_EDATA, "uncaught error");
    }
    *code = (int)lua_tointeger(L, -1);
    lua_settop(L, 0);
    return FT_OK;
}
