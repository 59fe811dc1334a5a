/* runtime/net/judge.c - what the head of an answer means for a download. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/guard.h"
#include "net/job.h"

void ft_shown_url(const char *url, char *text, size_t size)
{
    const int n = (int)strcspn(url, "?#");
    snprintf(text, size, "%.*s", n < 300 ? n : 300, url);
}

static int is_busy(int status)
{
    return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

static int is_redirection(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static const char *words_of(int status)
{
    switch (status) {
    case 401: return ": a token is needed (HF_TOKEN for a model hub, ~/.netrc for others)";
    case 403: return ": not allowed; a gated model wants its licence accepted on its page, and a token";
    case 404: return ": not found";
    case 407: return ": the proxy wants a user and password";
    case 410: return ": gone";
    case 429: return ": too many requests";
    default: return "";
    }
}

/* What is compressed on the way is not the file. A file that is an archive itself is often sent with that head. */
static int is_encoded(const ft_job *j, const ft_reply *r)
{
    static const char *const endings[] = { ".gz", ".tgz", ".bz2", ".xz", ".zst", ".tbz2", ".txz", ".tzst", ".z" };
    const char *url = j->urls[j->mirror];
    const size_t n = strcspn(url, "?#");

    if (!FT_GUARDS(ENCODING) || !r->encoding[0] || !strcasecmp(r->encoding, "identity")) return 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t k = strlen(endings[i]);
        if (n >= k && !strncasecmp(url + n - k, endings[i], k)) return 0;
    }
    return 1;
}

static ft_verdict check_room(const ft_job *j, int64_t total, ft_err *e)
{
    char url[320];
    ft_shown_url(j->current, url, sizeof url);
    if (FT_GUARDS(SIZE) && j->most && total > j->most) {
        ft_fail(e, FT_ENET, "%s: %lld bytes, more than the limit of %lld", url, (long long)total, (long long)j->most);
        return FT_VERDICT_STOP;
    }
    if (j->take == FT_TAKE_FILE && total - j->state.size > j->room) {
        ft_fail(e, FT_EIO, "%s: needs %lld bytes, but the disk has %lld left", url, (long long)(total - j->state.size),
                (long long)j->room);
        return FT_VERDICT_STOP;
    }
    return FT_VERDICT_TAKE;
}

/* 200: the whole body comes, whatever was asked for. */
static ft_verdict judge_whole(ft_job *j, const ft_reply *r, ft_err *e)
{
    if (j->take == FT_TAKE_FILE && j->part.size > 0 && FT_GUARDS(RANGE)) {
        if (ft_partial_restart(&j->part, e)) return FT_VERDICT_STOP;
        j->state.size = 0;
    }
    j->state.total = r->length;
    return r->length < 0 ? FT_VERDICT_TAKE : check_room(j, r->length, e);
}

/* 206: the rest, if it is the rest of what we have. */
static ft_verdict judge_rest(ft_job *j, const ft_reply *r, ft_err *e)
{
    const ft_partial *p = &j->part;

    ft_fail(e, FT_ENET, "the file has changed meanwhile");
    if (FT_GUARDS(RANGE) && (r->range_first != j->asked_from || j->take != FT_TAKE_FILE)) {
        ft_fail(e, FT_ENET, "the server sent another part than the one asked for");
        return FT_VERDICT_ANEW;
    }
    if (FT_GUARDS(ETAG) && p->etag[0] && r->etag[0] && strcmp(p->etag, r->etag)) return FT_VERDICT_ANEW;
    if (FT_GUARDS(ETAG) && p->length >= 0 && r->range_total >= 0 && p->length != r->range_total) return FT_VERDICT_ANEW;
    e->code = FT_OK;
    j->state.total = r->range_total >= 0 ? r->range_total : r->length >= 0 ? r->length + j->asked_from : -1;
    return j->state.total < 0 ? FT_VERDICT_TAKE : check_room(j, j->state.total, e);
}

static ft_verdict judge_refusal(const ft_job *j, const ft_reply *r, ft_err *e)
{
    char url[320];
    ft_shown_url(j->current, url, sizeof url);
    ft_fail(e, FT_ENET, "%s: the server answers %d%s%s%s%s", url, r->status, words_of(r->status), r->why[0] ? " (" : "",
            r->why, r->why[0] ? ")" : "");
    if (r->status == 416 && FT_GUARDS(416)) return FT_VERDICT_ANEW;
    return is_busy(r->status) ? FT_VERDICT_LATER : FT_VERDICT_NOT_HERE;
}

ft_verdict ft_judge(ft_job *j, const ft_reply *r, ft_err *e)
{
    if (is_redirection(r->status) && r->location[0]) return FT_VERDICT_ELSEWHERE;
    if (r->status != 200 && r->status != 206 && (r->status != 0 || FT_GUARDS(SCHEME))) return judge_refusal(j, r, e);
    if (j->take == FT_TAKE_HEAD) return FT_VERDICT_TAKE;
    if (is_encoded(j, r)) {
        char url[320];
        ft_shown_url(j->current, url, sizeof url);
        ft_fail(e, FT_ENET, "%s: the server compresses the file on the way (%s), though it was asked not to", url,
                r->encoding);
        return FT_VERDICT_NOT_HERE;
    }
    return r->status == 206 ? judge_rest(j, r, e) : judge_whole(j, r, e);
}
