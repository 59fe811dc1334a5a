/* tests/bench/bench_command.c - what a command costs: the median time of nine runs, and the most memory that one held.
 *
 *   bench_command WORDS...      prints "12.3 ms, 8.8 MiB"; its output goes nowhere
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS 9

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One run; its milliseconds. Ends the program where the command fails. */
static double run(char **argv, long *kilobytes)
{
    const double start = now();
    int status = 0;
    struct rusage use;
    const pid_t pid = fork();

    if (pid == 0) {
        const int nothing = open("/dev/null", O_WRONLY);
        if (nothing < 0 || dup2(nothing, 1) < 0 || dup2(nothing, 2) < 0) _exit(127);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &use) != pid || status != 0) {
        fprintf(stderr, "%s: ended with status %d\n", argv[0], status);
        exit(1);
    }
    if (use.ru_maxrss > *kilobytes) *kilobytes = use.ru_maxrss;
    return now() - start;
}

int main(int argc, char **argv)
{
    double times[RUNS];
    long kilobytes = 0;

    if (argc < 2) return 2;
    for (int i = 0; i < RUNS; i++) times[i] = run(argv + 1, &kilobytes);
    qsort(times, RUNS, sizeof *times, by_size);
    printf("%.1f ms, %.1f MiB\n", times[RUNS / 2], (double)kilobytes / 1024);
    return 0;
}
