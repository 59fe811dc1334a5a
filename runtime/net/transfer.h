/* runtime/net/transfer.h - single requests to web servers, several at a time; the face of libcurl, loaded when first needed.
 *
 * A transfer is one request and its answer: nothing is retried, no redirection is followed, no body is decoded. Who may be
 * asked what, and what to do with an answer, is decided above (net/download.h).
 *
 * Proxies (https_proxy, no_proxy, ...) and ~/.netrc (or $NETRC) are libcurl's; certificates are verified against
 * $CURL_CA_BUNDLE, $SSL_CERT_FILE, $SSL_CERT_DIR or $REQUESTS_CA_BUNDLE where one is set, else the system's.
 */
#ifndef FT_NET_TRANSFER_H
#define FT_NET_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "net/reply.h"

typedef struct ft_request {
    const char *url;
    int head;             /* ask for the head only */
    const char *token;    /* sent as "Authorization: Bearer", or NULL */
    int64_t from;         /* first byte wanted */
    const char *if_range; /* ... of this version, else everything; or NULL */
    long connect_seconds;
    long slow_bytes, slow_seconds; /* fewer bytes a second for that long are an error */
    /* Called once when the head is complete, then for each piece of the body. Not FT_OK: stop. */
    ft_status (*on_reply)(void *ctx, const ft_reply *r, ft_err *e);
    ft_status (*on_body)(void *ctx, const void *bytes, size_t n, ft_err *e);
    void *ctx;
} ft_request;

/* How a transfer ended. */
typedef enum ft_ending {
    FT_ENDED_WELL,    /* an answer, whatever its status */
    FT_ENDED_EARLY,   /* no or half an answer: it may go better another time */
    FT_ENDED_FOR_GOOD /* it will not: no such host, a certificate that is not trusted, ... */
} ft_ending;

typedef struct ft_transfers ft_transfers;
typedef struct ft_transfer ft_transfer;

ft_status ft_transfers_new(ft_transfers **out, ft_err *e);
void ft_transfers_free(ft_transfers *ts); /* all its transfers must be freed before */

/* Let all transfers together take no more bytes a second than this, over any second; 0: as fast as it goes. libcurl's own limit
 * counts only after what a socket holds was read, which is all of a small file. */
void ft_transfers_limit(ft_transfers *ts, int64_t most_per_second);

/* Begin. The request's texts are copied; ctx must outlive the transfer. */
ft_status ft_transfer_start(ft_transfer **out, ft_transfers *ts, const ft_request *r, ft_err *e);

/* Wait up to that long for something to happen and handle it. *ended: one that ended, or NULL. */
ft_status ft_transfers_wait(ft_transfers *ts, int milliseconds, ft_transfer **ended, ft_err *e);

/* Of one that ended: how, with e filled if not well. A failure of a callback is FT_ENDED_WELL with e->code set. */
ft_ending ft_transfer_result(const ft_transfer *t, const ft_reply **reply, ft_err *e);
void *ft_transfer_ctx(const ft_transfer *t);
void ft_transfer_free(ft_transfer *t); /* NULL is fine; one that runs is broken off */

/* Name and version of the library; NULL where it cannot be loaded. */
const char *ft_transfer_library(void);

#endif
