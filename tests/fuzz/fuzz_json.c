/* tests/fuzz/fuzz_json.c - any bytes as JSON text: refused with a place, or a value that is written and read again as the same. */
#include "host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_with("json", data, size); }
