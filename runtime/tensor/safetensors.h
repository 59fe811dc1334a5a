/* runtime/tensor/safetensors.h - checkpoints in the safetensors format, read and written.
 *
 * A file is
 *   1. 8 bytes: length N of the header, little-endian, at most 100,000,000
 *   2. N bytes: a JSON object, name -> { dtype, shape, data_offsets: [begin, end] },
 *      and "__metadata__" -> strings; spaces may follow it
 *   3. the data: row-major, little-endian, offsets count from here, no hole, no overlap
 *
 * Files are mapped, not read: a tensor from here is memory that must not be written
 * to, costs nothing until it is looked at, and keeps its file mapped for as long as it
 * lives. Whoever shortens a file in the meantime kills the process (SIGBUS); ftpipe's
 * own writers never do, they replace files whole.
 *
 * Specification: https://github.com/huggingface/safetensors
 */
#ifndef FT_TENSOR_SAFETENSORS_H
#define FT_TENSOR_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/tensor.h"

#define FT_SAFETENSORS_MAX_RANK 8

typedef struct ft_safetensors ft_safetensors;

typedef struct ft_safetensors_info {
    const char *name;
    const char *dtype; /* as stored: "F32", "BF16", "BOOL", ... */
    int rank;          /* up to 8, though a tensor has at most FT_MAX_RANK */
    int64_t dim[FT_SAFETENSORS_MAX_RANK];
    size_t bytes;
} ft_safetensors_info;

/* ==== Reading ==== */

/* Map one file and check its whole header. One reference in *out.
 * FT_EDATA names the file, the tensor and what is wrong; FT_EIO, FT_EMEM. */
ft_status ft_safetensors_open(ft_safetensors **out, const char *path, ft_err *e);

/* The checkpoint in a directory: model.safetensors or, where that is missing, the shards that
 * model.safetensors.index.json lists; the handle then holds what its weight_map names, in its order. Where neither is
 * there, pytorch_model.bin or the shards that pytorch_model.bin.index.json lists (tensor/torch_file.h). */
ft_status ft_safetensors_open_dir(ft_safetensors **out, const char *dir, ft_err *e);

/* The same over n bytes in memory, called `label` in messages. They are borrowed: they must outlive the
 * handle and every tensor from it. */
ft_status ft_safetensors_open_bytes(ft_safetensors **out, const void *bytes, size_t n, const char *label, ft_err *e);

ft_safetensors *ft_safetensors_retain(ft_safetensors *st); /* NULL stays NULL; returns st */
void ft_safetensors_release(ft_safetensors *st);           /* NULL is fine; tensors made from it live on */

/* What is pointed to lives as long as the handle. */
size_t ft_safetensors_count(const ft_safetensors *st);
const char *ft_safetensors_name(const ft_safetensors *st, size_t i); /* in the order of the data; i < count */
const ft_safetensors_info *ft_safetensors_find(const ft_safetensors *st, const char *name); /* or NULL */
const char *ft_safetensors_metadata(const ft_safetensors *st, const char *key); /* of the first file that has
                                                                                      it, or NULL */

/* One reference in *out. F32, F16, BF16, I32, I64 and U8 are views of the mapping (copies where a file puts
 * them at an address that is no multiple of the element size); F64 becomes an f32 copy. FT_EDATA: no such
 * tensor (the nearest name is told), another dtype, or more than FT_MAX_RANK dimensions. */
ft_status ft_safetensors_tensor(ft_safetensors *st, const char *name, ft_tensor **out, ft_err *e);

/* The same as an f32 tensor that may be written to: its own private pages of the file, which become memory as they are
 * written; its bytes are counted as memory all the same. *out is NULL where that is not worth it or cannot be: small tensors,
 * other dtypes, a file that is another by now, the ceiling of memory. */
ft_status ft_safetensors_private(ft_safetensors *st, const char *name, ft_tensor **out, ft_err *e);

/* Let such a tensor, which will be written to over and over, have a block of its own (large pages, where the system has them)
 * in place of the file's; views of it made before go on showing the file's. Where there is no memory it stays as it is. */
void ft_safetensors_own(ft_tensor *t);

/* Note that the tensor, or what it is a view of, is about to be written to where it lies. */
void ft_safetensors_written(ft_tensor *t);

/* Whether this tensor, or what it is a view of, shows such pages of which nothing was ever written: they are the file's. A view
 * stays so while its tensor goes on in a block of its own. */
int ft_safetensors_untouched(const ft_tensor *t);

/* ==== Writing ==== */

/* Write n tensors to path: there whole or, on any error, not at all. The data is ordered by dtype (I64, F32, I32,
 * BF16, F16, U8, so that all of it is aligned) and then by name, as the format's first library does; metadata
 * keeps the order given. The same arguments give the same bytes. transformers wants metadata format = "pt".
 * FT_EUSAGE: a name twice, not UTF-8, or "__metadata__"; FT_ESTATE: a tensor without data. */
ft_status ft_safetensors_write(const char *path, size_t n, const char *const names[], ft_tensor *const tensors[],
                               size_t n_meta, const char *const keys[], const char *const values[], ft_err *e);

/* The same with every floating-point tensor stored as `floats` (FT_F32, FT_F16 or FT_BF16), rounded to nearest
 * even; integer tensors stay as they are. */
ft_status ft_safetensors_write_as(const char *path, ft_dtype floats, size_t n, const char *const names[],
                                  ft_tensor *const tensors[], size_t n_meta, const char *const keys[],
                                  const char *const values[], ft_err *e);

#endif
