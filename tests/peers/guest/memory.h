/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for queues: what only the guest sees, and what the device sees too. */
#ifndef PEERS_GUEST_MEMORY_H
#define PEERS_GUEST_MEMORY_H

#include <stddef.h>
#include <virtq/virtq.h>

/* How much had been taken at some moment. */
struct memory_mark {
    size_t private_bytes;
    size_t seen_bytes;
    unsigned shared_pieces;
};

/* What the device sees is taken from that region from here on, not from the guest's own memory. */
void memory_share(struct virtq_bar *region);

void *memory_private(size_t size, size_t align);
void *memory_shared(size_t size, size_t align);

/* Where memory_shared() takes from while there is no region: whole pages, with nothing else in
 * them.
 */
void memory_seen(void **pages, size_t *bytes);

struct memory_mark memory_marked(void);

/* Takes back all that was taken since. */
void memory_release(struct memory_mark mark);

#endif
