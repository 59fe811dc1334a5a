/* runtime/script/about.c - versions of the program, its compiler and the libraries that are loaded. */
#include "script/about.h"

#include <jansson.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "core/sha256.h"

/* "5.4.6" from "$LuaVersion: Lua 5.4.6  Copyright ..." of the library that is loaded. */
static void lua_version_of(char out[16])
{
    const char *p = strstr(lua_ident, "Lua 5");
    size_t n = 0;

    if (p)
        for (p += 4; n < 15 && p[n] && p[n] != ' '; n++) out[n] = p[n];
    out[n] = '\0';
}

void ft_about(char *out, size_t size, const char *lua_dir)
{
    char lua[16];

    lua_version_of(lua);
    snprintf(out, size,
             "version=" FT_VERSION "\n"
#ifdef __clang__
             "compiler=clang " __clang_version__ "\n"
#else
             "compiler=gcc " __VERSION__ "\n"
#endif
             "openmp=%d\nlua=%s\njansson=%s\nutf8proc=%s\nlibcrypto=%s\n%s%s%s",
             _OPENMP, lua, jansson_version_str(), utf8proc_version(), ft_sha256_library(), lua_dir ? "lua_dir=" : "",
             lua_dir ? lua_dir : "", lua_dir ? "\n" : "");
}
