/* runtime/script/about.h - what the program is made of, for `ftpipe version` and `ftpipe doctor`. */
#ifndef FT_SCRIPT_ABOUT_H
#define FT_SCRIPT_ABOUT_H

#include <stddef.h>

#define FT_VERSION "0.1.0"

/* Facts, one a line, "name=value": version, compiler, openmp, lua, jansson, utf8proc, libcrypto and, unless NULL, lua_dir. */
void ft_about(char *out, size_t size, const char *lua_dir);

#endif
