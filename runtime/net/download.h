/* runtime/net/download.h - files from web servers, whole and verified, or an error that says why not.
 *
 * A set of downloads goes on by ft_downloads_step, so that who calls can show progress and stop. A broken answer is
 * continued (Range with If-Range), a busy server asked again later, mirrors are tried in order, redirections are followed
 * only where that is safe, a token is sent to its own host only, and SHA-256 is computed while the bytes come. A file
 * appears under its name when it is complete and right. What is left of a download that was broken off serves the next
 * (net/partial.h).
 */
#ifndef FT_NET_DOWNLOAD_H
#define FT_NET_DOWNLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/sha256.h"
#include "net/transfer.h"

typedef enum ft_take {
    FT_TAKE_FILE,
    FT_TAKE_TEXT, /* into memory, up to `most` bytes */
    FT_TAKE_HEAD  /* the head alone; redirections to other hosts are told, not followed */
} ft_take;

typedef struct ft_wanted {
    ft_take take;
    const char *const *urls; /* mirrors, in order */
    size_t n_urls;
    const char *partial;  /* folder of unfinished files */
    const char *path;     /* of the file; or NULL: */
    const char *store;    /* ... STORE/ab/<sha256>/<last part of the address> */
    const char *sha256;   /* 64 hex digits that the file must have, or NULL */
    const char *git_blob; /* 40 hex digits of its name in git, or NULL */
    const char *token;    /* or NULL; sent to the host of token_url alone */
    const char *token_url;
    int64_t most; /* bytes; 0: what the disk holds */
} ft_wanted;

typedef struct ft_download_limits {
    long connect_seconds;
    long slow_bytes, slow_seconds; /* fewer bytes a second for that long: try again */
    int64_t most_per_second;       /* of all together; 0: no limit */
    int attempts;                  /* without getting on, of one address */
    long pause_ms;                 /* before the second attempt; doubled each time */
    long longest_pause_s;          /* a server that wants a longer one is given up */
    int parallel;
} ft_download_limits;

extern const ft_download_limits ft_download_defaults;

typedef struct ft_download_state {
    int done;
    ft_err err;          /* code FT_OK: it went well */
    int64_t size, total; /* bytes there, and of the whole (-1: not known) */
    int64_t fetched;     /* bytes that came over the line */
    int attempts, drops; /* requests made, answers that broke off */
    char sha256[FT_SHA256_HEX];
    char *path; /* of the file, when done */
    ft_buf text;
    ft_reply reply; /* the last one's head */
    char note[400]; /* why it tries again, if it does */
} ft_download_state;

typedef struct ft_downloads ft_downloads;

ft_status ft_downloads_new(ft_downloads **out, const ft_download_limits *limits, ft_err *e);
/* Everything in w is copied. Folders of path and store are made. */
ft_status ft_downloads_add(ft_downloads *ds, const ft_wanted *w, size_t *index, ft_err *e);
/* Go on for about that long. *running: how many are not done. */
ft_status ft_downloads_step(ft_downloads *ds, int milliseconds, size_t *running, ft_err *e);
const ft_download_state *ft_downloads_state(const ft_downloads *ds, size_t index);
void ft_downloads_free(ft_downloads *ds); /* unfinished files stay for later */

#endif
