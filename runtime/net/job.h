/* runtime/net/job.h - one download: what is wanted, and how far it is. Only net/download.c and net/judge.c know it. */
#ifndef FT_NET_JOB_H
#define FT_NET_JOB_H

#include "net/download.h"
#include "net/partial.h"
#include "net/url.h"

/* What an answer means. */
typedef enum ft_verdict {
    FT_VERDICT_TAKE,      /* its body is wanted */
    FT_VERDICT_ELSEWHERE, /* a redirection */
    FT_VERDICT_ANEW,      /* what we have does not fit to what is there: begin at the first byte */
    FT_VERDICT_LATER,     /* the server is busy */
    FT_VERDICT_NOT_HERE,  /* this address does not have it: next mirror */
    FT_VERDICT_STOP       /* nobody will: too large, no space */
} ft_verdict;

typedef struct ft_job {
    ft_take take;
    char **urls;
    size_t n_urls, mirror;
    char *partial, *store, *sha256, *git_blob, *token;
    ft_url token_at;
    int64_t most, room; /* room: free bytes when it began */
    char *current;      /* the address being asked, after redirections */
    ft_url current_at;
    int redirections, attempts, renewals;
    int64_t asked_from, before; /* of this attempt: first byte asked for, bytes there when it began */
    int64_t best;               /* as far as it ever got: only more than that is progress */
    int64_t ignored;            /* bytes of bodies that are not wanted */
    long long not_before;       /* ms; when waiting */
    ft_partial part;
    int part_open;
    ft_transfer *transfer;
    ft_verdict verdict;
    ft_download_state state;
} ft_job;

/* Read the head of an answer; e says why where the verdict is none of TAKE and ELSEWHERE. A partial file that an answer
 * with everything replaces is emptied here. */
ft_verdict ft_judge(ft_job *j, const ft_reply *r, ft_err *e);

/* An address as messages show it: without its query, which may hold secrets. */
void ft_shown_url(const char *url, char *text, size_t size);

#endif
