/* runtime/core/rng.c - Philox4x32-10 and what is derived from it. */
#include "core/rng.h"

#include <math.h>

#define M0 0xD2511F53u
#define M1 0xCD9E8D57u
#define W0 0x9E3779B9u
#define W1 0xBB67AE85u

ft_rng_key ft_rng_site(uint64_t seed, const char *site)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (const char *p = site; *p; p++) h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    h ^= seed * 0x9E3779B97F4A7C15u;
    /* splitmix64's finaliser, so that close seeds and close names give unrelated keys */
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
    h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
    h ^= h >> 31;
    return (ft_rng_key){ { (uint32_t)h, (uint32_t)(h >> 32) } };
}

void ft_rng_block(ft_rng_key key, const uint32_t c[4], uint32_t out[4])
{
    uint32_t a = c[0], b = c[1], d = c[2], f = c[3], k0 = key.k[0], k1 = key.k[1];

    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)M0 * a, p1 = (uint64_t)M1 * d;
        a = (uint32_t)(p1 >> 32) ^ b ^ k0;
        b = (uint32_t)p1;
        d = (uint32_t)(p0 >> 32) ^ f ^ k1;
        f = (uint32_t)p0;
        k0 += W0;
        k1 += W1;
    }
    out[0] = a;
    out[1] = b;
    out[2] = d;
    out[3] = f;
}

static void block_at(ft_rng_key key, uint64_t n, uint32_t out[4])
{
    const uint32_t c[4] = { (uint32_t)n, (uint32_t)(n >> 32), 0, 0 };
    ft_rng_block(key, c, out);
}

double ft_rng_uniform(ft_rng_key key, uint64_t n)
{
    uint32_t w[4];
    block_at(key, n, w);
    const uint64_t bits = ((uint64_t)w[0] << 32 | w[1]) >> 11;
    return (double)bits * 0x1p-53;
}

/* Modulo of 64 bits: the bias is below `below` / 2^64. */
uint64_t ft_rng_below(ft_rng_key key, uint64_t n, uint64_t below)
{
    uint32_t w[4];
    block_at(key, n, w);
    return ((uint64_t)w[0] << 32 | w[1]) % below;
}

void ft_rng_normal(ft_rng_key key, float *out, size_t n, float std)
{
    for (size_t i = 0; i < n; i += 2) {
        uint32_t w[4];
        block_at(key, i / 2, w);
        const double u = ((double)(((uint64_t)w[0] << 32 | w[1]) >> 11) + 0.5) * 0x1p-53;
        const double v = (double)(((uint64_t)w[2] << 32 | w[3]) >> 11) * 0x1p-53;
        const double r = sqrt(-2 * log(u)), t = 6.283185307179586476925 * v;
        out[i] = (float)(std * r * cos(t));
        if (i + 1 < n) out[i + 1] = (float)(std * r * sin(t));
    }
}

void ft_rng_shuffle(ft_rng_key key, int32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = (int32_t)i;
    for (size_t i = n; i > 1; i--) {
        const size_t j = (size_t)ft_rng_below(key, i, i);
        const int32_t t = out[i - 1];
        out[i - 1] = out[j];
        out[j] = t;
    }
}
