/* tests/net/site.c - see site.h. */
#include "site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetching.h"
#include "server.h"

static void set_address(const char *variable, const char *scheme, const server *s)
{
    char value[64];
    snprintf(value, sizeof value, "%s://127.0.0.1:%d", scheme, s->port);
    setenv(variable, value, 1);
}

/* Requests at 127.0.0.2, the host of large files, that came with a secret. */
static long given_away(const server *s)
{
    return atomic_load(&s->counts->token_elsewhere) + atomic_load(&s->counts->login_elsewhere);
}

int site_run(const char *script)
{
    char *dir = scratch_new(), *keys = scratch_new(), ca[600], command[128];
    server web, safe;

    if (!getenv("FTPIPE")) {
        fprintf(stderr, "FTPIPE must name the program\n");
        return 2;
    }
    snprintf(ca, sizeof ca, "%s/ca.pem", keys);
    server_start(&safe, dir, ca);
    server_start(&web, dir, NULL);
    setenv("CA", ca, 1);
    setenv("SITE", dir, 1);
    set_address("SAFE", "https", &safe);
    set_address("SERVER", "http", &web);
    snprintf(command, sizeof command, "sh tests/net/%s", script);
    fflush(NULL);
    const int status = system(command);
    const long elsewhere = given_away(&web) + given_away(&safe);
    printf("%d passed, %d failed\n", elsewhere == 0, elsewhere != 0);
    server_stop(&web);
    server_stop(&safe);
    scratch_remove(dir);
    scratch_remove(keys);
    return status != 0 || elsewhere != 0;
}
