/* SPDX-License-Identifier: BSD-3-Clause */
/* A split ring's records are put in order after a crash. */
#include <string.h>

#include "vhost_user_inflight.h"

typedef struct virtq_vhost_user_split_region region_type;

/* A region of zeros becomes one without anything in flight. */
static void begin_anew(struct virtq_priv_inflight *inflight, uint16_t used)
{
    region_type *region = inflight->region.split;

    memset(virtq_priv_split_records(region), 0,
           inflight->size * sizeof(struct virtq_vhost_user_split_record));
    region->features = 0;
    region->desc_num = (uint16_t)inflight->size;
    region->last_batch_head = 0;
    region->used_idx = used;
    __atomic_store_n(&region->version, VIRTQ_VHOST_USER_INFLIGHT_VERSION, __ATOMIC_RELEASE);
}

/* The driver was shown buffers, and the crash came before they were crossed off: the last ones of
 * the list, as many as the used index went on. */
static int finish_batch(struct virtq_priv_inflight *inflight, uint16_t used)
{
    region_type *region = inflight->region.split;
    struct virtq_vhost_user_split_record *records = virtq_priv_split_records(region);
    uint32_t left = (uint16_t)(used - __atomic_load_n(&region->used_idx, __ATOMIC_RELAXED));
    uint16_t id = __atomic_load_n(&region->last_batch_head, __ATOMIC_RELAXED);

    if (left > inflight->ring_size) {
        return VIRTQ_EINVAL;
    }
    for (; left != 0; left--) {
        if (id >= inflight->ring_size) {
            return VIRTQ_EINVAL;
        }
        __atomic_store_n(&records[id].inflight, 0, __ATOMIC_RELAXED);
        id = __atomic_load_n(&records[id].next, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&region->used_idx, used, __ATOMIC_RELEASE);
    return VIRTQ_OK;
}

int virtq_priv_split_recover(struct virtq_priv_inflight *inflight, struct virtq_state *state)
{
    region_type *region = inflight->region.split;
    const struct virtq_vhost_user_split_record *records = virtq_priv_split_records(region);
    const uint16_t version = __atomic_load_n(&region->version, __ATOMIC_ACQUIRE);
    uint32_t i;

    if (version == 0) {
        begin_anew(inflight, state->used);
        inflight->counter = 0;
        return VIRTQ_OK;
    }
    if (version != VIRTQ_VHOST_USER_INFLIGHT_VERSION ||
        __atomic_load_n(&region->desc_num, __ATOMIC_RELAXED) != inflight->size ||
        finish_batch(inflight, state->used) != VIRTQ_OK) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < inflight->ring_size; i++) {
        const uint8_t flies = __atomic_load_n(&records[i].inflight, __ATOMIC_RELAXED);

        if (flies > 1) {
            return VIRTQ_EINVAL;
        }
        if (flies == 1) {
            inflight->waiting[inflight->waiting_count++] =
                (struct virtq_priv_waiting){records[i].counter, i};
        }
    }
    virtq_priv_inflight_sort(inflight);
    /* All that was taken is used or in flight, so that the two say where the next one is. What the
     * front-end believes it knows only by what was used. */
    state->available = (uint16_t)(state->used + inflight->waiting_count);
    return VIRTQ_OK;
}
