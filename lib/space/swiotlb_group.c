/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/swiotlb_group.h"

#include <string.h>

#include "lock.h"
#include "region.h"
#include "stage.h"
#include "swiotlb_group_private.h"
#include "swiotlb_pool.h"

struct virtq_swiotlb *virtq_priv_swiotlb_group_enter(struct virtq_swiotlb_group *group, unsigned at,
                                                     uint64_t *serial)
{
    struct virtq_swiotlb_member *member = &group->members[at];
    struct virtq_swiotlb *pool;

    virtq_priv_lock(&group->lock);
    pool = serial != NULL && member->closing != 0 ? NULL : member->pool;
    member->users += pool != NULL;
    if (serial != NULL) {
        *serial = member->pool != NULL ? member->serial : 0;
    }
    virtq_priv_unlock(&group->lock);
    return pool;
}

void virtq_priv_swiotlb_group_leave(struct virtq_swiotlb_group *group, uint64_t at)
{
    virtq_priv_lock(&group->lock);
    group->members[at].users--;
    virtq_priv_unlock(&group->lock);
}

static int group_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_swiotlb_group *group = (struct virtq_swiotlb_group *)space;
    uint64_t *record = mapping->record;
    int result = VIRTQ_ETOOBIG;
    uint64_t serial;
    unsigned at;

    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX; at++) {
        struct virtq_swiotlb *pool = virtq_priv_swiotlb_group_enter(group, at, &serial);
        int error;

        if (pool == NULL) {
            continue;
        }
        *record = at;
        mapping->record = record + 1;
        error = pool->space.ops->map(&pool->space, mapping);
        mapping->record = record;
        if (error == 0) {
            return 0;
        }
        virtq_priv_swiotlb_group_leave(group, at);
        if (error != VIRTQ_ENOMEM && error != VIRTQ_ETOOBIG) {
            return error;
        }
        /* What one pool never takes another one may, later. */
        result = error == VIRTQ_ENOMEM ? error : result;
    }
    return result;
}

static void group_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    struct virtq_swiotlb_group *group = (struct virtq_swiotlb_group *)space;
    uint64_t *record = mapping->record;
    struct virtq_swiotlb *pool = group->members[*record].pool; /* Stays as long as the buffer. */

    mapping->record = record + 1;
    pool->space.ops->unmap(&pool->space, mapping, written);
    mapping->record = record;
    virtq_priv_swiotlb_group_leave(group, *record);
}

static int group_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                       virtq_addr_t *addr)
{
    struct virtq_swiotlb_group *group = (struct virtq_swiotlb_group *)space;
    int error = VIRTQ_EFAULT;
    unsigned at;

    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX && error == VIRTQ_EFAULT; at++) {
        /* Of a closed pool, too: what lies there was there before. */
        struct virtq_swiotlb *pool = virtq_priv_swiotlb_group_enter(group, at, NULL);

        if (pool != NULL) {
            error = virtq_priv_swiotlb_share(&pool->space, base, len, permissions, addr);
            virtq_priv_swiotlb_group_leave(group, at);
        }
    }
    return error;
}

/* The memory stays the caller's until virtq_swiotlb_free(). */
static void group_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static int group_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                        struct virtq_window *window)
{
    struct virtq_swiotlb_group *group = (struct virtq_swiotlb_group *)space;
    int error = VIRTQ_EFAULT;
    unsigned at;

    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    virtq_priv_lock(&group->lock);
    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX && error != 0; at++) {
        const struct virtq_swiotlb *pool = group->members[at].pool;

        if (pool != NULL && addr >= pool->space.linear.first && addr <= pool->space.linear.last) {
            *window = pool->space.linear;
            error = 0;
        }
    }
    virtq_priv_unlock(&group->lock);
    return error;
}

static const struct virtq_space_ops group_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "swiotlb group",
    .map = group_map,
    .unmap = group_unmap,
    .share = group_share,
    .unshare = group_unshare,
    .window = group_window,
};

void virtq_swiotlb_group_init(struct virtq_swiotlb_group *group)
{
    memset(group, 0, sizeof(*group));
    group->space.ops = &group_ops;
    group->space.driver_kind = VIRTQ_SPACE_CALLED;
    group->space.device_kind = VIRTQ_SPACE_CALLED;
    group->space.record_fixed = VIRTQ_PRIV_SWIOTLB_GROUP_RECORD_FIXED;
    group->space.record_per_segment = VIRTQ_PRIV_STAGE_RECORD_PER_SEGMENT;
    group->space.runs_max = 2;
}

/* Under the lock. Those who keep slots look at `turned` without it. Release: pairs with the load in
 * virtq_priv_swiotlb_group_turned(). */
static void turn(struct virtq_swiotlb_group *group, struct virtq_swiotlb_member *member,
                 uint32_t closing)
{
    member->closing = closing;
    (void)__atomic_add_fetch(&group->turned, 1u, __ATOMIC_RELEASE);
}

/* Under the lock: where a pool is, or is to be; or an error. */
static int find_room(const struct virtq_swiotlb_group *group, const struct virtq_swiotlb *pool,
                     unsigned *room)
{
    const struct virtq_window *mine = &pool->space.linear;
    int error = VIRTQ_ENOMEM;
    unsigned at;

    for (at = VIRTQ_SWIOTLB_POOLS_MAX; at-- > 0;) {
        const struct virtq_swiotlb_member *member = &group->members[at];
        const struct virtq_swiotlb *other = member->pool;

        if (other == NULL) {
            *room = at;
            error = 0;
        } else if (other == pool && member->closing != 0) {
            *room = at;
            return 0;
        } else if (other->space.linear.first <= mine->last &&
                   mine->first <= other->space.linear.last) {
            return VIRTQ_EINVAL;
        }
    }
    return error;
}

int virtq_swiotlb_group_add(struct virtq_swiotlb_group *group, struct virtq_swiotlb *pool)
{
    unsigned room = 0;
    int error;

    virtq_priv_lock(&group->lock);
    error = find_room(group, pool, &room);
    if (error == 0) {
        struct virtq_swiotlb_member *member = &group->members[room];

        if (member->pool == NULL) {
            member->pool = pool;
            member->serial = ++group->added;
        }
        if (member->closing != 0) {
            turn(group, member, 0);
        }
    }
    virtq_priv_unlock(&group->lock);
    return error;
}

int virtq_swiotlb_group_remove(struct virtq_swiotlb_group *group, struct virtq_swiotlb *pool)
{
    struct virtq_swiotlb_usage usage;
    int error = VIRTQ_EINVAL;
    unsigned at;

    virtq_priv_lock(&group->lock);
    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX; at++) {
        struct virtq_swiotlb_member *member = &group->members[at];

        if (member->pool == pool) {
            virtq_swiotlb_read_usage(pool, &usage);
            error = member->users != 0 || usage.used != 0 ? VIRTQ_EBUSY : 0;
            member->pool = error == 0 ? NULL : pool;
            if (error == 0 || member->closing == 0) {
                turn(group, member, error != 0);
            }
        }
    }
    virtq_priv_unlock(&group->lock);
    if (error == 0) {
        virtq_space_invalidated(&group->space);
    }
    return error;
}
