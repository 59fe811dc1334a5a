/* tests/net/proxy.c - see exchange.h. Every name leads to 127.0.0.1: who asks a proxy does not look names up. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exchange.h"

static int connect_to(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a)) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

/* Whether bytes came from one side and went to the other. */
static int pass_on(int from, int to)
{
    char piece[8192];
    const ssize_t n = recv(from, piece, sizeof piece, 0);
    for (ssize_t done = 0; done < n;) {
        const ssize_t k = send(to, piece + done, (size_t)(n - done), MSG_NOSIGNAL);
        if (k <= 0) return 0;
        done += k;
    }
    return n > 0;
}

static void relay(int a, int b)
{
    struct pollfd both[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
    while (poll(both, 2, 20000) > 0) {
        if (both[0].revents && !pass_on(a, b)) return;
        if (both[1].revents && !pass_on(b, a)) return;
    }
}

/* "HOST:PORT", or "http://HOST:PORT/PATH": the port. */
static int port_of(const char *address)
{
    const char *host = strncmp(address, "http://", 7) ? address : address + 7;
    const char *colon = strchr(host, ':');
    return colon ? atoi(colon + 1) : 80;
}

static void tunnel(exchange *x, const char *address)
{
    const int up = connect_to(port_of(address));
    if (up < 0) return;
    exchange_text(x, "HTTP/1.1 200 Connected\r\n\r\n");
    relay(x->fd, up);
    close(up);
}

/* The same request with the path alone, as the server itself reads it. */
static void forward(exchange *x, const char *address)
{
    const char *path = strchr(address + 7, '/'), *rest = strstr(x->head, "\r\n");
    const int up = connect_to(port_of(address));
    char line[1200];

    if (up < 0 || !path || !rest) return;
    snprintf(line, sizeof line, "%s %.1000s HTTP/1.1", x->method, path);
    if (send(up, line, strlen(line), MSG_NOSIGNAL) > 0 && send(up, rest, strlen(rest), MSG_NOSIGNAL) > 0)
        relay(x->fd, up);
    close(up);
}

int proxy_serve(exchange *x)
{
    char address[1024];

    snprintf(address, sizeof address, "%s", x->path);
    if (!strcmp(x->method, "CONNECT")) {
        atomic_fetch_add(&x->server->counts->tunnels, 1);
        tunnel(x, address);
    } else if (!strncmp(address, "http://", 7)) {
        atomic_fetch_add(&x->server->counts->proxied, 1);
        forward(x, address);
    } else {
        return 0;
    }
    return 1;
}
