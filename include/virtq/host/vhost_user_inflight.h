/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief Records of buffers in flight, as they lie in the memory that both ends of vhost-user keep
 * over a crash of the back-end: any back-end can go on with another one's records.
 *
 * A region a ring, each a whole number of #VIRTQ_VHOST_USER_INFLIGHT_ALIGN bytes, one after the
 * other. All numbers are in the machine's own byte order, but for what is copied from a packed
 * ring. [QEMU, docs/interop/vhost-user.rst, Inflight I/O tracking]
 */
#ifndef VIRTQ_HOST_VHOST_USER_INFLIGHT_H
#define VIRTQ_HOST_VHOST_USER_INFLIGHT_H

#include <stdint.h>

#include "../api.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief The version of a region; 0: nothing was written to it yet. */
#define VIRTQ_VHOST_USER_INFLIGHT_VERSION 1
/** @brief What the size of a region is a multiple of. */
#define VIRTQ_VHOST_USER_INFLIGHT_ALIGN 64

/** @brief A descriptor of a split ring. */
struct virtq_vhost_user_split_record {
    uint8_t inflight;   /**< 1: the head of a buffer that was taken and not given back. */
    uint8_t padding[5]; /**< Means nothing. */
    uint16_t next;      /**< The buffer before it in the list of the last ones given back. */
    uint64_t counter;   /**< Of a head: the larger, the later it was taken. */
};

/** @brief The region of a split ring; virtq_vhost_user_split_record follow. */
struct virtq_vhost_user_split_region {
    uint64_t features;        /**< 0. */
    uint16_t version;         /**< #VIRTQ_VHOST_USER_INFLIGHT_VERSION. */
    uint16_t desc_num;        /**< Records. */
    uint16_t last_batch_head; /**< The buffer given back last. */
    uint16_t used_idx;        /**< The used index when the records were last in order. */
};

/** @brief A descriptor that was taken from a packed ring, or a free record. */
struct virtq_vhost_user_packed_record {
    uint8_t inflight; /**< 1: the first of a buffer that was taken and not given back. */
    uint8_t padding;  /**< Means nothing. */
    uint16_t next;    /**< The next of the same buffer, or the next free one. */
    uint16_t last;    /**< Of the first: the last of the same buffer. */
    uint16_t num;     /**< Of the first: how many the buffer has. */
    uint64_t counter; /**< Of the first: the larger, the later it was taken. */
    uint16_t id;      /**< The descriptor, as it lay in the ring: ... */
    uint16_t flags;   /**< ... */
    uint32_t len;     /**< ... */
    uint64_t addr;    /**< ... its four fields. */
};

/** @brief The region of a packed ring; virtq_vhost_user_packed_record follow. What is `old` is
 * as it was when the records were last in order. */
struct virtq_vhost_user_packed_region {
    uint64_t features;             /**< 0. */
    uint16_t version;              /**< #VIRTQ_VHOST_USER_INFLIGHT_VERSION. */
    uint16_t desc_num;             /**< Records. */
    uint16_t free_head;            /**< The first free record; `desc_num` if there is none. */
    uint16_t old_free_head;        /**< The same. */
    uint16_t used_idx;             /**< Where the next used descriptor goes. */
    uint16_t old_used_idx;         /**< The same. */
    uint8_t used_wrap_counter;     /**< Its wrap counter. */
    uint8_t old_used_wrap_counter; /**< The same. */
    uint8_t padding[7];            /**< Means nothing. */
    uint8_t padding_to_records[3]; /**< Means nothing. */
};

VIRTQ_STATIC_ASSERT(sizeof(struct virtq_vhost_user_split_record) == 16, "wire");
VIRTQ_STATIC_ASSERT(sizeof(struct virtq_vhost_user_split_region) == 16, "wire");
VIRTQ_STATIC_ASSERT(sizeof(struct virtq_vhost_user_packed_record) == 32, "wire");
VIRTQ_STATIC_ASSERT(sizeof(struct virtq_vhost_user_packed_region) == 32, "wire");

VIRTQ_END_DECLS

#endif
