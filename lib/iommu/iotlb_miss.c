/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of outstanding misses: in the order in which they were noted, those that were handed out
 * first. It is as long as the owner chose, never as the device's peer would have it (M4). */
#include "../space/lock.h"
#include "../space/tree.h"
#include "iotlb_private.h"

int virtq_iotlb_set_misses(struct virtq_iotlb *iotlb, struct virtq_miss *misses, unsigned capacity)
{
    if (misses == NULL || capacity == 0) {
        return VIRTQ_EINVAL;
    }
    iotlb->misses = misses;
    iotlb->misses_capacity = capacity;
    iotlb->misses_count = 0;
    iotlb->misses_taken = 0;
    return 0;
}

static void take_off(struct virtq_iotlb *iotlb, unsigned at)
{
    unsigned i;

    for (i = at; i + 1 < iotlb->misses_count; i++) {
        iotlb->misses[i] = iotlb->misses[i + 1];
    }
    iotlb->misses_count--;
    iotlb->misses_taken -= at < iotlb->misses_taken ? 1u : 0u;
}

/* What asks for one asks for the other. */
static bool covers(const struct virtq_miss *asked, const struct virtq_miss *miss)
{
    return miss->addr >= asked->addr && miss->addr - asked->addr < asked->len &&
           (asked->permissions & miss->permissions) == miss->permissions;
}

/* 0, VIRTQ_ENOMEM, or 1 if it is on the list now. */
static int note(struct virtq_iotlb *iotlb, const struct virtq_miss *miss)
{
    const struct virtq_priv_question ask = {miss->addr, miss->permissions, VIRTQ_PRIV_MERGE_ENOUGH,
                                            false};
    struct virtq_window window;
    unsigned i;

    for (i = 0; i < iotlb->misses_count; i++) {
        if (covers(&iotlb->misses[i], miss)) {
            return 0;
        }
    }
    /* Under the lock that an update takes: it came either before, or will find the miss noted. */
    if (virtq_priv_tree_window(&iotlb->tree, &ask, &window) == 0) {
        return 0;
    }
    if (iotlb->misses_count == iotlb->misses_capacity) {
        return VIRTQ_ENOMEM;
    }
    iotlb->misses[iotlb->misses_count++] = *miss;
    return 1;
}

int virtq_iotlb_note_miss(struct virtq_iotlb *iotlb, const struct virtq_miss *miss)
{
    int result;

    if (iotlb->misses == NULL) {
        return VIRTQ_ENOTSUP;
    }
    if (miss->len == 0 || !virtq_priv_permissions_legal(miss->permissions)) {
        return VIRTQ_EINVAL;
    }
    virtq_priv_lock(&iotlb->lock);
    result = note(iotlb, miss);
    virtq_priv_unlock(&iotlb->lock);
    return result;
}

int virtq_iotlb_next_miss(struct virtq_iotlb *iotlb, struct virtq_miss *miss)
{
    int result = 0;

    virtq_priv_lock(&iotlb->lock);
    if (iotlb->misses_taken < iotlb->misses_count) {
        *miss = iotlb->misses[iotlb->misses_taken++];
        result = 1;
    }
    virtq_priv_unlock(&iotlb->lock);
    return result;
}

void virtq_iotlb_forget_miss(struct virtq_iotlb *iotlb, const struct virtq_miss *miss)
{
    unsigned i;

    virtq_priv_lock(&iotlb->lock);
    for (i = 0; i < iotlb->misses_count; i++) {
        const struct virtq_miss *other = &iotlb->misses[i];

        if (other->addr == miss->addr && other->len == miss->len &&
            other->permissions == miss->permissions) {
            take_off(iotlb, i);
            break;
        }
    }
    virtq_priv_unlock(&iotlb->lock);
}

void virtq_priv_iotlb_resolve_misses(struct virtq_iotlb *iotlb, const struct virtq_region *region)
{
    unsigned i = 0;

    while (i < iotlb->misses_count) {
        const struct virtq_miss *miss = &iotlb->misses[i];

        if (miss->addr >= region->first && miss->addr <= region->last &&
            (region->permissions & miss->permissions) == miss->permissions) {
            take_off(iotlb, i);
        } else {
            i++;
        }
    }
}
