/* runtime/script/bind.h - what every Lua binding here shares.
 *
 * A binding goes read, box, call, push: Lua may longjmp in the first two, when nothing is
 * held yet. A box is made collectable before it acquires anything; __gc and __close are one
 * function that is safe to run twice. Indices are turned from 1-based to 0-based here only.
 */
#ifndef FT_SCRIPT_BIND_H
#define FT_SCRIPT_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "core/err.h"
#include "graph/tape.h"
#include "tensor/ragged.h"
#include "tensor/tensor.h"

/* A userdata that owns one object, or NULL before it is filled and after it is closed. */
typedef struct ft_box {
    void *p;
} ft_box;

/* Push an empty box of a metatable made by ft_lua_class. n_user: user values it carries. */
ft_box *ft_lua_box(lua_State *L, const char *class_name, int n_user);
/* The object at arg; raises when it is of another class or closed. */
void *ft_lua_check(lua_State *L, int arg, const char *class_name);
/* The tensor at arg, whose numbers may be read and written until an optimiser's next step (graph/lazy.h). */
ft_tensor *ft_lua_tensor(lua_State *L, int arg);
/* Metatable with methods under __index, and `close` as __gc and __close (may be NULL). Nothing stays on the stack. */
void ft_lua_class(lua_State *L, const char *class_name, const luaL_Reg *methods, lua_CFunction close);

/* Raise e as a Lua error: the message, with the script's file:line added in front by luaL_where. */
int ft_lua_raise(lua_State *L, const ft_err *e);
/* For foreseeable failures: nil, message. Returns 2. */
int ft_lua_nil(lua_State *L, const ft_err *e);

/* {2, 3} at arg -> shape. */
void ft_lua_shape(lua_State *L, int arg, ft_shape *shape);
void ft_lua_push_shape(lua_State *L, const ft_shape *shape);

#define FT_TENSOR "ft.tensor"
#define FT_RAGGED "ft.ragged"
#define FT_PARAM "ft.param"
#define FT_TOKENIZER "ft.tokenizer"
#define FT_TOKENS "ft.tokens"

/* Option fields of the table at arg (0 or nil: the default). */
double ft_lua_opt_number(lua_State *L, int arg, const char *field, double fallback);
/* Call the function `field`, where there is one, with n. */
void ft_lua_opt_call(lua_State *L, int arg, const char *field, lua_Integer n);
int ft_lua_opt_flag(lua_State *L, int arg, const char *field, int fallback);
/* Valid while the table holds it. */
const char *ft_lua_opt_string(lua_State *L, int arg, const char *field, const char *fallback);

#endif
