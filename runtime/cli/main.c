/* runtime/cli/main.c - argv to exit code. The commands themselves are lua/ftpipe/cli/<command>.lua.
 *
 * Only --lua DIR is read here, because it is needed before Lua exists; it comes before the command. What only C
 * knows about the program travels to Lua as the first argument, lines "name=value".
 * Exit codes: 0 done, 1 a step failed, 2 usage or bad input, 3 locked or a refused access, 4 network,
 * 130 interrupted.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "script/about.h"
#include "script/host.h"

/* Standard output has no reader any more: end as a program does that knows nothing of it. */
static void end_quietly(void)
{
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
}

static void write_text(void *ctx, int stream, const char *text, size_t n)
{
    (void)ctx;
    if (stream == 1) {
        if (fwrite(text, 1, n, stdout) != n && errno == EPIPE) end_quietly();
        return;
    }
    /* What was printed before a message shall also be seen before it. */
    if (fflush(stdout) && errno == EPIPE) end_quietly();
    fwrite(text, 1, n, stderr);
    fflush(stderr);
}

/* Take --lua DIR or --lua=DIR out of the options before the command. Returns how many arguments are left, -1 where
 * DIR is missing. */
static int take_lua_dir(int argc, char **argv, const char **dir)
{
    int kept = 0, i = 0;

    while (i < argc && argv[i][0] == '-') {
        if (strncmp(argv[i], "--lua=", 6) == 0) {
            *dir = argv[i++] + 6;
        } else if (strcmp(argv[i], "--lua") == 0) {
            if (i + 1 == argc) return -1;
            *dir = argv[i + 1];
            i += 2;
        } else {
            argv[kept++] = argv[i++];
        }
    }
    while (i < argc) argv[kept++] = argv[i++];
    return kept;
}

static int run(const char *lua_dir, int argc, char **argv)
{
    const ft_host_sink sink = { write_text, NULL, stdout };
    ft_host *host = NULL;
    ft_err e = { 0 };
    char *message = NULL;
    int code = 1;

    if (ft_host_new(&host, lua_dir, &sink, &e)) {
        fprintf(stderr, "ftpipe: %s\n", e.msg);
        return 1;
    }
    if (ft_host_call(host, "ftpipe.cli", "main", argc, (const char *const *)argv, &code, &message, &e)) {
        fprintf(stderr, "ftpipe: %s\n", message ? message : e.msg);
        code = 1;
    }
    ft_free(message);
    ft_host_free(host);
    return code;
}

/* Threads that wait for work spin; by default for so long that on a machine shared with others every small operation
 * costs milliseconds. The runtime reads its settings before main, hence the second exec (about a millisecond). */
static void spin_briefly(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME") || getenv("OMP_WAIT_POLICY")) return;
    if (setenv("GOMP_SPINCOUNT", "20000", 1) || setenv("KMP_BLOCKTIME", "1", 1)) return;
    execv("/proc/self/exe", argv); /* on failure: go on as we are */
}

int main(int argc, char **argv)
{
    const char *lua_dir = getenv("FTPIPE_LUA");
    char facts[4096];

    spin_briefly(argv);
    /* A training run shall survive that nobody reads its messages any more. */
    signal(SIGPIPE, SIG_IGN);
    if (lua_dir && !*lua_dir) lua_dir = NULL;
    const int n = argc < 1 ? 0 : take_lua_dir(argc - 1, argv + 1, &lua_dir);
    if (n < 0) {
        fprintf(stderr, "ftpipe: --lua needs a directory\n");
        return 2;
    }
    ft_about(facts, sizeof facts, lua_dir);
    char *no_args[] = { facts };
    if (argc > 0) argv[0] = facts;
    int code = run(lua_dir, n + 1, argc > 0 ? argv : no_args);
    if (fflush(stdout) || ferror(stdout)) {
        if (errno == EPIPE) end_quietly();
        fprintf(stderr, "ftpipe: cannot write to standard output: %s\n", strerror(errno));
        if (code == 0) code = 1;
    }
    return code;
}
