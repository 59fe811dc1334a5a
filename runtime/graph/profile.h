/* runtime/graph/profile.h - time by operation, for `bench --profile`: one table for the process, off by default. */
#ifndef FT_GRAPH_PROFILE_H
#define FT_GRAPH_PROFILE_H

#include <stdint.h>

typedef struct ft_profile {
    const char
        *op; /* an op's name, an optimiser's, or what else takes its time in a step; lives as long as the process */
    uint64_t calls; /* forward */
    double forward_s, backward_s, flops, bytes;
} ft_profile;

/* Start with an empty table, or stop. */
void ft_profile_on(int on);
/* The table as it is; returns the count. */
int ft_profile_get(const ft_profile **out);

/* Around what is to be timed: the time at its start (0 while off), then what it was and did. One of the two functions. */
double ft_profile_start(void);
void ft_profile_forward(const char *op, double start, double flops, double bytes);
void ft_profile_backward(const char *op, double start, double flops, double bytes);

#endif
