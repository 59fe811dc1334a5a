/* runtime/text/json_get.h - reading members of JSON objects, with errors that say where.
 *
 * `where` is the path of the object in its file ("model"); an error reads
 * "model.vocab: want an object". Values are borrowed from the object.
 */
#ifndef FT_TEXT_JSON_GET_H
#define FT_TEXT_JSON_GET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

/* Parse n bytes. One reference in *out. FT_EDATA names line and column. */
ft_status ft_json_parse(json_t **out, const char *bytes, size_t n, ft_err *e);

/* Append v as indented JSON and a line break. */
ft_status ft_json_print(ft_buf *b, const json_t *v, ft_err *e);

/* Members that must be there and of their type (FT_EDATA if not). */
ft_status ft_json_text(const char **out, size_t *len, const json_t *o, const char *key, const char *where, ft_err *e);
ft_status ft_json_flag(bool *out, const json_t *o, const char *key, const char *where, ft_err *e);
ft_status ft_json_int(int64_t *out, const json_t *o, const char *key, int64_t min, int64_t max, const char *where,
                      ft_err *e);
ft_status ft_json_member(json_t **out, const json_t *o, const char *key, json_type type, const char *where, ft_err *e);

/* The "type" member of a component such as "normalizer". FT_EDATA if it has none. */
ft_status ft_json_kind(const char **out, const json_t *o, const char *where, ft_err *e);

#endif
