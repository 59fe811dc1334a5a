/* runtime/net/url.h - the parts of an http or https address that decide who is spoken to, and what may follow whom. */
#ifndef FT_NET_URL_H
#define FT_NET_URL_H

#include <stddef.h>

#include "core/err.h"

typedef struct ft_url {
    char scheme[8]; /* "http" or "https" */
    char host[256]; /* lower case; of an IPv6 address with its brackets */
    int port;
} ft_url;

/* Other schemes, names without host, and addresses that carry a user or password are refused. */
ft_status ft_url_parse(ft_url *u, const char *text, ft_err *e);

/* The same scheme, host and port: who may get what is meant for the other. */
int ft_url_same_origin(const ft_url *a, const ft_url *b);

/* Whether an answer from `from` may send us to `to`: never from https to http. */
ft_status ft_url_may_follow(const ft_url *from, const ft_url *to, ft_err *e);

/* The last part of the path as a file name: percent signs resolved; letters, digits, "-", "_", "." stay, the rest becomes
 * "_"; no dot in front; "file" where nothing is left. */
void ft_url_name(const char *text, char *name, size_t size);

#endif
