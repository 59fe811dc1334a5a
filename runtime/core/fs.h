/* runtime/core/fs.h - files that are there whole or not at all.
 *
 * Nothing is ever written at its final path: ft_atomic writes beside it, and
 * commit is fsync, rename, fsync of the directory. A process that dies leaves
 * at most a file whose name ends in ".part-<pid>".
 */
#ifndef FT_CORE_FS_H
#define FT_CORE_FS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/buf.h"

/* A read-only mapping of a whole file. An empty file has data NULL and size 0. */
typedef struct ft_map {
    const unsigned char *data;
    size_t size;
    uint64_t file[4]; /* device, inode, and when it was changed: of ft_map_open */
} ft_map;

ft_status ft_map_open(ft_map *m, const char *path, ft_err *e);
void ft_map_close(ft_map *m);
/* n bytes of the same file, from `at` on, to be written to: what is written stays in this process. NULL where path is
 * another file by now or cannot be mapped. ft_private_close ends it. */
void *ft_map_private(const ft_map *m, const char *path, size_t at, size_t n);
void ft_private_close(void *p, size_t n);

/* Read a whole file into b (appended). Refuses files above `max` bytes. */
ft_status ft_file_read(ft_buf *b, const char *path, size_t max, ft_err *e);

/* A file being written. Either commit or abandon ends it; after an error of commit it is abandoned. */
typedef struct ft_atomic {
    FILE *f;
    char *path, *part;
} ft_atomic;

ft_status ft_atomic_open(ft_atomic *a, const char *path, ft_err *e);
ft_status ft_atomic_write(ft_atomic *a, const void *bytes, size_t n, ft_err *e);
ft_status ft_atomic_commit(ft_atomic *a, ft_err *e);
void ft_atomic_abandon(ft_atomic *a); /* safe to call twice, and after commit */

/* Write a whole file in one go, atomically. */
ft_status ft_file_write(const char *path, const void *bytes, size_t n, ft_err *e);

ft_status ft_dir_sync(const char *path, ft_err *e);    /* what was renamed or made in it stays after a power cut */
ft_status ft_mkdirs(const char *path, ft_err *e);      /* like mkdir -p */
ft_status ft_remove_tree(const char *path, ft_err *e); /* like rm -rf; never follows symbolic links */

#endif
