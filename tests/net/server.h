/* tests/net/server.h - a web server on loopback addresses that misbehaves as told; bounded, and ends by itself.
 *
 * It listens on 127.0.0.1 and, with the same port, on 127.0.0.2 ("another host"). A path is /BEHAVIOUR/SIZE[/...]; the body
 * of SIZE bytes is server_byte(0 ... SIZE-1). It is a proxy as well.
 */
#ifndef TESTS_NET_SERVER_H
#define TESTS_NET_SERVER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/sha256.h"

enum { SERVER_PATHS = 64, SERVER_ENDLESS = 8 << 20, SERVER_DROP = 300000, SERVER_ORDER = 256 };

/* Shared with the server's processes. */
typedef struct server_counts {
    atomic_long requests, sent;              /* sent: bytes of bodies */
    atomic_long token_here, token_elsewhere; /* requests with a token (Bearer) at 127.0.0.1, at 127.0.0.2 */
    atomic_long login_here, login_elsewhere; /* with a user and password (Basic) */
    atomic_long proxied, tunnels;            /* as a proxy: requests passed on, CONNECTs */
    atomic_long last_from;                   /* first byte asked for by the last request, -1: all */
    atomic_long met;                         /* that came to /meet/ */
    char order[SERVER_ORDER];                /* behaviours asked for, in order, with a blank after each */
    atomic_long seen[SERVER_PATHS];          /* requests of a path, by its hash */
} server_counts;

typedef struct server {
    pid_t pid;
    int port;
    server_counts *counts;
    const char *folder; /* what is served, or NULL */
} server;

/* Start it; tls: with a certificate for localhost and 127.0.0.1 that is written to `ca`. folder: served with the layout of a
 * hub (exchange.h); the file .requests in it tells what was asked. */
void server_start(server *s, const char *folder, const char *ca);
void server_stop(server *s);

unsigned char server_byte(int64_t i, unsigned salt);
void server_digest(int64_t size, unsigned salt, char hex[FT_SHA256_HEX]);

/* A gzip stream of `size` zeros; gives its length. room >= size / 158 + 400. */
size_t server_gzip_zeros(unsigned char *out, size_t room, int64_t size);

#endif
