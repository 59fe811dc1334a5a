/* runtime/tensor/pickle.h - Python pickles of tensors, read without executing anything.
 *
 * A pickle is a program for a stack machine that may call any Python function by name. Here the names of tensors, storages
 * and ordered dictionaries are known, and calls of them give the records below; every other name is refused, as is every
 * instruction that such pickles do not need. What a pickle describes may refer to itself, so look at it one level at a time.
 *
 * Specification: Lib/pickletools.py of CPython (protocols 2 to 5); names from torch/serialization.py and torch/_utils.py.
 */
#ifndef FT_TENSOR_PICKLE_H
#define FT_TENSOR_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define FT_PICKLE_MAX_RANK 8

typedef enum ft_pickle_kind {
    FT_PICKLE_OTHER, /* None, a fraction, an integer beyond 64 bits */
    FT_PICKLE_TRUTH,
    FT_PICKLE_INT,
    FT_PICKLE_TEXT,
    FT_PICKLE_TUPLE,
    FT_PICKLE_LIST,
    FT_PICKLE_DICT, /* ordered or not */
    FT_PICKLE_NAME, /* of a function or class */
    FT_PICKLE_STORAGE,
    FT_PICKLE_TENSOR
} ft_pickle_kind;

typedef struct ft_pickle_value {
    ft_pickle_kind kind;
    uint32_t n; /* bytes of a text, elements of a tuple */
    union {
        int64_t i;        /* an integer, 0 or 1 for a truth value; else a number in one of the tables below */
        const char *text; /* within the pickle, without a NUL behind it */
    };
} ft_pickle_value;

typedef struct ft_pickle_storage {
    const char *dtype;   /* as safetensors calls it: "F32", "BF16", ... */
    ft_pickle_value key; /* text: under which name its bytes are stored */
    int64_t count;       /* elements */
} ft_pickle_storage;

typedef struct ft_pickle_tensor {
    size_t storage; /* in storages */
    int rank;
    int64_t first, dim[FT_PICKLE_MAX_RANK], stride[FT_PICKLE_MAX_RANK]; /* in elements; none is negative */
} ft_pickle_tensor;

typedef struct ft_pickle_link { /* an element of a list (no key) or dictionary */
    ft_pickle_value key, value;
    size_t next; /* number in links plus 1; 0: the last */
} ft_pickle_link;

typedef struct ft_pickle_chain {
    size_t first, last; /* numbers in links plus 1; 0: empty */
    size_t n;
} ft_pickle_chain;

typedef struct ft_pickle_machine ft_pickle_machine;

typedef struct ft_pickle {
    const unsigned char *data; /* borrowed: texts point into it */
    size_t size, at;           /* at: where the next pickle begins */
    ft_pickle_chain *chains;   /* lists and dictionaries */
    ft_pickle_link *links;
    ft_pickle_storage *storages;
    ft_pickle_tensor *tensors;
    ft_pickle_value *items; /* of tuples, each at consecutive places */
    size_t n_chains, n_links, n_storages, n_tensors, n_items;
    size_t cap_chains, cap_links, cap_storages, cap_tensors, cap_items;
} ft_pickle;

/* Start from `ft_pickle p = { .data = bytes, .size = n }`. Run the pickle at p->at up to its end; *out is what it describes. May
 * be called again for a pickle behind it. FT_EDATA tells the byte and what is refused; FT_EMEM. Free p also on failure. */
ft_status ft_pickle_load(ft_pickle *p, ft_pickle_value *out, ft_err *e);
void ft_pickle_free(ft_pickle *p);

int ft_pickle_is(ft_pickle_value v, const char *text); /* whether v is that text */

#endif
