/* runtime/script/libs.h - the C modules that Lua can require, one opener each ("ftpipe.core.<name>"). */
#ifndef FT_SCRIPT_LIBS_H
#define FT_SCRIPT_LIBS_H

#include <lua.h>

int ft_open_tensor(lua_State *L);
int ft_open_graph(lua_State *L);
int ft_open_param(lua_State *L);
int ft_open_store(lua_State *L);
int ft_open_text(lua_State *L);
int ft_open_data(lua_State *L);
int ft_open_json(lua_State *L);
int ft_open_fs(lua_State *L);
int ft_open_sys(lua_State *L);
int ft_open_vocab(lua_State *L);
int ft_open_corpus(lua_State *L);
int ft_open_windows(lua_State *L);
int ft_open_tagging(lua_State *L);
int ft_open_pack(lua_State *L);
int ft_open_process(lua_State *L);
int ft_open_net(lua_State *L);
int ft_open_confine(lua_State *L);

#endif
