/* runtime/graph/profile.c - a small table, searched from the front: there are some tens of names. */
#include "graph/profile.h"

#include <string.h>
#include <time.h>

#define PROFILES 64
static struct {
    int on, n;
    ft_profile at[PROFILES];
} table;

void ft_profile_on(int on)
{
    table.on = on;
    table.n = 0;
}

int ft_profile_get(const ft_profile **out)
{
    *out = table.at;
    return table.n;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double ft_profile_start(void) { return table.on ? now() : 0; }

static ft_profile *entry(const char *op)
{
    int i = 0;
    while (i < table.n && strcmp(table.at[i].op, op) != 0) i++;
    if (i == PROFILES) return NULL;
    if (i == table.n) table.at[table.n++] = (ft_profile){ .op = op };
    return &table.at[i];
}

static ft_profile *add(const char *op, double flops, double bytes)
{
    ft_profile *p = table.on ? entry(op) : NULL;

    if (!p) return NULL;
    p->flops += flops;
    p->bytes += bytes;
    return p;
}

void ft_profile_forward(const char *op, double start, double flops, double bytes)
{
    ft_profile *p = add(op, flops, bytes);

    if (!p) return;
    p->calls++;
    p->forward_s += now() - start;
}

void ft_profile_backward(const char *op, double start, double flops, double bytes)
{
    ft_profile *p = add(op, flops, bytes);

    if (p) p->backward_s += now() - start;
}
