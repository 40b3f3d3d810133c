/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Records every access to shared memory that the templates make; to be included before
 * anything of the library.
 *
 * inline/shm.h is the only door to shared memory, and it calls VIRTQ_SHM_TRACE before each access.
 * trap_test.c checks that there is no other door.
 */
#ifndef VIRTQ_TESTS_HOSTILE_TRACE_H
#define VIRTQ_TESTS_HOSTILE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { TRACE_MAX = 8192 };

/** @brief One access. */
struct access {
    const unsigned char *at;
    unsigned width;
    bool store;
    uint64_t value; /**< Of a load: what is there, as a little-endian number. */
};

static struct access trace_log[TRACE_MAX];
static unsigned trace_count;
/** @brief Called before each access, if set: an adversary. */
static void (*trace_hook)(const struct access *access);

static void trace_access(const void *at, size_t width, int store)
{
    struct access access = {(const unsigned char *)at, (unsigned)width, store != 0, 0};

    if (trace_hook != NULL) {
        trace_hook(&access);
    }
    for (size_t i = width < 8 ? width : 8; i-- > 0 && store == 0;) {
        access.value = access.value << 8 | access.at[i];
    }
    if (trace_count < TRACE_MAX) {
        trace_log[trace_count++] = access;
    }
}

#define VIRTQ_SHM_TRACE(pointer, width, access) \
    trace_access((pointer), (width), (int)(access) & (int)VIRTQ_ACCESS_STORE)

#endif
