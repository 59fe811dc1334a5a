/* runtime/net/owner.h - which process a file belongs to, and the proof that it is gone. */
#ifndef FT_NET_OWNER_H
#define FT_NET_OWNER_H

enum { FT_OWNER_SIZE = 256 };

/* This process as one line: "<machine> <start of the system> <namespace of processes> <pid> <start of the process>". */
void ft_owner_self(char line[FT_OWNER_SIZE]);

typedef enum ft_owner_state {
    FT_OWNER_UNKNOWN, /* of another machine, or alive, or it cannot be told */
    FT_OWNER_SELF,    /* this process */
    FT_OWNER_GONE,    /* it ended while the system ran on */
    FT_OWNER_BEFORE   /* the system was started anew since */
} ft_owner_state;

ft_owner_state ft_owner_find(const char *line);

#endif
