/* ops/product/product.h - matrix products: one function table, two libraries behind it.
 *
 * A provider multiplies one panel on the calling thread; the loops below hand out
 * whole panels of fixed size to the pool, so that the bits of a result depend on the
 * provider and the instruction set it chose, never on the number of threads.
 * All matrices are row-major float32; ld* count elements.
 */
#ifndef FT_OPS_PRODUCT_H
#define FT_OPS_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* From so many outputs on the weight of a map is a vocabulary, larger than caches, and goes by blocks of its own. */
#define FT_VOCABULARY 8192
/* Multiplications below which waking the other threads costs more than it brings. */
#define FT_PRODUCT_WORTH (1 << 21)

/* C (M,N) = op(A) (M,K) * op(B) (K,N) + beta * C; ta/tb: the operand is stored transposed. beta is 0 or 1. */
typedef void ft_sgemm_fn(int ta, int tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const float *B,
                         int64_t ldb, float beta, float *C, int64_t ldc);

/* One product of fixed size with operands in bf16: C (M,N) [+]= A (M,K) B (K,N) [+ bias (N)], C and bias in float32.
 * A has rows of lda elements. B lies in blocks of 64 columns, zeros behind the last one; a block has K/2 rows of 64
 * pairs, B[2r,n] and B[2r+1,n]. K is a multiple of 32. */
typedef struct ft_panel {
    int64_t M, N, K, lda, ldc;
    int bias, add;
    int64_t deep; /* K of a larger B, of whose rows these are a part; 0: this K. For matrix instructions alone */
} ft_panel;

typedef struct ft_product {
    const char *name; /* "openblas", "onednn", "plain" */
    char version[64];
    char kernel[64]; /* the instruction set or core type the library chose */
    ft_sgemm_fn *sgemm;
    char no_bf16[128]; /* why it has no bf16 products; empty where it has */
    /* Find or make what multiplies such panels; the result lives as long as the process. *scratch is raised to the
     * bytes that multiply needs. Called by one thread, outside parallel regions. */
    ft_status (*prepare)(const ft_panel *shape, const void **out, size_t *scratch, ft_err *e);
    /* On the calling thread, whose number in the pool is `seat`. bias is read only if the panel has one. */
    void (*multiply)(const void *panel, int seat, const uint16_t *A, const uint16_t *B, const float *bias, float *C,
                     void *scratch);
} ft_product;

/* Load and check a provider; FT_EUSAGE with the reason when it is not there or computes wrong results. */
ft_status ft_product_open_openblas(ft_product *p, ft_err *e);
ft_status ft_product_open_onednn(ft_product *p, ft_err *e);

/* Choose by name, or "auto" (oneDNN where found and right, else OpenBLAS). Notes what was set aside in note (may be NULL). */
ft_status ft_product_select(const char *name, char note[256], ft_err *e);
/* The provider in use; selects "auto" on first call. NULL with e filled if no library works. */
const ft_product *ft_product_active(ft_err *e);

/* FT_OK where products with operands in bf16 are there and computed right (checked on the first call); otherwise
 * FT_EUSAGE with the reason. */
ft_status ft_product_bf16(ft_err *e);
/* Panels prepared so far: in a steady training step it stands still. */
uint64_t ft_product_prepared(void);
void ft_product_count_prepared(void); /* for providers */

/* For providers: keep the library on the calling thread. Outside a parallel region it would start threads of its own,
 * and the bits would depend on their number. `together` takes what `alone` gave. */
int ft_product_alone(void);
void ft_product_together(int threads);

/* One panel, on the calling thread: C (M,N) = [C +] A (M,K) * B (K,N). Inside a parallel region, or alone. */
void ft_product_panel(int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const float *B, int64_t ldb,
                      int add, float *C, int64_t ldc);

/* ==== Whole products, run by the pool ==== */

/* Y (M,N) = X (M,K) * W (N,K)^T [+ bias (N)]; add: Y += */
void ft_product_nt(int64_t M, int64_t N, int64_t K, const float *X, int64_t ldx, const float *W, int64_t ldw,
                   const float *bias, int add, float *Y, int64_t ldy);
/* Y (M,N) = X (M,K) * W (K,N) [+ bias (N)]; add: Y += */
void ft_product_nn(int64_t M, int64_t N, int64_t K, const float *X, int64_t ldx, const float *W, int64_t ldw,
                   const float *bias, int add, float *Y, int64_t ldy);
/* Y (M,N) = X (K,M)^T * W (K,N); add: Y += (weight gradients: K is the number of tokens) */
void ft_product_tn(int64_t M, int64_t N, int64_t K, const float *X, int64_t ldx, const float *W, int64_t ldw, int add,
                   float *Y, int64_t ldy);

#endif
