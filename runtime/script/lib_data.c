/* runtime/script/lib_data.c - "ftpipe.core.data": row readers and writers. */
#include <string.h>

#include "core/mem.h"
#include "data/bytes.h"
#include "data/minhash.h"
#include "data/reader.h"
#include "data/source.h"
#include "data/writer.h"
#include "script/bind.h"
#include "script/host.h"
#include "script/libs.h"

#define READER "ft.reader"
#define WRITER "ft.writer"
#define SOURCE "ft.source"

typedef struct writer_box {
    ft_writer *w;
    ft_atomic file;
    int is_file;
} writer_box;

/* ==== Reading ==== */

/* data.open(path, { format, delimiter, quote, header, encoding, columns = {names} }) -> reader, or nil, message */
static int data_open(lua_State *L)
{
    ft_err e;
    const char *path = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    ft_reader_opts o = {
        .format = ft_lua_opt_string(L, 2, "format", NULL),
        .delimiter = ft_lua_opt_string(L, 2, "delimiter", NULL),
        .quote = ft_lua_opt_string(L, 2, "quote", NULL),
        .header = ft_lua_opt_string(L, 2, "header", NULL),
        .encoding = ft_lua_opt_string(L, 2, "encoding", NULL),
    };
    if (!lua_isnil(L, 2) && lua_getfield(L, 2, "columns") == LUA_TTABLE) {
        const lua_Integer n = luaL_len(L, -1);
        const char **names = lua_newuserdatauv(L, (size_t)n * sizeof *names + 1, 0);
        for (lua_Integer i = 0; i < n; i++) {
            lua_geti(L, -2, i + 1);
            names[i] = luaL_checkstring(L, -1);
            lua_pop(L, 1);
        }
        o.columns = names;
        o.n_columns = (size_t)n;
    }
    ft_box *b = ft_lua_box(L, READER, 0);
    ft_reader *r;
    if (ft_reader_open(&r, path, &o, &e)) return ft_lua_nil(L, &e);
    b->p = r;
    return 1;
}

/* Read all of a source, and check that it is text. */
static ft_status read_all(ft_source *s, ft_err *e)
{
    const ft_status st = ft_source_need(s, s->max, e);
    if (st) return st;
    if (s->n > s->max) return ft_fail(e, FT_EDATA, "%s is larger than %zu bytes", s->name, s->max);
    const size_t at = ft_bytes_check(ft_source_at(s), s->n);
    if (at == s->n) return FT_OK;
    return ft_fail(e, FT_EDATA, "%s:%lld: not text in its encoding: byte 0x%02X", s->name,
                   (long long)ft_bytes_lines(ft_source_at(s), at) + 1, (unsigned char)ft_source_at(s)[at]);
}

/* data.text(path [, encoding]) -> the whole file ("-": standard input) as UTF-8 without its mark, or nil, message */
static int data_text(lua_State *L)
{
    ft_err e;
    const char *path = luaL_checkstring(L, 1), *encoding = luaL_optstring(L, 2, NULL);
    ft_source *s = lua_newuserdatauv(L, sizeof *s, 0);

    memset(s, 0, sizeof *s);
    s->fd = -1;
    luaL_setmetatable(L, SOURCE);
    if (ft_source_open(s, path, encoding, (size_t)1 << 30, &e) || read_all(s, &e)) return ft_lua_nil(L, &e);
    lua_pushlstring(L, ft_source_at(s), s->n);
    ft_source_close(s);
    return 1;
}

static int source_close(lua_State *L)
{
    ft_source_close(luaL_checkudata(L, 1, SOURCE));
    return 0;
}

static int reader_close(lua_State *L)
{
    ft_box *b = luaL_checkudata(L, 1, READER);
    ft_reader_close(b->p);
    b->p = NULL;
    return 0;
}

/* r:next({ wanted columns } [, how many of them are text, from the first]) -> line, value, value, ...: cells of the wanted columns
 * (false where a cell is null)
 * r:next() -> line, { name = value } and { names in order }
 * at the end: nil. A bad row: false, message, line, raw bytes; reading may go on. */
static int bad_row(lua_State *L, ft_reader *r, const ft_err *e)
{
    const ft_bad_row *bad = ft_reader_bad(r);
    if (e->code != FT_EDATA) return ft_lua_raise(L, e);
    lua_pushboolean(L, 0);
    lua_pushstring(L, e->msg);
    lua_pushinteger(L, bad ? bad->line : 0);
    lua_pushlstring(L, bad ? bad->raw : "", bad ? bad->raw_len : 0);
    return 4;
}

static void push_cell(lua_State *L, const ft_cell *c)
{
    if (c->kind == FT_CELL_NULL)
        lua_pushboolean(L, 0);
    else
        lua_pushlstring(L, c->ptr, c->len);
}

static int push_all(lua_State *L, const ft_row *row)
{
    lua_createtable(L, 0, (int)row->n);
    lua_createtable(L, (int)row->n, 0);
    for (size_t i = 0; i < row->n; i++) {
        lua_pushlstring(L, row->names[i].ptr, row->names[i].len);
        push_cell(L, &row->cells[i]);
        lua_rawset(L, -4);
        lua_pushlstring(L, row->names[i].ptr, row->names[i].len);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 3;
}

static int reader_next(lua_State *L)
{
    ft_err e = { 0 };
    const ft_row *row;
    ft_reader *r = ft_lua_check(L, 1, READER);

    const lua_Integer texts = luaL_optinteger(L, 3, 0);
    lua_settop(L, 2);
    if (ft_reader_next(r, &row, &e)) return bad_row(L, r, &e);
    if (!row) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, row->line);
    if (lua_isnil(L, 2)) return push_all(L, row);
    const lua_Integer n = luaL_len(L, 2);
    luaL_checkstack(L, (int)n + 8, "too many columns");
    for (lua_Integer i = 1; i <= n; i++) {
        const ft_cell *c;
        lua_geti(L, 2, i);
        const char *name = luaL_checkstring(L, -1);
        if (i <= texts ? ft_row_need_text(row, name, &c, &e) : ft_row_need(row, name, &c, &e)) {
            lua_pushboolean(L, 0);
            lua_pushstring(L, e.msg);
            lua_pushinteger(L, row->line);
            lua_pushlstring(L, row->raw, row->raw_len);
            return 4;
        }
        lua_pop(L, 1);
        push_cell(L, c);
    }
    return (int)n + 1;
}

/* r:columns() -> { names } (empty before the first row of JSON); r:format() */
static int reader_columns(lua_State *L)
{
    const ft_cell *names;
    const size_t n = ft_reader_columns(ft_lua_check(L, 1, READER), &names);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushlstring(L, names[i].ptr, names[i].len);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int reader_format(lua_State *L)
{
    lua_pushstring(L, ft_reader_format(ft_lua_check(L, 1, READER)));
    return 1;
}

static const luaL_Reg reader_methods[] = {
    { "next", reader_next }, { "columns", reader_columns }, { "format", reader_format }, { "close", reader_close },
    { NULL, NULL },
};

/* ==== Writing ==== */

static int writer_gc(lua_State *L)
{
    writer_box *b = luaL_checkudata(L, 1, WRITER);
    if (b->w) ft_writer_close(b->w, NULL);
    b->w = NULL;
    if (b->is_file) ft_atomic_abandon(&b->file);
    b->is_file = 0;
    return 0;
}

/* data.create(path or nil for standard output, format, { names }) -> writer, or nil, message.
 * The file appears whole when w:commit() is called; without it nothing is left. */
static int data_create(lua_State *L)
{
    ft_err e;
    const char *path = luaL_optstring(L, 1, NULL);
    ft_writer_opts o = { .format = luaL_checkstring(L, 2) };
    luaL_checktype(L, 3, LUA_TTABLE);
    const lua_Integer n = luaL_len(L, 3);
    const char **names = lua_newuserdatauv(L, (size_t)n * sizeof *names + 1, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, 3, i + 1);
        names[i] = luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    o.names = names;
    o.n_names = (size_t)n;
    writer_box *b = lua_newuserdatauv(L, sizeof *b, 0);
    memset(b, 0, sizeof *b);
    luaL_setmetatable(L, WRITER);
    ft_status s;
    if (path) {
        s = ft_atomic_open(&b->file, path, &e);
        b->is_file = !s;
        if (!s) s = ft_writer_open_atomic(&b->w, &b->file, &o, &e);
    } else {
        s = ft_writer_open(&b->w, ft_host_get_sink(L)->data, "standard output", &o, &e);
    }
    return s ? ft_lua_nil(L, &e) : 1;
}

static writer_box *check_writer(lua_State *L)
{
    writer_box *b = luaL_checkudata(L, 1, WRITER);
    luaL_argcheck(L, b->w != NULL, 1, "is closed");
    return b;
}

/* w:row(values...): strings as text, numbers as numbers, false as null -> true, or nil, message */
static int writer_row(lua_State *L)
{
    ft_err e;
    const writer_box *b = check_writer(L);
    const int n = lua_gettop(L) - 1;
    ft_cell *cells = lua_newuserdatauv(L, (size_t)n * sizeof *cells + 1, 0);

    for (int i = 0; i < n; i++) {
        const int arg = 2 + i;
        const int type = lua_type(L, arg);
        memset(&cells[i], 0, sizeof cells[i]);
        cells[i].kind = type == LUA_TNUMBER ? FT_CELL_NUMBER : type == LUA_TSTRING ? FT_CELL_STRING : FT_CELL_NULL;
        if (type == LUA_TNUMBER || type == LUA_TSTRING) cells[i].ptr = lua_tolstring(L, arg, &cells[i].len);
    }
    if (ft_writer_row(b->w, cells, &e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

/* w:commit() -> true, or nil, message: flush, and put the file in its place */
static int writer_commit(lua_State *L)
{
    ft_err e;
    writer_box *b = check_writer(L);
    ft_status s = ft_writer_close(b->w, &e);
    b->w = NULL;
    if (b->is_file) {
        b->is_file = 0;
        if (s)
            ft_atomic_abandon(&b->file);
        else
            s = ft_atomic_commit(&b->file, &e);
    }
    if (s) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg writer_methods[] = { { "row", writer_row }, { "commit", writer_commit }, { NULL, NULL } };
/* ==== Near duplicates ==== */

/* data.near_groups({ texts }, similarity) -> { for each text the number of the first one it is near to, or its own } */
static int data_near_groups(lua_State *L)
{
    ft_err e;
    luaL_checktype(L, 1, LUA_TTABLE);
    const double least = luaL_checknumber(L, 2);
    const lua_Integer n = luaL_len(L, 1);
    luaL_argcheck(L, least > 0 && least <= 1, 2, "a similarity is above 0 and at most 1");
    luaL_argcheck(L, n < INT32_MAX, 1, "too many texts");
    const char **texts = lua_newuserdatauv(L, (size_t)n * sizeof *texts + 1, 0);
    size_t *lengths = lua_newuserdatauv(L, (size_t)n * sizeof *lengths + 1, 0);
    int32_t *group = lua_newuserdatauv(L, (size_t)n * sizeof *group + 1, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, 1, i + 1);
        texts[i] = luaL_checklstring(L, -1, &lengths[i]); /* the table keeps it */
        lua_pop(L, 1);
    }
    if (ft_near_groups(texts, lengths, (int32_t)n, least, group, &e)) return ft_lua_raise(L, &e);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_pushinteger(L, group[i] + 1);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static const luaL_Reg functions[] = {
    { "open", data_open }, { "text", data_text }, { "create", data_create }, { "near_groups", data_near_groups },
    { NULL, NULL },
};

static const luaL_Reg no_methods[] = { { NULL, NULL } };

int ft_open_data(lua_State *L)
{
    ft_lua_class(L, READER, reader_methods, reader_close);
    ft_lua_class(L, SOURCE, no_methods, source_close);
    ft_lua_class(L, WRITER, writer_methods, writer_gc);
    luaL_newlib(L, functions);
    return 1;
}
