/* tests/net/test_settings.c - what the environment says about downloads: proxies, ~/.netrc, certificate authorities; speed, size,
 * mirrors, several files at once. Counted at the server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"
#include "fetching.h"
#include "net/guard.h"
#include "server.h"
#include "tls.h"

enum { SIZE = 60000 };

static server web, safe;
static char *dir, *keys, ca[600], other_ca[600];
static char right[FT_SHA256_HEX]; /* digest of SIZE bytes */

static const char *const variables[] = {
    "http_proxy", "https_proxy", "HTTPS_PROXY",   "all_proxy",      "ALL_PROXY",    "no_proxy",          "NO_PROXY",
    "NETRC",      "HOME",        "SSL_CERT_FILE", "CURL_CA_BUNDLE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"
};

static int clear(void **state)
{
    (void)state;
    scratch_remove(dir);
    dir = scratch_new();
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
    for (int i = 0; i < 2; i++) memset((void *)(i ? &safe : &web)->counts, 0, sizeof *web.counts);
    return 0;
}

static void set_address(const char *variable, int port)
{
    char text[64];
    snprintf(text, sizeof text, "http://127.0.0.1:%d", port);
    setenv(variable, text, 1);
}

static fetched get(const char *scheme, const char *host, int port, const char *path, const char *token)
{
    char url[400], path_there[512];
    snprintf(url, sizeof url, "%s://%s:%d/%s", scheme, host, port, path);
    snprintf(path_there, sizeof path_there, "%s/file", dir);
    unlink(path_there);
    const fetch f = { .urls = { url }, .token = token, .dir = dir };
    return fetch_file(&f);
}

static void arrives(fetched got)
{
    if (got.err.code) fprintf(stderr, "%s\n", got.err.msg);
    assert_int_equal(got.err.code, FT_OK);
    assert_string_equal(got.sha256, right);
}

static void fails_with(fetched got, const char *phrase)
{
    if (got.err.code != FT_ENET || !strstr(got.err.msg, phrase)) fprintf(stderr, "'%s'\n", got.err.msg);
    assert_int_equal(got.err.code, FT_ENET);
    assert_non_null(strstr(got.err.msg, phrase));
    assert_string_equal(got.sha256, "");
}

#define COUNT(s, what) atomic_load(&(s).counts->what)

/* ==== Proxies ==== */

static void addresses_go_through_a_proxy(void **state)
{
    (void)state;
    set_address("http_proxy", web.port);
    arrives(get("http", "data.example", web.port, "plain/60000", NULL)); /* a name that only the proxy knows */
    assert_int_equal(COUNT(web, proxied), 1);
    arrives(get("http", "127.0.0.1", web.port, "plain/60000", NULL));
    assert_int_equal(COUNT(web, proxied), 2);
}

static void secure_addresses_go_through_a_tunnel(void **state)
{
    static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clear(NULL);
        set_address(names[i], web.port);
        fails_with(get("https", "localhost", safe.port, "plain/60000", NULL), "certificate"); /* verified at its end */
        assert_true(COUNT(web, tunnels) > 0);
        setenv("SSL_CERT_FILE", ca, 1);
        arrives(get("https", "localhost", safe.port, "plain/60000", "secret"));
        assert_int_equal(COUNT(web, proxied), 0);
        assert_int_equal(COUNT(web, token_here), 0); /* the proxy does not see the token */
        assert_int_equal(COUNT(safe, token_here), 1);
    }
}

static void some_hosts_need_no_proxy(void **state)
{
    (void)state;
    set_address("http_proxy", 1); /* nobody is there */
    fails_with(get("http", "127.0.0.1", web.port, "plain/60000", NULL), "127.0.0.1");
    setenv("no_proxy", "example.org,127.0.0.1", 1);
    arrives(get("http", "127.0.0.1", web.port, "plain/60000", NULL));
    assert_int_equal(COUNT(web, proxied), 0);
}

/* ==== ~/.netrc ==== */

static void write_netrc(const char *path, const char *host)
{
    char text[200];
    ft_err e;
    snprintf(text, sizeof text, "machine %s\nlogin someone\npassword topsecret\n", host);
    assert_int_equal(ft_file_write(path, text, strlen(text), &e), FT_OK);
    assert_int_equal(chmod(path, 0600), 0);
}

static void a_login_goes_to_its_own_host(void **state)
{
    char path[600];
    (void)state;
    fails_with(get("http", "127.0.0.1", web.port, "private/60000", NULL), "401");
    snprintf(path, sizeof path, "%s/.netrc", dir);
    write_netrc(path, "127.0.0.1");
    setenv("HOME", dir, 1);
    arrives(get("http", "127.0.0.1", web.port, "private/60000", NULL));
    assert_true(COUNT(web, login_here) > 0);
    const long before = COUNT(web, login_here);
    arrives(get("http", "127.0.0.1", web.port, "to-other-host/60000", NULL));
    assert_int_equal(COUNT(web, login_here), before + 1);
    assert_int_equal(COUNT(web, login_elsewhere), 0);
    assert_int_equal(COUNT(web, token_elsewhere), 0);
}

static void netrc_can_lie_elsewhere(void **state)
{
    char path[600];
    (void)state;
    snprintf(path, sizeof path, "%s/logins", dir);
    write_netrc(path, "127.0.0.2");
    setenv("NETRC", path, 1);
    fails_with(get("http", "127.0.0.1", web.port, "private/60000", NULL), "401");
    arrives(get("http", "127.0.0.2", web.port, "private/60000", NULL));
    assert_int_equal(COUNT(web, login_here), 0);
}

/* A host that has a login and is sent a token gets the token alone. */
static void a_token_stands_before_a_login(void **state)
{
    char path[600];
    (void)state;
    snprintf(path, sizeof path, "%s/logins", dir);
    write_netrc(path, "127.0.0.1");
    setenv("NETRC", path, 1);
    arrives(get("http", "127.0.0.1", web.port, "plain/60000", "secret"));
    assert_int_equal(COUNT(web, token_here), 1);
    assert_int_equal(COUNT(web, login_here), 0);
}

/* ==== Certificate authorities ==== */

static void authorities_come_from_the_environment(void **state)
{
    static const char *const names[] = { "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clear(NULL);
        setenv(names[i], ca, 1);
        arrives(get("https", "127.0.0.1", safe.port, "plain/60000", NULL));
        setenv(names[i], other_ca, 1);
        fails_with(get("https", "127.0.0.1", safe.port, "plain/60000", NULL), "certificate");
    }
    clear(NULL);
    tls_hashed(ca, dir);
    fails_with(get("https", "127.0.0.1", safe.port, "plain/60000", NULL), "certificate");
    setenv("SSL_CERT_DIR", dir, 1);
    arrives(get("https", "127.0.0.1", safe.port, "plain/60000", NULL));
}

/* The certificate is one for 127.0.0.1; the same server also answers at 127.0.0.2. */
static void a_certificate_of_another_host_is_refused(void **state)
{
    (void)state;
    setenv("SSL_CERT_FILE", ca, 1);
    fails_with(get("https", "127.0.0.2", safe.port, "plain/60000", NULL), "127.0.0.2");
    ft_guard_off = FT_GUARD_TLS;
    const int code = get("https", "127.0.0.2", safe.port, "plain/60000", NULL).err.code;
    ft_guard_off = 0;
    assert_int_equal(code, FT_OK);
}

static void a_file_of_authorities_that_is_missing_is_named(void **state)
{
    (void)state;
    setenv("SSL_CERT_FILE", "/nowhere/ca.pem", 1);
    fails_with(get("https", "127.0.0.1", safe.port, "plain/60000", NULL), "/nowhere/ca.pem");
}

/* ==== Several ==== */

/* Fetch `count` files of `path`/0, 1, ...; gives how many are right. */
static int fetch_many(const char *path, int count, const ft_download_limits *limits, double *seconds)
{
    enum { MOST = 8 };
    char url[MOST][256], to[MOST][600], partial[600], sha[FT_SHA256_HEX];
    ft_downloads *ds;
    size_t index, running = 1;
    int good = 0;
    ft_err e;

    snprintf(partial, sizeof partial, "%s/partial", dir);
    assert_int_equal(ft_downloads_new(&ds, limits, &e), FT_OK);
    for (int i = 0; i < count; i++) {
        snprintf(url[i], sizeof url[i], "http://127.0.0.1:%d/%s/%d", web.port, path, i);
        snprintf(to[i], sizeof to[i], "%s/file%d", dir, i);
        const char *const urls[] = { url[i] };
        const ft_wanted w = { .urls = urls, .n_urls = 1, .partial = partial, .path = to[i] };
        assert_int_equal(ft_downloads_add(ds, &w, &index, &e), FT_OK);
    }
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    while (running) assert_int_equal(ft_downloads_step(ds, 100, &running, &e), FT_OK);
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (seconds) *seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    ft_downloads_free(ds);
    for (int i = 0; i < count; i++) good += !ft_sha256_file(to[i], sha, &e) && !strcmp(sha, right);
    return good;
}

static void several_files_come_at_once(void **state)
{
    ft_download_limits l = ft_download_defaults;
    (void)state;
    l.parallel = 4;
    assert_int_equal(fetch_many("meet/60000/4", 4, &l, NULL), 4); /* the first is answered when the fourth is there */
    clear(NULL);
    l.parallel = 3;
    assert_int_equal(fetch_many("meet/60000/4", 4, &l, NULL), 0); /* three wait for one that may not come yet */
}

static void the_speed_is_that_of_all_together(void **state)
{
    ft_download_limits l = ft_download_defaults;
    double seconds;
    (void)state;
    l.parallel = 4;
    l.most_per_second = 120000;
    assert_int_equal(fetch_many("plain/60000", 4, &l, &seconds), 4);
    if (seconds <= 1.0) fprintf(stderr, "%.2f s\n", seconds);
    assert_true(seconds > 1.0); /* 240,000 bytes; what a socket holds already comes at once */
    clear(NULL);
    l.most_per_second = 0;
    assert_int_equal(fetch_many("plain/60000", 4, &l, &seconds), 4);
}

static void slow_as_asked_is_not_too_slow(void **state)
{
    ft_download_limits l = ft_download_defaults;
    (void)state;
    l.slow_bytes = 1000000;
    l.slow_seconds = 1;
    l.most_per_second = 40000;
    l.attempts = 1;
    assert_int_equal(fetch_many("plain/60000", 2, &l, NULL), 2);
}

static void mirrors_are_asked_in_order(void **state)
{
    char url[3][128];
    static const char *const paths[] = { "missing/60000", "short/60000", "plain/60000" };
    (void)state;
    fetch f = { .dir = dir };
    for (int i = 0; i < 3; i++) {
        snprintf(url[i], sizeof url[i], "http://127.0.0.1:%d/%s", web.port, paths[i]);
        f.urls[i] = url[i];
    }
    arrives(fetch_file(&f));
    const char *order = web.counts->order;
    assert_int_equal(strncmp(order, "missing short ", 14), 0);
    assert_string_equal(order + strlen(order) - 6, "plain ");
    assert_null(strstr(strstr(order, "plain"), "short")); /* nobody is asked again */
    clear(NULL);
    f.urls[0] = url[2], f.urls[2] = url[0]; /* the first that has it is enough */
    f.dir = dir;
    arrives(fetch_file(&f));
    assert_string_equal(web.counts->order, "plain ");
}

static void larger_than_allowed_is_refused_before_it_comes(void **state)
{
    char url[128];
    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/plain/60000", web.port);
    fetch f = { .urls = { url }, .dir = dir, .most = SIZE - 1 };
    const fetched got = fetch_file(&f);
    fails_with(got, "60000 bytes, more than the limit of 59999");
    assert_int_equal(got.came, 0);
    f.most = SIZE;
    arrives(fetch_file(&f));
}

static int start(void **state)
{
    (void)state;
    char wrong[600];
    dir = scratch_new();
    keys = scratch_new();
    snprintf(ca, sizeof ca, "%s/ca.pem", keys);
    snprintf(other_ca, sizeof other_ca, "%s/other.pem", keys);
    snprintf(wrong, sizeof wrong, "%s", other_ca);
    tls_free(tls_new(wrong)); /* an authority that signed nothing here */
    server_start(&web, NULL, NULL);
    server_start(&safe, NULL, ca);
    server_digest(SIZE, 0, right);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_stop(&web);
    server_stop(&safe);
    scratch_remove(dir);
    scratch_remove(keys);
    return 0;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, clear)
    const struct CMUnitTest tests[] = {
        TEST(addresses_go_through_a_proxy),
        TEST(secure_addresses_go_through_a_tunnel),
        TEST(some_hosts_need_no_proxy),
        TEST(a_login_goes_to_its_own_host),
        TEST(netrc_can_lie_elsewhere),
        TEST(a_token_stands_before_a_login),
        TEST(authorities_come_from_the_environment),
        TEST(a_certificate_of_another_host_is_refused),
        TEST(a_file_of_authorities_that_is_missing_is_named),
        TEST(several_files_come_at_once),
        TEST(the_speed_is_that_of_all_together),
        TEST(slow_as_asked_is_not_too_slow),
        TEST(mirrors_are_asked_in_order),
        TEST(larger_than_allowed_is_refused_before_it_comes),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
