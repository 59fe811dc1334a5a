/* runtime/net/reply.c - see reply.h (RFC 9110, sections 5 and 14.4). */
#include "net/reply.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void ft_reply_clear(ft_reply *r)
{
    memset(r, 0, sizeof *r);
    r->length = r->range_first = r->range_total = r->linked_size = r->retry_after = -1;
}

/* A number of bytes: digits only, no more than fit. */
static int64_t number(const char *text)
{
    int64_t n = 0;
    if (*text < '0' || *text > '9') return -1;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (n > (INT64_MAX - 9) / 10) return -1;
        n = n * 10 + (*text - '0');
    }
    return *text == '\0' || *text == ' ' || *text == '/' || *text == '-' ? n : -1;
}

/* "bytes 100-199/1000"; the whole may be "*". */
static void read_range(ft_reply *r, const char *text)
{
    if (strncasecmp(text, "bytes ", 6)) return;
    r->range_first = number(text + 6);
    const char *slash = strchr(text, '/');
    if (slash) r->range_total = number(slash + 1);
}

static int is_shown(const char *value)
{
    for (; *value; value++)
        if ((unsigned char)*value < 0x20 || *value == 0x7F) return 0;
    return 1;
}

static void read_field(ft_reply *r, const char *name, const char *value)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } texts[] = {
        { "etag", r->etag, sizeof r->etag },
        { "last-modified", r->modified, sizeof r->modified },
        { "content-encoding", r->encoding, sizeof r->encoding },
        { "location", r->location, sizeof r->location },
        { "x-repo-commit", r->commit, sizeof r->commit },
        { "x-linked-etag", r->linked_etag, sizeof r->linked_etag },
        { "x-error-message", r->why, sizeof r->why },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcasecmp(name, texts[i].name)) {
            const int fits = strlen(value) < texts[i].size && is_shown(value);
            snprintf(texts[i].to, texts[i].size, "%s", fits ? value : "");
        }
    if (!strcasecmp(name, "content-length")) r->length = number(value);
    if (!strcasecmp(name, "x-linked-size")) r->linked_size = number(value);
    if (!strcasecmp(name, "content-range")) read_range(r, value);
}

void ft_reply_line(ft_reply *r, const char *bytes, size_t n)
{
    char line[4400];

    while (n && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r')) n--;
    if (n >= sizeof line) return;
    memcpy(line, bytes, n);
    line[n] = '\0';
    if (!strncmp(line, "HTTP/", 5)) {
        const char *space = strchr(line, ' ');
        const int64_t status = space ? number(space + 1) : -1;
        ft_reply_clear(r);
        r->status = status > 0 && status < 1000 ? (int)status : 0;
        return;
    }
    char *colon = strchr(line, ':');
    if (!colon) return;
    *colon++ = '\0';
    while (*colon == ' ' || *colon == '\t') colon++;
    read_field(r, line, colon);
}
