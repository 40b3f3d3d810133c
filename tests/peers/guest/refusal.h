/* SPDX-License-Identifier: BSD-3-Clause */
/* A disk behind an IOMMU that is asked to write where nothing is mapped any more. */
#ifndef PEERS_GUEST_REFUSAL_H
#define PEERS_GUEST_REFUSAL_H

#include "queue.h"

struct refusal {
    struct virtq_space *space;
    /* Judges what the IOMMU tells of an access to those bytes; NULL: it tells nothing. */
    void (*judge)(virtq_addr_t first, uint64_t bytes);
    /* Whether the IOMMU has taken the device out of service; NULL: it does not do that. */
    bool (*stopped)(void);
    /* Puts it back into service. */
    void (*recover)(void);
};

/* Mapped, memory is written; unmapped it is not. */
void refusal_run(const struct refusal *refusal, struct transport *disk);

#endif
