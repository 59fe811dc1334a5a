/* runtime/tensor/safetensors_header.h - the parts of the header check, for safetensors.c. */
#ifndef FT_TENSOR_SAFETENSORS_HEADER_H
#define FT_TENSOR_SAFETENSORS_HEADER_H

#include "tensor/safetensors_file.h"

/* Length of the JSON that starts at byte 8: within the limit, within the file, starting with '{'. */
ft_status ft_safetensors_length(const ft_map *m, size_t *length, ft_err *e);
ft_status ft_safetensors_check_metadata(const json_t *meta, ft_err *e);

/* Fill t from its JSON value v; t->info.name and t->file are the caller's. */
ft_status ft_safetensors_read_entry(ft_safetensors_entry *t, json_t *v, ft_err *e);

/* Sort by offset; then the n entries cover `have` bytes of data without hole or overlap. */
ft_status ft_safetensors_check_cover(ft_safetensors_entry *t, size_t n, size_t have, ft_err *e);

#endif
