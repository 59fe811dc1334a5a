/* runtime/net/archive.c - see archive.h; the only file that sees archive.h of libarchive.
 *
 * Names and types are checked here; libarchive's own checks (no links followed, no "..") stand behind them. Its check of
 * absolute names is not used, because the folder that is written to is put in front of each name.
 */
#include "net/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/fs.h"
#include "core/mem.h"
#include "net/guard.h"
#include "net/names.h"

/* ==== The library, loaded once ==== */

static struct library {
    struct archive *(*read_new)(void);
    int (*format_tar)(struct archive *), (*format_zip)(struct archive *), (*format_raw)(struct archive *);
    int (*format_empty)(struct archive *);
    int (*gzip)(struct archive *), (*bzip2)(struct archive *), (*xz)(struct archive *), (*zstd)(struct archive *);
    const char *(*has_zlib)(void), *(*has_bzlib)(void), *(*has_lzma)(void), *(*has_zstd)(void);
    int (*set_options)(struct archive *, const char *);
    int (*open_file)(struct archive *, const char *, size_t);
    int (*open_memory)(struct archive *, const void *, size_t);
    int (*next)(struct archive *, struct archive_entry **);
    int (*block)(struct archive *, const void **, size_t *, la_int64_t *);
    la_int64_t (*bytes)(struct archive *, int);
    int (*filters)(struct archive *);
    const char *(*error)(struct archive *);
    int (*read_free)(struct archive *);
    struct archive *(*disk_new)(void);
    int (*disk_options)(struct archive *, int);
    int (*write_header)(struct archive *, struct archive_entry *);
    la_ssize_t (*write_block)(struct archive *, const void *, size_t, la_int64_t);
    int (*finish_entry)(struct archive *);
    int (*write_free)(struct archive *);
    const char *(*name_utf8)(struct archive_entry *), *(*name)(struct archive_entry *),
        *(*hardlink)(struct archive_entry *);
    mode_t (*type)(struct archive_entry *);
    la_int64_t (*size)(struct archive_entry *);
    int (*size_is_set)(struct archive_entry *);
    int (*encrypted)(struct archive_entry *);
    void (*set_name)(struct archive_entry *, const char *);
    void (*set_link)(struct archive_entry *, const char *);
    void (*set_perm)(struct archive_entry *, mode_t);
    const char *(*version)(void);
} lib;

static const struct {
    const char *name;
    void *place;
} wanted[] = {
    { "archive_read_new", &lib.read_new },
    { "archive_read_support_format_tar", &lib.format_tar },
    { "archive_read_support_format_zip", &lib.format_zip },
    { "archive_read_support_format_raw", &lib.format_raw },
    { "archive_read_support_format_empty", &lib.format_empty },
    { "archive_read_support_filter_gzip", &lib.gzip },
    { "archive_read_support_filter_bzip2", &lib.bzip2 },
    { "archive_read_support_filter_xz", &lib.xz },
    { "archive_read_support_filter_zstd", &lib.zstd },
    { "archive_zlib_version", &lib.has_zlib },
    { "archive_bzlib_version", &lib.has_bzlib },
    { "archive_liblzma_version", &lib.has_lzma },
    { "archive_libzstd_version", &lib.has_zstd },
    { "archive_read_set_options", &lib.set_options },
    { "archive_read_open_filename", &lib.open_file },
    { "archive_read_open_memory", &lib.open_memory },
    { "archive_read_next_header", &lib.next },
    { "archive_read_data_block", &lib.block },
    { "archive_filter_bytes", &lib.bytes },
    { "archive_filter_count", &lib.filters },
    { "archive_error_string", &lib.error },
    { "archive_read_free", &lib.read_free },
    { "archive_write_disk_new", &lib.disk_new },
    { "archive_write_disk_set_options", &lib.disk_options },
    { "archive_write_header", &lib.write_header },
    { "archive_write_data_block", &lib.write_block },
    { "archive_write_finish_entry", &lib.finish_entry },
    { "archive_write_free", &lib.write_free },
    { "archive_entry_pathname_utf8", &lib.name_utf8 },
    { "archive_entry_pathname", &lib.name },
    { "archive_entry_hardlink", &lib.hardlink },
    { "archive_entry_filetype", &lib.type },
    { "archive_entry_size", &lib.size },
    { "archive_entry_size_is_set", &lib.size_is_set },
    { "archive_entry_is_encrypted", &lib.encrypted },
    { "archive_entry_copy_pathname", &lib.set_name },
    { "archive_entry_copy_hardlink", &lib.set_link },
    { "archive_entry_set_perm", &lib.set_perm },
    { "archive_version_details", &lib.version },
};

static ft_status library_load(ft_err *e)
{
    static int loaded;
    if (loaded) return FT_OK;
    void *so = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    if (!so) return ft_fail(e, FT_EUSAGE, "archives need libarchive, which is not installed (libarchive13)");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *f = dlsym(so, wanted[i].name);
        if (!f) return ft_fail(e, FT_EUSAGE, "this libarchive is too old: it lacks %s", wanted[i].name);
        memcpy(wanted[i].place, &f, sizeof f);
    }
    loaded = 1;
    return FT_OK;
}

const char *ft_archive_library(void)
{
    ft_err e;
    return library_load(&e) ? NULL : lib.version();
}

/* ==== Reading ==== */

typedef struct reader {
    struct archive *a;
    const char *path;
    ft_archive_limits l;
    int64_t entries, bytes; /* bytes: of data that went by */
    ft_names names;
    locale_t utf8, before;
} reader;

static ft_status failed(const reader *r, ft_err *e)
{
    const char *why = lib.error(r->a);
    return ft_fail(e, FT_EDATA, "%.300s: %.300s", r->path, why ? why : "not an archive that can be read");
}

/* A filter that libarchive would start a program for is not offered. */
static void enable(struct archive *a, int raw)
{
    if (lib.has_zlib()) lib.gzip(a);
    if (lib.has_bzlib()) lib.bzip2(a);
    if (lib.has_lzma()) lib.xz(a);
    if (lib.has_zstd()) lib.zstd(a);
    if (raw) {
        lib.format_raw(a);
        return;
    }
    lib.format_tar(a);
    lib.format_zip(a);
    lib.format_empty(a);
}

static void reader_close(reader *r)
{
    if (r->a) lib.read_free(r->a);
    ft_names_free(&r->names);
    if (r->utf8) {
        uselocale(r->before);
        freelocale(r->utf8);
    }
    memset(r, 0, sizeof *r);
}

static ft_status reader_open(reader *r, const char *path, const void *bytes, size_t n, const ft_archive_limits *l,
                             int raw, ft_err *e)
{
    char charset[96];

    memset(r, 0, sizeof *r);
    r->path = path ? path : "archive";
    if (l) r->l = *l;
    if (!r->l.bytes) r->l.bytes = (int64_t)64 << 30;
    if (!r->l.entries) r->l.entries = 1000000;
    if (!r->l.depth) r->l.depth = 32;
    const ft_status s = library_load(e);
    if (s) return s;
    r->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0); /* libarchive turns names into the locale's encoding */
    if (r->utf8) r->before = uselocale(r->utf8);
    if (!(r->a = lib.read_new())) return ft_fail_mem(e, 0);
    enable(r->a, raw);
    if (r->l.encoding) {
        snprintf(charset, sizeof charset, "hdrcharset=%.64s", r->l.encoding);
        if (lib.set_options(r->a, charset))
            return ft_fail(e, FT_EUSAGE, "'%.64s' is no encoding of names", r->l.encoding);
    }
    if (path ? lib.open_file(r->a, path, 65536) : lib.open_memory(r->a, bytes, n)) return failed(r, e);
    return FT_OK;
}

static ft_status check_type(const reader *r, struct archive_entry *x, const char *name, ft_err *e)
{
    const mode_t type = lib.type(x);
    const char *what = lib.hardlink(x)                        ? "a hard link"
                       : type == AE_IFLNK                     ? "a symbolic link"
                       : type == AE_IFREG || type == AE_IFDIR ? NULL
                                                              : "no regular file";

    if (lib.encrypted(x)) return ft_fail(e, FT_EDATA, "%.300s: %.200s is encrypted", r->path, name);
    if (!what || !FT_GUARDS(TYPES)) return FT_OK;
    return ft_fail(e, FT_EDATA, "%.300s: %.200s is %s; only files and folders are unpacked", r->path, name, what);
}

static ft_status check_clash(reader *r, const char *name, int is_folder, ft_err *e)
{
    const char *known = NULL;
    const ft_status s = ft_names_add(&r->names, name, &known, e);
    if (s || !known || (is_folder && !strcmp(known, name)) || !FT_GUARDS(CASE)) return s;
    if (!strcmp(known, name)) return ft_fail(e, FT_EDATA, "%.300s: %.200s is in it twice", r->path, name);
    return ft_fail(e, FT_EDATA, "%.300s: %.200s and %.200s differ in letter case only", r->path, known, name);
}

/* The next entry with its name checked; *x is NULL at the end. */
static ft_status reader_next(reader *r, struct archive_entry **x, char *name, size_t size, ft_err *e)
{
    *x = NULL;
    const int code = lib.next(r->a, x);
    if (code == ARCHIVE_EOF) {
        *x = NULL;
        return FT_OK;
    }
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return failed(r, e);
    if (++r->entries > r->l.entries && FT_GUARDS(ENTRIES))
        return ft_fail(e, FT_EDATA, "%.300s: more than %lld entries", r->path, (long long)r->l.entries);
    if (lib.bytes(r->a, 0) > r->l.bytes + (1 << 20) && FT_GUARDS(BYTES))
        return ft_fail(e, FT_EDATA, "%.300s: more than %lld bytes of content", r->path, (long long)r->l.bytes);
    const char *given = lib.name_utf8(*x);
    if (!given) given = lib.name(*x);
    if (!given) return ft_fail(e, FT_EDATA, "%.300s: a name in it is not UTF-8; declare its encoding", r->path);
    ft_status s = ft_name_check(given, r->l.depth, name, size, e);
    if (s) return ft_context(e, "%.300s", r->path), s;
    s = check_type(r, *x, name, e);
    return s || !*name ? s : check_clash(r, name, lib.type(*x) == AE_IFDIR, e);
}

ft_status ft_archive_list(const char *path, const void *bytes, size_t n, const ft_archive_limits *l,
                          ft_status (*visit)(void *ctx, const ft_archive_entry *entry, ft_err *e), void *ctx, ft_err *e)
{
    reader r;
    struct archive_entry *x = NULL;
    char name[4096];

    ft_status s = reader_open(&r, path, bytes, n, l, 0, e);
    while (!s) {
        s = reader_next(&r, &x, name, sizeof name, e);
        if (s || !x) break;
        const ft_archive_entry entry = { name, lib.type(x) == AE_IFDIR, lib.size_is_set(x) ? lib.size(x) : -1 };
        if (*name) s = visit(ctx, &entry, e);
    }
    reader_close(&r);
    return s;
}

/* Hand the data of the current entry over, piece by piece. */
static ft_status each_block(reader *r, ft_status (*take)(void *ctx, const void *bytes, size_t n, int64_t at, ft_err *e),
                            void *ctx, ft_err *e)
{
    for (;;) {
        const void *bytes;
        size_t n;
        la_int64_t at;
        const int code = lib.block(r->a, &bytes, &n, &at);
        if (code == ARCHIVE_EOF) return FT_OK;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return failed(r, e);
        r->bytes += (int64_t)n;
        if (at < 0 || ((r->bytes > r->l.bytes || at + (int64_t)n > r->l.bytes) && FT_GUARDS(BYTES)))
            return ft_fail(e, FT_EDATA, "%.300s: more than %lld bytes come out of it", r->path, (long long)r->l.bytes);
        const ft_status s = take(ctx, bytes, n, at, e);
        if (s) return s;
    }
}

/* ==== Unpacking ==== */

typedef struct unpacker {
    reader r;
    struct archive *disk;
    char *staging; /* absolute, without links */
    int64_t files;
} unpacker;

static ft_status to_disk(void *ctx, const void *bytes, size_t n, int64_t at, ft_err *e)
{
    unpacker *u = ctx;
    if (lib.write_block(u->disk, bytes, n, at) < 0)
        return ft_fail(e, FT_EIO, "cannot write below %.300s: %.200s", u->staging, lib.error(u->disk));
    return FT_OK;
}

static ft_status unpack_entry(unpacker *u, struct archive_entry *x, const char *as, ft_err *e)
{
    ft_buf path = { 0 };
    const int is_folder = lib.type(x) == AE_IFDIR;
    const char *link = lib.hardlink(x);

    ft_status s = *as == '/' ? ft_buf_puts(&path, as, e) : ft_buf_printf(&path, e, "%s/%s", u->staging, as);
    if (!s) {
        lib.set_name(x, path.data);
        if (link && *link != '/') { /* only where types are not checked */
            ft_buf_clear(&path);
            s = ft_buf_printf(&path, e, "%s/%s", u->staging, link);
            if (!s) lib.set_link(x, path.data);
        }
    }
    if (FT_GUARDS(MODES)) lib.set_perm(x, is_folder ? 0755 : 0644);
    if (!s && lib.write_header(u->disk, x) < ARCHIVE_WARN)
        s = ft_fail(e, FT_EIO, "cannot write %.300s: %.200s", as, lib.error(u->disk));
    if (!s && !is_folder) s = each_block(&u->r, to_disk, u, e);
    if (!s && lib.finish_entry(u->disk) < ARCHIVE_WARN)
        s = ft_fail(e, FT_EIO, "cannot write %.300s: %.200s", as, lib.error(u->disk));
    u->files += !is_folder;
    ft_buf_free(&path);
    return s;
}

/* Under which name an entry is wanted: all, the member itself, or what is below the folder `member`; else NULL. */
static const char *wanted_as(const char *name, const char *member)
{
    if (!member || !*member) return name;
    const size_t n = strlen(member);
    if (!strcmp(name, member)) {
        const char *slash = strrchr(name, '/');
        return slash ? slash + 1 : name;
    }
    return !strncmp(name, member, n) && name[n] == '/' ? name + n + 1 : NULL;
}

static ft_status ignore(void *ctx, const void *bytes, size_t n, int64_t at, ft_err *e)
{
    (void)ctx, (void)bytes, (void)n, (void)at, (void)e;
    return FT_OK;
}

static ft_status unpack_all(unpacker *u, const char *member, ft_err *e)
{
    struct archive_entry *x = NULL;
    char name[4096];
    ft_status s = FT_OK;

    while (!s) {
        s = reader_next(&u->r, &x, name, sizeof name, e);
        if (s || !x) break;
        const char *as = wanted_as(name, member);
        const int is_folder = lib.type(x) == AE_IFDIR, itself = member && *member && !strcmp(name, member);
        if (!as && lib.filters(u->r.a) > 1)
            s = each_block(&u->r, ignore, NULL, e); /* what is passed over costs as well */
        if (!as || !*as || (itself && is_folder)) continue;
        s = unpack_entry(u, x, as, e);
        if (itself) break; /* a file: the rest is of no interest */
    }
    if (!s && member && *member && u->files == 0)
        s = ft_fail(e, FT_EDATA, "%.300s: there is no %.300s in it", u->r.path, member);
    return s;
}

static ft_status unpacker_open(unpacker *u, const char *path, const char *staging, const ft_archive_limits *l,
                               ft_err *e)
{
    int flags = ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT;

    ft_status s = reader_open(&u->r, path, NULL, 0, l, 0, e);
    if (!s && mkdir(staging, 0777)) s = ft_fail_errno(e, "cannot make %.300s", staging);
    if (!s && !(u->staging = realpath(staging, NULL))) s = ft_fail_errno(e, "%.300s", staging);
    if (!s && !(u->disk = lib.disk_new())) s = ft_fail_mem(e, 0);
    if (!FT_GUARDS(NAMES) || !FT_GUARDS(TYPES)) flags = 0;
    if (!FT_GUARDS(MODES)) flags |= ARCHIVE_EXTRACT_PERM;
    if (!s) lib.disk_options(u->disk, flags);
    return s;
}

/* Write everything to the disk that lies below a folder, before it gets its name. */
static ft_status sync_files(const char *dir, ft_err *e)
{
    const ft_status s = ft_dir_sync(dir, e);
    if (!s) sync();
    return s;
}

ft_status ft_archive_unpack(const char *path, const char *member, const char *target, const ft_archive_limits *l,
                            ft_err *e)
{
    unpacker u;
    ft_buf staging = { 0 };
    ft_err ignored;

    memset(&u, 0, sizeof u);
    ft_status s = ft_buf_printf(&staging, e, "%s.part-%ld", target, (long)getpid());
    if (!s) ft_remove_tree(staging.data, &ignored);
    if (!s) s = unpacker_open(&u, path, staging.data, l, e);
    if (!s) s = unpack_all(&u, member, e);
    if (u.disk && lib.write_free(u.disk) < ARCHIVE_WARN && !s)
        s = ft_fail(e, FT_EIO, "cannot write below %.300s", target);
    reader_close(&u.r);
    if (!s) s = sync_files(staging.data, e);
    if (!s && rename(staging.data, target)) { /* another process may have been faster */
        struct stat st;
        if (stat(target, &st) || !S_ISDIR(st.st_mode)) s = ft_fail_errno(e, "cannot rename to %.300s", target);
    }
    if (staging.data) ft_remove_tree(staging.data, &ignored);
    free(u.staging);
    ft_buf_free(&staging);
    return s;
}

static ft_status to_file(void *ctx, const void *bytes, size_t n, int64_t at, ft_err *e)
{
    (void)at;
    return ft_atomic_write(ctx, bytes, n, e);
}

ft_status ft_archive_decompress(const char *path, const char *target, const ft_archive_limits *l, ft_err *e)
{
    reader r;
    ft_atomic file;
    struct archive_entry *x = NULL;

    ft_status s = reader_open(&r, path, NULL, 0, l, 1, e);
    if (!s && lib.next(r.a, &x) < ARCHIVE_WARN) s = failed(&r, e);
    if (!s && lib.filters(r.a) < 2) s = ft_fail(e, FT_EDATA, "%.300s: not compressed by gzip, bzip2, xz or zstd", path);
    if (!s) {
        s = ft_atomic_open(&file, target, e);
        if (!s) {
            s = each_block(&r, to_file, &file, e);
            if (s)
                ft_atomic_abandon(&file);
            else
                s = ft_atomic_commit(&file, e);
        }
    }
    reader_close(&r);
    return s;
}
