/* SPDX-License-Identifier: BSD-3-Clause */
/* What the suites about access start from. */
#ifndef VIRTQ_TESTS_ACCESS_PLAIN_H
#define VIRTQ_TESTS_ACCESS_PLAIN_H

#include "virtq/access.h"

#define VERSION VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define PLATFORM VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM)
#define ORDER VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM)
#define RESTRICTED VIRTQ_FEATURE(VIRTQ_ACCESS_RESTRICTED_BIT)

/* A modern software device without an IOMMU, which has all that virtio 1.4 has; a driver that also
 * knows restricted DMA. */
static inline struct virtq_access_facts plain(void)
{
    struct virtq_access_facts facts = VIRTQ_ACCESS_FACTS_INIT;

    facts.features = VERSION | PLATFORM | ORDER;
    facts.known = VERSION | PLATFORM | ORDER | RESTRICTED;
    return facts;
}

#endif
