/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_blk
 * @brief A disk that is served over vhost-user: a server (vhost_user_server.h) whose back-ends have
 * a ring (blk_ring.h) for each queue of the disk.
 *
 *     virtq_blk_server_init(memory, size, &config, &server);
 *     ... virtq_vhost_user_server_fd(), virtq_vhost_user_server_process() ...
 *     virtq_vhost_user_server_fini(server);
 *
 * What is left to the program is where rings run: struct virtq_blk_server_ops.
 */
#ifndef VIRTQ_HOST_BLK_SERVER_H
#define VIRTQ_HOST_BLK_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "../api.h"
#include "blk.h"
#include "blk_ring.h"
#include "vhost_user_server.h"

VIRTQ_BEGIN_DECLS

/** @brief What the program does for its rings. All are called within
 * virtq_vhost_user_server_process() and virtq_vhost_user_server_fini(). */
struct virtq_blk_server_ops {
    /** sizeof(struct virtq_blk_server_ops) of whoever fills the table. */
    size_t size;
    /** @brief Gives a ring a carrier, if it is to have one, and starts a thread that calls
     * virtq_blk_ring_run(). @param opaque as in the configuration @param index the ring's @param
     * ring the ring @return 0, or anything else: it cannot, and the ring does not start */
    int (*start)(void *opaque, uint32_t index, struct virtq_blk_ring *ring);
    /** @brief Waits for the thread, which has been asked to return, and ends the carrier. @param
     * opaque as in the configuration @param index the ring's @param ring the ring: its last use */
    void (*join)(void *opaque, uint32_t index, struct virtq_blk_ring *ring);
    /** @brief The driver's features are known, or have changed; may be NULL. @param opaque as in
     * the configuration @param features accepted */
    void (*features)(void *opaque, uint64_t features);
    /** @brief A message was refused, for logs; may be NULL. @param opaque as in the configuration
     * @param request its number, not trusted @param refusal an enum virtq_vhost_user_refusal */
    void (*refused)(void *opaque, uint32_t request, uint32_t refusal);
};

/** @brief How a disk is served. Begin with #VIRTQ_BLK_SERVER_CONFIG_INIT. */
struct virtq_blk_server_config {
    size_t struct_size; /**< sizeof(struct virtq_blk_server_config): lets the struct grow. */
    struct virtq_vhost_user_server_config server;   /**< Where; its `backend` is not read. */
    struct virtq_vhost_user_backend_config backend; /**< What each connection's back-end is like,
                                                         but for what the disk decides: its features
                                                         are added to these, and buffers
                                                         in flight are recorded. `queue_count`,
                                                         `config_size`, `ops` and `opaque` are not
                                                         read. */
    struct virtq_blk_ring_config ring; /**< What each ring is like: the disk and its file, which
                                            have to stay. `backend` and `index` are not read; the
                                            driver decides of #VIRTQ_BLK_RING_STABLE. */
    const struct virtq_blk_server_ops *ops; /**< Copied. */
    void *opaque;                           /**< Handed to each of them. */
};

/** @brief The initial value of a struct virtq_blk_server_config. */
#define VIRTQ_BLK_SERVER_CONFIG_INIT                                                     \
    {                                                                                    \
        sizeof(struct virtq_blk_server_config), VIRTQ_VHOST_USER_SERVER_CONFIG_INIT,     \
            VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT, VIRTQ_BLK_RING_CONFIG_INIT, NULL, NULL \
    }

/** @brief Bytes of memory that a served disk needs: its server, and all its rings. Most of it is
 * not touched while requests are few and small.
 * @param config the configuration
 * @return bytes, a multiple of #VIRTQ_CACHE_LINE, to which they are to be aligned; 0 if the
 * configuration is illegal. Any thread. */
VIRTQ_API size_t virtq_blk_server_size(const struct virtq_blk_server_config *config);

/** @brief Listens, and serves the disk to whoever connects.
 * @param memory private memory, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must stay until
 * virtq_vhost_user_server_fini()
 * @param size   its bytes, at least virtq_blk_server_size()
 * @param config read during the call only
 * @param server result: where `memory` begins
 * @return as virtq_vhost_user_server_init(). Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_blk_server_init(void *memory, size_t size,
                                                     const struct virtq_blk_server_config *config,
                                                     struct virtq_vhost_user_server **server);

VIRTQ_END_DECLS

#endif
