/* runtime/script/text_bind.h - what the bindings of text share: lib_text.c and lib_windows.c. */
#ifndef FT_SCRIPT_TEXT_BIND_H
#define FT_SCRIPT_TEXT_BIND_H

#include "data/tokens.h"
#include "data/windows.h"
#include "script/bind.h"
#include "text/tokenizer.h"

#define FT_TOKENIZER "ft.tokenizer"
#define FT_TOKENS "ft.tokens"
#define FT_WINDOWS "ft.windows"

/* A collectable array of encodings, so that an error of Lua leaks nothing. */
typedef struct ft_lua_encodings {
    size_t n;
    ft_encoding at[];
} ft_lua_encodings;

/* Push n empty encodings. */
ft_lua_encodings *ft_lua_push_encodings(lua_State *L, size_t n);

/* Push an empty data set of tokens; raises where there is no memory. */
ft_tokens *ft_lua_push_tokens(lua_State *L);

/* Push windows of no text; raises where there is no memory. */
ft_windows *ft_lua_push_windows(lua_State *L);

/* Texts first..first+n of the table at arg into out; the table keeps the strings alive. Where `optional`, a row may have
 * nil or false: no text. */
void ft_lua_texts(lua_State *L, int arg, lua_Integer first, lua_Integer n, ft_text *out, int optional);

#endif
