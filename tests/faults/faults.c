/* tests/faults/faults.c - loaded before ftpipe (LD_PRELOAD): makes one call of the file system fail, or the process die in
 * it, and tells what a process opened.
 *
 *   FAULT_AT=N      the call with this number, counted from 1 over those below in this process and all that it starts ...
 *   FAULT_ERROR=E   ... fails with this errno; without FAULT_ERROR the process is killed, a write having written half
 *   FAULT_EVER=1    ... and so does each call after it, but for those that only remove: a disk that is full
 *   FAULT_COUNT=F   where they count together: a file that each of them maps
 *   FAULT_OPENED=F  append every path that is opened for reading, and at exit every library that was loaded
 *   FAULT_STARTED=F append the words of every program that is started
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Calls, and openings of the file that is swapped. */
static long own_counts[2];
static long *counts = own_counts;

static long count(int what) { return __atomic_add_fetch(&counts[what], 1, __ATOMIC_SEQ_CST); }

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

/* Whether this call is one that fails. */
static int is_chosen(int takes_space)
{
    const long call = count(0), at = number("FAULT_AT");
    return call == at || (at > 0 && call > at && takes_space && number("FAULT_EVER"));
}

/* Whether this call is the one; then it either fails here (1, with errno) or the process ends. */
static int hit(int takes_space)
{
    if (!is_chosen(takes_space)) return 0;
    if (!getenv("FAULT_ERROR")) die();
    errno = (int)number("FAULT_ERROR");
    return 1;
}

static int to_opened = -1, maps = -1;

static int open_now(const char *path, int flags)
{
    return path ? (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0666) : -1;
}

enum { ADD = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC };

static void share_counter(const char *path)
{
    const int fd = open_now(path, O_RDWR | O_CREAT);
    if (fd < 0) return;
    void *p = ftruncate(fd, sizeof own_counts)
                  ? MAP_FAILED
                  : mmap(NULL, sizeof own_counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) abort();
    counts = p;
    close(fd);
}

/* Everything is opened before main runs, because a process may give up files later. */
__attribute__((constructor)) static void at_start(void)
{
    share_counter(getenv("FAULT_COUNT"));
    to_opened = open_now(getenv("FAULT_OPENED"), ADD);
    if (to_opened >= 0) maps = open_now("/proc/self/maps", O_RDONLY | O_CLOEXEC);
}

static void tell(int fd, const char *text)
{
    char line[4352];
    const int n = snprintf(line, sizeof line, "%s\n", text);
    if (fd >= 0 && write(fd, line, (size_t)n) < 0) abort();
}

/* Messages to the user are none. */
static int is_file(FILE *f)
{
    struct stat st;
    return fileno(f) > 2 && !fstat(fileno(f), &st) && S_ISREG(st.st_mode);
}

size_t fwrite(const void *p, size_t size, size_t n, FILE *f)
{
    size_t (*real)(const void *, size_t, size_t, FILE *);
    find(&real, "fwrite");
    if (!is_file(f)) return real(p, size, n, f);
    if (is_chosen(1)) {
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
    return f && is_file(f) && hit(1) ? EOF : real(f);
}

int fsync(int fd)
{
    int (*real)(int);
    find(&real, "fsync");
    return hit(1) ? -1 : real(fd);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *);
    find(&real, "rename");
    return hit(1) ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t);
    find(&real, "mkdir");
    return hit(1) ? -1 : real(path, mode);
}

int unlink(const char *path)
{
    int (*real)(const char *);
    find(&real, "unlink");
    return hit(0) ? -1 : real(path);
}

int unlinkat(int dir, const char *path, int flags)
{
    int (*real)(int, const char *, int);
    find(&real, "unlinkat");
    return hit(0) ? -1 : real(dir, path, flags);
}

int symlink(const char *target, const char *path)
{
    int (*real)(const char *, const char *);
    find(&real, "symlink");
    return hit(1) ? -1 : real(target, path);
}

static void swap(const char *path)
{
    const char *file = getenv("FAULT_SWAP");
    char target[4096];
    if (!file || strcmp(file, path) || count(1) != number("FAULT_SWAP_AT")) return;
    snprintf(target, sizeof target, "%s.swapped", path);
    if (syscall(SYS_unlinkat, AT_FDCWD, path, 0) || syscall(SYS_symlinkat, target, AT_FDCWD, path)) abort();
}

FILE *fopen(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *);
    find(&real, "fopen");
    if (*mode != 'r' && hit(1)) return NULL;
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
    } else if (hit(1)) {
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

int execve(const char *program, char *const argv[], char *const env[])
{
    int (*real)(const char *, char *const[], char *const[]);
    char line[4096] = "";
    size_t n = 0;
    for (int i = 0; argv[i] && n < sizeof line; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, i > 0 ? " %s" : "%s", argv[i]);
    tell(open_now(getenv("FAULT_STARTED"), ADD), line); /* a process about to become another has closed all */
    find(&real, "execve");
    return real(program, argv, env);
}

__attribute__((destructor)) static void at_exit(void)
{
    char line[4096];
    FILE *list = maps >= 0 ? fdopen(maps, "r") : NULL;
    while (list && fgets(line, sizeof line, list)) {
        char *path = strchr(line, '/');
        if (!path) continue;
        path[strcspn(path, "\n")] = '\0';
        tell(to_opened, path);
    }
    if (list) fclose(list);
}
