/* tests/net/fetching.c - see fetching.h. */
#include "fetching.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/fs.h"

static const ft_download_limits quick = {
    .connect_seconds = 5,
    .slow_bytes = 100,
    .slow_seconds = 20,
    .attempts = 3,
    .pause_ms = 10,
    .longest_pause_s = 5,
    .parallel = 2,
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

fetched fetch_file(const fetch *f)
{
    fetched out = { 0 };
    char partial[512], path[512];
    ft_downloads *ds = NULL;
    size_t index = 0, running = 1, n = 0;
    struct stat st;

    snprintf(partial, sizeof partial, "%s/partial", f->dir);
    snprintf(path, sizeof path, "%s/file", f->dir);
    while (n < 4 && f->urls[n]) n++;
    const ft_wanted w = { .take = FT_TAKE_FILE,
                          .urls = f->urls,
                          .n_urls = n,
                          .partial = partial,
                          .path = path,
                          .sha256 = f->sha256,
                          .token = f->token,
                          .most = f->most };
    const double start = now();
    if (ft_downloads_new(&ds, f->limits.parallel ? &f->limits : &quick, &out.err)) return out;
    if (ft_downloads_add(ds, &w, &index, &out.err)) running = 0;
    while (running)
        if (ft_downloads_step(ds, 100, &running, &out.err)) break;
    const ft_download_state *s = ft_downloads_state(ds, index);
    if (s) {
        if (s->err.code) out.err = s->err;
        out.came = s->fetched;
        out.attempts = s->attempts;
    }
    out.seconds = now() - start;
    ft_downloads_free(ds);
    ft_err e;
    if (!stat(path, &st) && !ft_sha256_file(path, out.sha256, &e)) out.size = st.st_size;
    return out;
}

char *scratch_new(void)
{
    const char *tmp = getenv("TMPDIR");
    char dir[512];
    snprintf(dir, sizeof dir, "%s/net-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) abort();
    return strdup(dir);
}

void scratch_remove(char *dir)
{
    ft_err e;
    if (ft_remove_tree(dir, &e)) abort();
    free(dir);
}

int scratch_count(const char *dir, const char *ending)
{
    int n = 0;
    const struct dirent *entry;
    DIR *d = opendir(dir);

    while (d && (entry = readdir(d))) {
        const size_t len = strlen(entry->d_name), k = strlen(ending);
        char path[1024];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_type == DT_DIR)
            n += scratch_count(path, ending);
        else
            n += len >= k && !strcmp(entry->d_name + len - k, ending);
    }
    if (d) closedir(d);
    return n;
}

long long scratch_bytes(const char *dir, const char *ending)
{
    long long sum = 0;
    const struct dirent *entry;
    DIR *d = opendir(dir);

    while (d && (entry = readdir(d))) {
        const size_t len = strlen(entry->d_name), k = strlen(ending);
        char path[1024];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (len >= k && !strcmp(entry->d_name + len - k, ending) && !stat(path, &st)) sum += st.st_size;
    }
    if (d) closedir(d);
    return sum;
}
