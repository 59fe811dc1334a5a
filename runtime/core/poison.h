/* runtime/core/poison.h - memory that nobody may touch, as AddressSanitizer knows it; nothing in other builds. */
#ifndef FT_CORE_POISON_H
#define FT_CORE_POISON_H

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define FT_POISONS 1
#else
#define FT_POISONS 0
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)0)
#endif

#endif
