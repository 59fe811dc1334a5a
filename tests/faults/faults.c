/* tests/faults/faults.c - loaded before ftpipe (LD_PRELOAD): makes one call of the file system fail, or the process die in
 * it, and tells what a process opened.
 *
 *   FAULT_AT=N      the call with this number, counted from 1 over those below ...
 *   FAULT_ERROR=E   ... fails with this errno; without FAULT_ERROR the process is killed, a write having written half
 *   FAULT_CALLS=F   append the number of calls to this file at exit
 *   FAULT_OPENED=F  append every path that is opened for reading, and at exit every library that was loaded
 *   FAULT_FLOCK=1   flock succeeds for everybody
 *   FAULT_SWAP=P    the file P is replaced by a link to P.swapped ...
 *   FAULT_SWAP_AT=N ... before it is opened for reading the Nth time
 *
 * Counted are the calls by which something is written or published: fwrite, fflush and fsync of files, rename, mkdir,
 * unlink, unlinkat, symlink and opening for writing. Threads other than the first do none of these in ftpipe.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static long calls;

/* The next definition of a function. A detour by memcpy, because ISO C does not turn objects into functions. */
static void find(void *function, const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    memcpy(function, &p, sizeof p);
}

static long number(const char *name)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Whether this call is the one; then it either fails here (1, with errno) or the process ends. */
static int hit(void)
{
    if (++calls != number("FAULT_AT")) return 0;
    if (!getenv("FAULT_ERROR")) die();
    errno = (int)number("FAULT_ERROR");
    return 1;
}

/* Opened at the start, because a process may give up files later. */
static int to_calls = -1, to_opened = -1, maps = -1;

static int open_now(const char *path, int flags)
{
    return path ? (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0666) : -1;
}

__attribute__((constructor)) static void at_start(void)
{
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    to_calls = open_now(getenv("FAULT_CALLS"), flags);
    to_opened = open_now(getenv("FAULT_OPENED"), flags);
    if (to_opened >= 0) maps = open_now("/proc/self/maps", O_RDONLY | O_CLOEXEC);
}

static void tell(int fd, const char *text)
{
    char line[4352];
    const int n = snprintf(line, sizeof line, "%s\n", text);
    if (fd >= 0 && write(fd, line, (size_t)n) < 0) abort();
}

static int is_file(FILE *f)
{
    struct stat st;
    return !fstat(fileno(f), &st) && S_ISREG(st.st_mode);
}

size_t fwrite(const void *p, size_t size, size_t n, FILE *f)
{
    size_t (*real)(const void *, size_t, size_t, FILE *);
    find(&real, "fwrite");
    if (!is_file(f)) return real(p, size, n, f);
    if (++calls == number("FAULT_AT")) {
        real(p, 1, size * n / 2, f);
        if (!getenv("FAULT_ERROR")) {
            fflush(f);
            die();
        }
        errno = (int)number("FAULT_ERROR");
        return 0;
    }
    return real(p, size, n, f);
}

int fflush(FILE *f)
{
    int (*real)(FILE *);
    find(&real, "fflush");
    return f && is_file(f) && hit() ? EOF : real(f);
}

int fsync(int fd)
{
    int (*real)(int);
    find(&real, "fsync");
    return hit() ? -1 : real(fd);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *);
    find(&real, "rename");
    return hit() ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t);
    find(&real, "mkdir");
    return hit() ? -1 : real(path, mode);
}

int unlink(const char *path)
{
    int (*real)(const char *);
    find(&real, "unlink");
    return hit() ? -1 : real(path);
}

int unlinkat(int dir, const char *path, int flags)
{
    int (*real)(int, const char *, int);
    find(&real, "unlinkat");
    return hit() ? -1 : real(dir, path, flags);
}

int symlink(const char *target, const char *path)
{
    int (*real)(const char *, const char *);
    find(&real, "symlink");
    return hit() ? -1 : real(target, path);
}

static void swap(const char *path)
{
    static long opened;
    const char *file = getenv("FAULT_SWAP");
    char target[4096];
    if (!file || strcmp(file, path) || ++opened != number("FAULT_SWAP_AT")) return;
    snprintf(target, sizeof target, "%s.swapped", path);
    if (syscall(SYS_unlinkat, AT_FDCWD, path, 0) || syscall(SYS_symlinkat, target, AT_FDCWD, path)) abort();
}

FILE *fopen(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *);
    find(&real, "fopen");
    if (*mode != 'r' && hit()) return NULL;
    if (*mode == 'r') {
        tell(to_opened, path);
        swap(path);
    }
    return real(path, mode);
}

int open(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...);
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    find(&real, "open");
    if ((flags & O_ACCMODE) == O_RDONLY) {
        tell(to_opened, path);
        swap(path);
    } else if (hit()) {
        return -1;
    }
    return real(path, flags, mode);
}

int flock(int fd, int operation)
{
    int (*real)(int, int);
    find(&real, "flock");
    return number("FAULT_FLOCK") ? 0 : real(fd, operation);
}

__attribute__((destructor)) static void at_exit(void)
{
    char line[4096];
    snprintf(line, sizeof line, "%ld", calls);
    tell(to_calls, line);
    FILE *list = maps >= 0 ? fdopen(maps, "r") : NULL;
    while (list && fgets(line, sizeof line, list)) {
        char *path = strchr(line, '/');
        if (!path) continue;
        path[strcspn(path, "\n")] = '\0';
        tell(to_opened, path);
    }
    if (list) fclose(list);
}
