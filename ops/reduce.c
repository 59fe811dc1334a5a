/* ops/reduce.c - sums in a fixed order, so that the thread count never changes their bits. */
#include "ops/ops.h"

#define STRIPE 64 /* columns per task: whole cache lines */
#define BROAD                                                                                                          \
    1024 /* the same where there are so many that this leaves enough tasks: rows are read in longer stretches */

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

static double squares_of(const ft_squares *j, int64_t chunk)
{
    const int64_t from = chunk * FT_SQUARES, left = j->n - from;

    return chunk_squares(j->x + from, left < FT_SQUARES ? left : FT_SQUARES,
                         j->touched ? j->touched + from / FT_TOUCH : NULL);
}

/* The job that a chunk, counted over all of them, is part of. */
static const ft_squares *job_of(const ft_squares *jobs, size_t n, int64_t chunk)
{
    size_t low = 0;

    for (size_t high = n; high - low > 1;) {
        const size_t middle = low + (high - low) / 2;
        *(jobs[middle].first <= chunk ? &low : &high) = middle;
    }
    return &jobs[low];
}

void FT_KERNEL(ft_square_sums)(ft_squares *jobs, size_t n, double *part)
{
    int64_t chunks = 0;

    for (size_t i = 0; i < n; i++) {
        jobs[i].first = chunks;
        chunks += (jobs[i].n + FT_SQUARES - 1) / FT_SQUARES;
    }
#pragma omp parallel for schedule(dynamic, 4) if (chunks > 1)
    for (int64_t k = 0; k < chunks; k++) {
        const ft_squares *j = job_of(jobs, n, k);
        part[k] = squares_of(j, k - j->first);
    }
    for (size_t i = 0; i < n; i++) {
        jobs[i].sum = 0;
        for (int64_t k = jobs[i].first; k < (i + 1 < n ? jobs[i + 1].first : chunks); k++) jobs[i].sum += part[k];
    }
}

/* Partial sums go through a small fixed array, filled in parallel and added in order. */
double FT_KERNEL(ft_square_sum)(const float *x, int64_t n, const uint8_t *touched)
{
    enum { BATCH = 256 };
    double total = 0;

    for (int64_t first = 0; first < n; first += (int64_t)BATCH * FT_SQUARES) {
        double part[BATCH];
        const int64_t left = n - first, most = (int64_t)BATCH * FT_SQUARES;
        ft_squares j = { .x = x + first,
                         .n = left < most ? left : most,
                         .touched = touched ? touched + first / FT_TOUCH : NULL };
        FT_KERNEL(ft_square_sums)(&j, 1, part);
        total += j.sum;
    }
    return total;
}
