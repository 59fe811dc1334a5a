/* runtime/net/transfer.c - see transfer.h; the only file that sees curl.h. */
#include "net/transfer.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/buf.h"
#include "core/mem.h"
#include "net/guard.h"

/* ==== The library, loaded once ==== */

static struct library {
    CURLcode (*global_init)(long);
    CURL *(*init)(void);
    CURLcode (*set)(CURL *, CURLoption, ...);
    CURLcode (*get)(CURL *, CURLINFO, ...);
    void (*cleanup)(CURL *);
    CURLcode (*pause)(CURL *, int);
    const char *(*error)(CURLcode);
    struct curl_slist *(*append)(struct curl_slist *, const char *);
    void (*free_all)(struct curl_slist *);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_add)(CURLM *, CURL *);
    CURLMcode (*multi_remove)(CURLM *, CURL *);
    CURLMcode (*multi_perform)(CURLM *, int *);
    CURLMcode (*multi_poll)(CURLM *, struct curl_waitfd *, unsigned, int, int *);
    CURLMsg *(*multi_read)(CURLM *, int *);
    CURLMcode (*multi_cleanup)(CURLM *);
    char *(*version)(void);
} lib;

static void *library_open(void)
{
    static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so" };
    void *so = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !so; i++) so = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return so;
}

static ft_status library_load(ft_err *e)
{
    static const struct {
        const char *name;
        void *place;
    } wanted[] = {
        { "curl_global_init", &lib.global_init },
        { "curl_easy_init", &lib.init },
        { "curl_easy_setopt", &lib.set },
        { "curl_easy_getinfo", &lib.get },
        { "curl_easy_cleanup", &lib.cleanup },
        { "curl_easy_pause", &lib.pause },
        { "curl_easy_strerror", &lib.error },
        { "curl_slist_append", &lib.append },
        { "curl_slist_free_all", &lib.free_all },
        { "curl_multi_init", &lib.multi_init },
        { "curl_multi_add_handle", &lib.multi_add },
        { "curl_multi_remove_handle", &lib.multi_remove },
        { "curl_multi_perform", &lib.multi_perform },
        { "curl_multi_poll", &lib.multi_poll },
        { "curl_multi_info_read", &lib.multi_read },
        { "curl_multi_cleanup", &lib.multi_cleanup },
        { "curl_version", &lib.version },
    };
    static int loaded;

    if (loaded) return FT_OK;
    void *so = library_open();
    if (!so) return ft_fail(e, FT_EUSAGE, "downloads need libcurl, which is not installed (libcurl4)");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *f = dlsym(so, wanted[i].name);
        if (!f) return ft_fail(e, FT_EUSAGE, "this libcurl is too old: it lacks %s", wanted[i].name);
        memcpy(wanted[i].place, &f, sizeof f);
    }
    if (lib.global_init(CURL_GLOBAL_ALL)) return ft_fail(e, FT_EUSAGE, "libcurl cannot be started");
    loaded = 1;
    return FT_OK;
}

const char *ft_transfer_library(void)
{
    ft_err e;
    return library_load(&e) ? NULL : lib.version();
}

/* ==== One transfer ==== */

struct ft_transfers {
    CURLM *multi;
    ft_transfer *first;      /* all that run */
    int64_t most_per_second; /* 0: no limit */
    double budget;           /* bytes that may come now; below 0: too many came */
    double at;               /* when that was */
};

struct ft_transfer {
    CURL *easy;
    ft_transfers *owner;
    ft_transfer *next;
    int paused; /* libcurl holds a piece of the body */
    struct curl_slist *headers;
    ft_request r;
    ft_reply reply;
    CURLcode code;
    int told;   /* on_reply was called */
    ft_err err; /* of a callback; code FT_OK: none */
    char message[CURL_ERROR_SIZE];
};

/* libcurl gives one line of the head at a time, and of each head where there are several (100 Continue). */
static size_t take_header(char *bytes, size_t size, size_t n, void *ctx)
{
    ft_transfer *t = ctx;
    ft_reply_line(&t->reply, bytes, size * n);
    return size * n;
}

static ft_status tell(ft_transfer *t)
{
    if (t->told) return FT_OK;
    t->told = 1;
    return t->r.on_reply(t->r.ctx, &t->reply, &t->err);
}

static size_t take_body(char *bytes, size_t size, size_t n, void *ctx)
{
    ft_transfer *t = ctx;
    if (t->err.code) return size * n + 1; /* it failed when it went on after a pause, which libcurl does not mind */
    if (t->owner && t->owner->most_per_second) {
        if (t->owner->budget <= 0) {
            t->paused = 1;
            return CURL_WRITEFUNC_PAUSE;
        }
        t->owner->budget -= (double)(size * n);
    }
    if (tell(t) || t->r.on_body(t->r.ctx, bytes, size * n, &t->err)) return size * n + 1;
    return size * n;
}

static ft_status add_header(ft_transfer *t, ft_err *e, const char *name, const char *value)
{
    ft_buf line = { 0 };
    struct curl_slist *longer = NULL;

    ft_status s = strpbrk(value, "\r\n") ? ft_fail(e, FT_EUSAGE, "a header may not hold a line break")
                                         : ft_buf_printf(&line, e, "%s: %s", name, value);
    if (!s && !(longer = lib.append(t->headers, line.data))) s = ft_fail_mem(e, line.len);
    if (longer) t->headers = longer;
    ft_buf_free(&line);
    return s;
}

static ft_status set_headers(ft_transfer *t, ft_err *e)
{
    ft_status s = FT_GUARDS(ENCODING) ? add_header(t, e, "Accept-Encoding", "identity") : FT_OK;
    if (!s && t->r.token) {
        ft_buf b = { 0 };
        s = ft_buf_printf(&b, e, "Bearer %s", t->r.token);
        if (!s) s = add_header(t, e, "Authorization", b.data);
        ft_buf_free(&b);
    }
    if (!s && t->r.if_range) s = add_header(t, e, "If-Range", t->r.if_range);
    lib.set(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return s;
}

static const char *variable(const char *const *names)
{
    for (; *names; names++) {
        const char *value = getenv(*names);
        if (value && *value) return value;
    }
    return NULL;
}

static void set_trust(CURL *c)
{
    static const char *const files[] = { "CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", NULL };
    static const char *const dirs[] = { "SSL_CERT_DIR", NULL };
    const char *file = variable(files), *dir = variable(dirs);

    lib.set(c, CURLOPT_SSL_VERIFYPEER, FT_GUARDS(TLS) ? 1L : 0L);
    lib.set(c, CURLOPT_SSL_VERIFYHOST, FT_GUARDS(TLS) ? 2L : 0L);
    lib.set(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (file) lib.set(c, CURLOPT_CAINFO, file);
    if (dir) lib.set(c, CURLOPT_CAPATH, dir);
}

static void set_limits(CURL *c, const ft_request *r)
{
    lib.set(c, CURLOPT_CONNECTTIMEOUT, r->connect_seconds);
    if (FT_GUARDS(SLOW)) {
        lib.set(c, CURLOPT_LOW_SPEED_LIMIT, r->slow_bytes);
        lib.set(c, CURLOPT_LOW_SPEED_TIME, r->slow_seconds);
    }
}

static void set_options(ft_transfer *t)
{
    CURL *c = t->easy;
    const char *netrc = getenv("NETRC");

    lib.set(c, CURLOPT_URL, t->r.url);
    lib.set(c, CURLOPT_PROTOCOLS_STR, "http,https");
    lib.set(c, CURLOPT_FOLLOWLOCATION, 0L);
    lib.set(c, CURLOPT_NOSIGNAL, 1L);
    lib.set(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    lib.set(c, CURLOPT_USERAGENT, "ftpipe");
    lib.set(c, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    if (netrc && *netrc) lib.set(c, CURLOPT_NETRC_FILE, netrc);
    lib.set(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    if (!FT_GUARDS(ENCODING)) lib.set(c, CURLOPT_ACCEPT_ENCODING, "");
    if (!FT_GUARDS(LENGTH)) lib.set(c, CURLOPT_IGNORE_CONTENT_LENGTH, 1L);
    if (t->r.head) lib.set(c, CURLOPT_NOBODY, 1L);
    lib.set(c, CURLOPT_HEADERFUNCTION, take_header);
    lib.set(c, CURLOPT_HEADERDATA, t);
    lib.set(c, CURLOPT_WRITEFUNCTION, take_body);
    lib.set(c, CURLOPT_WRITEDATA, t);
    lib.set(c, CURLOPT_ERRORBUFFER, t->message);
    lib.set(c, CURLOPT_PRIVATE, t);
    set_trust(c);
    set_limits(c, &t->r);
}

/* The range is a header of ours: libcurl's own option refuses an answer with everything. */
static ft_status set_range(ft_transfer *t, ft_err *e)
{
    char range[64];
    if (t->r.from <= 0) return FT_OK;
    snprintf(range, sizeof range, "bytes=%lld-", (long long)t->r.from);
    return add_header(t, e, "Range", range);
}

ft_status ft_transfer_start(ft_transfer **out, ft_transfers *ts, const ft_request *r, ft_err *e)
{
    ft_transfer *t = ft_calloc(1, sizeof *t);
    if (!t) return ft_fail_mem(e, sizeof *t);

    t->r = *r;
    ft_reply_clear(&t->reply);
    ft_status s = FT_OK;
    if (!(t->easy = lib.init())) s = ft_fail(e, FT_EMEM, "libcurl has no memory");
    if (!s) s = set_range(t, e);
    if (!s) {
        set_options(t);
        s = set_headers(t, e);
    }
    if (!s && lib.multi_add(ts->multi, t->easy)) s = ft_fail(e, FT_EMEM, "libcurl has no memory");
    if (!s) {
        t->owner = ts;
        t->next = ts->first;
        ts->first = t;
    }
    if (s) {
        ft_transfer_free(t);
        return s;
    }
    t->r.url = t->r.token = t->r.if_range = NULL; /* libcurl has its own copies */
    *out = t;
    return FT_OK;
}

/* It does not run any more. */
static void leave(ft_transfer *t)
{
    if (!t->owner) return;
    ft_transfer **link = &t->owner->first;
    while (*link != t) link = &(*link)->next;
    *link = t->next;
    lib.multi_remove(t->owner->multi, t->easy);
    t->owner = NULL;
}

void ft_transfer_free(ft_transfer *t)
{
    if (!t) return;
    leave(t);
    if (t->easy) lib.cleanup(t->easy);
    if (t->headers) lib.free_all(t->headers);
    ft_free(t);
}

void *ft_transfer_ctx(const ft_transfer *t) { return t->r.ctx; }

/* ==== Several ==== */

ft_status ft_transfers_new(ft_transfers **out, ft_err *e)
{
    ft_status s = library_load(e);
    if (s) return s;
    ft_transfers *ts = ft_calloc(1, sizeof *ts);
    if (!ts) return ft_fail_mem(e, sizeof *ts);
    if (!(ts->multi = lib.multi_init())) {
        ft_free(ts);
        return ft_fail(e, FT_EMEM, "libcurl has no memory");
    }
    *out = ts;
    return FT_OK;
}

void ft_transfers_free(ft_transfers *ts)
{
    if (!ts) return;
    lib.multi_cleanup(ts->multi);
    ft_free(ts);
}

/* ==== The speed of all together: a budget that grows with time ==== */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ft_transfers_limit(ft_transfers *ts, int64_t most_per_second)
{
    ts->most_per_second = most_per_second;
    ts->budget = 0;
    ts->at = now();
}

/* Let those go on that wait for the budget; gives how long to wait for more of it, in ms. */
static int share_budget(ft_transfers *ts, int milliseconds)
{
    const double t = now(), most = (double)ts->most_per_second;

    if (!ts->most_per_second) return milliseconds;
    ts->budget += (t - ts->at) * most;
    ts->at = t;
    if (ts->budget > most / 4) ts->budget = most / 4; /* what was not used is lost but for a quarter of a second */
    for (ft_transfer *x = ts->first; x && ts->budget > 0; x = x->next)
        if (x->paused) {
            x->paused = 0;
            lib.pause(x->easy, CURLPAUSE_CONT);
        }
    const double missing = 1000 * (1 - ts->budget) / most;
    return missing > 0 && missing < milliseconds ? (int)missing + 1 : milliseconds;
}

/* The next one that libcurl says has ended. */
static ft_transfer *next_ended(ft_transfers *ts)
{
    CURLMsg *m;
    int left;

    while ((m = lib.multi_read(ts->multi, &left))) {
        if (m->msg != CURLMSG_DONE) continue;
        char *private = NULL;
        lib.get(m->easy_handle, CURLINFO_PRIVATE, &private);
        ft_transfer *t = (ft_transfer *)(void *)private;
        t->code = m->data.result;
        leave(t);
        return t;
    }
    return NULL;
}

static void settle(ft_transfer *t)
{
    curl_off_t wait = 0;
    char *to = NULL;
    if (lib.get(t->easy, CURLINFO_REDIRECT_URL, &to) == CURLE_OK && to) /* made absolute */
        snprintf(t->reply.location, sizeof t->reply.location, "%s", strlen(to) < sizeof t->reply.location ? to : "");
    if (lib.get(t->easy, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
        t->reply.retry_after = wait < 1000000 ? (long)wait : 1000000;
    if (t->code == CURLE_OK && !t->err.code) tell(t); /* an answer without a body */
}

ft_status ft_transfers_wait(ft_transfers *ts, int milliseconds, ft_transfer **ended, ft_err *e)
{
    int running;

    milliseconds = share_budget(ts, milliseconds);
    *ended = next_ended(ts);
    for (int pass = 0; pass < 2 && !*ended; pass++) {
        if (pass && lib.multi_poll(ts->multi, NULL, 0, milliseconds, NULL)) break;
        if (lib.multi_perform(ts->multi, &running)) return ft_fail(e, FT_ENET, "libcurl failed");
        *ended = next_ended(ts);
    }
    if (*ended) settle(*ended);
    return FT_OK;
}

static ft_ending ending_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK: return FT_ENDED_WELL;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING: return FT_ENDED_FOR_GOOD;
    default: return FT_ENDED_EARLY;
    }
}

ft_ending ft_transfer_result(const ft_transfer *t, const ft_reply **reply, ft_err *e)
{
    *reply = &t->reply;
    if (t->err.code) {
        *e = t->err;
        return FT_ENDED_WELL;
    }
    e->code = FT_OK;
    const ft_ending how = ending_of(t->code);
    if (how != FT_ENDED_WELL) ft_fail(e, FT_ENET, "%s", t->message[0] ? t->message : lib.error(t->code));
    return how;
}
