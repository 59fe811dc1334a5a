/* runtime/core/landlock.c - rule sets by raw system calls, because C libraries have no names for them; rights that the
 * headers may be too old to know are named here. */
#include "core/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's structure as of version 6; a kernel that is older gets its beginning. */
typedef struct attributes {
    uint64_t fs, net, scoped;
} attributes;

#define TRUNCATE (1ULL << 14)              /* version 3 */
#define IOCTL_DEV (1ULL << 15)             /* version 5 */
#define NET_ALL (1ULL << 0 | 1ULL << 1)    /* version 4: bind and connect by TCP */
#define SCOPED_ALL (1ULL << 0 | 1ULL << 1) /* version 6: abstract Unix sockets, signals */

#define FS_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* all of version 1 */
#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define MAKE (LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define WRITE                                                                                                          \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | MAKE |           \
     LANDLOCK_ACCESS_FS_REFER | TRUNCATE)
#define ADD (LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REFER)
#define OF_FILES                                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE | IOCTL_DEV)

static uint64_t handled(int abi)
{
    uint64_t all = FS_1;

    if (abi >= 2) all |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3) all |= TRUNCATE;
    if (abi >= 5) all |= IOCTL_DEV;
    return all;
}

int ft_landlock_abi(void)
{
    const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? (int)abi : 0;
}

ft_status ft_landlock_open(ft_landlock *l, ft_err *e)
{
    attributes a = { 0 };

    *l = (ft_landlock){ -1, ft_landlock_abi() };
    if (!l->abi) return ft_fail(e, FT_EIO, "this kernel has no Landlock");
    a.fs = handled(l->abi);
    if (l->abi >= 4) a.net = NET_ALL;
    if (l->abi >= 6) a.scoped = SCOPED_ALL;
    const size_t size = l->abi >= 6 ? sizeof a : l->abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    l->fd = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);
    return l->fd < 0 ? ft_fail_errno(e, "Landlock") : FT_OK;
}

static uint64_t rights(unsigned what)
{
    uint64_t out = 0;

    if (what & FT_LAND_READ) out |= READ;
    if (what & FT_LAND_LIST) out |= LANDLOCK_ACCESS_FS_READ_DIR;
    if (what & FT_LAND_WRITE) out |= WRITE;
    if (what & FT_LAND_ADD) out |= ADD;
    if (what & FT_LAND_APPEND) out |= LANDLOCK_ACCESS_FS_WRITE_FILE;
    if (what & FT_LAND_EXECUTE) out |= LANDLOCK_ACCESS_FS_EXECUTE;
    return out;
}

ft_status ft_landlock_allow(const ft_landlock *l, const char *path, unsigned what, ft_err *e)
{
    struct landlock_path_beneath_attr rule = { 0 };
    struct stat st;
    ft_status s = FT_OK;

    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0) return errno == ENOENT || errno == EACCES ? FT_OK : ft_fail_errno(e, "%s", path);
    rule.allowed_access = rights(what) & handled(l->abi);
    if (fstat(rule.parent_fd, &st))
        s = ft_fail_errno(e, "%s", path);
    else if (!S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_FILES;
    if (!s && rule.allowed_access && syscall(SYS_landlock_add_rule, l->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
        s = ft_fail_errno(e, "Landlock: %s", path);
    close(rule.parent_fd);
    return s;
}

ft_status ft_landlock_enforce(ft_landlock *l, ft_err *e)
{
    ft_status s = FT_OK;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, l->fd, 0))
        s = ft_fail_errno(e, "Landlock");
    ft_landlock_close(l);
    return s;
}

void ft_landlock_close(ft_landlock *l)
{
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}
