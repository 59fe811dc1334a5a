/* ops/settle.c - multiplies weights by the factors of decay that were put off (graph/lazy.h), block by block in registers. */
#include <string.h>

#include "ops/blocks.h"
#include "ops/ops.h"

#define WORTH 128 /* blocks from which on a second thread pays */

static void settle_block(float *w, int64_t n, const float *factor, int k)
{
    float x[FT_OPTIM_BLOCK] = { 0 };

    memcpy(x, w, sizeof(float) * (size_t)n);
    for (int f = 0; f < k; f++) {
        /* hot */
#pragma omp simd
        for (int i = 0; i < FT_OPTIM_BLOCK; i++) x[i] *= factor[f];
    }
    memcpy(w, x, sizeof(float) * (size_t)n);
}

void FT_KERNEL(ft_settle)(ft_lazy *z, float *w, int64_t n, int64_t first, int64_t end)
{
#pragma omp parallel for schedule(static) if (end - first > WORTH)
    for (int64_t b = first; b < end; b++) {
        if (z->since[b] >= z->n) continue;
        settle_block(w + b * FT_OPTIM_BLOCK, ft_least(FT_OPTIM_BLOCK, n - b * FT_OPTIM_BLOCK), z->factor + z->since[b],
                     z->n - z->since[b]);
        z->since[b] = (uint8_t)z->n;
    }
}
