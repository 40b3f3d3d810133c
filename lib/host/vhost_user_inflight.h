/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Records of buffers in flight, in memory that outlives this program.
 *
 * The front-end can write to that memory at any time. So nothing of it is read while a ring runs:
 * what is needed is kept here too. It is read, and judged, when a ring starts.
 *
 * A crash comes between any two instructions, and leaves what was stored before. So the order of
 * the stores is the specification's, and each of those that say "this much is done" is a release.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_INFLIGHT_H
#define VIRTQ_LIB_HOST_VHOST_USER_INFLIGHT_H

#include "vhost_user_shm.h"
#include "virtq/device.h"
#include "virtq/host/vhost_user.h"
#include "virtq/host/vhost_user_inflight.h"
#include "virtq/packed.h"

/** @brief The memory of all rings. */
struct virtq_priv_inflight_memory {
    struct virtq_priv_shm shm; /**< Where it is here; none while nobody wants records. */
    uint64_t size;             /**< Bytes. */
    uint32_t queue_count;      /**< Regions. */
    uint32_t queue_size;       /**< Records of each. */
};

/** @brief A buffer that waits to be handed out once more. */
struct virtq_priv_waiting {
    uint64_t counter; /**< When it was taken. */
    uint32_t record;  /**< Its first record. */
};

/** @brief Our copy of a record. */
struct virtq_priv_record {
    uint16_t next; /**< Packed: as in the record. */
    uint16_t last; /**< Packed: of a buffer's first record, its last one. */
    uint16_t num;  /**< Ring descriptors of the buffer. */
    uint16_t id;   /**< The buffer's. */
};

/** @brief The records of one ring. */
struct virtq_priv_inflight {
    union {
        struct virtq_vhost_user_split_region *split;   /**< Shared. NULL: no records are kept. */
        struct virtq_vhost_user_packed_region *packed; /**< The same. */
    } region;
    struct virtq_priv_waiting *waiting; /**< `waiting_count`, oldest first. */
    struct virtq_priv_record *records;  /**< By record. */
    struct pvirtq_desc *descs;          /**< The descriptors of the buffer that is retaken. */
    uint16_t *heads;                    /**< By id: its first record. */
    uint16_t *ids;                      /**< A circle: buffers pushed and not published; IN_ORDER,
                                             all that are in flight. */
    uint8_t *pushed;                    /**< IN_ORDER: by id, whether it was pushed. */
    uint64_t counter;                   /**< Of the next buffer. */
    uint32_t size;                      /**< Records. */
    uint32_t ring_size;                 /**< Descriptors of the ring: as many, or fewer. */
    uint32_t waiting_count;             /**< Of `waiting`. */
    uint32_t waited;                    /**< Those that have been handed out. */
    uint32_t first;                     /**< Where the oldest stands in `ids`, ... */
    uint32_t count;                     /**< ... and how many there are. */
    uint32_t batch;                     /**< Those of `ids` that are being published. */
    uint16_t free_head;                 /**< Packed: the first free record. */
    bool packed;                        /**< The format. */
    bool in_order;                      /**< VIRTIO_F_IN_ORDER. */
};

/** @brief Bytes that the arrays of one ring need. */
size_t virtq_priv_inflight_size(uint32_t queue_size);

/** @brief Lays the arrays out. Nothing is recorded yet. */
void virtq_priv_inflight_init(struct virtq_priv_inflight *inflight, void *memory,
                              uint32_t queue_size);

/** @brief Makes memory for the records of so many rings: a descriptor that is the caller's, or -1.
 */
int virtq_priv_inflight_make(uint32_t queue_count, uint32_t queue_size, uint64_t *size);

/** @brief Maps memory for records in place of any before: an enum virtq_vhost_user_refusal. */
uint32_t virtq_priv_inflight_map(struct virtq_priv_inflight_memory *memory,
                                 struct virtq_priv_fault *fault,
                                 const struct virtq_vhost_user_inflight *wire, int fd, bool strict);

/** @brief All rings begin anew: no record counts any more. */
void virtq_priv_inflight_clear(struct virtq_priv_inflight_memory *memory, bool packed);

/** @brief A ring is about to start: finds its region, puts it in order after a crash, and says
 * where the ring really stands. The device is made and not yet restored. @return 0; VIRTQ_EINVAL:
 * the records cannot be */
int virtq_priv_inflight_start(struct virtq_priv_inflight *inflight,
                              const struct virtq_priv_inflight_memory *memory, uint32_t index,
                              const struct virtq_device *device, uint64_t features,
                              struct virtq_state *state);

/** @brief Whether anything waits to be handed out once more. */
static inline bool virtq_priv_inflight_waits(const struct virtq_priv_inflight *inflight)
{
    return inflight->waited != inflight->waiting_count;
}

/** @brief Hands the next one out: as virtq_device_retake(). */
int virtq_priv_inflight_retake(struct virtq_priv_inflight *inflight, struct virtq_device *device,
                               struct virtq_chain *chain, struct virtq_piece *pieces,
                               unsigned piece_count);

/** @brief Buffers were popped, from this position on. */
void virtq_priv_inflight_popped(struct virtq_priv_inflight *inflight,
                                const struct virtq_device *device, const struct virtq_chain *chains,
                                unsigned count, uint16_t position);

/** @brief A buffer was pushed. */
void virtq_priv_inflight_pushed(struct virtq_priv_inflight *inflight, uint16_t id);

/** @brief Buffers are about to be published; `used` is where the ring stands before. */
void virtq_priv_inflight_begin(struct virtq_priv_inflight *inflight, uint16_t used);

/** @brief They were; `used` is where it stands after. */
void virtq_priv_inflight_commit(struct virtq_priv_inflight *inflight, uint16_t used);

/** @brief They could not be, and may be later. */
void virtq_priv_inflight_revert(struct virtq_priv_inflight *inflight, uint16_t used);

/* What depends on the format. */

/** @brief The records of a split region. */
static inline struct virtq_vhost_user_split_record *virtq_priv_split_records(
    struct virtq_vhost_user_split_region *region)
{
    return (struct virtq_vhost_user_split_record *)(void *)(region + 1);
}

/** @brief The records of a packed region. */
static inline struct virtq_vhost_user_packed_record *virtq_priv_packed_records(
    struct virtq_vhost_user_packed_region *region)
{
    return (struct virtq_vhost_user_packed_record *)(void *)(region + 1);
}

/** @brief Puts a split region in order: 0 or VIRTQ_EINVAL. `state->used` is the ring's own. */
int virtq_priv_split_recover(struct virtq_priv_inflight *inflight, struct virtq_state *state);

/** @brief Puts a packed region in order: 0 or VIRTQ_EINVAL. */
int virtq_priv_packed_recover(struct virtq_priv_inflight *inflight,
                              const struct virtq_device *device, struct virtq_state *state);

/** @brief Records a buffer of a packed ring that begins at a position. */
void virtq_priv_packed_record(struct virtq_priv_inflight *inflight, const struct pvirtq_desc *ring,
                              uint16_t id, uint32_t slots, uint16_t position);

/** @brief What virtq_priv_inflight_begin() and its kin do to a packed region. */
void virtq_priv_packed_begin(struct virtq_priv_inflight *inflight, uint16_t used);
void virtq_priv_packed_commit(struct virtq_priv_inflight *inflight, uint16_t used);
void virtq_priv_packed_revert(struct virtq_priv_inflight *inflight, uint16_t used);

/** @brief Number `at` of `ids`. */
static inline uint16_t virtq_priv_inflight_id(const struct virtq_priv_inflight *inflight,
                                              uint32_t at)
{
    at += inflight->first;
    return inflight->ids[at < inflight->size ? at : at - inflight->size];
}

/** @brief Notes what waits: buffers by their first records, in the order in which they were taken.
 */
void virtq_priv_inflight_sort(struct virtq_priv_inflight *inflight);

#endif
