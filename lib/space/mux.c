/* SPDX-License-Identifier: BSD-3-Clause */
/* A mux: its setting up, its device end, and rings. mux_map.c has buffers. */
#include "virtq/space/mux.h"

#include <string.h>

#include "mux_private.h"
#include "region.h"

/* The first route that does not end below an address; NULL if there is none. */
static const struct virtq_mux_route *route_from(const struct virtq_mux *mux, uintptr_t addr)
{
    uint32_t low = 0;
    uint32_t high = mux->route_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (mux->routes[middle].last < addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < mux->route_count ? &mux->routes[low] : NULL;
}

int virtq_priv_mux_find(const struct virtq_mux *mux, const void *base, uint64_t len, uint32_t *hint)
{
    const uintptr_t first = (uintptr_t)base;
    const struct virtq_mux_route *route;

    if (len == 0) {
        return VIRTQ_EINVAL;
    }
    if (!virtq_priv_memory_legal(base, len - 1)) {
        return VIRTQ_EFAULT;
    }
    route = route_from(mux, first);
    if (route != NULL && route->first <= first) {
        *hint = (uint32_t)(route - mux->routes);
        return len - 1 <= route->last - first ? (int)route->member : VIRTQ_EFAULT;
    }
    if (route != NULL && route->first - first < len) {
        /* It runs into memory that is a member's: it cannot be anybody's as a whole. */
        return VIRTQ_EFAULT;
    }
    return mux->other != VIRTQ_MUX_NOBODY ? (int)mux->other : VIRTQ_EFAULT;
}

int virtq_mux_own(const struct virtq_mux *mux, virtq_addr_t addr, virtq_addr_t *own)
{
    uint32_t i;

    for (i = 0; i < mux->member_count; i++) {
        const struct virtq_mux_member *member = &mux->members[i];

        if (addr >= member->first && addr <= member->last) {
            *own = member->own + (addr - member->first);
            return (int)i;
        }
    }
    return VIRTQ_EFAULT;
}

static int mux_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                     virtq_addr_t *addr)
{
    struct virtq_mux *mux = (struct virtq_mux *)space;
    uint32_t hint;
    int at = virtq_priv_mux_find(mux, base, len, &hint);
    virtq_addr_t own;
    virtq_addr_t known;
    int error;

    if (at < 0) {
        return at;
    }
    if ((mux->members[at].permissions & permissions) != permissions) {
        return VIRTQ_EFAULT;
    }
    error = virtq_space_share(mux->members[at].space, base, len, permissions, &own);
    if (error != 0) {
        return error;
    }
    known = own;
    if (!virtq_priv_mux_place(&mux->members[at], &known, len)) {
        virtq_space_unshare(mux->members[at].space, own, len);
        return VIRTQ_EFAULT;
    }
    *addr = known;
    return 0;
}

static void mux_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    struct virtq_mux *mux = (struct virtq_mux *)space;
    virtq_addr_t own;
    int at = virtq_mux_own(mux, addr, &own);

    if (at >= 0) {
        virtq_space_unshare(mux->members[at].space, own, len);
    }
}

/* A member's window as queues know it: no more of it than lies in the member's range. */
static void clip(const struct virtq_mux_member *member, struct virtq_window *window)
{
    virtq_addr_t own_last = member->own + (member->last - member->first);

    if (window->first < member->own) {
        /* As a number: the base of a window of all memory is no object to count in. */
        window->base =
            (unsigned char *)((uintptr_t)window->base + (uintptr_t)(member->own - window->first));
        window->first = member->own;
    }
    if (window->last > own_last) {
        window->last = own_last;
    }
    window->first = member->first + (window->first - member->own);
    window->last = member->first + (window->last - member->own);
    window->permissions &= member->permissions;
}

static int mux_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                      struct virtq_window *window)
{
    struct virtq_mux *mux = (struct virtq_mux *)space;
    struct virtq_window answer = {0};
    const struct virtq_mux_member *member;
    virtq_addr_t own;
    int at = virtq_mux_own(mux, addr, &own);
    int error;

    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    if (at < 0) {
        return at;
    }
    member = &mux->members[at];
    if ((member->permissions & permission) != permission) {
        return VIRTQ_EPERM;
    }
    if (member->space->ops->size < offsetof(struct virtq_space_ops, batch) ||
        member->space->ops->window == NULL) {
        return VIRTQ_EFAULT;
    }
    error = member->space->ops->window(member->space, own, permission, &answer);
    if (error != 0) {
        return error;
    }
    /* Clipping an answer that does not hold the address would make one that does. */
    if (own < answer.first || own > answer.last) {
        return VIRTQ_EFAULT;
    }
    clip(member, &answer);
    *window = answer;
    return 0;
}

static const struct virtq_space_ops mux_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "mux",
    .map = virtq_priv_mux_map,
    .unmap = virtq_priv_mux_unmap,
    .share = mux_share,
    .unshare = mux_unshare,
    .window = mux_window,
};

/* A member has withdrawn something: so has the mux. */
static void member_moved(struct virtq_space_listener *listener, int wait)
{
    struct virtq_mux *mux = ((struct virtq_mux_ear *)(void *)listener)->mux;

    if (wait != 0) {
        virtq_space_invalidated(&mux->space);
    } else {
        virtq_space_moved(&mux->space);
    }
}

static void listen(struct virtq_mux *mux)
{
    uint32_t i;

    for (i = 0; i < mux->member_count; i++) {
        struct virtq_space *space = mux->members[i].space;

        mux->ears[i].mux = mux;
        mux->ears[i].listener.moved = member_moved;
        mux->ears[i].listener.next = space->listeners;
        space->listeners = &mux->ears[i].listener;
    }
}

void virtq_mux_fini(struct virtq_mux *mux)
{
    uint32_t i;

    for (i = 0; i < mux->member_count; i++) {
        struct virtq_space_listener **at = &mux->members[i].space->listeners;

        while (*at != NULL && *at != &mux->ears[i].listener) {
            at = &(*at)->next;
        }
        if (*at != NULL) {
            *at = (*at)->next;
        }
    }
}

/* Ranges are disjoint, so that an address is one member's; or the same throughout, and then it is
 * the same memory, of which any of them can give the window. */
static bool ranges_agree(const struct virtq_mux_member *one, const struct virtq_mux_member *other)
{
    if (one->first > other->last || other->first > one->last) {
        return true;
    }
    return one->first == other->first && one->last == other->last && one->own == other->own;
}

static bool members_legal(const struct virtq_mux_config *config)
{
    uint32_t i;
    uint32_t j;

    if (config->members == NULL || config->member_count - 1 >= VIRTQ_MUX_MEMBERS) {
        return false;
    }
    for (i = 0; i < config->member_count; i++) {
        const struct virtq_mux_member *member = &config->members[i];

        if (member->space == NULL || member->space->ops == NULL || member->first > member->last ||
            member->last - member->first > UINT64_MAX - member->own ||
            !virtq_priv_permissions_legal(member->permissions)) {
            return false;
        }
        for (j = 0; j < i; j++) {
            if (!ranges_agree(member, &config->members[j])) {
                return false;
            }
        }
    }
    return true;
}

static bool routes_legal(const struct virtq_mux_config *config)
{
    uint32_t i;

    if (config->route_count != 0 && config->routes == NULL) {
        return false;
    }
    for (i = 0; i < config->route_count; i++) {
        const struct virtq_mux_route *route = &config->routes[i];

        if (route->first > route->last || route->member >= config->member_count ||
            (i != 0 && route->first <= config->routes[i - 1].last)) {
            return false;
        }
    }
    return config->other < config->member_count || config->other == VIRTQ_MUX_NOBODY;
}

/* What all members need for one buffer together: their fixed parts, each rounded up to 8 bytes, and
 * each segment once, as large as the member with the largest needs it. */
static void size_record(struct virtq_mux *mux)
{
    uint32_t fixed = sizeof(struct virtq_priv_mux_record);
    uint32_t per_segment = 0;
    uint32_t i;

    for (i = 0; i < mux->member_count; i++) {
        const struct virtq_space *space = mux->members[i].space;

        fixed += space->record_fixed + 7;
        per_segment =
            space->record_per_segment > per_segment ? space->record_per_segment : per_segment;
    }
    mux->space.record_fixed = fixed;
    mux->space.record_per_segment = per_segment + (uint32_t)sizeof(struct virtq_priv_mux_step) +
                                    (uint32_t)sizeof(struct virtq_segment);
}

int virtq_mux_init(struct virtq_mux *mux, const struct virtq_mux_config *config)
{
    if (config->struct_size < sizeof(*config) || !members_legal(config) || !routes_legal(config) ||
        (config->flags & ~(uint32_t)VIRTQ_MUX_BY_SEGMENT) != 0) {
        return VIRTQ_EINVAL;
    }
    memset(mux, 0, sizeof(*mux));
    mux->space.ops = &mux_ops;
    mux->space.driver_kind = VIRTQ_SPACE_CALLED;
    mux->space.device_kind = VIRTQ_SPACE_CALLED;
    memcpy(mux->members, config->members, config->member_count * sizeof(*config->members));
    mux->member_count = config->member_count;
    mux->routes = config->routes;
    mux->route_count = config->route_count;
    mux->other = config->other;
    mux->flags = config->flags;
    listen(mux);
    size_record(mux);
    return 0;
}
