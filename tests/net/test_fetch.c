/* tests/net/test_fetch.c - the command line against a server with the layout of a hub: runs tests/net/fetch*.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetching.h"
#include "server.h"

int main(void)
{
    static const char *const scripts[] = { "fetch.sh", "fetch_settings.sh", "fetch_kept.sh" };
    char *dir = scratch_new(), *keys = scratch_new(), value[600];
    int failed = 0;

    if (!getenv("FTPIPE")) {
        fprintf(stderr, "FTPIPE must name the program\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        char command[64];
        server web, safe;
        scratch_remove(dir);
        dir = scratch_new();
        snprintf(value, sizeof value, "%s/ca.pem", keys);
        setenv("CA", value, 1);
        server_start(&safe, dir, value);
        server_start(&web, dir, NULL);
        snprintf(value, sizeof value, "https://127.0.0.1:%d", safe.port);
        setenv("SAFE", value, 1);
        snprintf(value, sizeof value, "http://127.0.0.1:%d", web.port);
        setenv("SERVER", value, 1);
        setenv("SITE", dir, 1);
        snprintf(command, sizeof command, "sh tests/net/%s", scripts[i]);
        fflush(NULL);
        const int status = system(command);
        /* neither token nor login ever went to the host of large files */
        const long elsewhere = atomic_load(&web.counts->token_elsewhere) + atomic_load(&web.counts->login_elsewhere) +
                               atomic_load(&safe.counts->token_elsewhere) + atomic_load(&safe.counts->login_elsewhere);
        printf("%s: %d passed, %d failed\n", scripts[i], elsewhere == 0, elsewhere != 0);
        failed |= status != 0 || elsewhere != 0;
        server_stop(&web);
        server_stop(&safe);
    }
    scratch_remove(dir);
    scratch_remove(keys);
    return failed;
}
