/* runtime/data/json_text.h - JSON values as compact text. */
#ifndef FT_DATA_JSON_TEXT_H
#define FT_DATA_JSON_TEXT_H

#include "core/buf.h"

struct json_t; /* jansson */

/* Append n bytes of UTF-8 as a JSON string with its quotes. Only what RFC 8259 demands is escaped. */
ft_status ft_json_put_string(ft_buf *b, const char *p, size_t n, ft_err *e);

/* Append any value without white space, object keys in their order. Reals have the fewest of 15 to 17 digits that read
 * back as the same double, and always a point or an exponent. */
ft_status ft_json_put_value(ft_buf *b, const struct json_t *value, ft_err *e);

#endif
