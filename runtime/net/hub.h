/* runtime/net/hub.h - what a model hub says about a repository: GET /api/models/<id>/revision/<revision>.
 *
 * Foreign bytes: the commit must be 40 hex digits, names must be relative paths without "..", and nothing is believed that
 * is not there.
 */
#ifndef FT_NET_HUB_H
#define FT_NET_HUB_H

#include <stddef.h>

#include "core/err.h"

typedef struct ft_hub_listing {
    char commit[41];
    char licence[128]; /* "" where it says nothing */
    int gated;         /* its licence must be accepted on its page */
    char **files;
    size_t n;
} ft_hub_listing;

ft_status ft_hub_listing_read(ft_hub_listing *l, const void *bytes, size_t n, ft_err *e);
void ft_hub_listing_free(ft_hub_listing *l);

#endif
