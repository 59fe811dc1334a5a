/* runtime/tensor/safetensors_file.h - what safetensors.c, torch_file.c and checkpoint_index.c share.
 *
 * A handle lists entries of one file or of several; each file owns its entries, and
 * their names lie in its parsed header, which is kept for that.
 */
#ifndef FT_TENSOR_SAFETENSORS_FILE_H
#define FT_TENSOR_SAFETENSORS_FILE_H

#include <jansson.h>

#include "core/fs.h"
#include "tensor/safetensors.h"

enum { FT_SAFETENSORS_HEADER_MAX = 100000000 };

typedef struct ft_safetensors_file ft_safetensors_file;

typedef struct ft_safetensors_entry {
    ft_safetensors_info info;
    ft_safetensors_file *file; /* borrowed */
    size_t begin, end;         /* within the data of the file */
    int tensor;                /* the ft_dtype of a view, or one of the two below */
    int strided;               /* its elements do not lie one behind the other (then end says nothing), but so: */
    int64_t stride[FT_SAFETENSORS_MAX_RANK];
} ft_safetensors_entry;

enum { FT_SAFETENSORS_F64 = -1, FT_SAFETENSORS_UNREADABLE = -2 };

struct ft_safetensors_file {
    int refs; /* handles and tensors */
    char *path;
    ft_map map;
    int borrowed;              /* map is the caller's memory */
    const unsigned char *data; /* what follows the header */
    json_t *header;
    size_t n;
    ft_safetensors_entry *entries; /* by offset */
};

struct ft_safetensors {
    int refs;
    size_t n_files, n;
    ft_safetensors_file **files;
    const ft_safetensors_entry **list, **by_name;
};

/* Open a file, or bytes in memory, by a function that fills data, header, n and entries from map and names the path in
 * messages. */
typedef ft_status (*ft_safetensors_parser)(ft_safetensors_file *f, ft_err *e);
ft_status ft_safetensors_open_as(ft_safetensors **out, ft_safetensors_parser parse, const char *path, ft_err *e);
ft_status ft_safetensors_open_bytes_as(ft_safetensors **out, ft_safetensors_parser parse, const void *bytes, size_t n,
                                       const char *label, ft_err *e);

/* A handle with room for that many files and entries, and none in it yet. */
ft_status ft_safetensors_handle(ft_safetensors **out, size_t files, size_t entries, ft_err *e);
void ft_safetensors_sort(ft_safetensors *st); /* after the last entry: makes by_name */
const ft_safetensors_entry *ft_safetensors_entry_of(const ft_safetensors *st, const char *name);

/* A name out of a file, fit for a message: control characters become '?', a long one ends in "...". */
const char *ft_safetensors_shown(const char *name, char buf[128]);

/* Bytes of the UTF-8 character at s, which a zero byte ends, or 0: there is none. */
size_t ft_safetensors_utf8(const unsigned char *s);

/* json_loadb for bytes from outside: an object, no key twice. One reference in *out. */
ft_status ft_safetensors_json(json_t **out, const char *bytes, size_t n, ft_err *e);

#endif
