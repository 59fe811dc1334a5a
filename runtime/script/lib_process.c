/* runtime/script/lib_process.c - "ftpipe.core.process": workers, each this program started anew in a process group of its own.
 *
 * A worker dies with the process that started it. Between fork and exec only calls are made that are safe there: this
 * process may have threads, and a library of products hangs in a fork that goes on computing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "script/bind.h"
#include "script/libs.h"

extern char **environ;

/* In the child. Never returns. */
static void become(const char *program, char *const *argv, char *const *env, int messages, pid_t parent)
{
    const int nothing = open("/dev/null", O_RDWR);
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127); /* it died before that took effect */
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(nothing, 1) < 0 || dup2(messages, 2) < 0) _exit(127);
    execve(program, argv, env);
    _exit(127);
}

/* The words of the table at arg as an array that ends with NULL; the table keeps them. */
static char **words(lua_State *L, int arg)
{
    luaL_checktype(L, arg, LUA_TTABLE);
    const lua_Integer n = luaL_len(L, arg);
    char **out = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *out, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, arg, i + 1);
        out[i] = (char *)(uintptr_t)luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    out[n] = NULL;
    return out;
}

/* Whether an entry of the environment is replaced by one of `own` ("NAME=value"). */
static int is_replaced(const char *entry, char *const *own)
{
    for (; *own; own++) {
        const size_t n = strcspn(*own, "=") + 1;
        if (strncmp(entry, *own, n) == 0) return 1;
    }
    return 0;
}

/* process.spawn(program, { argv }, messages path, { "NAME=value" }) -> pid, or nil, message. What the worker says goes to
 * the file, which is made anew; its output goes nowhere. */
static int process_spawn(lua_State *L)
{
    ft_err e;
    const char *program = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 3);
    char **argv = words(L, 2), **own = words(L, 4);
    size_t n = 0, k = 0;

    while (environ[n]) n++;
    char **env = lua_newuserdatauv(L, (n + (size_t)luaL_len(L, 4) + 1) * sizeof *env, 0);
    for (size_t i = 0; i < n; i++)
        if (!is_replaced(environ[i], own)) env[k++] = environ[i];
    for (; *own; own++) env[k++] = *own;
    env[k] = NULL;

    const int messages = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (messages < 0) {
        ft_fail_errno(&e, "%s", path);
        return ft_lua_nil(L, &e);
    }
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) become(program, argv, env, messages, parent);
    close(messages);
    if (pid < 0) {
        ft_fail_errno(&e, "cannot start a worker");
        return ft_lua_nil(L, &e);
    }
    lua_pushinteger(L, (lua_Integer)pid);
    return 1;
}

/* process.wait(seconds) -> pid, exit code or nil, signal or nil of a worker that ended; nil where none did in that time.
 * Asks again and again, because a signal that comes just before a call that waits would not end it. */
static int process_wait(lua_State *L)
{
    const double seconds = luaL_checknumber(L, 1);
    const struct timespec pause = { 0, 5000000 };
    int status = 0;
    pid_t pid = waitpid(-1, &status, WNOHANG);

    for (double waited = 0; pid == 0 && waited < seconds; waited += 0.005) {
        nanosleep(&pause, NULL);
        pid = waitpid(-1, &status, WNOHANG);
    }
    if (pid <= 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)pid);
    if (WIFEXITED(status))
        lua_pushinteger(L, WEXITSTATUS(status));
    else
        lua_pushnil(L);
    if (WIFSIGNALED(status))
        lua_pushinteger(L, WTERMSIG(status));
    else
        lua_pushnil(L);
    return 3;
}

/* process.stop(pid, "interrupt" | "kill"): to the worker's whole group */
static int process_stop(lua_State *L)
{
    static const char *const names[] = { "interrupt", "kill", NULL };
    const pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    luaL_argcheck(L, pid > 1, 1, "is no worker");
    kill(-pid, luaL_checkoption(L, 2, NULL, names) ? SIGKILL : SIGINT);
    return 0;
}

static const luaL_Reg functions[] = {
    { "spawn", process_spawn },
    { "wait", process_wait },
    { "stop", process_stop },
    { NULL, NULL },
};

int ft_open_process(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
