/* tests/fuzz/fuzz_journal.c - any bytes as the journal of a store, its memories and records: cleaning and checking end well whatever stands there. */
#include "host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_with("journal", data, size); }
