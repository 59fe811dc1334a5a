/* tests/fuzz/fuzz_hub.c - any bytes as a hub's listing: refused, or every name is a relative path that stays where it is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ft_hub_listing l;
    ft_err e;

    if (ft_hub_listing_read(&l, data, size, &e)) return 0;
    if (strlen(l.commit) != 40) abort();
    for (size_t i = 0; i < l.n; i++) {
        const char *name = l.files[i];
        if (!*name || *name == '/' || strstr(name, "//") || !strcmp(name, "..") || !strncmp(name, "../", 3) ||
            strstr(name, "/../"))
            abort();
    }
    ft_hub_listing_free(&l);
    return 0;
}
