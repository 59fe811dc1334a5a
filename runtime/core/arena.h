/* runtime/core/arena.h - large tensor blocks out of one stretch of address space.
 *
 * The stretch is reserved once and becomes memory as it is touched, from its beginning on. A block takes the smallest gap that
 * holds it, and gaps that meet become one: what a training step frees serves the next one whatever its sizes, and a
 * process holds little more than the most it ever had live. Where blocks lie is no part of any result.
 *
 * Not thread-safe: core/mem.c, its only user, holds a lock.
 */
#ifndef FT_CORE_ARENA_H
#define FT_CORE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define FT_ARENA_LEAST ((size_t)64 << 10) /* smaller blocks only fill its gaps */

size_t ft_arena_size(size_t size); /* what a block of this size takes */
/* bytes is a multiple of 64; 64-byte aligned. NULL: no room, or, where it may not grow, no gap that is large enough. */
void *ft_arena_alloc(size_t bytes, int may_grow);
int ft_arena_there(void); /* whether there is such a stretch */
int ft_arena_owns(const void *p);
uintptr_t
ft_arena_untouched(void); /* from this address on nothing was ever handed out: zeros, if it lies in the stretch */
void ft_arena_free(void *p, size_t bytes);
void ft_arena_pages(void *p, size_t bytes, int large); /* ft_block_pages */
void ft_arena_trim(void);                              /* give the memory of all gaps back to the system */
size_t ft_arena_kept(void);                            /* bytes of gaps that are memory still, at most */
uint64_t ft_arena_growths(void);                       /* how often it became longer than it ever was */

#endif
