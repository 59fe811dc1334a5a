/* runtime/script/lib_fs.c - "ftpipe.core.fs": files for the steps and commands; pipeline files never see it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
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

static void set_integer(lua_State *L, const char *field, int64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, field);
}

static int64_t nanoseconds(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

/* fs.status(path) -> { device, inode, size, mtime, ctime } of a regular file, times in nanoseconds; else nil */
static int fs_status(lua_State *L)
{
    struct stat st;
    if (stat(luaL_checkstring(L, 1), &st) || !S_ISREG(st.st_mode)) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 5);
    set_integer(L, "device", (int64_t)st.st_dev);
    set_integer(L, "inode", (int64_t)st.st_ino);
    set_integer(L, "size", (int64_t)st.st_size);
    set_integer(L, "mtime", nanoseconds(st.st_mtim));
    set_integer(L, "ctime", nanoseconds(st.st_ctim));
    return 1;
}

/* fs.time() -> nanoseconds since 1970, on the clock of files' times */
static int fs_time(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    lua_pushinteger(L, (lua_Integer)nanoseconds(t));
    return 1;
}

/* fs.sync(dir) -> true, or nil, message: what was made or renamed in it stays after a power cut */
static int fs_sync(lua_State *L)
{
    ft_err e;
    if (ft_dir_sync(luaL_checkstring(L, 1), &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
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

/* fs.lock(path [, "exclusive" | "shared"]) -> handle, or nil, message: a lock that dies with the process and is not waited
 * for; close the handle to let go */
static int fs_lock(lua_State *L)
{
    static const char *const kinds[] = { "exclusive", "shared", NULL };
    const char *path = luaL_checkstring(L, 1);
    const int shared = luaL_checkoption(L, 2, "exclusive", kinds);
    ft_box *b = ft_lua_box(L, FILE_CLASS, 0);
    FILE *f = fopen(path, "ae");
    if (!f) return os_result(L, 1, path);
    b->p = f;
    if (flock(fileno(f), (shared ? LOCK_SH : LOCK_EX) | LOCK_NB)) return os_result(L, 1, path);
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
    { "read", fs_read },     { "write", fs_write },     { "mkdirs", fs_mkdirs }, { "remove", fs_remove },
    { "rename", fs_rename }, { "symlink", fs_symlink }, { "stat", fs_stat },     { "status", fs_status },
    { "time", fs_time },     { "sync", fs_sync },       { "list", fs_list },     { "cwd", fs_cwd },
    { "real", fs_real },     { "free", fs_free },       { "sha256", fs_sha256 }, { "sha256_file", fs_sha256_file },
    { "lock", fs_lock },     { "append", fs_append },   { NULL, NULL },
};

int ft_open_fs(lua_State *L)
{
    ft_lua_class(L, FILE_CLASS, file_methods, file_close);
    luaL_newlib(L, functions);
    return 1;
}
