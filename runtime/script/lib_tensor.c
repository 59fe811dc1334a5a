/* runtime/script/lib_tensor.c - "ftpipe.core.tensor": the Lua face of tensors and ragged batches.
 *
 * Lua reads and writes single elements and tables for inspection, tests and small
 * results; bulk arithmetic goes through ops.
 */
#include <string.h>

#include "script/bind.h"
#include "script/libs.h"
#include "tensor/safetensors.h"

static const char *const dtype_names[] = { "f32", "bf16", "f16", "i32", "i64", "u8", NULL };

/* For what needs no elements. */
static ft_tensor *check_any(lua_State *L, int arg) { return ft_lua_check(L, arg, FT_TENSOR); }

/* One whose elements are there. */
static ft_tensor *check(lua_State *L, int arg)
{
    ft_tensor *t = ft_lua_tensor(L, arg);
    luaL_argcheck(L, t->data || t->bytes == 0, arg, "has a shape but no data");
    return t;
}

/* Before a tensor, the first argument, is written to. */
static void begin_write(lua_State *L, ft_tensor *t)
{
    luaL_argcheck(L, !t->drop || t->writable, 1, "is read-only (mapped from a file)");
    ft_safetensors_written(t);
}

/* tensor.new(shape, dtype = "f32") -> zero-filled tensor */
static int tensor_new(lua_State *L)
{
    ft_shape shape;
    ft_err e;

    ft_lua_shape(L, 1, &shape);
    const int dtype = luaL_checkoption(L, 2, "f32", dtype_names);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    ft_tensor *t;
    if (ft_tensor_zeros(&t, (ft_dtype)dtype, &shape, &e)) return ft_lua_raise(L, &e);
    b->p = t;
    return 1;
}

/* tensor.shape_only(shape, dtype = "f32") -> a tensor without values, for forecasts */
static int tensor_shape_only(lua_State *L)
{
    ft_shape shape;
    ft_err e;

    ft_lua_shape(L, 1, &shape);
    const int dtype = luaL_checkoption(L, 2, "f32", dtype_names);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    ft_tensor *t;
    if (ft_tensor_shape_only(&t, (ft_dtype)dtype, &shape, &e)) return ft_lua_raise(L, &e);
    b->p = t;
    return 1;
}

static lua_Number get_number(const ft_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case FT_F32: return (lua_Number)((const float *)t->data)[i];
    case FT_BF16: return (lua_Number)ft_bf16_to(((const uint16_t *)t->data)[i]);
    case FT_F16: return (lua_Number)ft_f16_to(((const uint16_t *)t->data)[i]);
    default: return 0;
    }
}

static void push_element(lua_State *L, const ft_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case FT_I32: lua_pushinteger(L, ((const int32_t *)t->data)[i]); break;
    case FT_I64: lua_pushinteger(L, ((const int64_t *)t->data)[i]); break;
    case FT_U8: lua_pushinteger(L, ((const uint8_t *)t->data)[i]); break;
    default: lua_pushnumber(L, get_number(t, i));
    }
}

/* Set element i from the Lua value at index; raises when it is not a number. */
static void set_element(lua_State *L, ft_tensor *t, int64_t i, int index)
{
    if (t->dtype == FT_F32) {
        ((float *)t->data)[i] = (float)luaL_checknumber(L, index);
    } else if (t->dtype == FT_BF16) {
        ((uint16_t *)t->data)[i] = ft_bf16_from((float)luaL_checknumber(L, index));
    } else if (t->dtype == FT_F16) {
        ((uint16_t *)t->data)[i] = ft_f16_from((float)luaL_checknumber(L, index));
    } else {
        const lua_Integer v = luaL_checkinteger(L, index);
        if (t->dtype == FT_I32)
            ((int32_t *)t->data)[i] = (int32_t)v;
        else if (t->dtype == FT_I64)
            ((int64_t *)t->data)[i] = v;
        else
            ((uint8_t *)t->data)[i] = (uint8_t)v;
    }
}

/* tensor.from(values, shape = {#values}, dtype = "f32"): a flat table, row-major */
static int tensor_from(lua_State *L)
{
    ft_shape shape;
    ft_err e;

    luaL_checktype(L, 1, LUA_TTABLE);
    const lua_Integer n = luaL_len(L, 1);
    if (lua_isnoneornil(L, 2))
        shape = ft_shape_of(1, n, 0, 0, 0);
    else
        ft_lua_shape(L, 2, &shape);
    luaL_argcheck(L, ft_shape_count(&shape) == n, 2, "shape and number of values differ");
    const int dtype = luaL_checkoption(L, 3, "f32", dtype_names);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    ft_tensor *t;
    if (ft_tensor_new(&t, (ft_dtype)dtype, &shape, &e)) return ft_lua_raise(L, &e);
    b->p = t;
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, 1, i + 1);
        set_element(L, t, i, -1);
        lua_pop(L, 1);
    }
    return 1;
}

static int tensor_shape(lua_State *L)
{
    ft_lua_push_shape(L, &check_any(L, 1)->shape);
    return 1;
}

static int tensor_dtype(lua_State *L)
{
    lua_pushstring(L, ft_dtype_name(check_any(L, 1)->dtype));
    return 1;
}

static int tensor_count(lua_State *L)
{
    lua_pushinteger(L, ft_shape_count(&check_any(L, 1)->shape));
    return 1;
}

/* t:get(i) / t:set(i, x): element i (1-based, row-major) */
static int64_t check_index(lua_State *L, const ft_tensor *t, int arg)
{
    const lua_Integer i = luaL_checkinteger(L, arg);
    luaL_argcheck(L, t->data != NULL, 1, "has a shape but no data");
    luaL_argcheck(L, i >= 1 && i <= ft_shape_count(&t->shape), arg, "index outside the tensor");
    return i - 1;
}

static int tensor_get(lua_State *L)
{
    const ft_tensor *t = check(L, 1);
    push_element(L, t, check_index(L, t, 2));
    return 1;
}

static int tensor_set(lua_State *L)
{
    ft_tensor *t = check(L, 1);
    const int64_t i = check_index(L, t, 2);
    begin_write(L, t);
    set_element(L, t, i, 3);
    ft_weights_changed();
    return 0;
}

/* t:table() -> flat Lua table of all elements */
static int tensor_table(lua_State *L)
{
    const ft_tensor *t = check(L, 1);
    const int64_t n = ft_shape_count(&t->shape);

    luaL_argcheck(L, t->data != NULL, 1, "has a shape but no data");
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        push_element(L, t, i);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* t:convert(dtype) -> new tensor with the same values; t:clone() keeps the dtype */
static int convert_to(lua_State *L, ft_dtype dtype)
{
    ft_err e;
    const ft_tensor *t = check(L, 1);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    ft_tensor *out;

    if (ft_tensor_new(&out, dtype, &t->shape, &e)) return ft_lua_raise(L, &e);
    b->p = out;
    if (ft_tensor_convert(out, t, &e)) return ft_lua_raise(L, &e);
    return 1;
}

static int tensor_convert(lua_State *L) { return convert_to(L, (ft_dtype)luaL_checkoption(L, 2, NULL, dtype_names)); }
static int tensor_clone(lua_State *L) { return convert_to(L, check(L, 1)->dtype); }

/* t:copy(src): overwrite with src (same shape; converts between float dtypes) */
static int tensor_copy(lua_State *L)
{
    ft_err e;
    ft_tensor *t = check(L, 1);
    begin_write(L, t);
    if (ft_tensor_convert(t, check(L, 2), &e)) return ft_lua_raise(L, &e);
    ft_weights_changed();
    lua_settop(L, 1);
    return 1;
}

static int tensor_fill(lua_State *L)
{
    ft_tensor *t = check(L, 1);
    begin_write(L, t);
    const int64_t n = ft_shape_count(&t->shape);
    for (int64_t i = 0; i < n; i++) set_element(L, t, i, 2);
    ft_weights_changed();
    lua_settop(L, 1);
    return 1;
}

/* t:view(first, shape): elements from the first-th on (1-based), sharing memory */
static int tensor_view(lua_State *L)
{
    ft_err e;
    ft_shape shape;
    ft_tensor *t = check(L, 1), *out;
    const lua_Integer first = luaL_checkinteger(L, 2);
    ft_lua_shape(L, 3, &shape);
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    if (ft_tensor_view(&out, t, first - 1, &shape, &e)) return ft_lua_raise(L, &e);
    b->p = out;
    return 1;
}

/* t:origin() -> where t still is pages of a file that nobody has written to (t:untouched()): a view that goes on showing them while
 * training moves t elsewhere; else nil */
static int tensor_origin(lua_State *L)
{
    ft_err e;
    ft_tensor *t = check(L, 1), *out;

    if (!ft_safetensors_untouched(t)) return 0;
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    if (ft_tensor_view(&out, t, 0, &t->shape, &e)) return ft_lua_raise(L, &e);
    b->p = out;
    return 1;
}

static int tensor_untouched(lua_State *L)
{
    lua_pushboolean(L, ft_safetensors_untouched(check(L, 1)));
    return 1;
}

/* t:set_rows(first, src): copy src (N,...) over rows first.. of t (same row shape and dtype) */
static int tensor_set_rows(lua_State *L)
{
    ft_tensor *t = check(L, 1);
    const ft_tensor *src = check(L, 3);
    const lua_Integer first = luaL_checkinteger(L, 2);

    luaL_argcheck(L, t->shape.rank >= 1 && src->shape.rank == t->shape.rank && src->dtype == t->dtype, 3,
                  "rows do not fit");
    const int64_t rows = src->shape.dim[0], width = t->shape.dim[0] ? ft_shape_count(&t->shape) / t->shape.dim[0] : 0;
    luaL_argcheck(L, rows == 0 || ft_shape_count(&src->shape) / rows == width, 3, "rows do not fit");
    luaL_argcheck(L, first >= 1 && first - 1 + rows <= t->shape.dim[0], 2, "rows outside the tensor");
    const size_t each = (size_t)width * ft_dtype_size(t->dtype);
    begin_write(L, t);
    if (rows) memcpy((char *)t->data + (size_t)(first - 1) * each, src->data, (size_t)rows * each);
    ft_weights_changed();
    return 0;
}

/* t:take_rows(indices) -> (N,...): rows by 1-based index, in that order */
static int tensor_take_rows(lua_State *L)
{
    ft_err e;
    const ft_tensor *t = check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_argcheck(L, t->shape.rank >= 1, 1, "has no rows");
    const lua_Integer n = luaL_len(L, 2);
    ft_shape shape = t->shape;
    shape.dim[0] = n;
    ft_box *b = ft_lua_box(L, FT_TENSOR, 0);
    ft_tensor *out;
    if (ft_tensor_new(&out, t->dtype, &shape, &e)) return ft_lua_raise(L, &e);
    b->p = out;
    const size_t each = n ? out->bytes / (size_t)n : 0;
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, 2, i + 1);
        const lua_Integer r = lua_tointeger(L, -1);
        lua_pop(L, 1);
        if (r < 1 || r > t->shape.dim[0])
            return luaL_error(L, "row %I is outside 1..%I", r, (lua_Integer)t->shape.dim[0]);
        memcpy((char *)out->data + (size_t)i * each, (const char *)t->data + (size_t)(r - 1) * each, each);
    }
    return 1;
}

static int tensor_bytes(lua_State *L)
{
    const ft_tensor *t = ft_lua_tensor(L, 1);
    lua_pushlstring(L, t->data ? t->data : "", t->data ? t->bytes : 0);
    return 1;
}

static int tensor_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, FT_TENSOR);
    ft_tensor_release(b->p);
    b->p = NULL;
    return 0;
}

static const luaL_Reg tensor_methods[] = {
    { "shape", tensor_shape },
    { "dtype", tensor_dtype },
    { "count", tensor_count },
    { "get", tensor_get },
    { "set", tensor_set },
    { "table", tensor_table },
    { "convert", tensor_convert },
    { "clone", tensor_clone },
    { "copy", tensor_copy },
    { "fill", tensor_fill },
    { "view", tensor_view },
    { "origin", tensor_origin },
    { "untouched", tensor_untouched },
    { "set_rows", tensor_set_rows },
    { "take_rows", tensor_take_rows },
    { "bytes", tensor_bytes },
    { "close", tensor_close },
    { NULL, NULL },
};

/* ==== Ragged ==== */

/* A Lua table of integers -> i32 values in a collectable buffer left on the stack. */
static int32_t *int_buffer(lua_State *L, int arg, lua_Integer *n)
{
    luaL_checktype(L, arg, LUA_TTABLE);
    *n = luaL_len(L, arg);
    int32_t *out = lua_newuserdatauv(L, (size_t)*n * sizeof *out + 1, 0);
    for (lua_Integer i = 0; i < *n; i++) {
        lua_geti(L, arg, i + 1);
        out[i] = (int32_t)lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    return out;
}

/* tensor.ragged(lengths [, examples [, windows]]): lengths of the rows; ids by which random numbers are drawn */
static int ragged_new(lua_State *L)
{
    ft_err e;
    lua_Integer n, m = 0, k = 0;

    lua_settop(L, 3);
    const int32_t *lengths = int_buffer(L, 1, &n);
    const int32_t *examples = lua_isnil(L, 2) ? NULL : int_buffer(L, 2, &m);
    const int32_t *windows = lua_isnil(L, 3) ? NULL : int_buffer(L, 3, &k);
    luaL_argcheck(L, !examples || m == n, 2, "needs one id for each length");
    luaL_argcheck(L, !windows || k == n, 3, "needs one number for each length");
    ft_box *b = ft_lua_box(L, FT_RAGGED, 0);
    ft_ragged *r;
    if (ft_ragged_new(&r, (int32_t)n, lengths, examples, windows, &e)) return ft_lua_raise(L, &e);
    b->p = r;
    return 1;
}

static int ragged_rows(lua_State *L)
{
    lua_pushinteger(L, ((const ft_ragged *)ft_lua_check(L, 1, FT_RAGGED))->n_rows);
    return 1;
}

static int ragged_tokens(lua_State *L)
{
    lua_pushinteger(L, ((const ft_ragged *)ft_lua_check(L, 1, FT_RAGGED))->n_tokens);
    return 1;
}

/* r:length(b) and r:first(b): tokens of row b (1-based), and the index of its first token (1-based) */
static int ragged_length(lua_State *L)
{
    const ft_ragged *r = ft_lua_check(L, 1, FT_RAGGED);
    const lua_Integer b = luaL_checkinteger(L, 2);
    luaL_argcheck(L, b >= 1 && b <= r->n_rows, 2, "no such row");
    lua_pushinteger(L, r->offsets[b] - r->offsets[b - 1]);
    return 1;
}

static int ragged_first(lua_State *L)
{
    const ft_ragged *r = ft_lua_check(L, 1, FT_RAGGED);
    const lua_Integer b = luaL_checkinteger(L, 2);
    luaL_argcheck(L, b >= 1 && b <= r->n_rows, 2, "no such row");
    lua_pushinteger(L, r->offsets[b - 1] + 1);
    return 1;
}

/* r:firsts() -> i32 tensor (B), the 0-based first token of every row; nil if a row has none */
static int ragged_firsts(lua_State *L)
{
    ft_err e;
    const ft_ragged *r = ft_lua_check(L, 1, FT_RAGGED);
    const ft_shape shape = ft_shape_of(1, r->n_rows, 0, 0, 0);

    for (int32_t b = 0; b < r->n_rows; b++)
        if (r->offsets[b + 1] == r->offsets[b]) {
            lua_pushnil(L);
            return 1;
        }
    ft_box *box = ft_lua_box(L, FT_TENSOR, 0);
    ft_tensor *t;
    if (ft_tensor_new(&t, FT_I32, &shape, &e)) return ft_lua_raise(L, &e);
    memcpy(t->data, r->offsets, sizeof(int32_t) * (size_t)r->n_rows);
    box->p = t;
    return 1;
}

static int ragged_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, FT_RAGGED);
    ft_ragged_release(b->p);
    b->p = NULL;
    return 0;
}

static const luaL_Reg ragged_methods[] = {
    { "rows", ragged_rows },
    { "tokens", ragged_tokens },
    { "length", ragged_length },
    { "first", ragged_first },
    { "firsts", ragged_firsts },
    { "close", ragged_close },
    { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "shape_only", tensor_shape_only },
    { "new", tensor_new },
    { "from", tensor_from },
    { "ragged", ragged_new },
    { NULL, NULL },
};

int ft_open_tensor(lua_State *L)
{
    ft_lua_class(L, FT_TENSOR, tensor_methods, tensor_close);
    ft_lua_class(L, FT_RAGGED, ragged_methods, ragged_close);
    luaL_newlib(L, functions);
    return 1;
}
