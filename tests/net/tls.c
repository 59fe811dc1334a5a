/* tests/net/tls.c - see tls.h. */
#include "tls.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls {
    SSL_CTX *ctx;
};

static void extend(X509 *cert, int what, const char *value)
{
    X509V3_CTX c;
    X509V3_set_ctx_nodb(&c);
    X509V3_set_ctx(&c, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &c, what, value);
    if (!x) abort();
    X509_add_ext(cert, x, -1);
    X509_EXTENSION_free(x);
}

static X509 *sign_own(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 24 * 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    extend(cert, NID_basic_constraints, "critical,CA:TRUE");
    extend(cert, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    if (!X509_sign(cert, key, EVP_sha256())) abort();
    return cert;
}

tls *tls_new(const char *ca)
{
    tls *t = calloc(1, sizeof *t);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = sign_own(key);
    FILE *f = fopen(ca, "w");

    if (!t || !f || !PEM_write_X509(f, cert) || fclose(f)) abort();
    t->ctx = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate(t->ctx, cert) != 1 || SSL_CTX_use_PrivateKey(t->ctx, key) != 1) abort();
    X509_free(cert);
    EVP_PKEY_free(key);
    return t;
}

void tls_hashed(const char *ca, const char *dir)
{
    char path[600];
    FILE *in = fopen(ca, "r");
    X509 *cert = in ? PEM_read_X509(in, NULL, NULL, NULL) : NULL;

    if (!cert) abort();
    fclose(in);
    snprintf(path, sizeof path, "%s/%08lx.0", dir, X509_subject_name_hash(cert));
    FILE *out = fopen(path, "w");
    if (!out || !PEM_write_X509(out, cert) || fclose(out)) abort();
    X509_free(cert);
}

void tls_free(tls *t)
{
    if (t) SSL_CTX_free(t->ctx);
    free(t);
}

void *tls_accept(tls *t, int fd)
{
    SSL *s = SSL_new(t->ctx);
    SSL_set_fd(s, fd);
    if (SSL_accept(s) == 1) return s;
    SSL_free(s);
    return NULL;
}

ssize_t tls_read(void *connection, void *bytes, size_t n) { return SSL_read(connection, bytes, (int)n); }
ssize_t tls_write(void *connection, const void *bytes, size_t n) { return SSL_write(connection, bytes, (int)n); }
