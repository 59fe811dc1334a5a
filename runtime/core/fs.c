/* runtime/core/fs.c - mapping, whole-file reading, atomic writing, directories. */
#include "core/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

/* ==== Reading ==== */

static void name_file(const struct stat *st, uint64_t file[4])
{
    file[0] = (uint64_t)st->st_dev;
    file[1] = (uint64_t)st->st_ino;
    file[2] = (uint64_t)st->st_mtim.tv_sec;
    file[3] = (uint64_t)st->st_mtim.tv_nsec;
}

ft_status ft_map_open(ft_map *m, const char *path, ft_err *e)
{
    ft_status s = FT_OK;
    struct stat st;

    m->data = NULL;
    m->size = 0;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO is refused, not waited for */
    if (fd < 0) return ft_fail_errno(e, "%s", path);
    if (fstat(fd, &st)) {
        s = ft_fail_errno(e, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        s = ft_fail(e, FT_EIO, "%s: not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            s = ft_fail_errno(e, "%s", path);
        } else {
            m->data = p;
            m->size = (size_t)st.st_size;
            name_file(&st, m->file);
        }
    }
    close(fd);
    return s;
}

void ft_map_close(ft_map *m)
{
    if (m->data) munmap((void *)(uintptr_t)m->data, m->size);
    m->data = NULL;
    m->size = 0;
}

void *ft_map_private(const ft_map *m, const char *path, size_t at, size_t n)
{
    const size_t before = at % (size_t)sysconf(_SC_PAGESIZE);
    const int fd = n > 0 ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    unsigned char *p = MAP_FAILED;
    uint64_t file[4];
    struct stat st;

    if (fd < 0) return NULL;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (size_t)st.st_size == m->size) {
        name_file(&st, file);
        if (!memcmp(file, m->file, sizeof file))
            p = mmap(NULL, before + n, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, (off_t)(at - before));
    }
    close(fd);
    return p == MAP_FAILED ? NULL : p + before;
}

void ft_private_close(void *p, size_t n)
{
    const size_t before = (uintptr_t)p % (size_t)sysconf(_SC_PAGESIZE);

    if (p) munmap((unsigned char *)p - before, before + n);
}

ft_status ft_file_read(ft_buf *b, const char *path, size_t max, ft_err *e)
{
    ft_status s = FT_OK;
    char chunk[65536];
    ssize_t n = 0;
    size_t total = 0;

    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ft_fail_errno(e, "%s", path);
    while (!s && (n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0) {
            if (errno == EINTR) continue;
            s = ft_fail_errno(e, "%s", path);
        } else if ((total += (size_t)n) > max) {
            s = ft_fail(e, FT_EDATA, "%s: larger than %zu bytes", path, max);
        } else {
            s = ft_buf_add(b, chunk, (size_t)n, e);
        }
    }
    close(fd);
    return s;
}

/* ==== Atomic writing ==== */

void ft_atomic_abandon(ft_atomic *a)
{
    if (a->f) fclose(a->f);
    if (a->part) unlink(a->part);
    ft_free(a->path);
    ft_free(a->part);
    memset(a, 0, sizeof *a);
}

ft_status ft_atomic_open(ft_atomic *a, const char *path, ft_err *e)
{
    ft_buf part = { 0 };

    memset(a, 0, sizeof *a);
    a->path = ft_strdup(path);
    if (!a->path) return ft_fail_mem(e, strlen(path));
    ft_status s = ft_buf_printf(&part, e, "%s.part-%ld", path, (long)getpid());
    a->part = part.data;
    if (!s && !(a->f = fopen(a->part, "wbe"))) {
        s = ft_fail_errno(e, "cannot write %s", path);
        ft_free(a->part); /* it was not made: do not unlink it */
        a->part = NULL;
    }
    if (s) ft_atomic_abandon(a);
    return s;
}

ft_status ft_atomic_write(ft_atomic *a, const void *bytes, size_t n, ft_err *e)
{
    if (n && fwrite(bytes, 1, n, a->f) != n) return ft_fail_errno(e, "cannot write %s", a->path);
    return FT_OK;
}

ft_status ft_dir_sync(const char *path, ft_err *e)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ft_status s = FT_OK;
    /* Some file systems cannot sync a directory (EINVAL): the rename is still atomic there. */
    if (fd < 0 || (fsync(fd) && errno != EINVAL)) s = ft_fail_errno(e, "%s", path);
    if (fd >= 0) close(fd);
    return s;
}

static ft_status sync_parent(const char *path, ft_err *e)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? ft_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : ft_strdup(".");

    if (!dir) return ft_fail_mem(e, strlen(path));
    const ft_status s = ft_dir_sync(dir, e);
    ft_free(dir);
    return s;
}

ft_status ft_atomic_commit(ft_atomic *a, ft_err *e)
{
    ft_status s = FT_OK;

    if (fflush(a->f) || fsync(fileno(a->f))) s = ft_fail_errno(e, "cannot write %s", a->path);
    if (fclose(a->f) && !s) s = ft_fail_errno(e, "cannot write %s", a->path);
    a->f = NULL;
    if (!s && rename(a->part, a->path)) s = ft_fail_errno(e, "cannot rename to %s", a->path);
    if (!s) {
        ft_free(a->part);
        a->part = NULL;
        s = sync_parent(a->path, e);
    }
    ft_atomic_abandon(a);
    return s;
}

ft_status ft_file_write(const char *path, const void *bytes, size_t n, ft_err *e)
{
    ft_atomic a;
    ft_status s = ft_atomic_open(&a, path, e);
    if (s) return s;
    s = ft_atomic_write(&a, bytes, n, e);
    if (!s) return ft_atomic_commit(&a, e);
    ft_atomic_abandon(&a);
    return s;
}

/* ==== Directories ==== */

ft_status ft_mkdirs(const char *path, ft_err *e)
{
    struct stat st;
    if (!*path) return ft_fail(e, FT_EUSAGE, "cannot make a directory without a name");
    char *copy = ft_strdup(path);
    if (!copy) return ft_fail_mem(e, strlen(path));

    ft_status s = FT_OK;
    for (char *p = copy + 1; !s; p++) {
        const char c = *p;
        if (c != '/' && c != '\0') continue;
        *p = '\0';
        if (mkdir(copy, 0777) && errno != EEXIST) s = ft_fail_errno(e, "cannot make directory %s", copy);
        *p = c;
        if (c == '\0') break;
    }
    if (!s && (stat(path, &st) || !S_ISDIR(st.st_mode)))
        s = ft_fail(e, FT_EIO, "%s: exists and is not a directory", path);
    ft_free(copy);
    return s;
}

static ft_status remove_at(int at, const char *name, ft_err *e)
{
    if (!unlinkat(at, name, 0) || errno == ENOENT) return FT_OK;
    if (errno != EISDIR && errno != EPERM) return ft_fail_errno(e, "cannot remove %s", name);

    const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        const ft_status failed = ft_fail_errno(e, "cannot remove %s", name);
        if (fd >= 0) close(fd);
        return failed;
    }
    ft_status s = FT_OK;
    const struct dirent *entry;
    while (!s && (entry = readdir(d)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) s = remove_at(dirfd(d), entry->d_name, e);
    closedir(d);
    if (!s && unlinkat(at, name, AT_REMOVEDIR)) s = ft_fail_errno(e, "cannot remove %s", name);
    return s;
}

ft_status ft_remove_tree(const char *path, ft_err *e) { return remove_at(AT_FDCWD, path, e); }
