/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two programs at a shared region agree on: its first page, and what requests hold. Both
 * ends are little-endian; there are no interrupts, so both poll. */
#ifndef PEERS_REGION_H
#define PEERS_REGION_H

#include <stdint.h>
#include <string.h>

#define REGION_PAGE 4096u
#define REGION_END UINT32_MAX
#define REGION_REQUEST 4096u /* bytes of a request's half at most, and 16 at least */

/* The driver end fills it in, and writes `round` last; the device end answers with `served`. */
struct region_control {
    uint32_t round; /* of a queue, from 1 on; 0: none; REGION_END: there is no further one */
    uint32_t format;
    uint64_t features;
    uint32_t size;
    uint32_t unused;
    uint64_t descriptor;
    uint64_t driver;
    uint64_t device;
    uint32_t served; /* the round whose queue the device end has; 0: it has none */
};

/* A request begins with these three. */
struct region_header {
    uint32_t round;
    uint32_t number;
    uint64_t bytes; /* of the request, and of its answer */
};

/* Each byte of a request says which it is of, and where. */
static inline uint8_t region_byte(const struct region_header *header, uint32_t at)
{
    uint32_t word = (header->number + 1u) * 0x9e3779b1u ^ (at / 4u + 1u) * 0x85ebca6bu ^
                    header->round * 0xc2b2ae35u;

    word ^= word >> 15;
    word *= 0x2c1b3c6du;
    return (uint8_t)(word >> (at % 4u * 8u));
}

/* And each byte of its answer. */
static inline uint8_t region_answer(const struct region_header *header, uint32_t at)
{
    return (uint8_t)(255 - region_byte(header, at));
}

static inline uint32_t region_load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void region_store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

#endif
