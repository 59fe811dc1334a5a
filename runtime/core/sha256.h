/* runtime/core/sha256.h - SHA-256 (FIPS 180-4) of bytes and files, as raw bytes or lower-case hex.
 *
 * A hash that was begun and not finished holds memory of libcrypto: end it with
 * ft_sha256_final or ft_sha256_free.
 */
#ifndef FT_CORE_SHA256_H
#define FT_CORE_SHA256_H

#include <stddef.h>

#include "core/err.h"

enum { FT_SHA256_SIZE = 32, FT_SHA256_HEX = 65 }; /* raw bytes; hex digits and a NUL */

typedef struct ft_sha256 {
    void *ctx;
} ft_sha256;

/* Begin. h is the caller's memory. FT_EMEM when libcrypto cannot give a context. */
ft_status ft_sha256_init(ft_sha256 *h, ft_err *e);
ft_status ft_sha256_update(ft_sha256 *h, const void *bytes, size_t n, ft_err *e);

/* The digest of all that was added; h is freed, also on failure. */
ft_status ft_sha256_final(ft_sha256 *h, unsigned char digest[FT_SHA256_SIZE], ft_err *e);
void ft_sha256_free(ft_sha256 *h); /* safe to call twice, and after final */

/* Write 32 raw bytes as 64 hex digits and a NUL. */
void ft_sha256_digits(const unsigned char digest[FT_SHA256_SIZE], char hex[FT_SHA256_HEX]);

/* The digest of n bytes, and of a whole file (any size, read in pieces; FT_EIO names the path). */
ft_status ft_sha256_hex(const void *bytes, size_t n, char hex[FT_SHA256_HEX], ft_err *e);
ft_status ft_sha256_file(const char *path, char hex[FT_SHA256_HEX], ft_err *e);

/* The name that git gives a file with these bytes: SHA-1 of "blob <size>", a NUL and the bytes. */
enum { FT_GIT_HEX = 41 };
ft_status ft_git_blob_file(const char *path, char hex[FT_GIT_HEX], ft_err *e);

/* Give back what libcrypto keeps for the calling thread: at the end of the share of a thread that lives on without hashing. */
void ft_sha256_thread_end(void);

/* Name and version of the library behind it. */
const char *ft_sha256_library(void);

#endif
