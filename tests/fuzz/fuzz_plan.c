/* tests/fuzz/fuzz_plan.c - any bytes as the answer of a process that evaluated a stranger's file: refused, or a plan whose own form is read back to the same. */
#include "host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_with("plan", data, size); }
