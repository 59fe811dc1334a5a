/* runtime/core/mem.c - counting allocator with reuse of tensor blocks.
 *
 * Every small block carries a 16-byte header with its size. Tensor blocks carry
 * none: the caller knows the size, and a header would spoil their alignment.
 * Large tensor blocks lie in the arena (core/arena.h). Others that are kept are chained
 * through their own first bytes, one chain per size class; classes are powers of two divided
 * in eighths. One of up to twice the size serves where none of the class is kept, so that
 * batches of ever new sizes do not each keep blocks of their own; what a block truly
 * holds, malloc knows. Where the arena has no room, large blocks are treated like small ones.
 * AddressSanitizer is told what of a block was asked for, and that kept ones are nobody's.
 */
#include "core/mem.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/poison.h"

#define HEADER 16
#define ALIGN 64
#define CLASSES 512
#define LARGER 8   /* classes up to twice as large */
#define FILLS 4096 /* smaller blocks stay out of the arena */

static atomic_size_t live, peak, kept, limit;
static atomic_uint_fast64_t system_calls, fail_at;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *chain[CLASSES];

static int must_fail(void)
{
    uint64_t n = atomic_load(&fail_at);
    if (n == 0) return 0;
    if (n == 1) return 1;
    atomic_store(&fail_at, n - 1);
    return 0;
}

static int count_up(size_t size)
{
    const size_t cap = atomic_load(&limit);
    const size_t now = atomic_fetch_add(&live, size) + size;

    if (must_fail() || (cap && now > cap)) {
        atomic_fetch_sub(&live, size);
        return 0;
    }
    size_t top = atomic_load(&peak);
    while (now > top && !atomic_compare_exchange_weak(&peak, &top, now)) {}
    return 1;
}

static void count_down(size_t size) { atomic_fetch_sub(&live, size); }

int ft_mem_claim(size_t bytes) { return count_up(bytes); }
void ft_mem_give_up(size_t bytes) { count_down(bytes); }

/* ==== Small blocks ==== */

void *ft_malloc(size_t size)
{
    if (size > SIZE_MAX - HEADER || !count_up(size)) return NULL;
    char *p = malloc(size + HEADER);
    if (!p) {
        count_down(size);
        return NULL;
    }
    memcpy(p, &size, sizeof size);
    return p + HEADER;
}

void *ft_calloc(size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size) return NULL;
    void *p = ft_malloc(n * size);
    if (p) memset(p, 0, n * size);
    return p;
}

void ft_free(void *p)
{
    if (!p) return;
    char *base = (char *)p - HEADER;
    size_t size;
    memcpy(&size, base, sizeof size);
    count_down(size);
    free(base);
}

void *ft_realloc(void *p, size_t size)
{
    if (!p) return ft_malloc(size);
    if (size > SIZE_MAX - HEADER) return NULL;

    char *base = (char *)p - HEADER;
    size_t old;
    memcpy(&old, base, sizeof old);
    if (!count_up(size)) return NULL;
    char *q = realloc(base, size + HEADER);
    if (!q) {
        count_down(size);
        return NULL;
    }
    count_down(old);
    memcpy(q, &size, sizeof size);
    return q + HEADER;
}

char *ft_strndup(const char *s, size_t n)
{
    char *p = ft_malloc(n + 1);
    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *ft_strdup(const char *s) { return ft_strndup(s, strlen(s)); }

ft_status ft_fail_mem(ft_err *e, size_t wanted)
{
    const size_t cap = atomic_load(&limit);

    if (cap)
        return ft_fail(e, FT_EMEM,
                       "out of memory: %zu MiB more were wanted above the %zu MiB in use, "
                       "and the ceiling is %zu MiB",
                       wanted >> 20, atomic_load(&live) >> 20, cap >> 20);
    return ft_fail(e, FT_EMEM, "out of memory: %zu bytes were wanted", wanted);
}

/* ==== Tensor blocks ==== */

/* The class of a size, and the bytes every block of that class has. */
static size_t class_of(size_t size, size_t *bytes)
{
    size_t top = ALIGN * 8;

    if (size < top) {
        *bytes = (size + ALIGN - 1) / ALIGN * ALIGN;
        if (*bytes == 0) *bytes = ALIGN;
        return *bytes / ALIGN; /* 1..8 */
    }
    size_t index = 8;
    while (top * 2 <= size) {
        top *= 2;
        index += 8;
    }
    const size_t part = top / 8, eighths = (size - top + part - 1) / part;
    *bytes = top + eighths * part;
    return index + eighths;
}

/* The inverse of class_of. */
static size_t bytes_of(size_t k)
{
    if (k < 8) return k * ALIGN;
    const size_t top = (size_t)(ALIGN * 8) << (k - 8) / 8;
    return top + (k - 8) % 8 * (top / 8);
}

/* The largest class that a block serves wholly. */
static size_t class_within(void *p)
{
    size_t bytes;
    const size_t real = malloc_usable_size(p), k = class_of(real, &bytes);

    return bytes > real ? k - 1 : k;
}

/* A kept block of class k or of one up to twice as large, the smallest there is; NULL if none. */
static void *take_kept(size_t k)
{
    void *p = NULL;

    pthread_mutex_lock(&lock);
    for (size_t i = k; !p && i <= k + LARGER && i < CLASSES; i++) {
        p = chain[i];
        if (!p) continue;
        ASAN_UNPOISON_MEMORY_REGION(p, malloc_usable_size(p));
        memcpy(&chain[i], p, sizeof(void *));
        atomic_fetch_sub(&kept, bytes_of(i));
    }
    pthread_mutex_unlock(&lock);
    return p;
}

static void *from_system(size_t bytes)
{
    const ft_mem_stats now = ft_mem_get();
    if (now.limit && now.live + now.kept > now.limit) ft_block_trim();
    atomic_fetch_add(&system_calls, 1);
    void *p = aligned_alloc(ALIGN, bytes);
    if (!p) {
        ft_block_trim();
        p = aligned_alloc(ALIGN, bytes);
    }
    return p;
}

/* What the arena grows by counts with all that is kept, so gaps may have to go back first. *untouched: from which address
 * on the arena was never used before. */
static void *from_arena(size_t bytes, int may_grow, uintptr_t *untouched)
{
    const size_t cap = atomic_load(&limit);

    pthread_mutex_lock(&lock);
    *untouched = ft_arena_untouched();
    void *p = ft_arena_alloc(bytes, 0);
    if (!p && cap && atomic_load(&live) + atomic_load(&kept) + ft_arena_kept() > cap) ft_arena_trim();
    if (!p && may_grow) p = ft_arena_alloc(bytes, 1);
    pthread_mutex_unlock(&lock);
    return p;
}

/* What a block has beyond what was asked for is not to be touched. */
static void guard_rest(void *p, size_t size)
{
    if (!FT_POISONS) return;
    const size_t there = ft_arena_owns(p) ? ft_block_size(size) : malloc_usable_size(p);
    ASAN_POISON_MEMORY_REGION((char *)p + size, there - size);
    (void)there; /* where nothing is poisoned */
}

size_t ft_block_size(size_t size)
{
    size_t bytes;

    if (size >= FT_ARENA_LEAST) return ft_arena_size(size);
    (void)class_of(size, &bytes);
    return bytes;
}

static void *block(size_t size, uintptr_t *untouched)
{
    size_t bytes;

    if (size > SIZE_MAX / 4 || !count_up(ft_block_size(size))) return NULL;
    const size_t k = class_of(size, &bytes);
    const int large = size >= FT_ARENA_LEAST;
    void *p = large ? from_arena(ft_block_size(size), 1, untouched) : take_kept(k);
    if (!p) p = large ? take_kept(k) : size >= FILLS ? from_arena(bytes, 0, untouched) : NULL;
    if (!p) p = from_system(bytes);
    if (!p) count_down(ft_block_size(size));
    if (p) guard_rest(p, size);
    return p;
}

void *ft_block_alloc(size_t size)
{
    uintptr_t untouched;

    return block(size, &untouched);
}

void *ft_block_zeros(size_t size)
{
    uintptr_t untouched = UINTPTR_MAX;
    char *p = block(size, &untouched);

    if (p)
        memset(p, 0,
               !ft_arena_owns(p) || (uintptr_t)p + size <= untouched ? size
               : (uintptr_t)p < untouched                            ? untouched - (uintptr_t)p
                                                                     : 0);
    return p;
}

void *ft_block_new(size_t size)
{
    size_t bytes;

    if (size > SIZE_MAX / 4 || !count_up(ft_block_size(size))) return NULL;
    (void)class_of(size, &bytes);
    void *p = from_system(bytes);
    if (!p) count_down(ft_block_size(size));
    if (p) guard_rest(p, size);
    return p;
}

void ft_block_free(void *p, size_t size)
{
    if (!p) return;
    count_down(ft_block_size(size));
    pthread_mutex_lock(&lock);
    if (ft_arena_owns(p)) {
        ft_arena_free(p, ft_block_size(size));
    } else if (size >= FT_ARENA_LEAST && ft_arena_there()) {
        free(p); /* of ft_block_new: nobody would ask for it again */
    } else {
        const size_t k = class_within(p);
        if (FT_POISONS) ASAN_POISON_MEMORY_REGION(p, malloc_usable_size(p));
        ASAN_UNPOISON_MEMORY_REGION(p, sizeof(void *)); /* also for the search for leaks, which follows the chain */
        memcpy(p, &chain[k], sizeof(void *));
        chain[k] = p;
        atomic_fetch_add(&kept, bytes_of(k));
    }
    pthread_mutex_unlock(&lock);
}

void ft_block_pages(void *p, size_t bytes, int large)
{
    if (ft_arena_owns(p)) ft_arena_pages(p, bytes, large);
}

void ft_block_trim(void)
{
    pthread_mutex_lock(&lock);
    for (size_t k = 0; k < CLASSES; k++) {
        while (chain[k]) {
            void *p = chain[k];
            memcpy(&chain[k], p, sizeof(void *));
            free(p);
        }
    }
    atomic_store(&kept, 0);
    ft_arena_trim();
    pthread_mutex_unlock(&lock);
}

/* ==== Figures ==== */

ft_mem_stats ft_mem_get(void)
{
    pthread_mutex_lock(&lock);
    const size_t gaps = ft_arena_kept();
    const uint64_t growths = ft_arena_growths();
    pthread_mutex_unlock(&lock);
    return (ft_mem_stats){ .live = atomic_load(&live),
                           .peak = atomic_load(&peak),
                           .kept = atomic_load(&kept) + gaps,
                           .limit = atomic_load(&limit),
                           .system = atomic_load(&system_calls) + growths };
}

void ft_mem_reset_peak(void) { atomic_store(&peak, atomic_load(&live)); }
void ft_mem_set_limit(size_t bytes) { atomic_store(&limit, bytes); }
void ft_mem_fail_at(uint64_t nth) { atomic_store(&fail_at, nth); }
