/* tests/net/exchange.h - one request to the test server, shared by its parts. */
#ifndef TESTS_NET_EXCHANGE_H
#define TESTS_NET_EXCHANGE_H

#include "server.h"

typedef struct exchange {
    const server *server;
    int fd, other; /* other: came in at 127.0.0.2 */
    void *tls;
    char head[8192], method[16], path[1024], behaviour[32], etag[80];
    int head_only, turn; /* turn: how often this path was asked for before */
    int64_t size, from;  /* from: first byte asked for, -1: all */
    char if_range[128];
    char authorization[256];
    int login; /* it is a user and password */
} exchange;

int exchange_text(exchange *x, const char *text);
int exchange_body(exchange *x, const void *bytes, size_t n);

/* Serve what lies in the server's folder, with the layout of a model hub; 0 where the path is none of these:
 *   /files/PATH                                         the file, honestly
 *   /api/{models,datasets}/OWNER/NAME/revision/REV      what there is
 *   [/datasets]/OWNER/NAME/resolve/REV/FILE             small files here, large ones by a redirection to the other host
 * Revisions are 40 digits, or "main", which the file REVISION in the folder of a repository names, if it is there. Repositories of
 * the owner "gated" want the token "good". */
int hub_serve(exchange *x);

/* What is asked of a proxy: CONNECT, and addresses with a host. 0 where the request is none of these. */
int proxy_serve(exchange *x);

#endif
