/* tests/fuzz/fuzz_pack.c - any bytes as a packed artifact: refused, or a value whose own bytes are read back to the same bytes. */
#include "host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_with("pack", data, size); }
