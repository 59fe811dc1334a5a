/* runtime/tensor/tensor.h - dense arrays with a dtype and a shape.
 *
 * Always contiguous, row-major, rank 0 (one number) to 4. A tensor is counted;
 * a view shares the storage of another. Only files under ops/ compute with `data`;
 * everything else maps, copies or fills it.
 */
#ifndef FT_TENSOR_TENSOR_H
#define FT_TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define FT_MAX_RANK 4

typedef enum ft_dtype { FT_F32, FT_BF16, FT_F16, FT_I32, FT_I64, FT_U8 } ft_dtype;

typedef struct ft_shape {
    int rank;
    int64_t dim[FT_MAX_RANK]; /* entries at and beyond rank are 1 */
} ft_shape;

typedef struct ft_tensor {
    int refs;
    ft_dtype dtype;
    ft_shape shape;
    void *data; /* NULL: shape only */
    size_t bytes;
    struct ft_tensor *base;  /* a view keeps its base alive; NULL otherwise */
    void (*drop)(void *ctx); /* foreign storage (a mapping): called when the last reference goes */
    void *ctx;
    int writable;         /* foreign storage that may be written to */
    uint8_t *touched;     /* a gradient's: see FT_TOUCH; NULL: any number may be other than zero */
    struct ft_lazy *lazy; /* a parameter's value: decay that it is yet to get (graph/lazy.h); NULL: none */
    uint64_t weight; /* not 0: a parameter's value; no two in a process share it. Copies in other layouts go by it */
} ft_tensor;

/* `touched` has a byte for each FT_TOUCH numbers, 0 while none of them was written since they were cleared: they are zero. Who
 * writes others than those of marked blocks marks them first; who clears may take marks away. */
#define FT_TOUCH 128
void ft_tensor_touch_all(ft_tensor *t); /* nothing where it has no marks */

/* Called after any write to a tensor that may be a parameter; copies of weights made at another count are stale. */
void ft_weights_changed(void);
uint64_t ft_weights_count(void);

size_t ft_dtype_size(ft_dtype t);
const char *ft_dtype_name(ft_dtype t); /* "f32", "bf16", "f16", "i32", "i64", "u8" */

ft_shape ft_shape_of(int rank, int64_t a, int64_t b, int64_t c, int64_t d);
int64_t ft_shape_count(const ft_shape *s); /* elements */
int ft_shape_equal(const ft_shape *a, const ft_shape *b);
const char *ft_shape_text(const ft_shape *s, char buf[96]); /* "(2,3)"; returns buf */

/* All give one reference in *out. Contents of _new are not zeroed; _zeros are. */
ft_status ft_tensor_new(ft_tensor **out, ft_dtype dtype, const ft_shape *shape, ft_err *e);
ft_status ft_tensor_zeros(ft_tensor **out, ft_dtype dtype, const ft_shape *shape, ft_err *e);
ft_status ft_tensor_shape_only(ft_tensor **out, ft_dtype dtype, const ft_shape *shape, ft_err *e);
/* Elements [first, first + count(shape)) of base, same dtype. */
ft_status ft_tensor_view(ft_tensor **out, ft_tensor *base, int64_t first, const ft_shape *shape, ft_err *e);
/* Borrow foreign bytes; drop(ctx) (may be NULL) runs when the tensor dies, and not where this call fails. */
ft_status ft_tensor_wrap(ft_tensor **out, ft_dtype dtype, const ft_shape *shape, void *data, void (*drop)(void *),
                         void *ctx, ft_err *e);

ft_tensor *ft_tensor_retain(ft_tensor *t); /* NULL stays NULL; returns t */
void ft_tensor_release(ft_tensor *t);      /* NULL is fine */

/* Convert src into dst, same shape: f32, f16 and bf16 among each other, or equal dtypes.
 * To bf16 and f16 rounds to nearest even. */
ft_status ft_tensor_convert(ft_tensor *dst, const ft_tensor *src, ft_err *e);

uint16_t ft_bf16_from(float x);
float ft_bf16_to(uint16_t x);
uint16_t ft_f16_from(float x);
float ft_f16_to(uint16_t x);

#endif
