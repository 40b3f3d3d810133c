/* SPDX-License-Identifier: BSD-3-Clause */
/* What a Linux guest does to its disk. Shared by guest and host: the host plays the same requests
 * again, without a disk, and so knows what each sector must hold.
 *
 * Every sector says which sector it is and how often it has been written (its generation, 0 as the
 * host made it), so that a misplaced sector and a stale one are told from a damaged one. */
#ifndef LINUX_LOAD_H
#define LINUX_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define LOAD_SECTOR 512u
#define LOAD_WORDS (LOAD_SECTOR / 8u)
#define LOAD_RUN 128u   /* most sectors of a request */
#define LOAD_PIECES 12u /* most segments of its data */

/* What a thread does: it alone writes the sectors from `first` to `first + count`. */
struct load {
    uint64_t state;
    uint32_t first;
    uint32_t count;
};

struct load_op {
    bool writes;
    uint32_t sector;
    uint32_t sectors;
    uint32_t pieces;
};

static inline uint64_t load_mix(uint64_t word)
{
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
}

static inline uint32_t load_random(struct load *load, uint32_t below)
{
    load->state += 0x9e3779b97f4a7c15u;
    return (uint32_t)(load_mix(load->state) >> 32) % below;
}

/* The load of one thread of `threads`, in one round. */
static inline struct load load_of(uint32_t round, uint32_t thread, uint32_t threads,
                                  uint32_t sectors)
{
    struct load load = {(round * 1000u + thread + 1u) * 0x2545f4914f6cdd1du, 0, sectors / threads};

    load.first = thread * load.count;
    return load;
}

/* The next request. The last eighth of what a thread has is only read. */
static inline struct load_op load_next(struct load *load)
{
    struct load_op op;
    uint32_t range;

    op.writes = load_random(load, 2) != 0;
    range = op.writes ? load->count - load->count / 8u : load->count;
    op.sectors =
        load_random(load, 4) == 0 ? 1u + load_random(load, LOAD_RUN) : 1u + load_random(load, 16);
    op.sectors = op.sectors < range ? op.sectors : range;
    op.sector = load->first + load_random(load, range - op.sectors + 1u);
    op.pieces = 1u + load_random(load, op.sectors < LOAD_PIECES ? op.sectors : LOAD_PIECES);
    return op;
}

static inline uint64_t load_word(uint32_t sector, uint32_t generation, uint32_t index)
{
    return index == 0 ? sector
                      : load_mix(((uint64_t)generation << 40) + ((uint64_t)sector << 8) + index);
}

static inline void load_put(uint8_t *bytes, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(word >> (8 * i));
    }
}

static inline uint64_t load_get(const uint8_t *bytes)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < 8; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

static inline void load_fill(uint8_t *data, uint32_t sector, uint32_t generation)
{
    load_put(data, sector);
    load_put(data + 8, generation);
    for (uint32_t i = 2; i < LOAD_WORDS; i++) {
        load_put(data + 8 * i, load_word(sector, generation, i));
    }
}

/* Whether a sector is as it should be; says what it holds if not. */
static inline bool load_is(const uint8_t *data, uint32_t sector, uint32_t generation)
{
    for (uint32_t i = 0; i < LOAD_WORDS; i++) {
        uint64_t word = i == 1 ? generation : load_word(sector, generation, i);

        if (load_get(data + 8 * i) != word) {
            printf("sector %u generation %u expected: word %u is wrong; it says sector %llu "
                   "generation %llu\n",
                   (unsigned)sector, (unsigned)generation, (unsigned)i,
                   (unsigned long long)load_get(data), (unsigned long long)load_get(data + 8));
            return false;
        }
    }
    return true;
}

/* A sum over a disk that depends on the order. */
static inline uint64_t load_sum(uint64_t sum, const uint8_t *data)
{
    for (uint32_t i = 0; i < LOAD_WORDS; i++) {
        sum = (sum ^ load_get(data + 8 * i)) * 0x100000001b3u;
    }
    return sum;
}

#endif
