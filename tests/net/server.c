/* tests/net/server.c - see server.h. One process for each connection; each serves one request. */
#include "server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "exchange.h"
#include "tls.h"

enum { LIFE = 290 }; /* seconds, at most */

/* ==== Bodies ==== */

unsigned char server_byte(int64_t i, unsigned salt)
{
    const uint64_t x = ((uint64_t)i + salt * 977u) * 0x9E3779B97F4A7C15u;
    return (unsigned char)(x >> 40);
}

void server_digest(int64_t size, unsigned salt, char hex[FT_SHA256_HEX])
{
    unsigned char raw[FT_SHA256_SIZE], piece[4096];
    ft_sha256 h;
    ft_err e;

    if (ft_sha256_init(&h, &e)) abort();
    for (int64_t i = 0; i < size;) {
        size_t n = 0;
        while (n < sizeof piece && i < size) piece[n++] = server_byte(i++, salt);
        if (ft_sha256_update(&h, piece, n, &e)) abort();
    }
    if (ft_sha256_final(&h, raw, &e)) abort();
    ft_sha256_digits(raw, hex);
}

/* ==== gzip of zeros: a literal 0, then copies of 258 bytes at distance 1, in fixed codes (RFC 1951) ==== */

typedef struct bits {
    unsigned char *out;
    size_t n;
    unsigned held, have;
} bits;

static void put(bits *b, unsigned value, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        b->held |= (value >> i & 1u) << b->have;
        if (++b->have == 8) {
            b->out[b->n++] = (unsigned char)b->held;
            b->held = b->have = 0;
        }
    }
}

/* Huffman codes go in from their highest bit. */
static void put_code(bits *b, unsigned code, unsigned count)
{
    for (unsigned i = count; i-- > 0;) put(b, code >> i & 1u, 1);
}

static uint32_t crc_of_zeros(int64_t size)
{
    uint32_t table[256], crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
    for (int64_t i = 0; i < size; i++) crc = table[crc & 255] ^ (crc >> 8);
    return ~crc;
}

size_t server_gzip_zeros(unsigned char *out, size_t room, int64_t size)
{
    static const unsigned char head[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255 };
    bits b = { out, sizeof head, 0, 0 };
    int64_t left = size;

    if (room < (size_t)size / 158 + 400) abort();
    memcpy(out, head, sizeof head);
    put(&b, 1, 1); /* the last block */
    put(&b, 1, 2); /* fixed codes */
    put_code(&b, 0x30, 8), left--;
    for (; left >= 258; left -= 258) put_code(&b, 0xC5, 8), put_code(&b, 0, 5);
    for (; left > 0; left--) put_code(&b, 0x30, 8);
    put_code(&b, 0, 7); /* end */
    if (b.have) put(&b, 0, 8 - b.have);
    const uint32_t tail[2] = { crc_of_zeros(size), (uint32_t)size };
    for (int i = 0; i < 8; i++) out[b.n++] = (unsigned char)(tail[i / 4] >> (8 * (i % 4)));
    return b.n;
}

/* ==== Sending ==== */

static int send_all(exchange *x, const void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        const char *p = (const char *)bytes + done;
        const ssize_t k = x->tls ? tls_write(x->tls, p, n - done) : send(x->fd, p, n - done, MSG_NOSIGNAL);
        if (k <= 0) return -1;
        done += (size_t)k;
    }
    return 0;
}

int exchange_text(exchange *x, const char *text) { return send_all(x, text, strlen(text)); }

int exchange_body(exchange *x, const void *bytes, size_t n)
{
    atomic_fetch_add(&x->server->counts->sent, (long)n);
    return x->head_only ? 0 : send_all(x, bytes, n);
}

/* Bytes first ... last-1; flip: this one is wrong (-1: none). */
static int send_bytes(exchange *x, int64_t first, int64_t last, unsigned salt, int64_t flip)
{
    unsigned char piece[8192];
    while (first < last) {
        size_t n = 0;
        for (; n < sizeof piece && first < last; n++, first++)
            piece[n] = server_byte(first, salt) ^ (first == flip ? 1 : 0);
        if (exchange_body(x, piece, n)) return -1;
    }
    return 0;
}

static void send_head(exchange *x, int status, int64_t length, const char *more)
{
    char text[2048];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %d Told\r\nConnection: close\r\nAccept-Ranges: bytes\r\n", status);
    if (length >= 0) n += snprintf(text + n, sizeof text - (size_t)n, "Content-Length: %lld\r\n", (long long)length);
    if (x->etag[0]) n += snprintf(text + n, sizeof text - (size_t)n, "ETag: \"%s\"\r\n", x->etag);
    snprintf(text + n, sizeof text - (size_t)n, "%s\r\n", more);
    exchange_text(x, text);
}

static void wait_ms(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

/* An honest answer to a range, of which only the first `most` bytes come. */
static void send_part(exchange *x, int64_t most, unsigned salt, int64_t flip)
{
    char range[128] = "";
    char want[160];
    int64_t first = x->from < 0 ? 0 : x->from;

    snprintf(want, sizeof want, "\"%s\"", x->etag);
    if (x->from >= 0 && x->if_range[0] && strcmp(x->if_range, want)) first = 0, x->from = -1;
    if (first > x->size) {
        send_head(x, 416, 0, "");
        return;
    }
    if (x->from >= 0)
        snprintf(range, sizeof range, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)first,
                 (long long)x->size - 1, (long long)x->size);
    send_head(x, x->from >= 0 ? 206 : 200, x->size - first, range);
    send_bytes(x, first, first + most < x->size ? first + most : x->size, salt, flip);
}

static void send_redirect(exchange *x, const char *to)
{
    char more[1400];
    x->etag[0] = '\0';
    snprintf(more, sizeof more, "Location: %s\r\n", to);
    send_head(x, 302, 0, more);
}

/* ==== Behaviours ==== */

static void plain(exchange *x) { send_part(x, x->size, 0, -1); }
static void drop(exchange *x) { send_part(x, SERVER_DROP, 0, -1); }

/* Breaks off once, then sends everything, whatever is asked for. */
static void whole(exchange *x)
{
    if (x->turn > 0) x->from = -1;
    send_part(x, x->turn > 0 ? x->size : x->size / 2, 0, -1);
}

/* Breaks off once, then has another file of the same length, and sends its rest without looking at If-Range. */
static void changed(exchange *x)
{
    snprintf(x->etag, sizeof x->etag, x->turn ? "second" : "first");
    x->if_range[0] = '\0';
    send_part(x, x->turn ? x->size : x->size / 2, x->turn ? 7 : 0, -1);
}

/* Breaks off once, then sends the rest from another place than it says was asked for. */
static void elsewhere(exchange *x)
{
    char range[128];
    if (x->from < 0) {
        send_part(x, x->turn ? x->size : x->size / 2, 0, -1);
        return;
    }
    snprintf(range, sizeof range, "Content-Range: bytes 0-%lld/%lld\r\n", (long long)x->size - x->from - 1,
             (long long)x->size);
    send_head(x, 206, x->size - x->from, range);
    send_bytes(x, 0, x->size - x->from, 0, -1);
}

static void unsatisfied(exchange *x)
{
    if (x->from >= 0)
        send_head(x, 416, 0, "");
    else
        send_part(x, x->turn ? x->size : x->size / 2, 0, -1);
}

static void too_short(exchange *x)
{
    if (x->from >= 0)
        send_head(x, 416, 0, "");
    else
        send_part(x, x->size / 2, 0, -1);
}

static void too_long(exchange *x)
{
    send_head(x, 200, x->size - 1000, "");
    send_bytes(x, 0, x->size, 0, -1);
}

static void flip_once(exchange *x) { send_part(x, x->size, 0, x->turn ? -1 : x->size / 3); }
static void flip(exchange *x) { send_part(x, x->size, 0, x->size / 3); }

/* Ten bytes a second; the last second brings the rest. */
static void slow(exchange *x)
{
    const int64_t first = x->from < 0 ? 0 : x->from;
    char range[128] = "";
    if (x->from >= 0)
        snprintf(range, sizeof range, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)first,
                 (long long)x->size - 1, (long long)x->size);
    send_head(x, x->from >= 0 ? 206 : 200, x->size - first, range);
    for (int i = 0; i < 40; i++) {
        if (send_bytes(x, first + i, first + i + 1, 0, -1)) return;
        wait_ms(100);
    }
    send_bytes(x, first + 40, x->size, 0, -1);
}

static void endless(exchange *x)
{
    x->etag[0] = '\0';
    send_head(x, 200, -1, "");
    send_bytes(x, 0, SERVER_ENDLESS, 0, -1);
}

static void bomb(exchange *x)
{
    unsigned char *zip = malloc(SERVER_ENDLESS / 100);
    const size_t n = server_gzip_zeros(zip, SERVER_ENDLESS / 100, SERVER_ENDLESS);
    send_head(x, 200, (int64_t)n, "Content-Encoding: gzip\r\n");
    exchange_body(x, zip, n);
    free(zip);
}

static void to_other_host(exchange *x)
{
    char to[256];
    snprintf(to, sizeof to, "http://127.0.0.2:%d/plain/%lld", x->server->port, (long long)x->size);
    send_redirect(x, to);
}

/* The rest of the path is the address. */
static void to_address(exchange *x)
{
    const char *to = strstr(x->path, "/=");
    send_redirect(x, to ? to + 2 : "/");
}

static void loop(exchange *x) { send_redirect(x, x->path); }

static void busy_once(exchange *x)
{
    if (x->turn)
        plain(x);
    else
        send_head(x, 503, 0, "Retry-After: 1\r\n");
}

static void busy(exchange *x) { send_head(x, 503, 0, ""); }
static void missing(exchange *x) { send_head(x, 404, 0, "X-Error-Message: no such thing\r\n"); }
static void hangs_up(exchange *x) { (void)x; }

/* A quarter of a megabyte a second, about. */
static void steady(exchange *x)
{
    const int64_t first = x->from < 0 ? 0 : x->from;
    char range[128] = "";
    if (x->from >= 0)
        snprintf(range, sizeof range, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)first,
                 (long long)x->size - 1, (long long)x->size);
    send_head(x, x->from >= 0 ? 206 : 200, x->size - first, range);
    for (int64_t i = first; i < x->size; i += 65536) {
        if (send_bytes(x, i, i + 65536 < x->size ? i + 65536 : x->size, 0, -1)) return;
        wait_ms(20);
    }
}

/* Answers those who come with a user and password. */
static void private(exchange *x)
{
    if (x->login)
        plain(x);
    else
        send_head(x, 401, 0, "");
}

/* Answers when as many are there at once as the path says after the size (/meet/SIZE/COUNT/...); when the first gives up, nobody
 * gets an answer any more. */
static void meet(exchange *x)
{
    int count = 1;
    sscanf(x->path, "/meet/%*d/%d", &count);
    atomic_long *met = &x->server->counts->met;
    atomic_fetch_add(met, 1);
    for (int i = 0; i < 500 && atomic_load(met) > 0 && atomic_load(met) < count; i++) wait_ms(10);
    if (atomic_load(met) >= count) {
        plain(x);
    } else {
        atomic_store(met, -1000);
        send_head(x, 404, 0, "X-Error-Message: nobody else came\r\n");
    }
}

static const struct behaviour {
    const char *name;
    void (*act)(exchange *);
} behaviours[] = {
    { "plain", plain },         { "drop", drop },
    { "whole", whole },         { "changed", changed },
    { "elsewhere", elsewhere }, { "unsatisfied", unsatisfied },
    { "short", too_short },     { "long", too_long },
    { "flip-once", flip_once }, { "flip", flip },
    { "slow", slow },           { "endless", endless },
    { "bomb", bomb },           { "to-other-host", to_other_host },
    { "to", to_address },       { "loop", loop },
    { "busy-once", busy_once }, { "busy", busy },
    { "missing", missing },     { "hangs-up", hangs_up },
    { "steady", steady },       { "private", private },
    { "meet", meet },
};

/* ==== Requests ==== */

static void header(const exchange *x, const char *name, char *value, size_t size)
{
    const size_t n = strlen(name);
    value[0] = '\0';
    for (const char *line = x->head; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (strncasecmp(line, name, n) || line[n] != ':') continue;
        line += n + 1;
        while (*line == ' ') line++;
        snprintf(value, size, "%.*s", (int)strcspn(line, "\r\n"), line);
        return;
    }
}

static int read_head(exchange *x)
{
    size_t n = 0;
    while (n + 1 < sizeof x->head) {
        char *to = x->head + n;
        const ssize_t k = x->tls ? tls_read(x->tls, to, 1) : recv(x->fd, to, sizeof x->head - 1 - n, 0);
        if (k <= 0) return -1;
        n += (size_t)k;
        x->head[n] = '\0';
        if (strstr(x->head, "\r\n\r\n")) return 0;
    }
    return -1;
}

static int count_path(const exchange *x)
{
    unsigned h = 5381;
    for (const char *p = x->path; *p; p++) h = h * 33u + (unsigned char)*p;
    return (int)atomic_fetch_add(&x->server->counts->seen[h % SERVER_PATHS], 1);
}

/* Whatever it is that is not a login counts as a token. */
static void count_secret(const exchange *x)
{
    server_counts *c = x->server->counts;
    if (!x->authorization[0]) return;
    if (x->login)
        atomic_fetch_add(x->other ? &c->login_elsewhere : &c->login_here, 1);
    else
        atomic_fetch_add(x->other ? &c->token_elsewhere : &c->token_here, 1);
}

static void note_order(const exchange *x)
{
    char *order = x->server->counts->order;
    const size_t n = strlen(order);
    snprintf(order + n, SERVER_ORDER - n, "%s ", x->behaviour);
}

/* "METHOD PATH FIRST-BYTE" as a line of the file .requests in the server's folder. */
static void log_request(const exchange *x)
{
    char path[600], line[1200];
    snprintf(path, sizeof path, "%s/.requests", x->server->folder);
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    const int n = snprintf(line, sizeof line, "%s %.1000s %lld\n", x->method, x->path, (long long)x->from);
    if (fd < 0 || write(fd, line, (size_t)n) != n) abort();
    close(fd);
}

static void read_request(exchange *x)
{
    char range[64];
    long long size = 0, from = -1;

    sscanf(x->head, "%15s %1023s", x->method, x->path);
    x->head_only = !strcmp(x->method, "HEAD");
    sscanf(x->path, "/%31[^/]/%lld", x->behaviour, &size);
    x->size = size;
    header(x, "Range", range, sizeof range);
    sscanf(range, "bytes=%lld-", &from);
    x->from = from;
    header(x, "If-Range", x->if_range, sizeof x->if_range);
    header(x, "Authorization", x->authorization, sizeof x->authorization);
    x->login = !strncmp(x->authorization, "Basic ", 6);
    count_secret(x);
    snprintf(x->etag, sizeof x->etag, "v%lld", size);
    atomic_fetch_add(&x->server->counts->requests, 1);
    x->turn = count_path(x);
    atomic_store(&x->server->counts->last_from, (long)from);
    note_order(x);
    if (x->server->folder) log_request(x);
}

static void serve(exchange *x)
{
    if (proxy_serve(x) || (x->server->folder && hub_serve(x))) return;
    for (size_t i = 0; i < sizeof behaviours / sizeof *behaviours; i++)
        if (!strcmp(x->behaviour, behaviours[i].name)) {
            behaviours[i].act(x);
            return;
        }
    missing(x);
}

static void connection(const server *s, int fd, int other, tls *t)
{
    static exchange x;
    memset(&x, 0, sizeof x);
    x.server = s;
    x.fd = fd;
    x.other = other;
    if (t && !(x.tls = tls_accept(t, fd))) return;
    if (read_head(&x)) return;
    read_request(&x);
    serve(&x);
    shutdown(fd, SHUT_WR);
    char rest[512];
    while (recv(fd, rest, sizeof rest, 0) > 0) continue; /* what is not read yet would become a reset */
}

static int listen_at(const char *address, int *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port) };
    socklen_t n = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    inet_pton(AF_INET, address, &a.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 64)) abort();
    getsockname(fd, (struct sockaddr *)&a, &n);
    *port = ntohs(a.sin_port);
    return fd;
}

static void live(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    alarm(LIFE);
}

static void accept_at(const server *s, int listener, int other, tls *t)
{
    for (;;) {
        const int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        if (fork() == 0) {
            live();
            close(listener);
            const struct timeval patience = { 20, 0 };
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
            connection(s, fd, other, t);
            _exit(0);
        }
        close(fd);
    }
}

void server_start(server *s, const char *folder, const char *ca)
{
    memset(s, 0, sizeof *s);
    s->folder = folder;
    s->counts = mmap(NULL, sizeof *s->counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    tls *t = ca ? tls_new(ca) : NULL;
    const int here = listen_at("127.0.0.1", &s->port), there = listen_at("127.0.0.2", &s->port);
    s->pid = fork();
    if (s->pid == 0) {
        live();
        const int other = fork() == 0;
        if (other) live();
        accept_at(s, other ? there : here, other, t);
    }
    setpgid(s->pid, s->pid);
    tls_free(t); /* the server has its own copy */
    close(here);
    close(there);
}

void server_stop(server *s)
{
    if (s->pid > 0) {
        kill(-s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    if (s->counts) munmap(s->counts, sizeof *s->counts);
    memset(s, 0, sizeof *s);
}
