/* runtime/net/archive.h - zip, tar (also gz, bz2, xz, zst) and single compressed files: listed, and unpacked safely.
 *
 * The face of libarchive, loaded when first needed. Only regular files and folders are unpacked; a name that leads out of the
 * target, a link, a device, two names that differ in letter case (of ASCII) only, and more bytes, entries or levels than
 * allowed are errors. Permissions, owners and times are not taken over. Everything is written in a folder beside the target,
 * which gets its name when it is whole. Names are UTF-8, or in the encoding that the caller declares.
 */
#ifndef FT_NET_ARCHIVE_H
#define FT_NET_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct ft_archive_limits {
    int64_t bytes;        /* written, and read to get there; 0: 64 GiB */
    int64_t entries;      /* 0: a million */
    int depth;            /* parts of a name; 0: 32 */
    const char *encoding; /* of names that are not UTF-8, as iconv calls it; NULL: an error */
} ft_archive_limits;

typedef struct ft_archive_entry {
    const char *name; /* UTF-8, as checked: relative, without . and .. and doubled slashes */
    int is_folder;
    int64_t size; /* -1: not told */
} ft_archive_entry;

/* Call visit for each entry in order. Not FT_OK from it ends the listing with that. `bytes` (of n) instead of a file where
 * path is NULL. */
ft_status ft_archive_list(const char *path, const void *bytes, size_t n, const ft_archive_limits *l,
                          ft_status (*visit)(void *ctx, const ft_archive_entry *entry, ft_err *e), void *ctx,
                          ft_err *e);

/* Unpack all, or (member not NULL) that file, or what is below that folder, into the folder `target`, which must not exist.
 * A single member lies there under the last part of its name, a folder's content without the folder's name. */
ft_status ft_archive_unpack(const char *path, const char *member, const char *target, const ft_archive_limits *l,
                            ft_err *e);

/* Decompress a single file (x.gz, x.xz, x.zst, x.bz2) to `target`, which appears whole or not at all. */
ft_status ft_archive_decompress(const char *path, const char *target, const ft_archive_limits *l, ft_err *e);

const char *ft_archive_library(void); /* its name and version; NULL where it cannot be loaded */

#endif
