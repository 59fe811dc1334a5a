/* runtime/script/lib_process.c - "ftpipe.core.process": workers, each this program started anew in a process group of its own.
 *
 * A worker dies with the process that started it. Between fork and exec only calls are made that are safe there: this
 * process may have threads, and a library of products hangs in a fork that goes on computing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "script/bind.h"
#include "script/libs.h"

extern char **environ;

#define LAST_WORDS 3 /* the descriptor of a worker's last words: memory that both share, which no full disk concerns */

/* In the child. Never returns. messages: where it speaks to, -1: where this process does. */
static void become(const char *program, char *const *argv, char *const *env, int messages, int last_words, pid_t parent)
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
    signal(SIGTSTP, SIG_DFL);
    signal(SIGTTOU, SIG_IGN); /* it may write to the terminal, whose foreground is another group */
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(nothing, 1) < 0) _exit(127);
    if (messages >= 0 && dup2(messages, 2) < 0) _exit(127);
    if (last_words == LAST_WORDS ? fcntl(last_words, F_SETFD, 0) : dup2(last_words, LAST_WORDS) < 0) _exit(127);
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

/* process.spawn(program, { argv }, messages path or false, { "NAME=value" }) -> pid, last words; or nil, message. What the worker
 * says goes to the file, which is made anew, or to where this process speaks; its output goes nowhere. Its last words are
 * for process.last_words(n), once. */
static int process_spawn(lua_State *L)
{
    ft_err e;
    const char *program = luaL_checkstring(L, 1), *path = lua_toboolean(L, 3) ? luaL_checkstring(L, 3) : NULL;
    char **argv = words(L, 2), **own = words(L, 4);
    size_t n = 0, k = 0;

    while (environ[n]) n++;
    char **env = lua_newuserdatauv(L, (n + (size_t)luaL_len(L, 4) + 1) * sizeof *env, 0);
    for (size_t i = 0; i < n; i++)
        if (!is_replaced(environ[i], own)) env[k++] = environ[i];
    for (; *own; own++) env[k++] = *own;
    env[k] = NULL;

    const int messages = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (path && messages < 0) {
        ft_fail_errno(&e, "%s", path);
        return ft_lua_nil(L, &e);
    }
    const int last_words = memfd_create("last words", MFD_CLOEXEC);
    const pid_t parent = getpid(), pid = last_words < 0 ? -1 : fork();
    if (pid == 0) become(program, argv, env, messages, last_words, parent);
    if (pid < 0) ft_fail_errno(&e, "cannot start a worker");
    if (path) close(messages);
    if (pid < 0) {
        if (last_words >= 0) close(last_words);
        return ft_lua_nil(L, &e);
    }
    lua_pushinteger(L, (lua_Integer)pid);
    lua_pushinteger(L, last_words);
    return 2;
}

/* process.last_words(n) -> what the worker left with process.leave, "" where that is nothing. It has ended. */
static int process_last_words(lua_State *L)
{
    const int fd = (int)luaL_checkinteger(L, 1);
    const off_t size = lseek(fd, 0, SEEK_END);
    char *text = lua_newuserdatauv(L, size > 0 ? (size_t)size : 1, 0);
    const ssize_t n = size > 0 ? pread(fd, text, (size_t)size, 0) : 0;

    close(fd);
    lua_pushlstring(L, text, n > 0 ? (size_t)n : 0);
    return 1;
}

/* process.leave(text): in a worker, its last words */
static int process_leave(lua_State *L)
{
    size_t n, done = 0;
    const char *text = luaL_checklstring(L, 1, &n);

    while (done < n) {
        const ssize_t k = write(LAST_WORDS, text + done, n - done);
        if (k < 0 && errno != EINTR) break;
        if (k > 0) done += (size_t)k;
    }
    return 0;
}

/* Exit code or nil, signal or nil. */
static int push_end(lua_State *L, int status)
{
    if (WIFEXITED(status))
        lua_pushinteger(L, WEXITSTATUS(status));
    else
        lua_pushnil(L);
    if (WIFSIGNALED(status))
        lua_pushinteger(L, WTERMSIG(status));
    else
        lua_pushnil(L);
    return 2;
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
    return push_end(L, status) + 1;
}

/* process.stop(pid, how): to the worker's whole group */
static int process_stop(lua_State *L)
{
    static const char *const names[] = { "interrupt", "kill", "stop", "continue", NULL };
    static const int signals[] = { SIGINT, SIGKILL, SIGSTOP, SIGCONT };
    const pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    luaL_argcheck(L, pid > 1, 1, "is no worker");
    kill(-pid, signals[luaL_checkoption(L, 2, NULL, names)]);
    return 0;
}

/* ==== One that is asked and answers ==== */

typedef struct question {
    pid_t pid;
    int to, from; /* its standard input and output, -1 when closed */
    const char *input;
    size_t left;
    ft_buf output;
    size_t max;
    double deadline;
    const char *problem; /* "time" or "size" */
} question;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void shut(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* In the child: standard input and output are the pipes, messages go where ours go, and nothing else is open. */
static void become_asked(const char *program, char *const *argv, char *const *env, int in, int out, pid_t parent)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0) _exit(127);
    close_range(3, ~0U, 0);
    execve(program, argv, env);
    _exit(127);
}

static ft_status start(question *q, const char *program, char *const *argv, char *const *env, ft_err *e)
{
    int in[2], out[2];
    const pid_t parent = getpid();

    if (pipe2(in, O_CLOEXEC)) return ft_fail_errno(e, "pipe");
    if (pipe2(out, O_CLOEXEC)) {
        close(in[0]);
        close(in[1]);
        return ft_fail_errno(e, "pipe");
    }
    q->pid = fork();
    if (q->pid == 0) become_asked(program, argv, env, in[0], out[1], parent);
    const ft_status s = q->pid < 0 ? ft_fail_errno(e, "cannot start a process") : FT_OK;
    close(in[0]);
    close(out[1]);
    q->to = in[1];
    q->from = out[0];
    fcntl(q->to, F_SETFL, O_NONBLOCK);
    fcntl(q->from, F_SETFL, O_NONBLOCK);
    return s;
}

static void give(question *q)
{
    const ssize_t n = q->left ? write(q->to, q->input, q->left) : 0;
    if (n > 0) {
        q->input += n;
        q->left -= (size_t)n;
    }
    if (q->left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) shut(&q->to);
}

static ft_status take(question *q, ft_err *e)
{
    char piece[65536];
    const ssize_t n = read(q->from, piece, sizeof piece);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return FT_OK;
    if (n <= 0) shut(&q->from);
    if (n <= 0) return FT_OK;
    if (q->output.len + (size_t)n > q->max) q->problem = "size";
    return q->problem ? FT_OK : ft_buf_add(&q->output, piece, (size_t)n, e);
}

/* Hand over the input and take the output, until it is closed or the time is over. */
static ft_status talk(question *q, ft_err *e)
{
    ft_status s = FT_OK;

    while (!s && !q->problem && q->from >= 0) {
        struct pollfd fds[2] = { { q->from, POLLIN, 0 }, { q->to, POLLOUT, 0 } };
        const double rest = q->deadline - now();
        if (rest <= 0) {
            q->problem = "time";
            break;
        }
        if (poll(fds, 2, rest > 1 ? 1000 : (int)(rest * 1000) + 1) <= 0) continue;
        if (fds[1].revents) give(q);
        if (fds[0].revents) s = take(q, e);
    }
    return s;
}

/* Wait for its end, or end it. Returns the status of waitpid. */
static int reap(question *q, int at_once)
{
    const struct timespec pause = { 0, 500000 };
    int status = 0;

    while (!at_once && !q->problem && waitpid(q->pid, &status, WNOHANG) == 0) {
        if (now() > q->deadline) q->problem = "time";
        nanosleep(&pause, NULL);
    }
    if (at_once || q->problem) {
        kill(-q->pid, SIGKILL);
        kill(q->pid, SIGKILL);
        while (waitpid(q->pid, &status, 0) < 0 && errno == EINTR) continue;
    }
    return status;
}

/* process.ask(program, { argv }, { "NAME=value" }, input, seconds, most bytes of output) -> output, exit code or nil, signal or
 * nil; or nil, message; or nil, "time" or "size" where it took too long or said too much and was killed. It sees
 * only the environment that is given here. */
static int process_ask(lua_State *L)
{
    ft_err e;
    const char *program = luaL_checkstring(L, 1);
    char **argv = words(L, 2), **env = words(L, 3);
    question q = { .to = -1, .from = -1, .max = (size_t)luaL_checkinteger(L, 6) };

    q.input = luaL_checklstring(L, 4, &q.left);
    q.deadline = now() + luaL_checknumber(L, 5);
    ft_status s = start(&q, program, argv, env, &e);
    if (!s) s = talk(&q, &e);
    const int status = q.pid > 0 ? reap(&q, s != FT_OK) : 0;
    shut(&q.to);
    shut(&q.from);
    if (s || q.problem) {
        ft_buf_free(&q.output);
        if (s) return ft_lua_nil(L, &e);
        lua_pushnil(L);
        lua_pushstring(L, q.problem);
        return 2;
    }
    lua_pushlstring(L, q.output.data ? q.output.data : "", q.output.len);
    ft_buf_free(&q.output);
    return push_end(L, status) + 1;
}

/* ==== Ctrl-Z ==== */

static volatile sig_atomic_t suspensions;

static void on_suspend(int signal_number)
{
    (void)signal_number;
    suspensions = 1;
}

/* process.catch_suspend(): Ctrl-Z is noted, and who leads stops its workers first. One that the shell has ignored stays so. */
static int process_catch_suspend(lua_State *L)
{
    struct sigaction a;
    (void)L;
    if (sigaction(SIGTSTP, NULL, &a) || a.sa_handler == SIG_IGN) return 0;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_suspend;
    sigaction(SIGTSTP, &a, NULL);
    return 0;
}

/* process.suspended() -> whether Ctrl-Z was typed since it was asked last */
static int process_suspended(lua_State *L)
{
    lua_pushboolean(L, suspensions != 0);
    suspensions = 0;
    return 1;
}

/* process.suspend(): stop here, until the shell lets this process go on */
static int process_suspend(lua_State *L)
{
    (void)L;
    raise(SIGSTOP);
    return 0;
}

static const luaL_Reg functions[] = {
    { "spawn", process_spawn },
    { "last_words", process_last_words },
    { "leave", process_leave },
    { "ask", process_ask },
    { "wait", process_wait },
    { "stop", process_stop },
    { "catch_suspend", process_catch_suspend },
    { "suspended", process_suspended },
    { "suspend", process_suspend },
    { NULL, NULL },
};

int ft_open_process(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
