/* runtime/net/reply.h - the head of a web server's answer, read line by line. Any bytes may come. */
#ifndef FT_NET_REPLY_H
#define FT_NET_REPLY_H

#include <stddef.h>
#include <stdint.h>

/* What the head of an answer says. Texts are empty and numbers -1 where it says nothing, or something that is too long or has
 * control bytes in it: texts are shown and sent. */
typedef struct ft_reply {
    int status;
    char etag[300], modified[64], encoding[64], location[4000];
    int64_t length;                    /* of this answer's body */
    int64_t range_first, range_total;  /* of a 206: first byte, size of the whole */
    char commit[64], linked_etag[300]; /* X-Repo-Commit, X-Linked-ETag */
    int64_t linked_size;               /* X-Linked-Size */
    char why[300];                     /* X-Error-Message */
    long retry_after;                  /* seconds */
} ft_reply;

void ft_reply_clear(ft_reply *r);

/* One line of the head, with or without its end. "HTTP/..." begins anew. */
void ft_reply_line(ft_reply *r, const char *bytes, size_t n);

#endif
