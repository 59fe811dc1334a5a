/* runtime/net/partial.c - see partial.h. */
#include "net/partial.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/fs.h"
#include "core/mem.h"
#include "net/guard.h"
#include "net/owner.h"

/* ==== What a file says of itself ==== */

/* The value of a line "name value" of text, without line break; "" where there is none. */
static void field(const char *text, const char *name, char *value, size_t size)
{
    const size_t n = strlen(name);
    value[0] = '\0';
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, name, n) && line[n] == ' ') {
            const size_t len = strcspn(line + n + 1, "\n");
            if (len < size) snprintf(value, size, "%.*s", (int)len, line + n + 1);
            return;
        }
}

static void read_about(ft_partial *p, const char *text)
{
    char length[32];
    field(text, "url", p->url, sizeof p->url);
    field(text, "etag", p->etag, sizeof p->etag);
    field(text, "modified", p->modified, sizeof p->modified);
    field(text, "length", length, sizeof length);
    p->length = *length ? strtoll(length, NULL, 10) : -1;
    if (p->length < 0) p->length = -1;
}

static ft_status write_about(const ft_partial *p, ft_err *e)
{
    ft_buf b = { 0 };
    char owner[FT_OWNER_SIZE];

    ft_owner_self(owner);
    ft_status s = ft_buf_printf(&b, e, "owner %s\nurl %s\n", owner, p->url);
    if (!s && p->etag[0]) s = ft_buf_printf(&b, e, "etag %s\n", p->etag);
    if (!s && p->modified[0]) s = ft_buf_printf(&b, e, "modified %s\n", p->modified);
    if (!s && p->length >= 0) s = ft_buf_printf(&b, e, "length %lld\n", (long long)p->length);
    if (!s) s = ft_file_write(p->about, b.data, b.len, e);
    ft_buf_free(&b);
    return s;
}

ft_status ft_partial_describe(ft_partial *p, const char *url, const char *etag, const char *modified, int64_t length,
                              ft_err *e)
{
    const int fits = strlen(url) < sizeof p->url;
    snprintf(p->url, sizeof p->url, "%s", fits ? url : "");
    snprintf(p->etag, sizeof p->etag, "%s", etag);
    snprintf(p->modified, sizeof p->modified, "%s", modified);
    p->length = length;
    return write_about(p, e);
}

/* ==== Names ==== */

static ft_status name_files(ft_partial *p, const char *dir, const char *key, ft_err *e)
{
    static unsigned count;
    struct timespec t;
    ft_buf part = { 0 }, about = { 0 };

    clock_gettime(CLOCK_REALTIME, &t);
    const unsigned n = count++;
    ft_status s = FT_OK;
    for (int i = 0; i < 2 && !s; i++)
        s = ft_buf_printf(i ? &about : &part, e, "%s/%s.%ld-%lld-%u.%s", dir, key, (long)getpid(),
                          (long long)t.tv_sec * 1000000000 + t.tv_nsec, n, i ? "about" : "part");
    p->part = part.data;
    p->about = about.data;
    return s;
}

/* "x.part" -> "x.about" */
static char *about_of(const char *part)
{
    const size_t n = strlen(part) - 4;
    ft_buf b = { 0 };
    ft_err e;
    if (ft_buf_add(&b, part, n, &e) || ft_buf_puts(&b, "about", &e)) {
        ft_buf_free(&b);
        return NULL;
    }
    return b.data;
}

/* ==== Taking over ==== */

/* Hash what is in the file and stand at its end. */
static ft_status rehash(ft_partial *p, ft_err *e)
{
    static const size_t piece = 1 << 20;
    char *bytes = ft_malloc(piece);
    if (!bytes) return ft_fail_mem(e, piece);

    ft_status s = FT_OK;
    p->size = 0;
    while (!s) {
        const ssize_t n = pread(p->fd, bytes, piece, (off_t)p->size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) s = ft_fail_errno(e, "%s", p->part);
        if (n <= 0) break;
        s = ft_sha256_update(&p->hash, bytes, (size_t)n, e);
        p->size += n;
    }
    ft_free(bytes);
    return s;
}

/* Whether the process that wrote this is gone; about gets the text beside the file. */
static int is_orphan(const char *about, int checked, ft_buf *text)
{
    ft_err e;
    char owner[FT_OWNER_SIZE];

    if (ft_file_read(text, about, 1 << 16, &e)) return 0;
    field(text->data ? text->data : "", "owner", owner, sizeof owner);
    if (!FT_GUARDS(OWNER)) return 1;
    switch (ft_owner_find(owner)) {
    case FT_OWNER_SELF: /* its own lock then tells whether it is in use */
    case FT_OWNER_GONE: return 1;
    case FT_OWNER_BEFORE: return checked;
    case FT_OWNER_UNKNOWN: break;
    }
    return 0;
}

/* Try to make the file at `path` ours. Only one rename of a name can succeed. */
static int take(ft_partial *p, const char *path, int checked)
{
    ft_buf text = { 0 };
    char *about = about_of(path);
    int taken = 0;

    if (about && is_orphan(about, checked, &text)) {
        const int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        /* The lock is a second hint against one that lives; nothing rests on it. */
        if (fd >= 0 && (!FT_GUARDS(OWNER) || !flock(fd, LOCK_EX | LOCK_NB)) && !rename(path, p->part)) {
            p->fd = fd;
            read_about(p, text.data);
            unlink(about);
            taken = 1;
        } else if (fd >= 0) {
            close(fd);
        }
    }
    ft_free(about);
    ft_buf_free(&text);
    return taken;
}

/* Look for a file of this key that was left behind. */
static int adopt(ft_partial *p, const char *dir, const char *key, int checked)
{
    const size_t n = strlen(key);
    const struct dirent *entry;
    int taken = 0;

    DIR *d = opendir(dir);
    while (d && !taken && (entry = readdir(d))) {
        const char *name = entry->d_name;
        const size_t len = strlen(name);
        if (len < n + 6 || strncmp(name, key, n) || name[n] != '.' || strcmp(name + len - 5, ".part")) continue;
        ft_buf path = { 0 };
        ft_err e;
        if (!ft_buf_printf(&path, &e, "%s/%s", dir, name)) taken = take(p, path.data, checked);
        ft_buf_free(&path);
    }
    if (d) closedir(d);
    return taken;
}

ft_status ft_partial_open(ft_partial *p, const char *dir, const char *key, int checked, ft_err *e)
{
    memset(p, 0, sizeof *p);
    p->fd = -1;
    p->length = -1;
    ft_status s = name_files(p, dir, key, e);
    if (!s) s = ft_sha256_init(&p->hash, e);
    if (!s && adopt(p, dir, key, checked)) {
        s = rehash(p, e);
        if (!s) s = write_about(p, e);
    } else if (!s) {
        p->fd = open(p->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (p->fd < 0) s = ft_fail_errno(e, "cannot write %s", p->part);
        if (!s) flock(p->fd, LOCK_EX | LOCK_NB);
    }
    if (s) ft_partial_close(p, 0);
    return s;
}

/* ==== Bytes ==== */

ft_status ft_partial_write(ft_partial *p, const void *bytes, size_t n, ft_err *e)
{
    const ft_status s = ft_sha256_update(&p->hash, bytes, n, e);
    if (s) return s;
    for (size_t done = 0; done < n;) {
        const ssize_t k = pwrite(p->fd, (const char *)bytes + done, n - done, (off_t)p->size + (off_t)done);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return ft_fail_errno(e, "cannot write %s", p->part);
        done += (size_t)k;
    }
    p->size += (int64_t)n;
    return FT_OK;
}

ft_status ft_partial_restart(ft_partial *p, ft_err *e)
{
    ft_sha256_free(&p->hash);
    if (ftruncate(p->fd, 0)) return ft_fail_errno(e, "cannot write %s", p->part);
    p->size = 0;
    p->etag[0] = p->modified[0] = '\0';
    p->length = -1;
    return ft_sha256_init(&p->hash, e);
}

ft_status ft_partial_digest(ft_partial *p, char hex[FT_SHA256_HEX], ft_err *e)
{
    unsigned char raw[FT_SHA256_SIZE];
    const ft_status s = ft_sha256_final(&p->hash, raw, e);
    if (!s) ft_sha256_digits(raw, hex);
    return s;
}

/* ==== The end ==== */

static ft_status sync_above(const char *path, ft_err *e)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash && slash > path ? ft_strndup(path, (size_t)(slash - path)) : ft_strdup(slash ? "/" : ".");
    if (!dir) return ft_fail_mem(e, strlen(path));
    const ft_status s = ft_dir_sync(dir, e);
    ft_free(dir);
    return s;
}

ft_status ft_partial_publish(ft_partial *p, const char *path, ft_err *e)
{
    struct stat st;
    ft_status s = FT_OK;

    if (fsync(p->fd) || fstat(p->fd, &st))
        s = ft_fail_errno(e, "cannot write %s", p->part);
    else if (st.st_size != (off_t)p->size)
        s = ft_fail(e, FT_EIO, "%s: somebody else writes it", p->part);
    if (!s && fchmod(p->fd, 0444)) s = ft_fail_errno(e, "%s", p->part); /* what was verified shall stay so */
    if (!s && rename(p->part, path)) s = ft_fail_errno(e, "cannot rename to %s", path);
    if (!s) s = sync_above(path, e);
    ft_partial_close(p, 0);
    return s;
}

void ft_partial_close(ft_partial *p, int keep)
{
    if (p->fd >= 0) {
        close(p->fd);
        if (!keep || p->size == 0) {
            unlink(p->part);
            unlink(p->about);
        }
    }
    ft_sha256_free(&p->hash);
    ft_free(p->part);
    ft_free(p->about);
    memset(p, 0, sizeof *p);
    p->fd = -1;
}
