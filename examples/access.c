/* SPDX-License-Identifier: BSD-3-Clause */
/* Which space, and why: a device that reaches only a pool, and two drivers, of which one has never
 * heard of that. docs/access.md goes through it.
 *
 *     cc access.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdio.h>
#include <virtq/virtq.h>

#include "support.h"

/* [device] */
/* What whoever builds the device knows of it. */
static struct virtq_access_facts device_facts(void)
{
    struct virtq_access_facts facts = VIRTQ_ACCESS_FACTS_INIT;

    facts.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTQ_ACCESS_RESTRICTED_BIT);
    facts.pool = VIRTQ_ACCESS_POOL_SYSTEM;
    facts.flags = VIRTQ_ACCESS_POOL_ONLY;
    return facts;
}
/* [device] */

/* [driver] */
/* What a driver decides of a device that offers `offered`; 0 if it wants nothing to do with it. */
static uint64_t drive(uint64_t offered, uint64_t known)
{
    struct virtq_access_facts facts = VIRTQ_ACCESS_FACTS_INIT;
    struct virtq_access_decision decision;

    facts.features = offered;
    facts.known = known;
    facts.pool = VIRTQ_ACCESS_POOL_SYSTEM; /* the platform's description has one */
    if (virtq_access_driver(&facts, &decision) != VIRTQ_OK) {
        printf("driver: %s\n", virtq_access_reason_name(decision.reason));
        return 0;
    }
    printf("driver: %s: %s\n", virtq_access_space_name(decision.space),
           virtq_access_reason_name(decision.reason));
    return decision.accept;
}
/* [driver] */

int main(void)
{
    uint64_t version = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    uint64_t restricted = VIRTQ_FEATURE(VIRTQ_ACCESS_RESTRICTED_BIT);
    struct virtq_access_facts facts = device_facts();
    struct virtq_access_decision offer;
    struct virtq_access_decision agreed;

    /* [negotiation] */
    check(virtq_access_device(&facts, &offer) == VIRTQ_OK, "the device can be shown");

    /* A driver that knows restricted DMA: both ends use the pool. */
    check(virtq_access_agree(&facts, drive(offer.offer, version | restricted), &agreed) == VIRTQ_OK,
          "FEATURES_OK stays set");
    check(agreed.space == VIRTQ_ACCESS_SWIOTLB, "the pool is the device's one window");

    /* One that does not would pass addresses that the device cannot reach. */
    check(virtq_access_agree(&facts, drive(offer.offer, version), &agreed) == VIRTQ_ENOTSUP,
          "FEATURES_OK is refused");
    printf("device: %s\n", virtq_access_reason_name(agreed.reason));
    /* [negotiation] */
    return 0;
}
