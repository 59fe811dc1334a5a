/* tests/net/fetching.h - one download in a folder of its own, and what came of it. */
#ifndef TESTS_NET_FETCHING_H
#define TESTS_NET_FETCHING_H

#include "net/download.h"

typedef struct fetched {
    ft_err err;
    char sha256[FT_SHA256_HEX]; /* of the file that is there; empty where there is none */
    long long size, came;       /* bytes of the file; bytes over the line */
    double seconds;
    int attempts;
} fetched;

typedef struct fetch {
    const char *urls[4];
    const char *sha256, *token;
    long long most;
    ft_download_limits limits; /* zero: quick ones for tests */
    const char *dir;
} fetch;

/* Download f->urls to f->dir/file, with unfinished files in f->dir/partial. */
fetched fetch_file(const fetch *f);

char *scratch_new(void);                                      /* a new empty folder */
void scratch_remove(char *dir);                               /* ... and gone, dir is freed */
int scratch_count(const char *dir, const char *ending);       /* files below whose names end so */
long long scratch_bytes(const char *dir, const char *ending); /* ... in that folder itself, their bytes */

#endif
