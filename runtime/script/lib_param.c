/* runtime/script/lib_param.c - "ftpipe.core.param": parameter sets and optimisers.
 *
 * A parameter handle keeps its set alive by a user value; the set owns the memory.
 */
#include <string.h>

#include "core/mem.h"
#include "graph/lazy.h"
#include "graph/optim.h"
#include "script/bind.h"
#include "script/libs.h"
#include "tensor/safetensors.h"

#define SET "ft.params"
#define OPTIM "ft.optim"

/* ==== Sets ==== */

/* param.set() and param.set("shapes"): of parameters without values, for forecasts */
static int set_new(lua_State *L)
{
    static const char *const kinds[] = { "values", "shapes", NULL };
    const int shapes = luaL_checkoption(L, 1, "values", kinds);
    ft_err e;
    ft_box *b = ft_lua_box(L, SET, 0);
    ft_params *ps = ft_calloc(1, sizeof *ps);
    if (!ps) {
        ft_fail_mem(&e, sizeof *ps);
        return ft_lua_raise(L, &e);
    }
    ps->shapes_only = shapes;
    b->p = ps;
    return 1;
}

static int set_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, SET);
    if (b->p) ft_params_free(b->p);
    ft_free(b->p);
    b->p = NULL;
    return 0;
}

/* set:add(name, shape) -> parameter, zero-filled and trainable */
static int set_add(lua_State *L)
{
    ft_err e;
    ft_shape shape;
    ft_params *ps = ft_lua_check(L, 1, SET);
    const char *name = luaL_checkstring(L, 2);
    ft_lua_shape(L, 3, &shape);
    ft_box *b = ft_lua_box(L, FT_PARAM, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    ft_param *p;
    if (ft_params_add(ps, name, &shape, &p, &e)) return ft_lua_raise(L, &e);
    b->p = p;
    return 1;
}

/* set:freeze(glob) and set:unfreeze(glob) -> number of parameters matched */
static int set_trainable(lua_State *L, int trainable)
{
    ft_err e;
    size_t n = 0;
    if (ft_params_set_trainable(ft_lua_check(L, 1, SET), luaL_checkstring(L, 2), trainable, &n, &e))
        return ft_lua_raise(L, &e);
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

static int set_freeze(lua_State *L) { return set_trainable(L, 0); }
static int set_unfreeze(lua_State *L) { return set_trainable(L, 1); }

/* set:nonfinite("value"|"grad") -> name of the first parameter with a NaN or Inf there, or nil */
static int set_nonfinite(lua_State *L)
{
    static const char *const what[] = { "value", "grad", NULL };
    const int k = luaL_checkoption(L, 2, "value", what);
    const ft_param *p = ft_params_nonfinite(ft_lua_check(L, 1, SET), k);
    lua_pushstring(L, p ? p->name : NULL);
    return 1;
}

/* set:shapes_only() */
static int set_shapes_only(lua_State *L)
{
    lua_pushboolean(L, ((ft_params *)ft_lua_check(L, 1, SET))->shapes_only);
    return 1;
}

static const luaL_Reg set_methods[] = {
    { "shapes_only", set_shapes_only }, { "add", set_add },     { "freeze", set_freeze }, { "unfreeze", set_unfreeze },
    { "nonfinite", set_nonfinite },     { "close", set_close }, { NULL, NULL },
};

/* ==== Parameters ==== */

static ft_param *check_param(lua_State *L, int arg) { return ft_lua_check(L, arg, FT_PARAM); }

static int param_name(lua_State *L)
{
    lua_pushstring(L, check_param(L, 1)->name);
    return 1;
}

static int param_shape(lua_State *L)
{
    ft_lua_push_shape(L, &check_param(L, 1)->value->shape);
    return 1;
}

static int param_trainable(lua_State *L)
{
    lua_pushboolean(L, check_param(L, 1)->trainable);
    return 1;
}

/* p:loaded() and p:loaded(flag) */
static int param_loaded(lua_State *L)
{
    ft_param *p = check_param(L, 1);
    if (!lua_isnone(L, 2)) p->loaded = lua_toboolean(L, 2);
    lua_pushboolean(L, p->loaded);
    return 1;
}

/* p:tensor() -> the value itself (shared: writing to it changes the parameter) */
static int param_tensor(lua_State *L)
{
    const ft_param *p = check_param(L, 1);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    b->p = ft_tensor_retain(p->value);
    return 1;
}

/* p:adopt(t): let t be the value from now on; what p:tensor() gave before is no longer the parameter's */
static int param_adopt(lua_State *L)
{
    ft_err e;
    if (ft_param_adopt(check_param(L, 1), ft_lua_tensor(L, 2), &e)) return ft_lua_raise(L, &e);
    return 0;
}

/* p:grad() -> this update's gradient so far (shared), or nil */
static int param_grad(lua_State *L)
{
    const ft_param *p = check_param(L, 1);
    if (!p->grad || !p->has_grad) {
        lua_pushnil(L);
        return 1;
    }
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    ft_tensor_touch_all(p->grad); /* who gets it may write to it */
    b->p = ft_tensor_retain(p->grad);
    return 1;
}

/* p:normal(seed, std): random normal values drawn by the parameter's name */
static int param_normal(lua_State *L)
{
    ft_param *p = check_param(L, 1);
    const lua_Integer seed = luaL_checkinteger(L, 2);
    const double std = luaL_checknumber(L, 3);
    ft_lazy_settle(p->value);
    ft_safetensors_written(p->value);
    ft_rng_normal(ft_rng_site((uint64_t)seed, p->name), p->value->data, (size_t)ft_shape_count(&p->value->shape),
                  (float)std);
    ft_weights_changed();
    return 0;
}

static const luaL_Reg param_methods[] = {
    { "name", param_name },     { "shape", param_shape },   { "trainable", param_trainable },
    { "loaded", param_loaded }, { "adopt", param_adopt },   { "tensor", param_tensor },
    { "grad", param_grad },     { "normal", param_normal }, { NULL, NULL },
};

/* ==== Optimisers ==== */

/* param.optim(kind, { beta1, beta2, eps, momentum, nesterov }) */
static int optim_new(lua_State *L)
{
    ft_err e;
    const char *kind = luaL_checkstring(L, 1);
    ft_optim_opts o = {
        .beta1 = ft_lua_opt_number(L, 2, "beta1", 0),
        .beta2 = ft_lua_opt_number(L, 2, "beta2", 0),
        .eps = ft_lua_opt_number(L, 2, "eps", 0),
        .momentum = ft_lua_opt_number(L, 2, "momentum", 0),
        .nesterov = ft_lua_opt_flag(L, 2, "nesterov", 0),
    };
    ft_box *b = ft_lua_box(L, OPTIM, 1);
    lua_newtable(L); /* parameters held, so that they outlive the optimiser */
    lua_setiuservalue(L, -2, 1);
    ft_optim *out;
    if (ft_optim_new(&out, kind, &o, &e)) return ft_lua_raise(L, &e);
    b->p = out;
    return 1;
}

static int optim_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, OPTIM);
    ft_optim_free(b->p);
    b->p = NULL;
    return 0;
}

/* o:add({ parameters }, lr, weight_decay) */
static int optim_add(lua_State *L)
{
    ft_err e;
    ft_optim *o = ft_lua_check(L, 1, OPTIM);
    luaL_checktype(L, 2, LUA_TTABLE);
    const double lr = luaL_checknumber(L, 3), decay = luaL_optnumber(L, 4, 0);
    const lua_Integer n = luaL_len(L, 2);
    ft_param **ps = lua_newuserdatauv(L, (size_t)n * sizeof *ps + 1, 0);
    lua_getiuservalue(L, 1, 1);
    const lua_Integer held = luaL_len(L, -1);
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, 2, i + 1);
        ps[i] = check_param(L, -1);
        lua_seti(L, -2, held + i + 1);
    }
    if (ft_optim_add(o, ps, (size_t)n, lr, decay, &e)) return ft_lua_raise(L, &e);
    return 0;
}

/* o:step(lr_scale, clip) -> gradient norm before clipping; or nil, message when a gradient is not finite */
static int optim_step(lua_State *L)
{
    ft_err e;
    double norm;
    const ft_status s =
        ft_optim_step(ft_lua_check(L, 1, OPTIM), luaL_optnumber(L, 2, 1), luaL_optnumber(L, 3, 0), &norm, &e);
    if (s == FT_ENUM) return ft_lua_nil(L, &e);
    if (s) return ft_lua_raise(L, &e);
    lua_pushnumber(L, norm);
    return 1;
}

/* o:steps() and o:steps(n): updates done; setting it is for resuming */
static int optim_steps(lua_State *L)
{
    ft_optim *o = ft_lua_check(L, 1, OPTIM);
    if (!lua_isnone(L, 2)) ft_optim_set_steps(o, luaL_checkinteger(L, 2));
    lua_pushinteger(L, ft_optim_steps(o));
    return 1;
}

/* o:moments() -> { { name =, [1] = tensor, [2] = tensor }, ... }: shared memory, for checkpoints */
static int optim_moments(lua_State *L)
{
    const ft_optim *o = ft_lua_check(L, 1, OPTIM);
    const size_t n = ft_optim_count(o);

    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_createtable(L, 2, 1);
        lua_pushstring(L, ft_optim_param(o, i)->name);
        lua_setfield(L, -2, "name");
        for (int k = 0; k < 2; k++) {
            if (!ft_optim_moment(o, i, k)) continue;
            ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
            b->p = ft_tensor_retain(ft_optim_moment(o, i, k));
            lua_rawseti(L, -2, k + 1);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static const luaL_Reg optim_methods[] = {
    { "add", optim_add },         { "step", optim_step },   { "steps", optim_steps },
    { "moments", optim_moments }, { "close", optim_close }, { NULL, NULL },
};

/* param.moments(kind) -> arrays of state that such an optimiser has for each weight, beside the gradient */
static int optim_kind_moments(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1);
    const ft_optim_kernel *k = ft_optim_find(kind);
    if (!k) return luaL_error(L, "unknown optimiser '%s': choose adamw or sgd", kind);
    lua_pushinteger(L, k->moments);
    return 1;
}

static const luaL_Reg functions[] = {
    { "set", set_new },
    { "optim", optim_new },
    { "moments", optim_kind_moments },
    { NULL, NULL },
};

int ft_open_param(lua_State *L)
{
    ft_lua_class(L, SET, set_methods, set_close);
    ft_lua_class(L, FT_PARAM, param_methods, NULL);
    ft_lua_class(L, OPTIM, optim_methods, optim_close);
    luaL_newlib(L, functions);
    return 1;
}
