/* runtime/core/arena.c - best fit with joined neighbours; gaps are listed apart, so that freed memory is not touched. */
#include "core/arena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/poison.h"

#define HUGE ((size_t)2 << 20) /* large pages, where the system has them: fewer misses in address translation */
#define GRAIN ((size_t)2048)
#define STAGGER ((size_t)320) /* odd lines between blocks: rows of several tensors do not all share sets of the cache */
#define SMALLEST ((size_t)256 << 20)

typedef struct gap {
    size_t at, n; /* offset and bytes */
} gap;

static struct {
    char *base;
    size_t room, top; /* reserved; in use or gap so far */
    gap *gaps;        /* ascending, never next to each other */
    size_t n, cap;
    size_t kept;
    uint64_t growths;
    int tried;
} a;

/* All the memory there is, or a share of what the process may map. */
static size_t most(void)
{
    struct rlimit r;
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t n = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : (size_t)4 << 30;

    if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY && n > r.rlim_cur / 2) n = r.rlim_cur / 2;
    return n;
}

static void reserve(void)
{
    a.tried = 1;
    for (size_t n = most() / HUGE * HUGE; n >= SMALLEST; n = n / 2 / HUGE * HUGE) {
        char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) continue;
        const size_t skip = (HUGE - (uintptr_t)p % HUGE) % HUGE;
        a.base = p + skip;
        a.room = n - skip;
#ifdef MADV_HUGEPAGE
        (void)madvise(a.base, a.room, MADV_HUGEPAGE);
#endif
        return;
    }
}

void ft_arena_pages(void *p, size_t bytes, int large)
{
#ifdef MADV_HUGEPAGE
    const long page = sysconf(_SC_PAGESIZE);
    const uintptr_t whole = page > 0 ? (uintptr_t)page : HUGE;
    const uintptr_t from = ((uintptr_t)p + whole - 1) / whole * whole, to = ((uintptr_t)p + bytes) / whole * whole;

    if (to > from) (void)madvise((void *)from, to - from, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#else
    (void)p;
    (void)bytes;
    (void)large;
#endif
}

size_t ft_arena_size(size_t size) { return (size + GRAIN - 1) / GRAIN * GRAIN + STAGGER; }
int ft_arena_there(void) { return a.base != NULL; }
int ft_arena_owns(const void *p)
{
    return a.base && (uintptr_t)p >= (uintptr_t)a.base && (uintptr_t)p < (uintptr_t)a.base + a.room;
}
uintptr_t ft_arena_untouched(void) { return a.base ? (uintptr_t)a.base + a.top : UINTPTR_MAX; }
size_t ft_arena_kept(void) { return a.kept; }
uint64_t ft_arena_growths(void) { return a.growths; }

static void use_kept(size_t bytes) { a.kept -= bytes < a.kept ? bytes : a.kept; }

static void remove_gap(size_t i)
{
    memmove(a.gaps + i, a.gaps + i + 1, (a.n - i - 1) * sizeof *a.gaps);
    a.n--;
}

/* Room for one gap more, so that freeing never fails. */
static int ensure_gap(void)
{
    if (a.n + 2 < a.cap) return 1;
    const size_t cap = a.cap ? 2 * a.cap : 256;
    gap *more = realloc(a.gaps, cap * sizeof *more);
    if (!more) return 0;
    a.gaps = more;
    a.cap = cap;
    return 1;
}

static size_t best(size_t bytes)
{
    size_t found = a.n;

    for (size_t i = 0; i < a.n; i++)
        if (a.gaps[i].n >= bytes && (found == a.n || a.gaps[i].n < a.gaps[found].n)) found = i;
    return found;
}

/* At the end: what is free there, and as much more as is wanted. */
static void *grow(size_t bytes)
{
    const size_t last = a.n && a.gaps[a.n - 1].at + a.gaps[a.n - 1].n == a.top ? a.gaps[a.n - 1].n : 0;

    if (bytes - last > a.room - a.top) return NULL;
    char *p = a.base + a.top - last;
    if (last) a.n--;
    use_kept(last);
    a.top += bytes - last;
    a.growths++;
    return p;
}

void *ft_arena_alloc(size_t bytes, int may_grow)
{
    if (!a.tried) reserve();
    if (!a.base || !ensure_gap()) return NULL;

    const size_t i = best(bytes);
    char *p;
    if (i == a.n) {
        p = may_grow ? grow(bytes) : NULL;
        if (!p) return NULL;
    } else {
        p = a.base + a.gaps[i].at;
        a.gaps[i].at += bytes;
        a.gaps[i].n -= bytes;
        if (a.gaps[i].n == 0) remove_gap(i);
        use_kept(bytes);
    }
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    return p;
}

void ft_arena_free(void *p, size_t bytes)
{
    const size_t at = (size_t)((char *)p - a.base);
    size_t i = a.n;

    ASAN_POISON_MEMORY_REGION(p, bytes);
    a.kept += bytes;
    while (i > 0 && a.gaps[i - 1].at > at) i--; /* gap i is the next one */
    const int after = i < a.n && a.gaps[i].at == at + bytes, before = i > 0 && a.gaps[i - 1].at + a.gaps[i - 1].n == at;
    if (before) {
        a.gaps[i - 1].n += bytes + (after ? a.gaps[i].n : 0);
        if (after) remove_gap(i);
    } else if (after) {
        a.gaps[i].at = at;
        a.gaps[i].n += bytes;
    } else {
        memmove(a.gaps + i + 1, a.gaps + i, (a.n - i) * sizeof *a.gaps);
        a.gaps[i] = (gap){ at, bytes };
        a.n++;
    }
}

void ft_arena_trim(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (size_t i = 0; i < a.n; i++) {
        const size_t from = (a.gaps[i].at + page - 1) / page * page, to = (a.gaps[i].at + a.gaps[i].n) / page * page;
        if (to > from) (void)madvise(a.base + from, to - from, MADV_DONTNEED);
    }
    a.kept = 0;
}
