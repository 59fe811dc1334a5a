/* tests/net/hub_server.c - see exchange.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/fs.h"
#include "exchange.h"

enum { LARGE = 5000 }; /* from here on a file lies on the other host, as with Git LFS */

static const char COMMIT[] = "0123456789abcdef0123456789abcdef01234567";

static void answer(exchange *x, int status, int64_t length, const char *more)
{
    char head[6000];
    snprintf(head, sizeof head, "HTTP/1.1 %d Told\r\nConnection: close\r\nContent-Length: %lld\r\n%s\r\n", status,
             (long long)length, more);
    exchange_text(x, head);
}

static void send_file(exchange *x, const char *path, const char *more)
{
    ft_map m;
    ft_err e;
    char head[5000];

    if (ft_map_open(&m, path, &e)) {
        answer(x, 404, 0, "X-Error-Message: Entry not found\r\n");
        return;
    }
    const int64_t first = x->from > 0 && x->from <= (int64_t)m.size ? x->from : 0;
    int n = snprintf(head, sizeof head, "%s", more);
    if (first)
        snprintf(head + n, sizeof head - (size_t)n, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)first,
                 (long long)m.size - 1, (long long)m.size);
    answer(x, first ? 206 : 200, (int64_t)m.size - first, head);
    exchange_body(x, m.data + first, m.size - (size_t)first);
    ft_map_close(&m);
}

/* The commit that "main" means: what the file REVISION says, or always the same. */
static const char *commit_of(const exchange *x, const char *id)
{
    static char commit[64];
    char path[4000];
    ft_buf b = { 0 };
    ft_err e;

    snprintf(path, sizeof path, "%s/%s/REVISION", x->server->folder, id);
    const int said = !ft_file_read(&b, path, 64, &e) && b.len >= 40;
    snprintf(commit, sizeof commit, "%.40s", said ? b.data : COMMIT);
    ft_buf_free(&b);
    return commit;
}

/* 1 where the token is missing that a repository wants. */
static int is_refused(exchange *x, const char *id)
{
    if (strncmp(id, "gated/", 6) || !strcmp(x->authorization, "Bearer good")) return 0;
    answer(x, x->authorization[0] ? 403 : 401, 0, "X-Error-Message: Access to model is restricted\r\n");
    return 1;
}

static void send_listing(exchange *x, const char *id)
{
    char path[4000], text[8192];
    const struct dirent *entry;
    int n = snprintf(text, sizeof text,
                     "{\"sha\":\"%s\",\"gated\":false,\"cardData\":{\"license\":\"apache-2.0\"},\"siblings\":[",
                     commit_of(x, id)),
        first = 1;

    snprintf(path, sizeof path, "%s/%s", x->server->folder, id);
    DIR *d = opendir(path);
    if (!d) {
        answer(x, 404, 0, "X-Error-Message: Repository not found\r\n");
        return;
    }
    while ((entry = readdir(d)))
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "REVISION")) {
            n += snprintf(text + n, sizeof text - (size_t)n, "%s{\"rfilename\":\"%s\"}", first ? "" : ",",
                          entry->d_name);
            first = 0;
        }
    closedir(d);
    n += snprintf(text + n, sizeof text - (size_t)n, "]}");
    answer(x, 200, n, "Content-Type: application/json\r\n");
    exchange_body(x, text, (size_t)n);
}

static void send_resolved(exchange *x, const char *id, const char *name)
{
    char path[4000], sha[FT_SHA256_HEX], blob[FT_GIT_HEX], more[4000];
    struct stat st;
    ft_err e;

    snprintf(path, sizeof path, "%s/%s/%s", x->server->folder, id, name);
    if (stat(path, &st)) {
        answer(x, 404, 0, "X-Error-Code: EntryNotFound\r\nX-Error-Message: Entry not found\r\n");
    } else if (st.st_size < LARGE && !ft_git_blob_file(path, blob, &e)) {
        snprintf(more, sizeof more, "ETag: \"%s\"\r\nX-Repo-Commit: %s\r\n", blob, commit_of(x, id));
        send_file(x, path, more);
    } else if (!ft_sha256_file(path, sha, &e)) {
        snprintf(more, sizeof more,
                 "Location: http://127.0.0.2:%d/files/%.500s/%.500s?signature=secret\r\nX-Repo-Commit: "
                 "%s\r\nX-Linked-ETag: \"%s\"\r\nX-Linked-Size: %lld\r\n",
                 x->server->port, id, name, commit_of(x, id), sha, (long long)st.st_size);
        answer(x, 302, 0, more);
    }
}

int hub_serve(exchange *x)
{
    char owner[100], name[100], revision[100], file[500], path[2600];
    const char *at = strncmp(x->path, "/datasets/", 10) ? x->path : x->path + 9;

    x->path[strcspn(x->path, "?")] = '\0';
    if (!strncmp(x->path, "/files/", 7)) {
        snprintf(path, sizeof path, "%s/%s", x->server->folder, x->path + 7);
        send_file(x, path, "ETag: \"file\"\r\n");
    } else if (sscanf(x->path, "/api/%*[a-z]/%99[^/]/%99[^/]/revision/%99s", owner, name, revision) == 3) {
        snprintf(path, sizeof path, "%s/%s", owner, name);
        if (!is_refused(x, path)) send_listing(x, path);
    } else if (sscanf(at, "/%99[^/]/%99[^/]/resolve/%99[^/]/%499s", owner, name, revision, file) == 4) {
        snprintf(path, sizeof path, "%s/%s", owner, name);
        if (!is_refused(x, path)) send_resolved(x, path, file);
    } else {
        return 0;
    }
    return 1;
}
