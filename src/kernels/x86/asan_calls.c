/* SPDX-License-Identifier: Apache-2.0 */
/* AddressSanitizer's checks for the vector kernels of the sanitizer build (cmake/Rooms.cmake). Its own call for an
 * access of 32 or 64 bytes walks the shadow byte by byte, which was two thirds of a sanitized run. Here the shadow of
 * the whole access is one word: 0 says that every byte may be used, anything else is left to the sanitizer's own call,
 * which decides and reports. */
#include <stdint.h>
#include <string.h>

#define SHADOW_OFFSET 0x7fff8000u /* of x86-64 Linux: a shadow byte for 8 bytes, at (address >> 3) + this */
#define GRANULE       8

#define BARE __attribute__((no_sanitize("address", "undefined")))

BARE __attribute__((always_inline)) static inline int is_open(uintptr_t address, uintptr_t size)
{
    uint64_t shadow;
    uintptr_t skew = address % GRANULE;
    uintptr_t granules = (skew + size + GRANULE - 1) / GRANULE;
    if (granules > sizeof shadow + 1) {
        return 0;
    }
    const unsigned char *first = (const unsigned char *)((address / GRANULE) + SHADOW_OFFSET);
    memcpy(&shadow, first, sizeof shadow);
    if (granules < sizeof shadow) {
        shadow &= (UINT64_C(1) << 8 * granules) - 1;
    }
    return shadow == 0 && (granules <= sizeof shadow || first[sizeof shadow] == 0);
}

#define CHECK(KIND)                                                  \
    void __asan_##KIND##N(uintptr_t address, uintptr_t size);        \
    void clvk_asan_##KIND##N(uintptr_t address, uintptr_t size);     \
    BARE void clvk_asan_##KIND##N(uintptr_t address, uintptr_t size) \
    {                                                                \
        if (!is_open(address, size)) {                               \
            __asan_##KIND##N(address, size);                         \
        }                                                            \
    }
#define FORWARD(NAME)                         \
    void __asan_##NAME(uintptr_t address);    \
    void clvk_asan_##NAME(uintptr_t address); \
    void clvk_asan_##NAME(uintptr_t address)  \
    {                                         \
        __asan_##NAME(address);               \
    }
CHECK(load)
CHECK(store)
FORWARD(load1)
FORWARD(load2)
FORWARD(load4)
FORWARD(load8)
FORWARD(load16)
FORWARD(store1)
FORWARD(store2)
FORWARD(store4)
FORWARD(store8)
FORWARD(store16)

void *clvk_asan_memcpy(void *to, const void *from, size_t size);
void *clvk_asan_memmove(void *to, const void *from, size_t size);
void *clvk_asan_memset(void *to, int value, size_t size);

void *clvk_asan_memcpy(void *to, const void *from, size_t size)
{
    return memcpy(to, from, size);
}

void *clvk_asan_memmove(void *to, const void *from, size_t size)
{
    return memmove(to, from, size);
}

void *clvk_asan_memset(void *to, int value, size_t size)
{
    return memset(to, value, size);
}
