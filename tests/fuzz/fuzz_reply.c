/* tests/fuzz/fuzz_reply.c - any bytes as the head of a web server's answer, and as the address that it sends us to: texts that can
 * be shown, a verdict that a download can follow, a host and a file name that are ones.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t room)
{
    if (!memchr(text, 0, room)) abort();
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F) abort();
}

static void check_reply(const ft_reply *r)
{
    check_text(r->etag, sizeof r->etag);
    check_text(r->modified, sizeof r->modified);
    check_text(r->encoding, sizeof r->encoding);
    check_text(r->location, sizeof r->location);
    check_text(r->commit, sizeof r->commit);
    check_text(r->linked_etag, sizeof r->linked_etag);
    check_text(r->why, sizeof r->why);
    if (r->length < -1 || r->range_first < -1 || r->range_total < -1 || r->linked_size < -1) abort();
    if (r->status < 0 || r->status > 999) abort();
}

/* An answer to what was asked for from the first byte on; a file with some bytes would want one on disk. */
static void check_verdict(const ft_reply *r, ft_take take)
{
    static char address[] = "http://example.org/data/train.csv";
    char *urls[] = { address };
    ft_err e = { 0 };
    ft_job j = { .take = take, .urls = urls, .n_urls = 1, .current = address, .most = 1 << 20, .room = 1 << 20 };

    j.part.length = -1;
    const ft_verdict v = ft_judge(&j, r, &e);
    if (v == FT_VERDICT_TAKE && take == FT_TAKE_FILE && (r->status == 206 ? r->range_first != 0 : r->status != 200))
        abort();
    if (v == FT_VERDICT_TAKE && take != FT_TAKE_HEAD && j.state.total > j.most) abort();
    if (v == FT_VERDICT_ELSEWHERE && !r->location[0]) abort();
    if (v != FT_VERDICT_TAKE && v != FT_VERDICT_ELSEWHERE && (!e.code || !e.msg[0])) abort();
}

static void check_address(const char *text)
{
    ft_url u;
    ft_err e;
    char name[128];

    ft_url_name(text, name, sizeof name);
    if (!name[0] || name[0] == '.' || strchr(name, '/')) abort();
    if (ft_url_parse(&u, text, &e)) return;
    if (!u.host[0] || strpbrk(u.host, "@/?#\\ ") || u.port < 1 || u.port > 65535) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    ft_reply r;

    ft_reply_clear(&r);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t n = stop ? (size_t)(stop - at) + 1 : (size_t)(end - at);
        ft_reply_line(&r, at, n);
        at += n;
    }
    check_reply(&r);
    check_verdict(&r, FT_TAKE_HEAD);
    check_verdict(&r, FT_TAKE_TEXT);
    check_verdict(&r, FT_TAKE_FILE);
    check_address(r.location);
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_address(text);
    free(text);
    return 0;
}
