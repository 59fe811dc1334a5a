/* runtime/core/landlock.h - a process gives up the right to files, sockets and signals outside what it names (Linux's Landlock).
 *
 * What was given up cannot be had again, and children inherit it. It holds for the calling thread and for threads that it
 * makes afterwards. Where the kernel has no Landlock, or one without some right, that right is not restricted:
 * ft_landlock_abi tells.
 */
#ifndef FT_CORE_LANDLOCK_H
#define FT_CORE_LANDLOCK_H

#include "core/err.h"

/* What is allowed beneath a path. ADD makes and moves in directories and files that are new, but changes none. */
enum {
    FT_LAND_READ = 1,
    FT_LAND_WRITE = 2,
    FT_LAND_ADD = 4,
    FT_LAND_APPEND = 8,
    FT_LAND_EXECUTE = 16,
    FT_LAND_LIST = 32
};

typedef struct ft_landlock {
    int fd; /* of the rule set, -1 for none */
    int abi;
} ft_landlock;

/* The version that the kernel has, 0 for none. */
int ft_landlock_abi(void);

/* Begin a set of rules that allows nothing. FT_EIO where the kernel has no Landlock. */
ft_status ft_landlock_open(ft_landlock *l, ft_err *e);

/* Allow something beneath a path, or of one file. A path that is not there is passed over. */
ft_status ft_landlock_allow(const ft_landlock *l, const char *path, unsigned what, ft_err *e);

/* From now on only what was allowed; closes the set. */
ft_status ft_landlock_enforce(ft_landlock *l, ft_err *e);
void ft_landlock_close(ft_landlock *l); /* safe to call twice, and after enforce */

#endif
