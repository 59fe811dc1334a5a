/* tests/fuzz/host.h - a function of tests/fuzz/lua/ftpipe/fuzz.lua as a fuzz target: it gets a file that holds the input.
 *
 * It says with 0 that all is well. Anything else, and an error that it did not catch, is a finding.
 */
#ifndef FT_TESTS_FUZZ_HOST_H
#define FT_TESTS_FUZZ_HOST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/mem.h"
#include "script/host.h"

#define LIFE 20000 /* inputs that one Lua state sees, so that what one left is found with the next */

static void say(void *ctx, int stream, const char *text, size_t n)
{
    (void)ctx;
    fwrite(text, 1, n, stream == 1 ? stdout : stderr);
}

static ft_host *host;

/* What is left then is a leak. */
static void end_host(void)
{
    ft_host_free(host);
    host = NULL;
}

static int fuzz_with(const char *function, const uint8_t *data, size_t size)
{
    static const ft_host_sink sink = { say, NULL, NULL };
    static int age;
    char path[64], *message = NULL;
    const char *argv[] = { path };
    ft_err e;
    int code = 1;

    if (age == 0) atexit(end_host);
    if (++age % LIFE == 0) end_host();
    if (!host && ft_host_new(&host, "tests/fuzz/lua", &sink, &e)) abort();
    const int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0) abort();
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, data + done, size - done);
        if (n < 0) abort();
        done += (size_t)n;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const ft_status s = ft_host_call(host, "ftpipe.fuzz", function, 1, argv, &code, &message, &e);
    close(fd);
    if (s || code) {
        fprintf(stderr, "%s: %s\n", function, message ? message : "the answer is wrong");
        abort();
    }
    ft_free(message);
    return 0;
}

#endif
