/* tests/net/test_hostile.c - downloads from servers that misbehave: the right bytes or a clear error.
 *
 * Each row also runs with its one protection switched off, and must then not hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fetching.h"
#include "net/guard.h"
#include "server.h"

enum { SIZE = 2000000, AGAIN = 1 << 20 };

typedef struct row {
    const char *name, *path; /* "%s" in the path: the folder of the test */
    unsigned guard;
    long long size;     /* of the right file; 0: an error is right */
    int salt, declared; /* which file is right; its digest is given (or, for an error, that of another) */
    const char *says;   /* part of the error */
    long long most;     /* bytes allowed */
    double least_seconds, most_seconds;
    long long came; /* most bytes over the line */
} row;

static server web;
static char *dir;

/* Whether a row holds; what went otherwise is told on standard error where `loud`. */
static int holds(const row *r, int loud)
{
    char url[256], sha[FT_SHA256_HEX], address[200];
    fetch f = { .dir = dir, .most = r->most, .token = "secret" };

    atomic_store(&web.counts->token_elsewhere, 0);
    for (int i = 0; i < SERVER_PATHS; i++) atomic_store(&web.counts->seen[i], 0);
    snprintf(address, sizeof address, r->path, dir);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", web.port, address);
    f.urls[0] = url;
    server_digest(r->size ? r->size : SIZE, (unsigned)r->salt, sha);
    if (r->declared) f.sha256 = sha;
    if (r->most_seconds > 0)
        f.limits = (ft_download_limits){ .connect_seconds = 5,
                                         .slow_bytes = 1000,
                                         .slow_seconds = 1,
                                         .attempts = 2,
                                         .pause_ms = 10,
                                         .longest_pause_s = 5,
                                         .parallel = 1 };
    const fetched got = fetch_file(&f);
    char file[512];
    snprintf(file, sizeof file, "%s/file", dir);
    unlink(file);
    const int right = r->size ? got.err.code == FT_OK && !strcmp(got.sha256, sha)
                              : got.err.code == FT_ENET && strstr(got.err.msg, r->says) != NULL && !got.sha256[0];
    const int quiet = atomic_load(&web.counts->token_elsewhere) == 0;
    const int paced = got.seconds >= r->least_seconds && (r->most_seconds <= 0 || got.seconds < r->most_seconds);
    const int modest = !r->came || got.came <= r->came;
    if (loud && !(right && quiet && paced && modest))
        fprintf(stderr, "%s: error %d '%s', %lld bytes (%lld came) in %.1f s, tokens elsewhere %ld\n", r->name,
                got.err.code, got.err.code ? got.err.msg : "", got.size, got.came, got.seconds,
                (long)atomic_load(&web.counts->token_elsewhere));
    return right && quiet && paced && modest;
}

static void clear(void)
{
    scratch_remove(dir);
    dir = scratch_new();
}

static const row rows[] = {
    { "drops", "drop/2000000", FT_GUARD_RESUME, SIZE, 0, 1, .came = SIZE + AGAIN },
    { "200 for 206", "whole/2000000", FT_GUARD_RANGE, SIZE, 0, 0, .came = SIZE * 3 / 2 },
    { "another part than asked for", "elsewhere/2000000", FT_GUARD_RANGE, SIZE, 0, 0, .came = SIZE * 2 },
    { "changed ETag", "changed/2000000", FT_GUARD_ETAG, SIZE, 7, 0, .came = SIZE * 2 },
    { "416", "unsatisfied/2000000", FT_GUARD_416, SIZE, 0, 1, .came = SIZE * 3 / 2 },
    { "ends early", "short/2000000", FT_GUARD_LENGTH, 0, 0, 0, .says = "/short/2000000" },
    { "longer than announced", "long/2000000", FT_GUARD_DIGEST, 0, 0, 1, .says = "was promised" },
    { "a flipped byte, once", "flip-once/2000000", FT_GUARD_DIGEST, SIZE, 0, 1, .came = SIZE * 2 },
    { "a flipped byte, always", "flip/2000000", FT_GUARD_DIGEST, 0, 0, 1, .says = "its SHA-256 is" },
    { "redirect to another host", "to-other-host/2000000", FT_GUARD_TOKEN, SIZE, 0, 1, .came = SIZE },
    { "redirect to a file", "to/1/=file://%s/secret", FT_GUARD_SCHEME, 0, 0, 0, .says = "not on the web" },
    { "10 bytes a second", "slow/200000", FT_GUARD_SLOW, 0, 0, 0, .says = "too slow", .most_seconds = 60 },
    { "endless", "endless/0", FT_GUARD_SIZE, 0, 0, 0, .says = "limit", .most = 1 << 20, .came = (1 << 20) + 65536 },
    { "larger than the limit", "plain/2000000", FT_GUARD_SIZE, 0, 0, 0, .says = "more than the limit",
      .most = 1 << 20 },
    { "gzip bomb", "bomb/0", FT_GUARD_ENCODING, 0, 0, 0, .says = "compresses", .came = 200000 },
    { "busy, with Retry-After", "busy-once/20000", FT_GUARD_RETRY_AFTER, 20000, 0, 1, .least_seconds = 1 },
};

static void holds_and_needs_its_protection(void **state)
{
    const row *r = *state;
    char secret[512];

    for (int off = 0; off < 2; off++) {
        clear();
        snprintf(secret, sizeof secret, "%s/secret", dir);
        FILE *f = fopen(secret, "w");
        if (!f || fputs("not for the web\n", f) < 0 || fclose(f)) abort();
        ft_guard_off = off ? r->guard : 0;
        const int held = holds(r, !off);
        ft_guard_off = 0;
        if (held && off) fprintf(stderr, "%s: also holds without its protection\n", r->name);
        assert_int_equal(held, !off);
    }
}

static void fails_saying(const char *path, const char *phrase)
{
    char url[256];
    clear();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", web.port, path);
    const fetch f = { .urls = { url }, .dir = dir };
    const fetched got = fetch_file(&f);
    if (got.err.code != FT_ENET || !strstr(got.err.msg, phrase)) fprintf(stderr, "%s: '%s'\n", path, got.err.msg);
    assert_int_equal(got.err.code, FT_ENET);
    assert_non_null(strstr(got.err.msg, phrase));
    assert_string_equal(got.sha256, "");
    assert_int_equal(scratch_count(dir, ".part"), 0);
}

static void refusals_are_told(void **state)
{
    (void)state;
    fails_saying("missing/1", "404: not found (no such thing)");
    fails_saying("busy/1", "503");
    fails_saying("loop/1", "again and again");
    fails_saying("hangs-up/1", "/hangs-up/1");
}

static void mirrors_are_tried_in_order(void **state)
{
    char missing[128], busy[128], good[128], sha[FT_SHA256_HEX];
    (void)state;
    clear();
    snprintf(missing, sizeof missing, "http://127.0.0.1:%d/missing/1", web.port);
    snprintf(busy, sizeof busy, "http://127.0.0.1:%d/flip/50000", web.port);
    snprintf(good, sizeof good, "http://127.0.0.1:%d/plain/50000", web.port);
    server_digest(50000, 0, sha);
    const fetch f = { .urls = { missing, busy, good }, .sha256 = sha, .dir = dir };
    const fetched got = fetch_file(&f);
    assert_int_equal(got.err.code, FT_OK);
    assert_string_equal(got.sha256, sha);
}

static void the_token_reaches_its_own_host(void **state)
{
    char url[128];
    (void)state;
    clear();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/plain/5000", web.port);
    atomic_store(&web.counts->token_here, 0);
    const fetch f = { .urls = { url }, .token = "secret", .dir = dir };
    assert_int_equal(fetch_file(&f).err.code, FT_OK);
    assert_int_equal(atomic_load(&web.counts->token_here), 1);
}

static void nobody_there_is_told(void **state)
{
    (void)state;
    clear();
    const fetch f = { .urls = { "http://127.0.0.1:1/x" }, .dir = dir };
    const fetched got = fetch_file(&f);
    assert_int_equal(got.err.code, FT_ENET);
    assert_non_null(strstr(got.err.msg, "127.0.0.1"));
}

static void secrets_in_addresses_are_not_shown(void **state)
{
    char url[128];
    (void)state;
    clear();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/missing/1?signature=topsecret", web.port);
    const fetch f = { .urls = { url }, .dir = dir };
    assert_null(strstr(fetch_file(&f).err.msg, "topsecret"));
    const fetch g = { .urls = { "http://user:pass@127.0.0.1/x" }, .dir = dir };
    const fetched got = fetch_file(&g);
    assert_int_equal(got.err.code, FT_EUSAGE);
    assert_null(strstr(got.err.msg, "pass@"));
}

static int start(void **state)
{
    (void)state;
    dir = scratch_new();
    server_start(&web, NULL, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_stop(&web);
    scratch_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(refusals_are_told),
        cmocka_unit_test(mirrors_are_tried_in_order),
        cmocka_unit_test(the_token_reaches_its_own_host),
        cmocka_unit_test(nobody_there_is_told),
        cmocka_unit_test(secrets_in_addresses_are_not_shown),
    };
    enum { ROWS = sizeof rows / sizeof *rows, OTHERS = sizeof others / sizeof *others };
    struct CMUnitTest tests[ROWS + OTHERS];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){ rows[i].name, holds_and_needs_its_protection, NULL, NULL,
                                        (void *)(uintptr_t)&rows[i] };
    memcpy(tests + ROWS, others, sizeof others);
    return cmocka_run_group_tests(tests, start, stop);
}
