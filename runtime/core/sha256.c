/* runtime/core/sha256.c - SHA-256 over libcrypto's EVP interface.
 *
 * The only file that sees an OpenSSL header; EVP picks the processor's SHA
 * instructions where it has them.
 */
#include "core/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

ft_status ft_sha256_init(ft_sha256 *h, ft_err *e)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    h->ctx = ctx;
    if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1) return FT_OK;
    ft_sha256_free(h);
    return ft_fail(e, FT_EMEM, "sha256: libcrypto cannot start a digest");
}

void ft_sha256_free(ft_sha256 *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

ft_status ft_sha256_update(ft_sha256 *h, const void *bytes, size_t n, ft_err *e)
{
    if (!h->ctx) return ft_fail(e, FT_ESTATE, "sha256: update after the end");
    if (n && EVP_DigestUpdate(h->ctx, bytes, n) != 1) return ft_fail(e, FT_EMEM, "sha256: libcrypto cannot go on");
    return FT_OK;
}

ft_status ft_sha256_final(ft_sha256 *h, unsigned char digest[FT_SHA256_SIZE], ft_err *e)
{
    if (!h->ctx) return ft_fail(e, FT_ESTATE, "sha256: finished twice");
    const int ok = EVP_DigestFinal_ex(h->ctx, digest, NULL) == 1;
    ft_sha256_free(h);
    return ok ? FT_OK : ft_fail(e, FT_EMEM, "sha256: libcrypto cannot finish");
}

void ft_sha256_thread_end(void) { OPENSSL_thread_stop(); }

static void write_digits(const unsigned char *digest, size_t n, char *hex)
{
    static const char digit[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digit[digest[i] >> 4];
        hex[2 * i + 1] = digit[digest[i] & 15];
    }
    hex[2 * n] = '\0';
}

void ft_sha256_digits(const unsigned char digest[FT_SHA256_SIZE], char hex[FT_SHA256_HEX])
{
    write_digits(digest, FT_SHA256_SIZE, hex);
}

ft_status ft_sha256_hex(const void *bytes, size_t n, char hex[FT_SHA256_HEX], ft_err *e)
{
    unsigned char digest[FT_SHA256_SIZE];
    ft_sha256 h;

    ft_status s = ft_sha256_init(&h, e);
    if (!s) s = ft_sha256_update(&h, bytes, n, e);
    if (!s) s = ft_sha256_final(&h, digest, e);
    ft_sha256_free(&h);
    if (!s) ft_sha256_digits(digest, hex);
    return s;
}

static ft_status update_from(ft_sha256 *h, int fd, const char *path, ft_err *e)
{
    unsigned char chunk[65536];

    for (;;) {
        const ssize_t n = read(fd, chunk, sizeof chunk);
        if (n == 0) return FT_OK;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ft_fail_errno(e, "%s", path);
        const ft_status s = ft_sha256_update(h, chunk, (size_t)n, e);
        if (s) return s;
    }
}

ft_status ft_sha256_file(const char *path, char hex[FT_SHA256_HEX], ft_err *e)
{
    unsigned char digest[FT_SHA256_SIZE];
    ft_sha256 h = { NULL };

    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ft_fail_errno(e, "%s", path);
    ft_status s = ft_sha256_init(&h, e);
    if (!s) s = update_from(&h, fd, path, e);
    if (!s) s = ft_sha256_final(&h, digest, e);
    ft_sha256_free(&h);
    close(fd);
    if (!s) ft_sha256_digits(digest, hex);
    return s;
}

ft_status ft_git_blob_file(const char *path, char hex[FT_GIT_HEX], ft_err *e)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char head[40];
    struct stat st;

    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ft_fail_errno(e, "%s", path);
    ft_sha256 h = { EVP_MD_CTX_new() };
    ft_status s = fstat(fd, &st) ? ft_fail_errno(e, "%s", path) : FT_OK;
    if (!s && (!h.ctx || EVP_DigestInit_ex(h.ctx, EVP_sha1(), NULL) != 1))
        s = ft_fail(e, FT_EMEM, "libcrypto has no SHA-1");
    if (!s)
        s = ft_sha256_update(&h, head, (size_t)snprintf(head, sizeof head, "blob %lld", (long long)st.st_size) + 1, e);
    if (!s) s = update_from(&h, fd, path, e);
    if (!s && EVP_DigestFinal_ex(h.ctx, digest, NULL) != 1) s = ft_fail(e, FT_EMEM, "libcrypto cannot finish");
    ft_sha256_free(&h);
    close(fd);
    if (!s) write_digits(digest, 20, hex);
    return s;
}

const char *ft_sha256_library(void) { return OpenSSL_version(OPENSSL_VERSION); }
