/* SPDX-License-Identifier: BSD-3-Clause */
/* What was argued about who may touch whose memory, position by position: the facts, and what each
 * end decides. The tests go through the same rows. */
#ifndef BENCH_ACCESS_POSITIONS_H
#define BENCH_ACCESS_POSITIONS_H

#include <stddef.h>
#include <stdint.h>

#include "virtq/access.h"

struct access_position {
    const char *name;
    const char *seed; /* the discussion it comes from */
    const char *text; /* what was said */
    struct virtq_access_facts facts;
    struct {
        uint32_t space, reason;
    } device; /* before it is shown */
    struct {
        uint32_t space, bounce, reason;
    } driver; /* all 0: never asked */
    struct {
        uint32_t space, reason;
    } agreed; /* the device at FEATURES_OK; all 0: never asked */
};

/* The rows in their order; NULL after the last one. */
const struct access_position *access_position_at(size_t index);

/* What a row is written with. */
#define ACCESS_V VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define ACCESS_P VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM)
#define ACCESS_O VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM)
#define ACCESS_R VIRTQ_FEATURE(VIRTQ_ACCESS_RESTRICTED_BIT)
#define ACCESS_ALL (ACCESS_V | ACCESS_P | ACCESS_O | ACCESS_R)

#define FLAG(flag) ((uint32_t)VIRTQ_ACCESS_##flag)
#define FACTS(generation, iommu, pool, flags, features, known) \
    REACH(generation, iommu, pool, flags, features, known, 64, 64)
#define REACH(generation, iommu, pool, flags, features, known, device_bits, memory_bits)      \
    {                                                                                         \
        sizeof(struct virtq_access_facts), features, known, flags, VIRTQ_ACCESS_##generation, \
            VIRTQ_ACCESS_IOMMU_##iommu, VIRTQ_ACCESS_POOL_##pool, device_bits, memory_bits,   \
            VIRTQ_ACCESS_RESTRICTED_BIT,                                                      \
        {                                                                                     \
            0                                                                                 \
        }                                                                                     \
    }
#define DEVICE(space, reason)                       \
    {                                               \
        VIRTQ_ACCESS_##space, VIRTQ_ACCESS_##reason \
    }
#define DRIVER(space, bounce, reason)                                             \
    {                                                                             \
        VIRTQ_ACCESS_##space, VIRTQ_ACCESS_BOUNCE_##bounce, VIRTQ_ACCESS_##reason \
    }
#define AGREED(space, reason) DEVICE(space, reason)
#define NOT_ASKED \
    {             \
        0         \
    }

#endif
