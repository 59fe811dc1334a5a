/* runtime/cli/main.c - argv to exit code. The commands themselves are lua/ftpipe/cli/<command>.lua.
 *
 * Global options are read here only as far as they are needed before Lua exists: --lua DIR.
 * Exit codes: 0 done, 1 a step failed, 2 usage or bad input, 130 interrupted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "script/host.h"

static void write_text(void *ctx, int stream, const char *text, size_t n)
{
    (void)ctx;
    fwrite(text, 1, n, stream == 1 ? stdout : stderr);
    if (stream != 1) fflush(stderr);
}

int main(int argc, char **argv)
{
    const ft_host_sink sink = { write_text, NULL };
    const char *lua_dir = getenv("FTPIPE_LUA");
    ft_host *host = NULL;
    ft_err e = { 0 };
    char *message = NULL;
    int code = 1, first = 1;

    if (argc > 2 && strcmp(argv[1], "--lua") == 0) {
        lua_dir = argv[2];
        first = 3;
    }
    if (ft_host_new(&host, lua_dir, &sink, &e)) {
        fprintf(stderr, "ftpipe: %s\n", e.msg);
        return 1;
    }
    if (ft_host_call(host, "ftpipe.cli", "main", argc - first, (const char *const *)(argv + first), &code, &message, &e)) {
        fprintf(stderr, "ftpipe: %s\n", message ? message : e.msg);
        code = 1;
    }
    ft_free(message);
    ft_host_free(host);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "ftpipe: cannot write the output\n");
        if (code == 0) code = 1;
    }
    return code;
}
