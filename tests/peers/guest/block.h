/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtio-blk client. [virtio 1.4, Block Device] */
#ifndef PEERS_GUEST_BLOCK_H
#define PEERS_GUEST_BLOCK_H

#include "queue.h"

#define BLOCK_TYPE 2u

/* Reads the whole disk, writes half of it, reads it again; polls, then does it by interrupts where
 * there are any. */
void block_run(struct transport *transport, struct virtq_space *space);

#endif
