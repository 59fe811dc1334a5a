/* runtime/script/lib_net.c - "ftpipe.core.net": downloads that go on step by step, archives, listings of hubs. */
#include <string.h>

#include "core/mem.h"
#include "net/archive.h"
#include "net/download.h"
#include "net/hub.h"
#include "net/url.h"
#include "script/bind.h"
#include "script/libs.h"

#define SET "ft.downloads"

/* ==== Downloads ==== */

/* net.downloads { parallel, rate (bytes a second), attempts, pause (ms), patience (s of a slow line), connect (s) } -> set */
static int net_downloads(lua_State *L)
{
    ft_err e;
    ft_downloads *ds;
    ft_download_limits l = ft_download_defaults;

    l.parallel = (int)ft_lua_opt_number(L, 1, "parallel", l.parallel);
    l.most_per_second = (int64_t)ft_lua_opt_number(L, 1, "rate", 0);
    l.attempts = (int)ft_lua_opt_number(L, 1, "attempts", l.attempts);
    l.pause_ms = (long)ft_lua_opt_number(L, 1, "pause", (double)l.pause_ms);
    l.slow_seconds = (long)ft_lua_opt_number(L, 1, "patience", (double)l.slow_seconds);
    l.connect_seconds = (long)ft_lua_opt_number(L, 1, "connect", (double)l.connect_seconds);
    ft_box *b = ft_lua_box(L, SET, 0);
    if (ft_downloads_new(&ds, &l, &e)) return ft_lua_nil(L, &e);
    b->p = ds;
    return 1;
}

/* set:add { take = "file" | "text" | "head", urls, partial, path or store, sha256, git_blob, token, token_url, most } -> its
 * number, or nil, message */
static int set_add(lua_State *L)
{
    static const char *const takes[] = { "file", "text", "head", NULL };
    const char *urls[16];
    ft_err e;
    size_t index;
    ft_downloads *ds = ft_lua_check(L, 1, SET);

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    const char *take = ft_lua_opt_string(L, 2, "take", "file");
    lua_pushstring(L, take);
    ft_wanted w = { .take = (ft_take)luaL_checkoption(L, 3, NULL, takes), .urls = urls };
    lua_getfield(L, 2, "urls");
    luaL_checktype(L, -1, LUA_TTABLE);
    for (lua_Integer i = 1; i <= 16 && lua_rawgeti(L, 4, i) == LUA_TSTRING; i++) urls[w.n_urls++] = lua_tostring(L, -1);
    w.partial = ft_lua_opt_string(L, 2, "partial", NULL);
    w.path = ft_lua_opt_string(L, 2, "path", NULL);
    w.store = ft_lua_opt_string(L, 2, "store", NULL);
    w.sha256 = ft_lua_opt_string(L, 2, "sha256", NULL);
    w.git_blob = ft_lua_opt_string(L, 2, "git_blob", NULL);
    w.token = ft_lua_opt_string(L, 2, "token", NULL);
    w.token_url = ft_lua_opt_string(L, 2, "token_url", NULL);
    w.most = (int64_t)ft_lua_opt_number(L, 2, "most", 0);
    luaL_argcheck(L, w.take != FT_TAKE_FILE || (w.partial && (w.path || w.store)), 2,
                  "a file needs partial, and path or store");
    if (ft_downloads_add(ds, &w, &index, &e)) return ft_lua_nil(L, &e);
    lua_pushinteger(L, (lua_Integer)index + 1);
    return 1;
}

/* set:step(ms) -> how many are not done, or nil, message */
static int set_step(lua_State *L)
{
    ft_err e;
    size_t running;
    if (ft_downloads_step(ft_lua_check(L, 1, SET), (int)luaL_checkinteger(L, 2), &running, &e))
        return ft_lua_nil(L, &e);
    lua_pushinteger(L, (lua_Integer)running);
    return 1;
}

static void set_text(lua_State *L, const char *field, const char *text)
{
    if (!text || !*text) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
}

static void set_number(lua_State *L, const char *field, int64_t n)
{
    if (n < 0) return;
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, field);
}

/* set:state(number) -> { done, error, disk (the error is not the server's), size, total, fetched, sha256, path, text, note,
 * status, etag, commit, linked_etag, linked_size, length } */
static int set_state(lua_State *L)
{
    const ft_download_state *s = ft_downloads_state(ft_lua_check(L, 1, SET), (size_t)luaL_checkinteger(L, 2) - 1);
    luaL_argcheck(L, s != NULL, 2, "there is no such download");
    lua_createtable(L, 0, 16);
    lua_pushboolean(L, s->done);
    lua_setfield(L, -2, "done");
    lua_pushboolean(L, s->err.code == FT_EIO || s->err.code == FT_EMEM);
    lua_setfield(L, -2, "disk");
    set_text(L, "error", s->err.code ? s->err.msg : NULL);
    set_number(L, "size", s->size);
    set_number(L, "total", s->total);
    set_number(L, "fetched", s->fetched);
    set_text(L, "sha256", s->sha256);
    set_text(L, "path", s->path);
    set_text(L, "note", s->note);
    set_number(L, "status", s->reply.status);
    set_text(L, "etag", s->reply.etag);
    set_text(L, "commit", s->reply.commit);
    set_text(L, "linked_etag", s->reply.linked_etag);
    set_number(L, "linked_size", s->reply.linked_size);
    set_number(L, "length", s->reply.length);
    if (s->text.data) {
        lua_pushlstring(L, s->text.data, s->text.len);
        lua_setfield(L, -2, "text");
    }
    return 1;
}

static int set_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, SET);
    ft_downloads_free(b->p);
    b->p = NULL;
    return 0;
}

/* net.name(address) -> the last part of its path as a file name */
static int net_name(lua_State *L)
{
    char name[128];
    ft_url_name(luaL_checkstring(L, 1), name, sizeof name);
    lua_pushstring(L, name);
    return 1;
}

/* ==== Archives ==== */

static ft_archive_limits limits_at(lua_State *L, int arg)
{
    const ft_archive_limits l = { .bytes = (int64_t)ft_lua_opt_number(L, arg, "bytes", 0),
                                  .entries = (int64_t)ft_lua_opt_number(L, arg, "entries", 0),
                                  .depth = (int)ft_lua_opt_number(L, arg, "depth", 0),
                                  .encoding = ft_lua_opt_string(L, arg, "encoding", NULL) };
    return l;
}

static int result(lua_State *L, ft_status s, const ft_err *e)
{
    if (s) return ft_lua_nil(L, e);
    lua_pushboolean(L, 1);
    return 1;
}

/* net.unpack(archive, member or nil, folder to be, { bytes, entries, depth, encoding }) -> true, or nil, message */
static int net_unpack(lua_State *L)
{
    ft_err e;
    lua_settop(L, 4);
    const ft_archive_limits l = limits_at(L, 4);
    return result(
        L, ft_archive_unpack(luaL_checkstring(L, 1), luaL_optstring(L, 2, NULL), luaL_checkstring(L, 3), &l, &e), &e);
}

/* net.decompress(file, file to be, limits) -> true, or nil, message */
static int net_decompress(lua_State *L)
{
    ft_err e;
    lua_settop(L, 3);
    const ft_archive_limits l = limits_at(L, 3);
    return result(L, ft_archive_decompress(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &l, &e), &e);
}

/* ==== Hubs ==== */

/* net.listing(bytes) -> { commit, licence, gated, files = { names } }, or nil, message */
static int net_listing(lua_State *L)
{
    ft_err e;
    size_t n;
    ft_hub_listing l;
    const char *bytes = luaL_checklstring(L, 1, &n);

    luaL_checkstack(L, 6, NULL);
    if (ft_hub_listing_read(&l, bytes, n, &e)) return ft_lua_nil(L, &e);
    lua_createtable(L, 0, 4);
    set_text(L, "commit", l.commit);
    set_text(L, "licence", l.licence);
    lua_pushboolean(L, l.gated);
    lua_setfield(L, -2, "gated");
    lua_createtable(L, (int)l.n, 0);
    for (size_t i = 0; i < l.n; i++) {
        lua_pushstring(L, l.files[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "files");
    ft_hub_listing_free(&l);
    return 1;
}

/* net.libraries() -> versions of what downloads and archives are done with; nil where it is not installed */
static int net_libraries(lua_State *L)
{
    lua_pushstring(L, ft_transfer_library());
    lua_pushstring(L, ft_archive_library());
    return 2;
}

static const luaL_Reg methods[] = {
    { "add", set_add }, { "step", set_step }, { "state", set_state }, { "close", set_close }, { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "downloads", net_downloads },
    { "name", net_name },
    { "unpack", net_unpack },
    { "decompress", net_decompress },
    { "listing", net_listing },
    { "libraries", net_libraries },
    { NULL, NULL },
};

int ft_open_net(lua_State *L)
{
    ft_lua_class(L, SET, methods, set_close);
    luaL_newlib(L, functions);
    return 1;
}
