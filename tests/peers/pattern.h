/* SPDX-License-Identifier: BSD-3-Clause */
/* What a disk holds: every word says which sector it is of and who wrote it. Shared by guest and
 * host. */
#ifndef PEERS_PATTERN_H
#define PEERS_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#define PATTERN_SECTOR 512u
#define PATTERN_HOST 1u  /* written by the host, before the guest ran */
#define PATTERN_GUEST 2u /* written by the guest */

/* The byte at an offset of a sector; the same whatever the processor's byte order is. */
static inline uint8_t pattern_byte(uint32_t writer, uint32_t sector, uint32_t offset)
{
    uint32_t word =
        (sector + 1u) * 0x9e3779b1u ^ (offset / 4u + 1u) * 0x85ebca6bu ^ writer * 0xc2b2ae35u;

    word ^= word >> 15;
    word *= 0x2c1b3c6du;
    return (uint8_t)(word >> (offset % 4u * 8u + 0u));
}

static inline void pattern_fill(uint8_t *data, uint32_t writer, uint32_t sector)
{
    for (uint32_t i = 0; i < PATTERN_SECTOR; i++) {
        data[i] = pattern_byte(writer, sector, i);
    }
}

static inline bool pattern_is(const uint8_t *data, uint32_t writer, uint32_t sector)
{
    for (uint32_t i = 0; i < PATTERN_SECTOR; i++) {
        if (data[i] != pattern_byte(writer, sector, i)) {
            return false;
        }
    }
    return true;
}

/* Who wrote a sector last once the guest is through: the guest every other run of 8, from the first
 * on. */
static inline uint32_t pattern_writer(uint32_t sector)
{
    return (sector / 8u) % 2u == 0 ? PATTERN_GUEST : PATTERN_HOST;
}

#endif
