/* runtime/net/download.c - see download.h. */
#include "net/download.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "net/guard.h"
#include "net/job.h"

const ft_download_limits ft_download_defaults = {
    .connect_seconds = 20,
    .slow_bytes = 512,
    .slow_seconds = 60,
    .attempts = 6,
    .pause_ms = 500,
    .longest_pause_s = 300,
    .parallel = 4,
};

enum { MOST_REDIRECTIONS = 10, MOST_IGNORED = 1 << 20, PROGRESS = 1 << 16 };

struct ft_downloads {
    ft_download_limits limits;
    ft_transfers *transfers;
    ft_job **jobs;
    size_t n;
};

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ==== Jobs ==== */

static void job_free(ft_job *j)
{
    if (!j) return;
    ft_transfer_free(j->transfer);
    if (j->part_open) ft_partial_close(&j->part, 1);
    for (size_t i = 0; j->urls && i < j->n_urls; i++) ft_free(j->urls[i]);
    ft_free(j->urls);
    ft_free(j->partial);
    ft_free(j->store);
    ft_free(j->sha256);
    ft_free(j->git_blob);
    ft_free(j->token);
    ft_free(j->current);
    ft_free(j->state.path);
    ft_buf_free(&j->state.text);
    ft_free(j);
}

static ft_status copy(char **to, const char *text, ft_err *e)
{
    if (!text) return FT_OK;
    *to = ft_strdup(text);
    return *to ? FT_OK : ft_fail_mem(e, strlen(text));
}

static ft_status copy_urls(ft_job *j, const ft_wanted *w, ft_err *e)
{
    ft_url u;
    ft_status s = w->n_urls ? FT_OK : ft_fail(e, FT_EUSAGE, "there is no address to download from");
    if (!s && !(j->urls = ft_calloc(w->n_urls, sizeof *j->urls))) s = ft_fail_mem(e, w->n_urls * sizeof *j->urls);
    for (size_t i = 0; i < w->n_urls && !s; i++) {
        s = ft_url_parse(&u, w->urls[i], e);
        if (!s) s = copy(&j->urls[i], w->urls[i], e);
        j->n_urls = i + 1;
    }
    return s;
}

static ft_status copy_wanted(ft_job *j, const ft_wanted *w, ft_err *e)
{
    ft_status s = copy_urls(j, w, e);
    j->take = w->take;
    j->most = w->most;
    if (!s) s = copy(&j->partial, w->partial, e);
    if (!s) s = copy(&j->store, w->store, e);
    if (!s) s = copy(&j->state.path, w->path, e);
    if (!s) s = copy(&j->sha256, w->sha256, e);
    if (!s) s = copy(&j->git_blob, w->git_blob, e);
    if (!s && w->token) {
        s = copy(&j->token, w->token, e);
        if (!s) s = ft_url_parse(&j->token_at, w->token_url ? w->token_url : w->urls[0], e);
    }
    j->state.total = -1;
    return s;
}

static void finish(ft_job *j, const ft_err *err)
{
    if (j->part_open) ft_partial_close(&j->part, 1);
    j->part_open = 0;
    j->state.done = 1;
    if (err) j->state.err = *err;
}

/* ==== One attempt ==== */

static ft_status on_reply(void *ctx, const ft_reply *r, ft_err *e)
{
    ft_job *j = ctx;

    j->verdict = ft_judge(j, r, e);
    if (j->verdict == FT_VERDICT_ELSEWHERE) return FT_OK;
    if (j->verdict != FT_VERDICT_TAKE) return e->code;
    if (j->take != FT_TAKE_FILE || j->part.size > 0) return FT_OK;
    const ft_status s = ft_partial_describe(&j->part, j->urls[j->mirror], r->etag, r->modified, j->state.total, e);
    if (s) j->verdict = FT_VERDICT_STOP;
    return s;
}

static ft_status too_large(ft_job *j, const char *what, ft_err *e)
{
    char url[320];
    ft_shown_url(j->current, url, sizeof url);
    j->verdict = FT_VERDICT_STOP;
    return ft_fail(e, FT_ENET, "%s: %s", url, what);
}

static ft_status on_body(void *ctx, const void *bytes, size_t n, ft_err *e)
{
    ft_job *j = ctx;
    ft_status s;

    if (j->verdict != FT_VERDICT_TAKE) {
        j->ignored += (int64_t)n;
        return j->ignored > MOST_IGNORED ? too_large(j, "an endless redirection", e) : FT_OK;
    }
    j->state.fetched += (int64_t)n;
    if (FT_GUARDS(SIZE) && j->most && j->state.size + (int64_t)n > j->most)
        return too_large(j, "more bytes come than the limit allows", e);
    if (j->take == FT_TAKE_FILE && j->state.size + (int64_t)n - j->before > j->room)
        return too_large(j, "more bytes come than the disk has space for", e);
    s = j->take == FT_TAKE_FILE ? ft_partial_write(&j->part, bytes, n, e) : ft_buf_add(&j->state.text, bytes, n, e);
    if (s)
        j->verdict = FT_VERDICT_STOP;
    else
        j->state.size += (int64_t)n;
    return s;
}

/* The version that the rest must be of: a strong ETag or a date, "" where there is none to hold on to. */
static const char *version_of(const ft_partial *p, const char *url)
{
    if (strcmp(p->url, url)) return "";
    return p->etag[0] && strncmp(p->etag, "W/", 2) ? p->etag : p->modified;
}

static ft_status open_part(ft_job *j, ft_err *e)
{
    char key[FT_SHA256_HEX];
    struct statvfs v;
    ft_status s = FT_OK;

    if (j->sha256)
        snprintf(key, sizeof key, "%.64s", j->sha256);
    else
        s = ft_sha256_hex(j->urls[0], strlen(j->urls[0]), key, e);
    if (!s) s = ft_mkdirs(j->partial, e);
    if (!s) s = ft_partial_open(&j->part, j->partial, key, j->sha256 || j->git_blob, e);
    if (s) return s;
    j->part_open = 1;
    j->room = statvfs(j->partial, &v) ? INT64_MAX : (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    j->state.size = j->part.size;
    j->state.total = j->part.length;
    return FT_OK;
}

/* Where to go on: with a version to hold on to, or a digest that will tell; else at the first byte. */
static ft_status choose_start(ft_job *j, const char **if_range, ft_err *e)
{
    const char *version = version_of(&j->part, j->urls[j->mirror]);
    ft_status s = FT_OK;

    *if_range = version[0] && FT_GUARDS(ETAG) ? version : NULL;
    if (j->part.size > 0 && ((!version[0] && !j->sha256 && !j->git_blob) || !FT_GUARDS(RESUME)))
        s = ft_partial_restart(&j->part, e);
    j->asked_from = j->part.size;
    j->state.size = j->part.size;
    return s;
}

static void complete(ft_downloads *ds, ft_job *j);

/* What was left behind may be whole already, or more than whole. */
static ft_status is_whole(ft_job *j, int *whole, ft_err *e)
{
    *whole = j->part.length > 0 && j->part.size == j->part.length;
    return j->part.length >= 0 && j->part.size > j->part.length ? ft_partial_restart(&j->part, e) : FT_OK;
}

static ft_status attempt(ft_downloads *ds, ft_job *j, ft_err *e)
{
    const ft_download_limits *l = &ds->limits;
    const char *if_range = NULL;
    int whole = 0;
    ft_status s = FT_OK;

    if (j->take == FT_TAKE_FILE && !j->part_open) {
        s = open_part(j, e);
        if (!s) s = is_whole(j, &whole, e);
    }
    if (whole) {
        complete(ds, j);
        return FT_OK;
    }
    if (!s && !j->current) s = copy(&j->current, j->urls[j->mirror], e);
    if (!s)
        s = FT_GUARDS(SCHEME) || strncmp(j->current, "file:", 5) ? ft_url_parse(&j->current_at, j->current, e) : FT_OK;
    if (!s && j->take == FT_TAKE_FILE)
        s = choose_start(j, &if_range, e);
    else
        ft_buf_clear(&j->state.text), j->state.size = 0;
    if (s) return s;
    j->before = j->state.size;
    j->verdict = FT_VERDICT_TAKE;
    j->ignored = 0;
    j->state.attempts++;
    const int ours = j->token && (ft_url_same_origin(&j->current_at, &j->token_at) || !FT_GUARDS(TOKEN));
    const ft_request r = {
        .url = j->current,
        .head = j->take == FT_TAKE_HEAD,
        .token = ours ? j->token : NULL,
        .from = j->asked_from,
        .if_range = j->asked_from > 0 ? if_range : NULL,
        .connect_seconds = l->connect_seconds,
        .slow_bytes = l->slow_bytes,
        .slow_seconds = l->slow_seconds,
        .on_reply = on_reply,
        .on_body = on_body,
        .ctx = j,
    };
    return ft_transfer_start(&j->transfer, ds->transfers, &r, e);
}

/* ==== What an attempt's end means ==== */

static void begin_at_mirror(ft_job *j, size_t mirror)
{
    ft_free(j->current);
    j->current = NULL;
    j->mirror = mirror;
    j->redirections = 0;
}

static void next_mirror(ft_job *j, const ft_err *e)
{
    if (j->mirror + 1 >= j->n_urls) {
        finish(j, e);
        return;
    }
    snprintf(j->state.note, sizeof j->state.note, "%.390s", e->msg);
    begin_at_mirror(j, j->mirror + 1);
    j->attempts = j->renewals = 0;
    j->not_before = 0;
}

/* The same again after a pause, or the next mirror after too many. */
static void again(ft_downloads *ds, ft_job *j, const ft_err *e, long retry_after)
{
    const ft_download_limits *l = &ds->limits;
    long long pause = l->pause_ms;

    if (j->state.size >= j->best + PROGRESS) {
        j->best = j->state.size;
        j->attempts = 0;
    }
    if (++j->attempts >= l->attempts) {
        next_mirror(j, e);
        return;
    }
    for (int i = 1; i < j->attempts && pause < 30000; i++) pause *= 2;
    if (retry_after > 0 && FT_GUARDS(RETRY_AFTER)) pause = (long long)retry_after * 1000;
    if (pause > (long long)l->longest_pause_s * 1000) {
        ft_err late = *e;
        ft_context(&late, "the server asks to come back in %ld s", retry_after);
        next_mirror(j, &late);
        return;
    }
    snprintf(j->state.note, sizeof j->state.note, "%.390s", e->msg);
    begin_at_mirror(j, j->mirror);
    j->not_before = now_ms() + pause;
}

/* Begin at the first byte; once for each address, since what is wrong twice stays wrong. */
static void anew(ft_downloads *ds, ft_job *j, const ft_err *why)
{
    ft_err e;
    if (j->part_open && ft_partial_restart(&j->part, &e)) {
        finish(j, &e);
        return;
    }
    j->state.size = j->before = 0;
    if (j->renewals++)
        next_mirror(j, why);
    else
        again(ds, j, why, 0);
}

static void redirect(ft_downloads *ds, ft_job *j, const char *location)
{
    ft_url to;
    ft_err e;
    char *address = NULL;

    memset(&to, 0, sizeof to);
    ft_status s = FT_GUARDS(SCHEME) || strncmp(location, "file:", 5) ? ft_url_parse(&to, location, &e) : FT_OK;
    if (s) {
        char url[320];
        ft_shown_url(j->current, url, sizeof url);
        ft_fail(&e, FT_ENET, "%s sends us on to %.100s, which is not on the web: refused", url, location);
    } else {
        s = ft_url_may_follow(&j->current_at, &to, &e);
    }
    if (!s && j->take == FT_TAKE_HEAD && !ft_url_same_origin(&j->current_at, &to)) {
        finish(j, NULL); /* who asked for the head decides */
        return;
    }
    if (!s && ++j->redirections > MOST_REDIRECTIONS)
        s = ft_fail(&e, FT_ENET, "%.200s: redirected again and again", j->urls[j->mirror]);
    if (!s) s = copy(&address, location, &e);
    if (s) {
        next_mirror(j, &e);
        return;
    }
    ft_free(j->current);
    j->current = address;
    j->not_before = 0;
    (void)ds;
}

static ft_status store_path(ft_job *j, ft_err *e)
{
    ft_buf b = { 0 };
    char name[128];

    ft_url_name(j->urls[0], name, sizeof name);
    ft_status s = ft_buf_printf(&b, e, "%s/%.2s/%s", j->store, j->state.sha256, j->state.sha256);
    if (!s) s = ft_mkdirs(b.data, e);
    if (!s) s = ft_buf_printf(&b, e, "/%s", name);
    j->state.path = b.data;
    return s;
}

/* Whether the complete file is the one that was wanted. */
static ft_status verify(ft_job *j, ft_err *e)
{
    char url[320], blob[FT_GIT_HEX];
    ft_shown_url(j->urls[j->mirror], url, sizeof url);
    ft_status s = ft_partial_digest(&j->part, j->state.sha256, e);
    if (!s && FT_GUARDS(DIGEST) && j->sha256 && strcmp(j->sha256, j->state.sha256))
        s = ft_fail(e, FT_ENET, "%s: its SHA-256 is %s, but %s was promised", url, j->state.sha256, j->sha256);
    if (!s && FT_GUARDS(DIGEST) && j->git_blob) {
        s = ft_git_blob_file(j->part.part, blob, e);
        if (!s && strcmp(blob, j->git_blob))
            s = ft_fail(e, FT_ENET, "%s: its name in git is %s, but %s was promised", url, blob, j->git_blob);
    }
    return s;
}

static void complete(ft_downloads *ds, ft_job *j)
{
    ft_err e;
    ft_status s = verify(j, &e);

    if (s == FT_ENET) {
        anew(ds, j, &e);
        return;
    }
    if (!s && !j->state.path) s = store_path(j, &e);
    if (!s) {
        j->part_open = 0;
        s = ft_partial_publish(&j->part, j->state.path, &e);
    }
    finish(j, s ? &e : NULL);
}

static void ended_well(ft_downloads *ds, ft_job *j, ft_err *e)
{
    if (j->take == FT_TAKE_FILE && FT_GUARDS(LENGTH) && j->state.total >= 0 && j->state.size != j->state.total) {
        char url[320];
        ft_shown_url(j->current, url, sizeof url);
        ft_fail(e, FT_ENET, "%s: %lld bytes came, but %lld were announced", url, (long long)j->state.size,
                (long long)j->state.total);
        anew(ds, j, e);
    } else if (j->take == FT_TAKE_FILE) {
        complete(ds, j);
    } else {
        finish(j, NULL);
    }
}

static void conclude(ft_downloads *ds, ft_job *j)
{
    ft_err e = { 0 };
    const ft_reply *r;
    const ft_ending how = ft_transfer_result(j->transfer, &r, &e);

    j->state.reply = *r;
    ft_transfer_free(j->transfer);
    j->transfer = NULL;
    if (how != FT_ENDED_WELL) {
        char url[320];
        ft_shown_url(j->current, url, sizeof url);
        ft_context(&e, "%s", url);
        j->state.drops += j->state.size > j->before;
        if (how == FT_ENDED_EARLY)
            again(ds, j, &e, 0);
        else
            next_mirror(j, &e);
        return;
    }
    switch (j->verdict) {
    case FT_VERDICT_TAKE: ended_well(ds, j, &e); break;
    case FT_VERDICT_ELSEWHERE: redirect(ds, j, j->state.reply.location); break;
    case FT_VERDICT_ANEW: anew(ds, j, &e); break;
    case FT_VERDICT_LATER: again(ds, j, &e, j->state.reply.retry_after); break;
    case FT_VERDICT_NOT_HERE: next_mirror(j, &e); break;
    case FT_VERDICT_STOP: finish(j, &e); break;
    }
}

/* ==== The set ==== */

ft_status ft_downloads_new(ft_downloads **out, const ft_download_limits *limits, ft_err *e)
{
    ft_downloads *ds = ft_calloc(1, sizeof *ds);
    if (!ds) return ft_fail_mem(e, sizeof *ds);
    ds->limits = limits ? *limits : ft_download_defaults;
    const ft_status s = ft_transfers_new(&ds->transfers, e);
    if (s) {
        ft_free(ds);
        return s;
    }
    ft_transfers_limit(ds->transfers, ds->limits.most_per_second);
    *out = ds;
    return FT_OK;
}

ft_status ft_downloads_add(ft_downloads *ds, const ft_wanted *w, size_t *index, ft_err *e)
{
    ft_job *j = ft_calloc(1, sizeof *j);
    ft_job **longer = j ? ft_realloc(ds->jobs, (ds->n + 1) * sizeof *longer) : NULL;
    if (longer) ds->jobs = longer;
    ft_status s = longer ? copy_wanted(j, w, e) : ft_fail_mem(e, sizeof *j);
    if (s) {
        job_free(j);
        return s;
    }
    *index = ds->n;
    ds->jobs[ds->n++] = j;
    return FT_OK;
}

/* Begin what may begin; gives how long nothing is to be begun, in ms. */
static int begin_waiting(ft_downloads *ds, int milliseconds)
{
    int running = 0;
    const long long now = now_ms();

    for (size_t i = 0; i < ds->n; i++) running += ds->jobs[i]->transfer != NULL;
    for (size_t i = 0; i < ds->n && running < ds->limits.parallel; i++) {
        ft_job *j = ds->jobs[i];
        ft_err e;
        if (j->state.done || j->transfer) continue;
        if (j->not_before > now) {
            if (j->not_before - now < milliseconds) milliseconds = (int)(j->not_before - now);
            continue;
        }
        if (attempt(ds, j, &e))
            finish(j, &e);
        else
            running++;
    }
    return milliseconds;
}

ft_status ft_downloads_step(ft_downloads *ds, int milliseconds, size_t *running, ft_err *e)
{
    ft_transfer *ended = NULL;
    const int wait = begin_waiting(ds, milliseconds);
    ft_status s = ft_transfers_wait(ds->transfers, wait, &ended, e);

    while (!s && ended) {
        conclude(ds, ft_transfer_ctx(ended));
        s = ft_transfers_wait(ds->transfers, 0, &ended, e);
    }
    *running = 0;
    for (size_t i = 0; i < ds->n; i++) *running += !ds->jobs[i]->state.done;
    return s;
}

const ft_download_state *ft_downloads_state(const ft_downloads *ds, size_t index)
{
    return index < ds->n ? &ds->jobs[index]->state : NULL;
}

void ft_downloads_free(ft_downloads *ds)
{
    if (!ds) return;
    for (size_t i = 0; i < ds->n; i++) job_free(ds->jobs[i]);
    ft_free(ds->jobs);
    ft_transfers_free(ds->transfers);
    ft_free(ds);
}
