/* tests/net/packing.h - archives written byte by byte, also such as no program would write. */
#ifndef TESTS_NET_PACKING_H
#define TESTS_NET_PACKING_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* An entry of a tar file (ustar). type: '0' file, '1' hard link, '2' symbolic link, '3' device, '5' folder, '6' FIFO. */
void tar_add(FILE *f, const char *name, char type, const char *link, unsigned mode, const void *bytes, size_t n);
void tar_end(FILE *f);

typedef struct zip {
    FILE *f;
    unsigned char directory[65536];
    size_t length;
    int entries;
    uint32_t last; /* where the last entry began */
} zip;

void zip_add(zip *z, const char *name, const void *bytes, size_t n); /* stored */
void zip_zeros(zip *z, const char *name, int64_t n);                 /* deflated zeros */

/* Overlapping entries (D. Fifield, "A better zip bomb", WOOT 2019): `count` names whose bytes are all the same compressed zeros,
 * each quoting the header of the next. */
void zip_nested(zip *z, int count, int64_t zeros);
void zip_end(zip *z);

#endif
