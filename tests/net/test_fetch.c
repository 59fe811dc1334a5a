/* tests/net/test_fetch.c - the command line against a server with the layout of a hub: runs tests/net/fetch.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetching.h"
#include "server.h"

int main(void)
{
    char *dir = scratch_new(), value[256];
    server web;

    if (!getenv("FTPIPE")) {
        fprintf(stderr, "FTPIPE must name the program\n");
        return 2;
    }
    server_start(&web, dir, NULL);
    snprintf(value, sizeof value, "http://127.0.0.1:%d", web.port);
    setenv("SERVER", value, 1);
    setenv("SITE", dir, 1);
    fflush(NULL);
    const int status = system("sh tests/net/fetch.sh");
    const long elsewhere = atomic_load(&web.counts->token_elsewhere);
    printf("%d passed, %d failed\n", elsewhere == 0,
           elsewhere != 0); /* the token never went to the host of large files */
    server_stop(&web);
    scratch_remove(dir);
    return status != 0 || elsewhere != 0;
}
