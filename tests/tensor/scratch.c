/* tests/tensor/scratch.c - see scratch.h. */
#include "tests/tensor/scratch.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/fs.h"

static char root[512];

int scratch_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(root, sizeof root, "%s/ft_tensor_XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(root) == NULL;
}

int scratch_teardown(void **state)
{
    ft_err e;
    (void)state;
    return ft_remove_tree(root, &e) != FT_OK;
}

const char *scratch_root(void) { return root; }

const char *scratch_path(char buf[1024], const char *name)
{
    snprintf(buf, 1024, "%s/%s", root, name);
    return buf;
}

size_t scratch_count(void)
{
    size_t n = 0;
    DIR *d = opendir(root);
    for (const struct dirent *x; d && (x = readdir(d));) n += x->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

unsigned char *scratch_bytes(const char *header, size_t data, size_t *n)
{
    const size_t length = strlen(header);
    unsigned char *p = calloc(1, 8 + length + data);

    assert_non_null(p);
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(p + 8, header, length);
    *n = 8 + length + data;
    return p;
}

void scratch_write(const char *name, const char *header, size_t data)
{
    char path[1024];
    size_t n;
    ft_err e;
    unsigned char *p = scratch_bytes(header, data, &n);
    assert_int_equal(ft_file_write(scratch_path(path, name), p, n, &e), FT_OK);
    free(p);
}
