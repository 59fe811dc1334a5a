/* runtime/core/seccomp.h - a process gives up system calls (Linux's seccomp): those refused fail with EPERM.
 *
 * It cannot be taken back, holds for all threads, and children inherit it.
 */
#ifndef FT_CORE_SECCOMP_H
#define FT_CORE_SECCOMP_H

#include "core/err.h"

typedef enum ft_seccomp_profile {
    FT_SECCOMP_EVALUATE, /* memory, time, reading files and writing what is open: nothing else */
    FT_SECCOMP_STEP      /* no network, no program, no other process, nothing of the system's administration */
} ft_seccomp_profile;

/* Whether kernel and processor have what ft_seccomp_enforce needs. */
int ft_seccomp_works(void);

ft_status ft_seccomp_enforce(ft_seccomp_profile profile, ft_err *e);

#endif
