/* ops/reduce.c - sums in a fixed order, so that the thread count never changes their bits. */
#include "ops/ops.h"

#define STRIPE 64 /* columns per task: whole cache lines */
#define BROAD                                                                                                          \
    1024 /* the same where there are so many that this leaves enough tasks: rows are read in longer stretches */
#define CHUNK 16384 /* elements per partial sum of squares */

void FT_KERNEL(ft_column_sum)(const float *x, int64_t R, int64_t C, int add, float *out)
{
    const int64_t wide = C >= 8 * BROAD ? BROAD : STRIPE;

#pragma omp parallel for schedule(static) if (R * C > 65536)
    for (int64_t first = 0; first < C; first += wide) {
        const int64_t n = C - first < wide ? C - first : wide;
        float sum[BROAD];
        for (int64_t c = 0; c < n; c++) sum[c] = 0.0f;
        for (int64_t r = 0; r < R; r++) {
            const float *row = x + r * C + first;
#pragma omp simd
            for (int64_t c = 0; c < n; c++) sum[c] += row[c];
        }
        for (int64_t c = 0; c < n; c++) out[first + c] = add ? out[first + c] + sum[c] : sum[c];
    }
}

/* Whether one of the n numbers whose marks these are may be other than zero. */
static int is_touched(const uint8_t *touched, int64_t n)
{
    int any = 0;

    for (int64_t b = 0; b * FT_TOUCH < n; b++) any |= touched[b];
    return any;
}

static double chunk_squares(const float *x, int64_t n, const uint8_t *touched)
{
    double total = 0;

    for (int64_t i = 0; i < n; i += 1024) {
        const int64_t m = n - i < 1024 ? n - i : 1024;
        if (touched && !is_touched(touched + i / FT_TOUCH, m)) continue;
        float lane[16] = { 0 };
        int64_t j = 0;
        for (; j + 16 <= m; j += 16) {
#pragma omp simd
            for (int k = 0; k < 16; k++) lane[k] += x[i + j + k] * x[i + j + k];
        }
        for (; j < m; j++) lane[0] += x[i + j] * x[i + j];
        for (int k = 0; k < 16; k++) total += (double)lane[k];
    }
    return total;
}

/* Partial sums go through a small fixed array, filled in parallel and added in order. */
double FT_KERNEL(ft_square_sum)(const float *x, int64_t n, const uint8_t *touched)
{
    enum { BATCH = 256 };
    double total = 0;

    for (int64_t first = 0; first < n; first += (int64_t)BATCH * CHUNK) {
        double part[BATCH] = { 0 };
        const int64_t left = n - first,
                      chunks = (left + CHUNK - 1) / CHUNK < BATCH ? (left + CHUNK - 1) / CHUNK : BATCH;
#pragma omp parallel for schedule(static) if (chunks > 1)
        for (int64_t k = 0; k < chunks; k++) {
            const int64_t from = first + k * CHUNK;
            part[k] = chunk_squares(x + from, n - from < CHUNK ? n - from : CHUNK,
                                    touched ? touched + from / FT_TOUCH : NULL);
        }
        for (int64_t k = 0; k < chunks; k++) total += part[k];
    }
    return total;
}
