/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtio-rng client. [virtio 1.4, Entropy Device] */
#ifndef PEERS_GUEST_ENTROPY_H
#define PEERS_GUEST_ENTROPY_H

#include "queue.h"

#define ENTROPY_TYPE 4u

/* Asks for bytes in several lengths, and looks at what came and at what lies behind it. */
void entropy_run(struct transport *transport, struct virtq_space *space);

#endif
