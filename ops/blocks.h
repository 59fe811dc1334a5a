/* ops/blocks.h - how kernels cut work for the pool: by size alone, never by the number of threads.
 *
 * Gradients that sum over rows get one partial sum per block of rows; the blocks are then added in
 * order, so one thread and sixty give the same bits.
 */
#ifndef FT_OPS_BLOCKS_H
#define FT_OPS_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#ifdef _OPENMP
#include <omp.h>
static inline int ft_slices(void) { return omp_get_num_procs(); }
static inline int ft_workers(void) { return omp_get_max_threads() < ft_slices() ? omp_get_max_threads() : ft_slices(); }
static inline int ft_worker(void) { return omp_get_thread_num(); }
#else
static inline int ft_slices(void) { return 1; }
static inline int ft_workers(void) { return 1; }
static inline int ft_worker(void) { return 0; }
#endif
/* Above: infer asks for ft_slices() pieces of workspace, one for each processor, whatever the number of threads
 * is then or later; a kernel runs on ft_workers() threads, of which this is number ft_worker(). */

#define FT_ROW_BLOCKS 64 /* at most */
#define FT_SEGMENT 1024  /* channels handled at once where a row needs scratch space */
#define FT_WORTH 16384   /* elements from which on a second thread pays */

static inline int64_t ft_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t ft_most(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ft_round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

static inline int64_t ft_block_rows(int64_t R) { return ft_most((R + FT_ROW_BLOCKS - 1) / FT_ROW_BLOCKS, 16); }
static inline int64_t ft_block_count(int64_t R) { return (R + ft_block_rows(R) - 1) / ft_block_rows(R); }

/* out[c] = (add ? out[c] : 0) + the partial sums part[b * stride + c] of all blocks b, in order. */
static inline void ft_block_fold(const float *part, int64_t blocks, int64_t stride, int64_t C, int add, float *out)
{
    if (!add)
        for (int64_t c = 0; c < C; c++) out[c] = 0.0f;
    for (int64_t b = 0; b < blocks; b++) {
        const float *p = part + b * stride;
        /* hot */
#pragma omp simd
        for (int64_t c = 0; c < C; c++) out[c] += p[c];
    }
}

/* Where the next `bytes` of a workspace begin, counted from its start: whole cache lines. */
static inline size_t ft_carve(size_t *used, int64_t bytes)
{
    const size_t at = *used;

    *used += (size_t)ft_round_up(bytes, 64);
    return at;
}

#endif
