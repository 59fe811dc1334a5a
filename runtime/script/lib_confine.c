/* runtime/script/lib_confine.c - "ftpipe.core.confine": how a process gives up what foreign Lua shall not have.
 *
 * Nothing here can be taken back. The time limit is a hook that raises an error once the time is over, and then again at
 * every further instruction, so that pcall cannot catch it for good; long C functions are ended from outside.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/beneath.h"
#include "core/landlock.h"
#include "core/mem.h"
#include "core/seccomp.h"
#include "script/bind.h"
#include "script/libs.h"

#if defined(__SANITIZE_ADDRESS__)
#define SHADOWED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHADOWED 1
#endif
#endif
#ifndef SHADOWED
#define SHADOWED 0
#endif

#if SHADOWED
static int calls_are_gone;
/* A sanitizer's search for leaks needs calls that a confined process has given up. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return calls_are_gone; }
#endif

/* ==== Files, calls, limits ==== */

/* confine.facts() -> { landlock = version or false, seccomp = true or false, shadowed } of this kernel; shadowed: this program was
 * built with a sanitizer, which looks for leaks in the end */
static int confine_facts(lua_State *L)
{
    const int abi = ft_landlock_abi();
    lua_createtable(L, 0, 3);
    lua_pushboolean(L, SHADOWED);
    lua_setfield(L, -2, "shadowed");
    if (abi)
        lua_pushinteger(L, abi);
    else
        lua_pushboolean(L, 0);
    lua_setfield(L, -2, "landlock");
    lua_pushboolean(L, ft_seccomp_works());
    lua_setfield(L, -2, "seccomp");
    return 1;
}

static int confine_done(lua_State *L)
{
    lua_pushboolean(L, 1);
    return 1;
}

static unsigned rights(const char *letters)
{
    unsigned what = 0;
    if (strchr(letters, 'r')) what |= FT_LAND_READ;
    if (strchr(letters, 'l')) what |= FT_LAND_LIST;
    if (strchr(letters, 'w')) what |= FT_LAND_WRITE;
    if (strchr(letters, 'n')) what |= FT_LAND_ADD;
    if (strchr(letters, 'a')) what |= FT_LAND_APPEND;
    if (strchr(letters, 'x')) what |= FT_LAND_EXECUTE;
    return what;
}

static ft_status allow_all(lua_State *L, ft_landlock *l, ft_err *e)
{
    ft_status s = FT_OK;
    for (lua_Integer i = 1; !s && lua_geti(L, 1, i) == LUA_TTABLE; i++) {
        lua_geti(L, -1, 1);
        lua_geti(L, -2, 2);
        if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING)
            s = ft_landlock_allow(l, lua_tostring(L, -2), rights(lua_tostring(L, -1)), e);
        lua_pop(L, 3);
    }
    return s;
}

/* confine.landlock { { path, letters }, ... } -> true, or nil, message. Letters: r read, l list folders, w write, n make and move in what is
 * new, a append, x execute. */
static int confine_landlock(lua_State *L)
{
    ft_err e;
    ft_landlock l;
    luaL_checktype(L, 1, LUA_TTABLE);
    if (ft_landlock_open(&l, &e)) return ft_lua_nil(L, &e);
    if (allow_all(L, &l, &e) || ft_landlock_enforce(&l, &e)) {
        ft_landlock_close(&l);
        return ft_lua_nil(L, &e);
    }
    return confine_done(L);
}

/* confine.seccomp("evaluate" | "step") -> true, or nil, message */
static int confine_seccomp(lua_State *L)
{
    static const char *const names[] = { "evaluate", "step", NULL };
    ft_err e;
    if (ft_seccomp_enforce((ft_seccomp_profile)luaL_checkoption(L, 1, NULL, names), &e)) return ft_lua_nil(L, &e);
#if SHADOWED
    calls_are_gone = 1;
#endif
    return confine_done(L);
}

/* confine.limit("cpu" | "address" | "files" | "core", n) -> true, or nil, message: seconds, bytes, descriptors, bytes */
static int confine_limit(lua_State *L)
{
    static const char *const names[] = { "cpu", "address", "files", "core", NULL };
    static const int which[] = { RLIMIT_CPU, RLIMIT_AS, RLIMIT_NOFILE, RLIMIT_CORE };
    const int k = luaL_checkoption(L, 1, NULL, names);
    const rlim_t n = (rlim_t)luaL_checkinteger(L, 2);
    const struct rlimit limit = { n, k == 0 ? n + 1 : n };
    ft_err e;
    if (which[k] == RLIMIT_AS && SHADOWED) return confine_done(L); /* a sanitizer maps terabytes */
    if (setrlimit((__rlimit_resource_t)which[k], &limit)) {
        ft_fail_errno(&e, "%s", names[k]);
        return ft_lua_nil(L, &e);
    }
    return confine_done(L);
}

/* ==== Paths ==== */

/* confine.read(root, path, max) -> bytes beneath root; nil, message; or false, message where the path leads out */
static int confine_read(lua_State *L)
{
    ft_err e;
    ft_buf b = { 0 };
    const char *root = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
    const ft_status s = ft_beneath_read(&b, root, path, (size_t)luaL_checkinteger(L, 3), &e);

    if (s) {
        ft_buf_free(&b);
        ft_lua_nil(L, &e);
        if (s != FT_EUSAGE) return 2;
        lua_pushboolean(L, 0);
        lua_replace(L, -3);
        return 2;
    }
    lua_pushlstring(L, b.data ? b.data : "", b.len);
    ft_buf_free(&b);
    return 1;
}

/* confine.check(root, path) -> true where the path stays beneath root, else nil, message */
static int confine_check(lua_State *L)
{
    ft_err e;
    if (ft_beneath_check(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &e)) return ft_lua_nil(L, &e);
    return confine_done(L);
}

/* ==== Time ==== */

enum { OFTEN = 100000 };

static double deadline;
static double allowed;
static char over[300]; /* where the time ended, once it did */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check_time(lua_State *L, lua_Debug *ar)
{
    if (now() < deadline) return;
    if (!*over) {
        lua_getinfo(L, "Sl", ar);
        snprintf(over, sizeof over, "%s:%d: still not done after %g seconds", ar->short_src, ar->currentline, allowed);
    }
    lua_sethook(L, check_time, LUA_MASKCOUNT, 1);
    lua_pushstring(L, over);
    lua_error(L);
}

/* confine.within(seconds, f, ...) -> what f(...) gives; an error where it is not done in that time. The hook is taken away
 * here: Lua could not do so any more. */
static int confine_within(lua_State *L)
{
    allowed = luaL_checknumber(L, 1);
    deadline = now() + allowed;
    *over = '\0';
    lua_sethook(L, check_time, LUA_MASKCOUNT, OFTEN);
    const int failed = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    lua_sethook(L, NULL, 0, 0);
    return failed ? lua_error(L) : lua_gettop(L) - 1;
}

static const luaL_Reg functions[] = {
    { "facts", confine_facts },     { "landlock", confine_landlock },
    { "seccomp", confine_seccomp }, { "limit", confine_limit },
    { "read", confine_read },       { "check", confine_check },
    { "within", confine_within },   { NULL, NULL },
};

int ft_open_confine(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
