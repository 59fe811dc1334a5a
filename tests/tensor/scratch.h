/* tests/tensor/scratch.h - a folder below TMPDIR for one test, and safetensors bytes made by hand. */
#ifndef FT_TESTS_TENSOR_SCRATCH_H
#define FT_TESTS_TENSOR_SCRATCH_H

#include <stddef.h>

int scratch_setup(void **state);
int scratch_teardown(void **state);
const char *scratch_root(void);
const char *scratch_path(char buf[1024], const char *name);
size_t scratch_count(void); /* files in it */

/* Length, header and `data` zero bytes, in memory of exactly that size; free() it. */
unsigned char *scratch_bytes(const char *header, size_t data, size_t *n);
void scratch_write(const char *name, const char *header, size_t data);

#endif
