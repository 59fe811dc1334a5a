/* runtime/script/lib_graph.c - "ftpipe.core.graph": ops, variables and the tape.
 *
 * One tape per Lua state: graph.begin starts a micro-batch, graph.apply runs an op on it.
 * A variable remembers the generation of the tape it belongs to; used later it raises an
 * error instead of reading somebody else's memory. Arguments of apply may be variables,
 * parameters, tensors (constants) or numbers (constants of rank 0).
 */
#include <string.h>

#include "graph/profile.h"
#include "ops/product/bf16.h"
#include "ops/product/product.h"
#include "script/bind.h"
#include "script/libs.h"

#define VAR "ft.var"
#define CONTEXT "ft.graph.context"

typedef struct context {
    ft_tape *tape;
    uint64_t seed, update;
    int bf16;
} context;

typedef struct var {
    uint32_t generation;
    ft_var index;
} var;

static context *get_context(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, CONTEXT);
    context *c = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return c;
}

static ft_var check_var(lua_State *L, const context *c, int arg)
{
    const var *v = luaL_checkudata(L, arg, VAR);
    if (v->generation != ft_tape_generation(c->tape))
        luaL_argerror(L, arg, "belongs to a finished step: its memory is gone (keep a copy with :tensor() before)");
    return v->index;
}

/* The empty handle is made before the op runs, because making it may fail. */
static var *push_var(lua_State *L)
{
    var *v = lua_newuserdatauv(L, sizeof *v, 0);
    v->generation = 0;
    v->index = FT_NO_VAR;
    luaL_setmetatable(L, VAR);
    return v;
}

static int give(lua_State *L, const context *c, var *v, ft_var index)
{
    v->generation = ft_tape_generation(c->tape);
    v->index = index;
    (void)L;
    return 1;
}

/* Any operand -> variable on the tape; nil -> FT_NO_VAR. */
static ft_var operand(lua_State *L, context *c, int arg)
{
    ft_err e;
    ft_var v = FT_NO_VAR;
    ft_box *b;

    if (lua_isnil(L, arg)) return v;
    if (lua_type(L, arg) == LUA_TNUMBER) {
        ft_tensor *t;
        const ft_shape scalar = ft_shape_of(0, 0, 0, 0, 0);
        if (ft_tensor_new(&t, FT_F32, &scalar, &e)) return ft_lua_raise(L, &e);
        *(float *)t->data = (float)lua_tonumber(L, arg);
        const ft_status s = ft_tape_constant(c->tape, t, &v, &e);
        ft_tensor_release(t);
        if (s) return ft_lua_raise(L, &e);
        return v;
    }
    if ((b = luaL_testudata(L, arg, FT_PARAM))) {
        if (ft_tape_param(c->tape, b->p, &v, &e)) return ft_lua_raise(L, &e);
        return v;
    }
    if ((b = luaL_testudata(L, arg, FT_TENSOR))) {
        if (!b->p) luaL_argerror(L, arg, "tensor is closed");
        if (ft_tape_constant(c->tape, b->p, &v, &e)) return ft_lua_raise(L, &e);
        return v;
    }
    return check_var(L, c, arg);
}

/* graph.begin(mode, seed, update, precision): mode "train", "eval", "shape" or "shape_eval"; precision "f32" (default) or "bf16" */
static int graph_begin(lua_State *L)
{
    static const char *const modes[] = { "train", "eval", "shape", "shape_eval", NULL };
    context *c = get_context(L);
    const int mode = luaL_checkoption(L, 1, NULL, modes);
    static const char *const precisions[] = { "f32", "bf16", NULL };
    const int bf16 = luaL_checkoption(L, 4, "f32", precisions);
    ft_err e;

    if (bf16 && ft_product_bf16(&e)) return ft_lua_raise(L, &e);
    c->bf16 = bf16;
    c->seed = (uint64_t)luaL_optinteger(L, 2, 0);
    c->update = (uint64_t)luaL_optinteger(L, 3, 0);
    ft_tape_begin(c->tape, (ft_tape_mode)mode);
    return 0;
}

/* graph.rounds(outputs, inputs) -> whether a map of that size is computed in bf16 in this micro-batch */
static int graph_rounds(lua_State *L)
{
    lua_pushboolean(L, get_context(L)->bf16 && ft_bf16_fits(luaL_checkinteger(L, 1), luaL_checkinteger(L, 2)));
    return 1;
}

/* graph.tiles() -> whether this micro-batch is computed in bf16 on a processor that multiplies tiles of it */
static int graph_tiles(lua_State *L)
{
    lua_pushboolean(L, get_context(L)->bf16 && ft_op_active()->tiles);
    return 1;
}

static int trains(const context *c)
{
    const ft_tape_mode mode = ft_tape_get_mode(c->tape);

    return mode == FT_TAPE_TRAIN || mode == FT_TAPE_SHAPE;
}

/* graph.trains() -> whether this micro-batch is for training, or a forecast of that */
static int graph_trains(lua_State *L)
{
    lua_pushboolean(L, trains(get_context(L)));
    return 1;
}

static void read_list(lua_State *L, int table, const char *field, double *f, int64_t *i, int max)
{
    if (lua_getfield(L, table, field) == LUA_TTABLE) {
        const lua_Integer n = luaL_len(L, -1);
        if (n > max) luaL_error(L, "too many values in attribute '%s'", field);
        for (int k = 0; k < (int)n; k++) {
            lua_geti(L, -1, k + 1);
            if (f)
                f[k] = luaL_checknumber(L, -1);
            else
                i[k] = luaL_checkinteger(L, -1);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

/* { f = {..}, i = {..}, rows = ragged, site = "name" } -> ft_op_attr; rows is kept alive by the caller's table */
static void read_attr(lua_State *L, int arg, const context *c, ft_op_attr *a)
{
    memset(a, 0, sizeof *a);
    a->update = c->update;
    a->bf16 = c->bf16;
    a->training = trains(c);
    if (lua_isnil(L, arg)) return;
    luaL_checktype(L, arg, LUA_TTABLE);
    read_list(L, arg, "f", a->f, NULL, 4);
    read_list(L, arg, "i", NULL, a->i, 6);
    if (lua_getfield(L, arg, "rows") != LUA_TNIL) a->rows = ft_lua_check(L, -1, FT_RAGGED);
    lua_pop(L, 1);
    if (lua_getfield(L, arg, "site") == LUA_TSTRING)
        a->key = ft_rng_site(c->seed, lua_tostring(L, -1));
    else
        a->training = 0; /* a place without a name draws nothing */
    lua_pop(L, 1);
}

/* graph.apply(op, attr or nil, inputs...) -> variable */
static int graph_apply(lua_State *L)
{
    ft_err e;
    context *c = get_context(L);
    const char *name = luaL_checkstring(L, 1);
    const int n = lua_gettop(L) - 2;
    const ft_op *op = ft_op_find(name);
    ft_op_attr attr;
    ft_var in[FT_OP_IN], out;

    if (!op) return luaL_error(L, "unknown op '%s'", name);
    if (n > FT_OP_IN) return luaL_error(L, "%s: too many inputs", name);
    read_attr(L, 2, c, &attr);
    for (int i = 0; i < n; i++) in[i] = operand(L, c, 3 + i);
    var *v = push_var(L);
    if (ft_tape_apply(c->tape, op, in, n, &attr, &out, &e)) return ft_lua_raise(L, &e);
    return give(L, c, v, out);
}

/* graph.variable(x): a parameter, tensor or number as a variable of the current step */
static int graph_variable(lua_State *L)
{
    context *c = get_context(L);
    const ft_var in = operand(L, c, 1);
    return give(L, c, push_var(L), in);
}

static int graph_scope_begin(lua_State *L)
{
    lua_pushinteger(L, ft_tape_scope_begin(get_context(L)->tape));
    return 1;
}

/* graph.scope_end(mark, again, kept variables...) -> those variables; again: backward computes the rest a second time */
static int graph_scope_end(lua_State *L)
{
    context *c = get_context(L);
    ft_var keep[16];
    const int n = lua_gettop(L) - 2;

    luaL_argcheck(L, n <= 16, 18, "a scope keeps at most 16 results");
    const int mark = (int)luaL_checkinteger(L, 1);
    for (int i = 0; i < n; i++) keep[i] = luaL_testudata(L, 3 + i, VAR) ? check_var(L, c, 3 + i) : FT_NO_VAR;
    ft_tape_scope_end(c->tape, mark, keep, n, lua_toboolean(L, 2));
    return n;
}

/* graph.backward(loss, scale): gradients of sum(loss) * scale */
static int graph_backward(lua_State *L)
{
    ft_err e;
    context *c = get_context(L);
    const ft_var loss = check_var(L, c, 1);
    if (ft_tape_backward(c->tape, loss, (float)luaL_optnumber(L, 2, 1), &e)) return ft_lua_raise(L, &e);
    return 0;
}

/* graph.cost() -> { flops, bytes, peak, keeps } of the step so far */
static int graph_cost(lua_State *L)
{
    const ft_tape_cost cost = ft_tape_get_cost(get_context(L)->tape);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer)cost.keeps);
    lua_setfield(L, -2, "keeps");
    lua_pushnumber(L, cost.flops);
    lua_setfield(L, -2, "flops");
    lua_pushnumber(L, cost.bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushinteger(L, (lua_Integer)cost.peak);
    lua_setfield(L, -2, "peak");
    return 1;
}

/* graph.profile(true|false) starts or stops; graph.profile() -> { {op=, calls=, forward_s=, ...}, ... } */
static int graph_profile(lua_State *L)
{
    if (!lua_isnone(L, 1)) {
        ft_profile_on(lua_toboolean(L, 1));
        return 0;
    }
    const ft_profile *p;
    const int n = ft_profile_get(&p);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_createtable(L, 0, 6);
        lua_pushstring(L, p[i].op);
        lua_setfield(L, -2, "op");
        lua_pushinteger(L, (lua_Integer)p[i].calls);
        lua_setfield(L, -2, "calls");
        lua_pushnumber(L, p[i].forward_s);
        lua_setfield(L, -2, "forward_s");
        lua_pushnumber(L, p[i].backward_s);
        lua_setfield(L, -2, "backward_s");
        lua_pushnumber(L, p[i].flops);
        lua_setfield(L, -2, "flops");
        lua_pushnumber(L, p[i].bytes);
        lua_setfield(L, -2, "bytes");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* graph.has(name): whether an op of that name exists */
static int graph_has(lua_State *L)
{
    lua_pushboolean(L, ft_op_find(luaL_checkstring(L, 1)) != NULL);
    return 1;
}

/* ==== Variables ==== */

static ft_tensor *check_value(lua_State *L, int arg)
{
    context *c = get_context(L);
    ft_tensor *t = ft_tape_value(c->tape, check_var(L, c, arg));
    if (!t) luaL_argerror(L, arg, "was freed at the end of its scope");
    return t;
}

static int var_shape(lua_State *L)
{
    ft_lua_push_shape(L, &check_value(L, 1)->shape);
    return 1;
}

/* v:tensor() -> the value as a tensor that outlives the step (shares memory; treat as read-only) */
static int var_tensor(lua_State *L)
{
    ft_tensor *t = check_value(L, 1);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    b->p = ft_tensor_retain(t);
    return 1;
}

/* v:item() -> the only element, as a number */
static int var_item(lua_State *L)
{
    const ft_tensor *t = check_value(L, 1);
    luaL_argcheck(L, t->data && t->dtype == FT_F32 && ft_shape_count(&t->shape) == 1, 1, "is not a single number");
    lua_pushnumber(L, (lua_Number) * (const float *)t->data);
    return 1;
}

static int var_needs_grad(lua_State *L)
{
    context *c = get_context(L);
    lua_pushboolean(L, ft_tape_needs_grad(c->tape, check_var(L, c, 1)));
    return 1;
}

static int var_detach(lua_State *L)
{
    ft_err e;
    ft_var out;
    context *c = get_context(L);
    check_value(L, 1);
    const ft_var in = check_var(L, c, 1);
    var *v = push_var(L);
    if (ft_tape_detach(c->tape, in, &out, &e)) return ft_lua_raise(L, &e);
    return give(L, c, v, out);
}

static const luaL_Reg var_methods[] = {
    { "shape", var_shape },   { "tensor", var_tensor },         { "item", var_item },
    { "detach", var_detach }, { "needs_grad", var_needs_grad }, { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "begin", graph_begin },
    { "rounds", graph_rounds },
    { "tiles", graph_tiles },
    { "trains", graph_trains },
    { "apply", graph_apply },
    { "variable", graph_variable },
    { "scope_begin", graph_scope_begin },
    { "scope_end", graph_scope_end },
    { "backward", graph_backward },
    { "cost", graph_cost },
    { "profile", graph_profile },
    { "has", graph_has },
    { NULL, NULL },
};

static int context_close(lua_State *L)
{
    context *c = lua_touserdata(L, 1);
    ft_tape_free(c->tape);
    c->tape = NULL;
    return 0;
}

/* The module also hands out the metatable of variables and their methods, so that nn.lua can add operators to both. */
int ft_open_graph(lua_State *L)
{
    ft_err e;
    context *c = lua_newuserdatauv(L, sizeof *c, 0);
    memset(c, 0, sizeof *c);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, context_close);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, CONTEXT);
    if (ft_tape_new(&c->tape, &e)) return ft_lua_raise(L, &e);

    ft_lua_class(L, VAR, var_methods, NULL);
    luaL_newlib(L, functions);
    luaL_getmetatable(L, VAR);
    lua_setfield(L, -2, "variable_meta");
    return 1;
}
