/* SPDX-License-Identifier: BSD-3-Clause */
/* The four functions that libvirtq asks its user for. */
#include <stdint.h>
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    unsigned char *target = to;
    const unsigned char *source = from;

    for (size_t i = 0; i < bytes; i++) {
        target[i] = source[i];
    }
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    unsigned char *target = to;
    const unsigned char *source = from;

    if ((uintptr_t)to <= (uintptr_t)from) {
        return memcpy(to, from, bytes);
    }
    while (bytes > 0) {
        bytes--;
        target[bytes] = source[bytes];
    }
    return to;
}

void *memset(void *to, int byte, size_t bytes)
{
    unsigned char *target = to;

    for (size_t i = 0; i < bytes; i++) {
        target[i] = (unsigned char)byte;
    }
    return to;
}

int memcmp(const void *one, const void *other, size_t bytes)
{
    const unsigned char *left = one;
    const unsigned char *right = other;

    for (size_t i = 0; i < bytes; i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}
