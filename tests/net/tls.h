/* tests/net/tls.h - a certificate made on the spot, and the server's side of TLS. */
#ifndef TESTS_NET_TLS_H
#define TESTS_NET_TLS_H

#include <stddef.h>
#include <sys/types.h>

typedef struct tls tls;

tls *tls_new(const char *ca); /* a new certificate for 127.0.0.1 and localhost, written to the file `ca` */
void tls_hashed(const char *ca,
                const char *dir); /* the certificate in `dir` under the name by which OpenSSL looks for it */
void tls_free(tls *t);            /* NULL is fine */
void *tls_accept(tls *t, int fd); /* a connection, or NULL */
ssize_t tls_read(void *connection, void *bytes, size_t n);
ssize_t tls_write(void *connection, const void *bytes, size_t n);

#endif
