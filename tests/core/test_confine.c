/* tests/core/test_confine.c - what a process cannot do any more once it has given it up, and could before.
 *
 * Every attempt is made twice in a process of its own: bare, where it must succeed, and confined, where it must fail.
 * Where the kernel lacks a protection its tests are skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/beneath.h"
#include "core/landlock.h"
#include "core/seccomp.h"

static char base[64]; /* a folder with in/ (allowed) and out/ (not) */

static const char *path(const char *name)
{
    static char text[8][128];
    static int k;
    k = (k + 1) % 8;
    snprintf(text[k], sizeof text[k], "%s/%s", base, name);
    return text[k];
}

static void put(const char *name, const char *bytes)
{
    const int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0 && write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(base, sizeof base, "%s/ft_confine_XXXXXX", P_tmpdir);
    if (!mkdtemp(base)) return 1;
    mkdir(path("in"), 0755);
    mkdir(path("in/old"), 0755);
    mkdir(path("out"), 0755);
    mkdir(path("staging"), 0755);
    put("in/file", "inside");
    put("in/old/file", "old");
    put("out/file", "outside");
    return symlink("../out/file", path("in/link")) || symlink("file", path("in/near"));
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command);
}

/* Whether an attempt succeeds in a process that did `protect` (may be NULL) before. */
static int succeeds(int (*attempt)(void), int (*protect)(void))
{
    int status = 0;
    const pid_t pid = fork();

    if (pid == 0) {
        if (protect && protect()) _exit(99);
        _exit(attempt() ? 0 : 1);
    }
    assert_true(waitpid(pid, &status, 0) == pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 99);
    return WEXITSTATUS(status) == 0;
}

/* ==== Landlock ==== */

static int opens(const char *name, int flags)
{
    const int fd = open(path(name), flags, 0644);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static int only_in(void)
{
    ft_landlock l;
    ft_err e;
    return ft_landlock_open(&l, &e) || ft_landlock_allow(&l, path("in"), FT_LAND_READ, &e) ||
           ft_landlock_allow(&l, path("staging"), FT_LAND_READ | FT_LAND_WRITE, &e) ||
           ft_landlock_allow(&l, path("not there"), FT_LAND_READ, &e) || ft_landlock_enforce(&l, &e);
}

static int with_entries(void)
{
    ft_landlock l;
    ft_err e;
    return ft_landlock_open(&l, &e) || ft_landlock_allow(&l, path("in"), FT_LAND_READ | FT_LAND_ADD, &e) ||
           ft_landlock_allow(&l, path("staging"), FT_LAND_READ | FT_LAND_WRITE, &e) || ft_landlock_enforce(&l, &e);
}

static int read_in(void) { return opens("in/file", O_RDONLY); }
static int read_out(void) { return opens("out/file", O_RDONLY); }
static int read_by_link(void) { return opens("in/link", O_RDONLY); }
static int list_out(void) { return opens("out", O_RDONLY | O_DIRECTORY); }
static int write_in(void) { return opens("in/file", O_WRONLY); }
static int write_out(void) { return opens("out/new", O_WRONLY | O_CREAT); }
static int write_staging(void) { return opens("staging/file", O_WRONLY | O_CREAT); }
static int truncate_in(void) { return truncate(path("in/file"), 3) == 0; }
static int remove_in(void) { return unlink(path("in/old/file")) == 0; }
static int rename_out(void) { return rename(path("in/file"), path("out/moved")) == 0; }
static int kill_parent(void) { return kill(getppid(), 0) == 0; }

static int run_program(void)
{
    const pid_t pid = fork();
    int status = 1;
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int tcp(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
}

static int publish(void)
{
    mkdir(path("staging/entry"), 0755);
    close(open(path("staging/entry/record"), O_WRONLY | O_CREAT, 0644));
    return mkdir(path("in/aa"), 0755) == 0 && rename(path("staging/entry"), path("in/aa/entry")) == 0;
}

static void without_landlock(void)
{
    if (!ft_landlock_abi()) skip();
}

static void files_outside_are_out_of_reach(void **state)
{
    (void)state;
    without_landlock();
    int (*const attempts[])(void) = { read_out, read_by_link, list_out, write_out, write_in, rename_out, run_program };
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        assert_false(succeeds(attempts[i], only_in));
        assert_true(succeeds(attempts[i], NULL));
        rename(path("out/moved"), path("in/file"));
    }
    assert_true(succeeds(read_in, only_in));
    assert_true(succeeds(write_staging, only_in));
}

static void later_versions_watch_over_truncation_tcp_and_signals(void **state)
{
    (void)state;
    if (ft_landlock_abi() < 6) skip();
    assert_false(succeeds(truncate_in, only_in));
    assert_false(succeeds(tcp, only_in));
    assert_false(succeeds(kill_parent, only_in));
    assert_true(succeeds(tcp, NULL));
    assert_true(succeeds(kill_parent, NULL));
    assert_true(succeeds(truncate_in, NULL));
}

static void entries_can_be_added_and_none_changed(void **state)
{
    (void)state;
    if (ft_landlock_abi() < 2) skip();
    assert_true(succeeds(publish, with_entries));
    assert_false(succeeds(write_in, with_entries));
    assert_false(succeeds(remove_in, with_entries));
    assert_true(succeeds(remove_in, NULL));
}

/* ==== seccomp ==== */

static int as_evaluation(void) { return ft_seccomp_enforce(FT_SECCOMP_EVALUATE, NULL); }
static int as_step(void) { return ft_seccomp_enforce(FT_SECCOMP_STEP, NULL); }

static void *answer(void *x)
{
    *(int *)x = 42;
    return NULL;
}

static int thread(void)
{
    pthread_t t;
    int x = 0;
    return pthread_create(&t, NULL, answer, &x) == 0 && pthread_join(t, NULL) == 0 && x == 42;
}

static int sockets(void)
{
    int two[2];
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 && socket(AF_UNIX, SOCK_STREAM, 0) >= 0 &&
           socketpair(AF_UNIX, SOCK_STREAM, 0, two) == 0;
}

static int child(void)
{
    const pid_t pid = fork();
    if (pid == 0) _exit(0);
    return pid > 0;
}

static int trace(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0; }
static int change_mode(void) { return chmod(path("out/file"), 0600) == 0; }
static int memory(void)
{
    char *p = malloc(64 << 20);
    if (p) memset(p, 1, 64 << 20);
    const int ok = p && p[12345] == 1;
    free(p);
    return ok;
}
static int write_any(void) { return opens("out/file", O_WRONLY); }
static int signal_itself(void) { return kill(getpid(), 0) == 0; }
static int remove_any(void) { return unlink(path("out/gone")) == 0; }

static void without_seccomp(void)
{
    if (!ft_seccomp_works()) skip();
}

static void evaluation_can_read_and_compute(void **state)
{
    (void)state;
    without_seccomp();
    put("out/gone", "x");
    assert_true(succeeds(read_in, as_evaluation));
    assert_true(succeeds(memory, as_evaluation));
    int (*const attempts[])(void) = { sockets,   child,     run_program, trace,     change_mode,
                                      write_any, write_out, thread,      remove_any };
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        assert_false(succeeds(attempts[i], as_evaluation));
        assert_true(succeeds(attempts[i], NULL));
    }
}

static void steps_have_threads_and_files_and_nothing_else(void **state)
{
    (void)state;
    without_seccomp();
    int (*const kept[])(void) = { thread, write_any, memory, read_out, remove_any };
    int (*const gone[])(void) = { sockets, child, run_program, trace, change_mode, signal_itself };
    put("out/gone", "x");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) assert_true(succeeds(kept[i], as_step));
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        assert_false(succeeds(gone[i], as_step));
        assert_true(succeeds(gone[i], NULL));
    }
}

/* ==== Paths ==== */

static ft_status check(const char *name)
{
    ft_err e;
    return ft_beneath_check(path("in"), name, &e);
}

/* Where there is no openat2, links are refused wherever they lead. */
static int walks(void)
{
    return check("file") == FT_OK && check("old/file") == FT_OK && check("link") == FT_EUSAGE &&
           check("near") == FT_EUSAGE && check("../out/file") == FT_EUSAGE && check("old/missing") == FT_OK;
}

static void paths_stay_beneath(void **state)
{
    (void)state;
    ft_buf b = { 0 };
    ft_err e;

    if (syscall(SYS_openat2, -1, NULL, NULL, 0) && errno == ENOSYS) { /* under qemu-user, too */
        assert_true(walks());
        return;
    }
    assert_int_equal(check("file"), FT_OK);
    assert_int_equal(check("near"), FT_OK);
    assert_int_equal(check("old/../file"), FT_OK);
    assert_int_equal(check("not/there"), FT_OK);
    assert_int_equal(check(""), FT_OK);
    assert_int_equal(check("link"), FT_EUSAGE);
    assert_int_equal(check("../out/file"), FT_EUSAGE);
    assert_int_equal(check("old/../../out/file"), FT_EUSAGE);
    assert_int_equal(ft_beneath_read(&b, path("in"), "near", 100, &e), FT_OK);
    assert_string_equal(b.data, "inside");
    assert_int_equal(ft_beneath_read(&b, path("in"), "near", 8, &e), FT_EDATA);
    assert_int_equal(ft_beneath_read(&b, path("in"), "link", 100, &e), FT_EUSAGE);
    assert_int_equal(ft_beneath_read(&b, path("in"), "../out/file", 100, &e), FT_EUSAGE);
    assert_int_equal(ft_beneath_read(&b, path("in"), "missing", 100, &e), FT_EIO);
    ft_buf_free(&b);
    assert_true(opens("in/link", O_RDONLY)); /* a plain open follows it */
}

/* As on a kernel before 5.6. */
static int without_openat2(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = { sizeof code / sizeof *code, code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

static void paths_stay_beneath_without_openat2(void **state)
{
    (void)state;
    without_seccomp();
    assert_true(succeeds(walks, without_openat2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_stay_beneath),
        cmocka_unit_test(paths_stay_beneath_without_openat2),
        cmocka_unit_test(files_outside_are_out_of_reach),
        cmocka_unit_test(later_versions_watch_over_truncation_tcp_and_signals),
        cmocka_unit_test(evaluation_can_read_and_compute),
        cmocka_unit_test(steps_have_threads_and_files_and_nothing_else),
        cmocka_unit_test(entries_can_be_added_and_none_changed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
