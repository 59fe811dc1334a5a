/* runtime/net/owner.c - see owner.h. What the kernel does not tell is "-", which proves nothing. */
#include "net/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef struct parts {
    char machine[64], boot[64], space[64];
    long pid;
    char start[32];
} parts;

/* The first word of a small file. */
static void first_word(const char *path, char *word, size_t size)
{
    char text[256];
    snprintf(word, size, "-");
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return;
    text[n] = '\0';
    text[strcspn(text, " \n")] = '\0';
    if (*text) snprintf(word, size, "%.*s", (int)size - 1, text);
}

/* When a process started: field 22 of its stat, counted behind the name, which may hold anything. "" where there is none. */
static void start_of(long pid, char *word, size_t size)
{
    char path[64], text[1024];
    word[0] = '\0';
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return;
    text[n] = '\0';
    char *p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
    if (p) snprintf(word, size, "%.*s", (int)strcspn(p + 1, " \n"), p + 1);
}

static void self(parts *o)
{
    char link[64] = "-";
    first_word("/etc/machine-id", o->machine, sizeof o->machine);
    if (!strcmp(o->machine, "-")) gethostname(o->machine, sizeof o->machine - 1);
    o->machine[strcspn(o->machine, " \n")] = '\0';
    first_word("/proc/sys/kernel/random/boot_id", o->boot, sizeof o->boot);
    const ssize_t n = readlink("/proc/self/ns/pid", link, sizeof link - 1);
    if (n > 0) link[n] = '\0';
    snprintf(o->space, sizeof o->space, "%s", link);
    o->pid = (long)getpid();
    start_of(o->pid, o->start, sizeof o->start);
    if (!o->start[0]) snprintf(o->start, sizeof o->start, "-");
}

void ft_owner_self(char line[FT_OWNER_SIZE])
{
    parts o;
    memset(&o, 0, sizeof o);
    self(&o);
    snprintf(line, FT_OWNER_SIZE, "%s %s %s %ld %s", o.machine, o.boot, o.space, o.pid, o.start);
}

ft_owner_state ft_owner_find(const char *line)
{
    parts me, o;
    char now[32];

    memset(&me, 0, sizeof me);
    memset(&o, 0, sizeof o);
    self(&me);
    if (sscanf(line, "%63s %63s %63s %ld %31s", o.machine, o.boot, o.space, &o.pid, o.start) != 5)
        return FT_OWNER_UNKNOWN;
    if (o.pid <= 0 || strcmp(o.machine, me.machine) || !strcmp(o.boot, "-") || !strcmp(me.boot, "-"))
        return FT_OWNER_UNKNOWN;
    if (strcmp(o.boot, me.boot)) return FT_OWNER_BEFORE;
    if (!strcmp(o.space, "-") || strcmp(o.space, me.space)) return FT_OWNER_UNKNOWN;
    if (o.pid == me.pid && !strcmp(o.start, me.start)) return FT_OWNER_SELF;
    start_of(o.pid, now, sizeof now);
    if (now[0]) return strcmp(now, o.start) && strcmp(o.start, "-") ? FT_OWNER_GONE : FT_OWNER_UNKNOWN;
    return kill((pid_t)o.pid, 0) && errno == ESRCH ? FT_OWNER_GONE : FT_OWNER_UNKNOWN;
}
