/* runtime/core/beneath.c - resolution of paths beneath a directory. */
#include "core/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where `part` is a link: close *fd, and say that the path leads out. */
static void refuse_link(int at, const char *part, int *fd)
{
    struct stat st;
    const int why = errno, is_link = !fstatat(at, part, &st, AT_SYMLINK_NOFOLLOW) && S_ISLNK(st.st_mode);

    if (is_link && *fd >= 0) close(*fd);
    if (is_link) *fd = -1;
    errno = is_link ? EXDEV : why;
}

/* Part by part, without links. Returns a descriptor or -1 with errno; EXDEV: the path leads out. */
static int walk(int root, const char *path, int flags)
{
    char part[256];
    int at = dup(root);

    while (at >= 0) {
        path += strspn(path, "/");
        const size_t n = strcspn(path, "/");
        if (n == 0) return at;
        const int is_last = path[n + strspn(path + n, "/")] == '\0';
        int next = -1;
        if (n >= sizeof part) {
            errno = ENAMETOOLONG;
        } else {
            memcpy(part, path, n);
            part[n] = '\0';
            if (!strcmp(part, ".."))
                errno = EXDEV;
            else
                next = openat(at, part, O_NOFOLLOW | O_CLOEXEC | (is_last ? flags : O_RDONLY | O_DIRECTORY));
            if (next < 0 ? errno == ELOOP || errno == ENOTDIR : (flags & O_PATH) != 0) refuse_link(at, part, &next);
        }
        const int why = errno;
        close(at);
        errno = why;
        at = next;
        path += n;
    }
    return at;
}

static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

    path += strspn(path, "/");
    const long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return (int)fd;
    return walk(root, path, flags);
}

/* *fd is -1 where nothing is there. */
static ft_status find(int *fd, const char *root, const char *path, int flags, ft_err *e)
{
    *fd = -1;
    const int dir = open(*root ? root : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return ft_fail_errno(e, "%s", root);
    *fd = open_beneath(dir, path, flags);
    const int why = errno;
    close(dir);
    errno = why;
    if (*fd >= 0) return FT_OK;
    if (why == EXDEV || why == ELOOP)
        return ft_fail(e, FT_EUSAGE, "%s leads out of %s", path, *root ? root : "the folder");
    return FT_OK;
}

ft_status ft_beneath_check(const char *root, const char *path, ft_err *e)
{
    int fd;
    const ft_status s = find(&fd, root, path, O_PATH, e);

    if (fd >= 0) close(fd);
    return s;
}

ft_status ft_beneath_read(ft_buf *b, const char *root, const char *path, size_t max, ft_err *e)
{
    int fd;
    char piece[16384];
    ft_status s = find(&fd, root, path, O_RDONLY | O_NONBLOCK, e);

    if (s) return s;
    if (fd < 0) return ft_fail_errno(e, "%s", path);
    while (!s) {
        const ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) s = ft_fail_errno(e, "%s", path);
        if (got <= 0) break;
        s = b->len + (size_t)got > max ? ft_fail(e, FT_EDATA, "%s is larger than %zu bytes", path, max)
                                       : ft_buf_add(b, piece, (size_t)got, e);
    }
    close(fd);
    return s;
}
