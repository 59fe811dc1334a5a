/* runtime/net/partial.h - a file that is being downloaded: its bytes, their SHA-256 so far, and what they are a part of.
 *
 *   DIR/<key>.<pid>-<time>-<n>.part    the bytes
 *   DIR/<key>.<pid>-<time>-<n>.about   address, version, length, and whose process it is
 *
 * Each process has a file of its own, so that no lock is needed for the bytes to be right. The file of a process that is gone
 * is taken over by renaming it, which only one can do, and hashed anew. "Gone" wants a proof: the same machine, and either
 * started anew since, or the same start and namespace of processes without that process, or with another one of its number.
 */
#ifndef FT_NET_PARTIAL_H
#define FT_NET_PARTIAL_H

#include <stdint.h>

#include "core/err.h"
#include "core/sha256.h"

typedef struct ft_partial {
    int fd;
    char *part, *about; /* paths */
    int64_t size;
    ft_sha256 hash; /* of the `size` bytes */
    /* What the file says of itself; empty and -1: not known. */
    char url[2048], etag[300], modified[64];
    int64_t length;
} ft_partial;

/* A partial file for what `key` (letters and digits) names: one that was left behind, or an empty one. After the machine was
 * started anew, bytes that were not synced may be wrong, so one is taken over only where `checked` says that the digest of
 * the whole will be compared. */
ft_status ft_partial_open(ft_partial *p, const char *dir, const char *key, int checked, ft_err *e);

/* Note what the bytes are a part of, before the first is written. */
ft_status ft_partial_describe(ft_partial *p, const char *url, const char *etag, const char *modified, int64_t length,
                              ft_err *e);
ft_status ft_partial_write(ft_partial *p, const void *bytes, size_t n, ft_err *e);
ft_status ft_partial_restart(ft_partial *p, ft_err *e); /* forget all bytes */

/* The digest of what is there; the hash is used up, so that only publish, restart or close can follow. */
ft_status ft_partial_digest(ft_partial *p, char hex[FT_SHA256_HEX], ft_err *e);

/* Make it the file at path: fsync, rename, fsync of the directory. p is closed, also on failure. */
ft_status ft_partial_publish(ft_partial *p, const char *path, ft_err *e);

/* keep: leave the files for whoever goes on; else remove them. Safe to call twice. */
void ft_partial_close(ft_partial *p, int keep);

#endif
