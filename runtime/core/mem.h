/* runtime/core/mem.h - the counting allocator everything uses.
 *
 * Two kinds: small blocks (ft_malloc family) for strings and structs, and tensor
 * blocks (ft_block_*), 64-byte aligned and kept for reuse, so that
 * a steady training step asks the system for nothing. Both count; the ceiling
 * (--memory) covers their sum, and kept blocks go back to the system before they would
 * take more than it together. Blocks are not zeroed unless said.
 *
 * Thread-safe. NULL means the ceiling or the system's memory is reached.
 */
#ifndef FT_CORE_MEM_H
#define FT_CORE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

void *ft_malloc(size_t size);
void *ft_calloc(size_t n, size_t size); /* zeroed; NULL also when n*size overflows */
void *ft_realloc(void *p, size_t size); /* on NULL the old block is untouched */
void ft_free(void *p);                  /* NULL is fine */
char *ft_strdup(const char *s);
char *ft_strndup(const char *s, size_t n); /* copies exactly n bytes and adds a NUL */

/* "out of memory" with the size and, where a ceiling is set, the ceiling. */
ft_status ft_fail_mem(ft_err *e, size_t wanted);

/* Tensor blocks. `size` at free must be the size at allocation. */
void *ft_block_alloc(size_t size);
void *ft_block_zeros(size_t size); /* holds zeros; what the system just gave is not touched for that */
void *ft_block_new(size_t size);   /* from the system in any case: for what stays, among blocks that come and go */
void ft_block_free(void *p, size_t size);
size_t ft_block_size(size_t size); /* what a block of this size counts */
/* Let the system give a part of a block in small pages, as is better where most of it is never touched, or in large ones again:
 * that before the block is freed. A hint; the bytes stay as they are. */
void ft_block_pages(void *p, size_t bytes, int large);
void ft_block_trim(void); /* give kept blocks back to the system */

typedef struct ft_mem_stats {
    size_t live;     /* bytes handed out now, both kinds */
    size_t peak;     /* highest value of live since the last reset */
    size_t kept;     /* bytes of blocks kept for reuse */
    size_t limit;    /* the ceiling; 0: none */
    uint64_t system; /* tensor blocks that nothing kept could serve */
} ft_mem_stats;

ft_mem_stats ft_mem_get(void);
void ft_mem_reset_peak(void);
void ft_mem_set_limit(size_t bytes); /* 0: no ceiling */

/* Count bytes that are not of this allocator but will be memory of this process (private mappings that are written to); 0 where
 * the ceiling is reached. */
int ft_mem_claim(size_t bytes);
void ft_mem_give_up(size_t bytes);

/* Tests: let the nth request from now (1 = next) and all later ones fail; 0 switches it off. */
void ft_mem_fail_at(uint64_t nth);

#endif
