/* runtime/script/lib_fs.c - "ftpipe.core.fs": files for the steps and commands; pipeline files never see it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/sha256.h"
#include "script/bind.h"
#include "script/libs.h"

#define FILE_CLASS "ft.file"

/* fs.read(path [, max]) -> bytes, or nil, message */
static int fs_read(lua_State *L)
{
    ft_err e;
    ft_buf b = { 0 };
    const char *path = luaL_checkstring(L, 1);
    const size_t max = (size_t)luaL_optinteger(L, 2, 1 << 30);

    if (ft_file_read(&b, path, max, &e)) {
        ft_buf_free(&b);
        return ft_lua_nil(L, &e);
    }
    lua_pushlstring(L, b.data ? b.data : "", b.len);
    ft_buf_free(&b);
    return 1;
}

/* fs.write(path, bytes) -> true, or nil, message; the file appears whole or not at all */
static int fs_write(lua_State *L)
{
    ft_err e;
    size_t n;
    const char *path = luaL_checkstring(L, 1), *bytes = luaL_checklstring(L, 2, &n);
    if (ft_file_write(path, bytes, n, &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

static int fs_mkdirs(lua_State *L)
{
    ft_err e;
    if (ft_mkdirs(luaL_checkstring(L, 1), &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

static int fs_remove(lua_State *L)
{
    ft_err e;
    if (ft_remove_tree(luaL_checkstring(L, 1), &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

static int os_result(lua_State *L, int failed, const char *path)
{
    ft_err e;
    if (failed) {
        ft_fail_errno(&e, "%s", path);
        return ft_lua_nil(L, &e);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int fs_rename(lua_State *L)
{
    const char *from = luaL_checkstring(L, 1), *to = luaL_checkstring(L, 2);
    return os_result(L, rename(from, to), to);
}

/* fs.symlink(target, path): replaces a link that is there, atomically */
static int fs_symlink(lua_State *L)
{
    const char *target = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
    lua_pushfstring(L, "%s.part-%d", path, (int)getpid());
    const char *part = lua_tostring(L, -1);
    unlink(part);
    return os_result(L, symlink(target, part) || rename(part, path), path);
}

/* fs.stat(path) -> "file" | "directory" | "other", size; nil if it is not there */
static int fs_stat(lua_State *L)
{
    struct stat st;
    if (stat(luaL_checkstring(L, 1), &st)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "directory" : "other");
    lua_pushinteger(L, (lua_Integer)st.st_size);
    return 2;
}

/* fs.list(dir) -> sorted names, or nil, message */
static int fs_list(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_newtable(L);
    DIR *d = opendir(path);
    if (!d) return os_result(L, 1, path);
    lua_Integer n = 0;
    const struct dirent *entry;
    while ((entry = readdir(d))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++n);
    }
    closedir(d);
    lua_getfield(L, LUA_REGISTRYINDEX, "ft.sort");
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
    return 1;
}

static int fs_cwd(lua_State *L)
{
    char *p = getcwd(NULL, 0);
    lua_pushstring(L, p);
    free(p);
    return 1;
}

/* fs.real(path) -> absolute path without links, or nil */
static int fs_real(lua_State *L)
{
    char *p = realpath(luaL_checkstring(L, 1), NULL);
    lua_pushstring(L, p);
    free(p);
    return 1;
}

/* fs.free(path) -> bytes free for us on its file system, or nil */
static int fs_free(lua_State *L)
{
    struct statvfs v;
    if (statvfs(luaL_checkstring(L, 1), &v))
        lua_pushnil(L);
    else
        lua_pushinteger(L, (lua_Integer)v.f_bavail * (lua_Integer)v.f_frsize);
    return 1;
}

static int fs_sha256(lua_State *L)
{
    size_t n;
    char hex[65];
    const char *bytes = luaL_checklstring(L, 1, &n);
    ft_err e;
    if (ft_sha256_hex(bytes, n, hex, &e)) return ft_lua_raise(L, &e);
    lua_pushstring(L, hex);
    return 1;
}

static int fs_sha256_file(lua_State *L)
{
    char hex[65];
    ft_err e;
    if (ft_sha256_file(luaL_checkstring(L, 1), hex, &e)) return ft_lua_nil(L, &e);
    lua_pushstring(L, hex);
    return 1;
}

/* fs.lock(path) -> handle, or nil, message: an exclusive lock that dies with the process; close the handle to let go */
static int fs_lock(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    ft_box *b = ft_lua_box(L, FILE_CLASS, 0);
    FILE *f = fopen(path, "ae");
    if (!f) return os_result(L, 1, path);
    b->p = f;
    if (flock(fileno(f), LOCK_EX | LOCK_NB)) return os_result(L, 1, path);
    return 1;
}

/* ==== Files written line by line (logs, streamed output) ==== */

/* fs.append(path [, truncate_to]) -> file */
static int fs_append(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    ft_box *b = ft_lua_box(L, FILE_CLASS, 0);
    if (!lua_isnil(L, 2) && truncate(path, (off_t)luaL_checkinteger(L, 2)) && errno != ENOENT)
        return os_result(L, 1, path);
    FILE *f = fopen(path, "ae");
    if (!f) return os_result(L, 1, path);
    b->p = f;
    return 1;
}

/* f:write(bytes) -> true, or nil, message */
static int file_write(lua_State *L)
{
    FILE *f = ft_lua_check(L, 1, FILE_CLASS);
    size_t n;
    const char *bytes = luaL_checklstring(L, 2, &n);
    return os_result(L, fwrite(bytes, 1, n, f) != n, "write");
}

static int file_flush(lua_State *L) { return os_result(L, fflush(ft_lua_check(L, 1, FILE_CLASS)) != 0, "write"); }

static int file_size(lua_State *L)
{
    struct stat st;
    FILE *f = ft_lua_check(L, 1, FILE_CLASS);
    fflush(f);
    lua_pushinteger(L, fstat(fileno(f), &st) ? 0 : (lua_Integer)st.st_size);
    return 1;
}

static int file_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, FILE_CLASS);
    if (b->p) fclose(b->p);
    b->p = NULL;
    return 0;
}

static const luaL_Reg file_methods[] = {
    { "write", file_write }, { "flush", file_flush }, { "size", file_size }, { "close", file_close }, { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "read", fs_read },
    { "write", fs_write },
    { "mkdirs", fs_mkdirs },
    { "remove", fs_remove },
    { "rename", fs_rename },
    { "symlink", fs_symlink },
    { "stat", fs_stat },
    { "list", fs_list },
    { "cwd", fs_cwd },
    { "real", fs_real },
    { "free", fs_free },
    { "sha256", fs_sha256 },
    { "sha256_file", fs_sha256_file },
    { "lock", fs_lock },
    { "append", fs_append },
    { NULL, NULL },
};

int ft_open_fs(lua_State *L)
{
    ft_lua_class(L, FILE_CLASS, file_methods, file_close);
    luaL_newlib(L, functions);
    return 1;
}
