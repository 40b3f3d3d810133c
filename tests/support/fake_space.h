/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A fifth space, as anyone could add one: a struct that begins with a struct virtq_space and
 * a table of operations. It is not part of the library, which knows nothing of it.
 *
 * It is as awkward as the seam allows. Device addresses come in granules of 4 KiB at the very top
 * of the 64-bit range; the granules of one segment run backwards, so that a segment across a page
 * becomes two runs; their low bits are not the pointer's; each granule is a window of its own, of
 * exactly the bytes that were granted and with exactly their permission; a window is a miss until
 * it was resolved, only so many are known at a time, and every unmapping withdraws windows. What
 * was given back is the first to be used again, so that a window that outlives its mapping leads to
 * the wrong memory.
 *
 * And it is a judge: what the seam promises a space (virtq/space.h) is checked, and the first
 * promise that was broken is kept.
 *
 * Trust: the device may touch the granted bytes and no others. One thread.
 */
#ifndef VIRTQ_TESTS_FAKE_SPACE_H
#define VIRTQ_TESTS_FAKE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "virtq/space.h"

enum {
    FAKE_SPACE_GRANULE = 4096,
    FAKE_SPACE_KNOWN = 48, /**< Windows known at a time: a ring's and those of one large buffer. */
    FAKE_SPACE_RUNS = 32   /**< Of one buffer. */
};

/** @brief A granule of device addresses. */
struct fake_granule {
    unsigned char *base;  /**< This program's address of `first`. */
    uint32_t first;       /**< First granted byte, from the granule's start. */
    uint32_t last;        /**< Last granted byte. */
    uint32_t permissions; /**< 0: nothing is granted. */
    uint32_t next;        /**< The buffer's next granule. */
    bool known;           /**< Its window was asked for and resolved. */
};

/** @brief A fifth space. The caller owns the memory; the fields are private. */
struct fake_space {
    struct virtq_space space; /**< What queues are given. */
    struct fake_granule *granules;
    uint32_t count;
    uint32_t cursor; /**< Where the search for a free granule begins. */
    uint32_t known;
    uint32_t granted;   /**< Granules in use. */
    uint32_t mapped;    /**< Buffers mapped now. */
    uint32_t shared;    /**< Areas shared now. */
    uint64_t misses;    /**< Questions answered VIRTQ_EMISS. */
    uint64_t cut;       /**< Segments that became several runs. */
    const char *broken; /**< The first promise that was broken, or NULL. */
};

/** @brief Makes one of `count` granules, whose memory is the caller's. */
void fake_space_init(struct fake_space *fake, struct fake_granule *granules, uint32_t count);

/** @brief Makes a miss good. @return 0, VIRTQ_EFAULT or VIRTQ_EPERM */
int fake_space_resolve(struct fake_space *fake, const struct virtq_miss *miss);

/** @brief Which promise was broken; with `idle` also that nothing may be left. NULL: none. */
const char *fake_space_judge(const struct fake_space *fake, bool idle);

struct world_space_kind;
/** @brief The space as worlds use it. */
extern const struct world_space_kind world_fake;

#endif
