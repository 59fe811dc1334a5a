/* runtime/core/rng.h - random numbers as a function of where they are used.
 *
 * Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3",
 * SC 2011): a block of four 32-bit words is a pure function of a key and a
 * counter. Nothing is stored and nothing advances, so any batching, thread count
 * or order gives the same numbers. The key is (seed, site); a site is the name of
 * the place that draws, for instance "encoder.layer.3.dropout".
 */
#ifndef FT_CORE_RNG_H
#define FT_CORE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct ft_rng_key {
    uint32_t k[2];
} ft_rng_key;

/* Key for a seed and a site name (FNV-1a over the name, mixed with the seed). */
ft_rng_key ft_rng_site(uint64_t seed, const char *site);

/* One block: out[0..3] for counter c[0..3]. */
void ft_rng_block(ft_rng_key key, const uint32_t c[4], uint32_t out[4]);

/* The n-th uniform number in [0, 1) with 53 bits, and the n-th integer in [0, below), of a key. */
double ft_rng_uniform(ft_rng_key key, uint64_t n);
uint64_t ft_rng_below(ft_rng_key key, uint64_t n, uint64_t below);

/* Fill with normal numbers of the given standard deviation (Box-Muller on blocks 0, 1, ...). */
void ft_rng_normal(ft_rng_key key, float *out, size_t n, float std);

/* A permutation of 0..n-1 (Fisher-Yates drawing from the key). */
void ft_rng_shuffle(ft_rng_key key, int32_t *out, size_t n);

#endif
