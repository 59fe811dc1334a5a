/* tests/net/test_processes.c - downloads that are killed, that several processes want at once, and what is left behind; TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"
#include "fetching.h"
#include "net/guard.h"
#include "net/owner.h"
#include "net/partial.h"
#include "server.h"

enum { SIZE = 3000000, KILLS = 4 };

static server web, safe;
static char *dir, *ca;

/* On some file systems flock succeeds for everybody. This one is called instead of the C library's. */
static int locks_lie;
int flock(int fd, int operation) { return locks_lie ? 0 : (int)syscall(SYS_flock, fd, operation); }

static void clear(void)
{
    scratch_remove(dir);
    dir = scratch_new();
}

static void wait_ms(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

static const char *url_of(const server *s, const char *path)
{
    static char url[256];
    snprintf(url, sizeof url, "http%s://127.0.0.1:%d/%s", s == &safe ? "s" : "", s->port, path);
    return url;
}

/* A process of its own that downloads and ends with 0 where the digest is right. */
static pid_t begin(const char *path, const char *sha)
{
    const fetch f = { .urls = { url_of(&web, path) }, .sha256 = sha, .dir = dir };
    const pid_t pid = fork();
    if (pid == 0) {
        const fetched got = fetch_file(&f);
        if (got.err.code && !ft_guard_off) fprintf(stderr, "%s\n", got.err.msg);
        _exit(got.err.code ? 1 : 0);
    }
    return pid;
}

static int ended_well(pid_t pid)
{
    int status = 1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static long long part_bytes(void)
{
    char partial[512];
    snprintf(partial, sizeof partial, "%s/partial", dir);
    return scratch_bytes(partial, ".part");
}

/* Wait until unfinished files have so many bytes together; not for ever. */
static void wait_for_part(long long least)
{
    for (int i = 0; i < 2000 && part_bytes() < least; i++) wait_ms(10);
    assert_true(part_bytes() >= least);
}

/* Kill the download a few times, each time with more there, then let it go on; whether it is right in the end, began where the
 * last one was killed, and nothing came twice. */
static int survives_kills(const char *sha, const char *declared)
{
    long long had = 0;
    clear();
    for (int i = 0; i < KILLS; i++) {
        const pid_t pid = begin("steady/3000000", declared);
        wait_for_part(FT_GUARDS(RESUME) ? had + 400000 : 400000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        had = part_bytes();
    }
    const fetch f = { .urls = { url_of(&web, "steady/3000000") }, .sha256 = declared, .dir = dir };
    const fetched got = fetch_file(&f);
    return got.err.code == FT_OK && !strcmp(got.sha256, sha) && atomic_load(&web.counts->last_from) == had &&
           got.came == SIZE - had && scratch_count(dir, ".part") == 0 && scratch_count(dir, ".about") == 0;
}

static void a_killed_download_goes_on(void **state)
{
    char sha[FT_SHA256_HEX];
    (void)state;
    server_digest(SIZE, 0, sha);
    assert_true(survives_kills(sha, sha));
    assert_true(survives_kills(sha, NULL)); /* by its ETag */
    ft_guard_off = FT_GUARD_RESUME;
    const int held = survives_kills(sha, sha);
    ft_guard_off = 0;
    assert_false(held);
}

static int two_agree(const char *sha)
{
    clear();
    const pid_t a = begin("steady/3000000", sha);
    wait_for_part(100000);
    const pid_t b = begin("steady/3000000", sha);
    const int first = ended_well(a), second = ended_well(b);
    char path[512], hex[FT_SHA256_HEX] = "";
    ft_err e;
    snprintf(path, sizeof path, "%s/file", dir);
    return first && second && !ft_sha256_file(path, hex, &e) && !strcmp(hex, sha) && scratch_count(dir, ".part") == 0;
}

static void two_processes_fetch_one_file(void **state)
{
    char sha[FT_SHA256_HEX];
    (void)state;
    server_digest(SIZE, 0, sha);
    for (locks_lie = 0; locks_lie < 2; locks_lie++) {
        assert_true(two_agree(sha));
        ft_guard_off = FT_GUARD_OWNER;
        const int held = two_agree(sha);
        ft_guard_off = 0;
        assert_false(held);
    }
    locks_lie = 0;
}

/* Change a byte of what a killed download left; whether the next one ends with the right file all the same. */
static int survives_spoilt_bytes(const char *sha)
{
    char partial[512], command[1200];

    clear();
    const pid_t pid = begin("steady/3000000", sha);
    wait_for_part(100000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    snprintf(partial, sizeof partial, "%s/partial", dir);
    snprintf(command, sizeof command,
             "for f in %s/*.part; do printf X | dd of=\"$f\" bs=1 seek=1000 conv=notrunc 2>/dev/null; done", partial);
    assert_int_equal(system(command), 0);
    const fetch f = { .urls = { url_of(&web, "plain/3000000") }, .sha256 = sha, .dir = dir };
    const fetched got = fetch_file(&f);
    return got.err.code == FT_OK && !strcmp(got.sha256, sha);
}

static void spoilt_bytes_are_found(void **state)
{
    char sha[FT_SHA256_HEX];
    (void)state;
    server_digest(SIZE, 0, sha);
    assert_true(survives_spoilt_bytes(sha));
    ft_guard_off = FT_GUARD_DIGEST;
    const int held = survives_spoilt_bytes(sha);
    ft_guard_off = 0;
    assert_false(held);
}

static void only_what_is_proven_gone_is_taken(void **state)
{
    char me[FT_OWNER_SIZE], other[2 * FT_OWNER_SIZE], machine[64], boot[64], space[64], start[64];
    long pid;
    (void)state;
    ft_owner_self(me);
    assert_int_equal(ft_owner_find(me), FT_OWNER_SELF);
    assert_int_equal(sscanf(me, "%63s %63s %63s %ld %63s", machine, boot, space, &pid, start), 5);
    snprintf(other, sizeof other, "%s %s %s %ld %s", "elsewhere", boot, space, pid, start);
    assert_int_equal(ft_owner_find(other), FT_OWNER_UNKNOWN);
    snprintf(other, sizeof other, "%s %s %s %ld %s", machine, "earlier", space, pid, start);
    assert_int_equal(ft_owner_find(other), FT_OWNER_BEFORE);
    snprintf(other, sizeof other, "%s %s %s %ld %s", machine, boot, "pid:[1]", pid, start);
    assert_int_equal(ft_owner_find(other), FT_OWNER_UNKNOWN);
    snprintf(other, sizeof other, "%s %s %s %ld %s", machine, boot, space, pid, "1");
    assert_int_equal(ft_owner_find(other), FT_OWNER_GONE);
    snprintf(other, sizeof other, "%s %s %s %d %s", machine, boot, space, 1 << 22, start);
    assert_int_equal(ft_owner_find(other), FT_OWNER_GONE);
    snprintf(other, sizeof other, "%s %s %s %ld %s", machine, boot, space, (long)getppid(), "-");
    assert_int_equal(ft_owner_find(other), FT_OWNER_UNKNOWN);
    assert_int_equal(ft_owner_find("nonsense"), FT_OWNER_UNKNOWN);
}

/* After a start of the machine, what was not synced may be wrong: only where the digest will tell is it gone on with. */
static void after_a_restart_only_checked_files_go_on(void **state)
{
    char path[600], about[600], text[512], machine[64];
    ft_partial p;
    ft_err e;
    (void)state;
    clear();
    snprintf(path, sizeof path, "%s/abc.1-1-1.part", dir);
    snprintf(about, sizeof about, "%s/abc.1-1-1.about", dir);
    ft_owner_self(text);
    sscanf(text, "%63s", machine);
    snprintf(text, sizeof text, "owner %s earlier pid:[1] 1 1\nurl http://x/y\netag \"e\"\nlength 10\n", machine);
    assert_int_equal(ft_file_write(path, "12345", 5, &e), FT_OK);
    assert_int_equal(ft_file_write(about, text, strlen(text), &e), FT_OK);
    assert_int_equal(ft_partial_open(&p, dir, "abc", 0, &e), FT_OK);
    assert_int_equal(p.size, 0);
    ft_partial_close(&p, 0);
    assert_int_equal(ft_partial_open(&p, dir, "abc", 1, &e), FT_OK);
    assert_int_equal(p.size, 5);
    assert_int_equal(p.length, 10);
    assert_string_equal(p.etag, "\"e\"");
    ft_partial_close(&p, 0);
    assert_int_equal(scratch_count(dir, ""), 0);
}

/* ==== TLS ==== */

static fetched fetch_safe(const char *path)
{
    clear();
    const fetch f = { .urls = { url_of(&safe, path) }, .dir = dir };
    return fetch_file(&f);
}

static void unknown_certificates_are_refused(void **state)
{
    (void)state;
    const fetched got = fetch_safe("plain/5000");
    assert_int_equal(got.err.code, FT_ENET);
    assert_non_null(strstr(got.err.msg, "certificate"));
    ft_guard_off = FT_GUARD_TLS;
    const int code = fetch_safe("plain/5000").err.code;
    ft_guard_off = 0;
    assert_int_equal(code, FT_OK);
}

static void authorities_can_be_named(void **state)
{
    char sha[FT_SHA256_HEX];
    (void)state;
    server_digest(5000, 0, sha);
    setenv("CURL_CA_BUNDLE", ca, 1);
    const fetched got = fetch_safe("plain/5000");
    if (got.err.code) fprintf(stderr, "%s\n", got.err.msg);
    assert_string_equal(got.sha256, sha);
}

static void https_never_becomes_http(void **state)
{
    char path[128];
    (void)state;
    setenv("CURL_CA_BUNDLE", ca, 1);
    snprintf(path, sizeof path, "to/1/=http://127.0.0.1:%d/plain/5000", web.port);
    const fetched got = fetch_safe(path);
    assert_int_equal(got.err.code, FT_ENET);
    assert_non_null(strstr(got.err.msg, "not secure"));
    ft_guard_off = FT_GUARD_SCHEME;
    const int code = fetch_safe(path).err.code;
    ft_guard_off = 0;
    assert_int_equal(code, FT_OK);
}

static int start(void **state)
{
    (void)state;
    char path[512];
    dir = scratch_new();
    char *keys = scratch_new();
    snprintf(path, sizeof path, "%s/ca.pem", keys);
    free(keys);
    ca = strdup(path);
    server_start(&web, NULL, NULL);
    server_start(&safe, NULL, ca);
    for (int i = 0; i < 200 && access(ca, R_OK); i++) wait_ms(10);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_stop(&web);
    server_stop(&safe);
    scratch_remove(dir);
    free(ca);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_download_goes_on),
        cmocka_unit_test(two_processes_fetch_one_file),
        cmocka_unit_test(spoilt_bytes_are_found),
        cmocka_unit_test(only_what_is_proven_gone_is_taken),
        cmocka_unit_test(after_a_restart_only_checked_files_go_on),
        cmocka_unit_test(unknown_certificates_are_refused),
        cmocka_unit_test(authorities_can_be_named),
        cmocka_unit_test(https_never_becomes_http),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
