/* tests/fuzz/fuzz_archive.c - any bytes as an archive: refused, or listed with names that stay inside, within the budgets. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ft_status visit(void *ctx, const ft_archive_entry *entry, ft_err *e)
{
    const char *name = entry->name;
    (void)e;
    if (!*name || *name == '/' || !strcmp(name, "..") || !strncmp(name, "../", 3) || strstr(name, "/../")) abort();
    if (++*(int *)ctx > 50) abort();
    return FT_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ft_archive_limits limits = { .bytes = 1 << 20, .entries = 50, .depth = 8 };
    int entries = 0;
    ft_err e;

    ft_archive_list(NULL, data, size, &limits, visit, &entries, &e);
    return 0;
}
