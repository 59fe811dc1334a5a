/* runtime/data/read_value.c - a JSON object as a row, for read_jsonl.c and read_json.c.
 *
 * Names and strings point into jansson's memory: r->json lives as long as the row.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/mem.h"
#include "data/json_text.h"
#include "data/read.h"

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_NULL: return "null";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    default: return "a number";
    }
}

static ft_cell_kind kind_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_STRING: return FT_CELL_STRING;
    case JSON_NULL: return FT_CELL_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return FT_CELL_BOOL;
    case JSON_OBJECT:
    case JSON_ARRAY: return FT_CELL_JSON;
    default: return FT_CELL_NUMBER;
    }
}

/* The value's text where jansson or a literal holds it; NULL where it must be written. */
static const char *ready_text(const json_t *v, size_t *len)
{
    const char *text = json_is_string(v)  ? json_string_value(v)
                       : json_is_null(v)  ? ""
                       : json_is_true(v)  ? "true"
                       : json_is_false(v) ? "false"
                                          : NULL;
    *len = json_is_string(v) ? json_string_length(v) : text ? strlen(text) : 0;
    return text;
}

static ft_status add_cell(ft_reader *r, const char *key, const json_t *v, ft_err *e)
{
    size_t len;
    const char *text = ready_text(v, &len);

    ft_status s = ft_fields_borrow(&r->names, key, strlen(key), FT_CELL_STRING, e);
    if (s) return s;
    if (text) return ft_fields_borrow(&r->fields, text, len, kind_of(v), e);
    s = ft_json_put_value(&r->fields.text, v, e);
    return s ? s : ft_fields_end(&r->fields, kind_of(v), e);
}

void ft_reader_drop_object(ft_reader *r)
{
    if (!r->json) return;
    json_decref(r->json);
    r->json = NULL;
    r->n_columns = 0; /* the names went with it */
    ft_fields_clear(&r->names, SIZE_MAX);
}

/* jansson leaves the text empty in most places where its memory runs out; in some it says that the syntax is wrong. */
static ft_status reject_json(ft_reader *r, const json_error_t *err, size_t len, size_t used, ft_err *e)
{
    if (json_error_code(err) == json_error_out_of_memory || !err->text[0]) return ft_fail_mem(e, len);
    const size_t before = err->line <= 1 ? r->src.column : 0;
    const int64_t line = r->src.line + (err->line > 1 ? err->line - 1 : 0);
    return ft_reader_reject(r, len, used, line, e, "invalid JSON in column %zu: %s",
                            before + (size_t)(err->column > 0 ? err->column : 1), err->text);
}

ft_status ft_reader_object(ft_reader *r, size_t len, size_t used, ft_err *e)
{
    json_error_t err;
    ft_status s = ft_reader_check_text(r, len, used, e);

    if (s) return s;
    r->json = json_loadb(ft_source_at(&r->src), len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &err);
    if (!r->json) return reject_json(r, &err, len, used, e);
    if (!json_is_object(r->json))
        return ft_reader_reject(r, len, used, r->src.line, e, "expected an object, got %s", type_name(r->json));

    ft_fields_clear(&r->names, SIZE_MAX);
    ft_fields_clear(&r->fields, SIZE_MAX);
    for (void *it = json_object_iter(r->json); !s && it; it = json_object_iter_next(r->json, it))
        s = add_cell(r, json_object_iter_key(it), json_object_iter_value(it), e);
    r->n_columns = r->fields.n;
    return s;
}

/* ==== Dotted paths ==== */

/* The member of an object or the element (1-based) of an array that n bytes of path name. */
static const json_t *member(const json_t *v, const char *path, size_t n)
{
    char key[256], *end;

    if (n == 0 || n >= sizeof key) return NULL;
    memcpy(key, path, n);
    key[n] = '\0';
    if (json_is_object(v)) return json_object_get(v, key);
    if (!json_is_array(v) || key[0] < '1' || key[0] > '9') return NULL;
    const unsigned long i = strtoul(key, &end, 10);
    return *end ? NULL : json_array_get(v, i - 1);
}

/* Keys may hold dots themselves, so every prefix that ends at a dot is tried, the whole rest first. */
static const json_t *walk(const json_t *v, const char *path)
{
    const json_t *found = member(v, path, strlen(path));

    for (const char *dot = strchr(path, '.'); !found && dot; dot = strchr(dot + 1, '.')) {
        const json_t *inner = member(v, path, (size_t)(dot - path));
        if (inner) found = walk(inner, dot + 1);
    }
    return found;
}

static ft_status make_cell(ft_reader *r, const json_t *v, const ft_cell **cell, ft_err *e)
{
    ft_buf b = { 0 };
    size_t len;
    const char *text = ready_text(v, &len);
    ft_extra_cell *x = NULL;

    ft_status s = text ? FT_OK : ft_json_put_value(&b, v, e);
    if (!s && !(x = ft_malloc(sizeof *x + b.len + 1))) s = ft_fail_mem(e, sizeof *x + b.len + 1);
    if (s) goto out;
    if (!text) {
        memcpy(x->text, b.data, b.len + 1);
        len = b.len;
    }
    x->cell = (ft_cell){ text ? text : x->text, len, kind_of(v) };
    x->next = r->extra;
    r->extra = x;
    *cell = &x->cell;
out:
    ft_buf_free(&b);
    return s;
}

const ft_cell *ft_reader_path(ft_reader *r, const char *path)
{
    const json_t *v = r->json ? walk(r->json, path) : NULL;
    const ft_cell *cell = NULL;

    if (v && make_cell(r, v, &cell, NULL)) r->out_of_memory = 1;
    return cell;
}

enum { MAX_PATHS = 1000, MAX_DEPTH = 5 };

/* Add what lies below the member whose path is the n bytes of `prefix`. */
static ft_status add_paths(ft_fields *paths, const json_t *object, const char *prefix, size_t n, int depth, ft_err *e)
{
    char path[256];
    ft_status s = FT_OK;

    for (void *it = json_object_iter((json_t *)(uintptr_t)object); !s && it && paths->stored < MAX_PATHS;
         it = json_object_iter_next((json_t *)(uintptr_t)object, it)) {
        const char *key = json_object_iter_key(it);
        const json_t *v = json_object_iter_value(it);
        const size_t len = n + strlen(key);
        if (len + 2 > sizeof path) continue;
        memcpy(path, prefix, n);
        memcpy(path + n, key, len - n);
        path[len] = '\0';
        if (n) s = ft_buf_add(&paths->text, path, len, e);
        if (n && !s) s = ft_fields_end(paths, FT_CELL_STRING, e);
        if (s || depth == MAX_DEPTH || !json_is_object(v)) continue;
        path[len] = '.';
        s = add_paths(paths, v, path, len + 1, depth + 1, e);
    }
    return s;
}

ft_status ft_reader_paths(const ft_reader *r, ft_fields *paths, ft_err *e)
{
    const ft_status s = r->json ? add_paths(paths, r->json, "", 0, 1, e) : FT_OK;
    ft_fields_finish(paths);
    return s;
}
