/* runtime/net/url.c - see url.h. Paths and queries are libcurl's affair (RFC 3986). */
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/guard.h"

static int hex_value(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int is_host_byte(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == ':' ||
           c == '[' || c == ']';
}

static ft_status read_port(ft_url *u, const char *digits, size_t n, const char *text, ft_err *e)
{
    u->port = 0;
    for (size_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9') return ft_fail(e, FT_EUSAGE, "%.200s: the port is no number", text);
        u->port = u->port * 10 + (digits[i] - '0');
        if (u->port > 65535) return ft_fail(e, FT_EUSAGE, "%.200s: there is no such port", text);
    }
    return u->port ? FT_OK : ft_fail(e, FT_EUSAGE, "%.200s: there is no such port", text);
}

ft_status ft_url_parse(ft_url *u, const char *text, ft_err *e)
{
    const int secure = strncasecmp(text, "https://", 8) == 0;

    if (!secure && strncasecmp(text, "http://", 7) != 0)
        return ft_fail(e, FT_EUSAGE, "%.200s: not an http or https address", text);
    snprintf(u->scheme, sizeof u->scheme, secure ? "https" : "http");
    const char *host = text + (secure ? 8 : 7);
    size_t n = strcspn(host, "/?#\\");
    if (memchr(host, '@', n)) return ft_fail(e, FT_EUSAGE, "an address may not carry a user or password; use ~/.netrc");
    const char *bracket = memchr(host, ']', n),
               *colon = memchr(bracket ? bracket : host, ':', n - (bracket ? (size_t)(bracket - host) : 0));
    u->port = secure ? 443 : 80;
    if (colon) {
        const ft_status s = read_port(u, colon + 1, n - (size_t)(colon + 1 - host), text, e);
        if (s) return s;
        n = (size_t)(colon - host);
    }
    if (n == 0 || n >= sizeof u->host) return ft_fail(e, FT_EUSAGE, "%.200s: there is no host in it", text);
    for (size_t i = 0; i < n; i++) {
        const int c = host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32 : host[i];
        if (!is_host_byte(c)) return ft_fail(e, FT_EUSAGE, "%.200s: the host's name has a strange byte", text);
        u->host[i] = (char)c;
    }
    u->host[n] = '\0';
    return FT_OK;
}

int ft_url_same_origin(const ft_url *a, const ft_url *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0 && a->port == b->port;
}

ft_status ft_url_may_follow(const ft_url *from, const ft_url *to, ft_err *e)
{
    if (FT_GUARDS(SCHEME) && strcmp(from->scheme, "https") == 0 && strcmp(to->scheme, "https") != 0)
        return ft_fail(e, FT_ENET, "%s sends us on to http://%s, which is not secure: refused", from->host, to->host);
    return FT_OK;
}

void ft_url_name(const char *text, char *name, size_t size)
{
    const char *path = strstr(text, "://");
    path = path ? path + 3 : text;
    const char *end = path + strcspn(path, "?#"), *last = end;
    while (last > path && last[-1] != '/') last--;
    if (last == path) last = end; /* there is only a host */

    size_t n = 0;
    for (const char *p = last; p < end && n + 1 < size; p++) {
        int c = (unsigned char)*p;
        if (c == '%' && p + 2 < end && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
            c = hex_value(p[1]) * 16 + hex_value(p[2]);
            p += 2;
        }
        const int plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        name[n] = plain && !(n == 0 && c == '.') ? (char)c : '_';
        n++;
    }
    name[n] = '\0';
    if (n == 0) snprintf(name, size, "file");
}
