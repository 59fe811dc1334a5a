/* runtime/net/guard.c - see guard.h. */
#include "net/guard.h"

unsigned ft_guard_off;
