/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's end as a backend: when its tables are changed, and when somebody is told. */
#include <string.h>

#include "../space/lock.h"
#include "zpci_guest.h"

/* From the first to the last of the ranges: one call, however many they are. */
static struct virtq_region hull_of(const struct virtq_region *ranges, unsigned count)
{
    struct virtq_region hull = ranges[0];
    unsigned i;

    for (i = 1; i < count; i++) {
        hull.first = ranges[i].first < hull.first ? ranges[i].first : hull.first;
        hull.last = ranges[i].last > hull.last ? ranges[i].last : hull.last;
    }
    return hull;
}

/* Enters all of them, or none: tables that were opened for nothing lead nowhere. */
static int enter_all(struct virtq_zpci_guest *guest, const struct virtq_region *ranges,
                     unsigned count)
{
    int error = 0;
    unsigned i;

    virtq_priv_lock(&guest->lock);
    for (i = 0; i < count && error == 0; i++) {
        error = (ranges[i].permissions &
                 ~(uint32_t)(VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)) != 0
                    ? VIRTQ_EINVAL
                    : virtq_priv_zpci_tables_prepare(guest, &ranges[i]);
    }
    for (i = 0; i < count && error == 0; i++) {
        virtq_priv_zpci_tables_enter(guest, &ranges[i]);
    }
    virtq_priv_unlock(&guest->lock);
    return error;
}

static int erase_all(struct virtq_zpci_guest *guest, const struct virtq_region *ranges,
                     unsigned count)
{
    bool held = true;
    unsigned i;

    virtq_priv_lock(&guest->lock);
    for (i = 0; i < count && held; i++) {
        held = virtq_priv_zpci_tables_hold(guest, &ranges[i]);
    }
    /* Asked again, for a list may name a range twice. */
    for (i = 0; i < count && held; i++) {
        held = virtq_priv_zpci_tables_hold(guest, &ranges[i]);
        if (held) {
            virtq_priv_zpci_tables_erase(guest, &ranges[i]);
        }
    }
    virtq_priv_unlock(&guest->lock);
    return held ? 0 : VIRTQ_EINVAL;
}

/* A range of which a shortage said that not all is there. Everything is refreshed, so that the
 * hypervisor sees what it may let go; that covers the range too, if it succeeds. */
static int refresh_short(struct virtq_zpci_guest *guest, const struct virtq_region *hull)
{
    int error = virtq_zpci_guest_refresh_all(guest);

    return error == VIRTQ_ENOMEM ? virtq_zpci_guest_refresh(guest, hull->first, hull->last) : error;
}

/* What could not be made known is taken out again. If even that cannot be made known, the range may
 * linger somewhere though its addresses are free: nothing is mapped any more before everything has
 * been refreshed (L4). */
static void take_back(struct virtq_zpci_guest *guest, const struct virtq_region *ranges,
                      unsigned count, const struct virtq_region *hull)
{
    (void)erase_all(guest, ranges, count);
    if (virtq_zpci_guest_refresh(guest, hull->first, hull->last) != 0) {
        (void)__atomic_fetch_add(&guest->owes, 1u, __ATOMIC_RELEASE);
    }
}

/* A debt that comes up meanwhile stays. */
static int settle(struct virtq_zpci_guest *guest)
{
    uint32_t owed = __atomic_load_n(&guest->owes, __ATOMIC_ACQUIRE);
    int error = 0;

    if (owed != 0) {
        error = virtq_zpci_guest_refresh_all(guest);
        if (error == 0) {
            (void)__atomic_compare_exchange_n(&guest->owes, &owed, 0u, false, __ATOMIC_RELEASE,
                                              __ATOMIC_RELAXED);
        }
    }
    return error;
}

static int backend_map(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_zpci_guest *guest = context;
    struct virtq_region hull = hull_of(ranges, count);
    int error = settle(guest);

    if (error == 0) {
        error = enter_all(guest, ranges, count);
        if (error == VIRTQ_ENOMEM && virtq_priv_zpci_tables_reclaim(guest) == 0) {
            error = enter_all(guest, ranges, count);
        }
    }
    if (error != 0 || (guest->flags & VIRTQ_ZPCI_REFRESH_MAP) == 0) {
        return error;
    }
    error = virtq_zpci_guest_refresh(guest, hull.first, hull.last);
    if (error == VIRTQ_ENOMEM) {
        error = refresh_short(guest, &hull);
    }
    if (error != 0) {
        take_back(guest, ranges, count, &hull);
    }
    return error;
}

static int backend_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    return erase_all(context, ranges, count);
}

static int backend_flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_zpci_guest *guest = context;
    struct virtq_region hull = hull_of(ranges, count);
    int error = virtq_zpci_guest_refresh(guest, hull.first, hull.last);

    /* Others' mappings in between may lack resources; what was unmapped is gone all the same. */
    return error == VIRTQ_ENOMEM ? refresh_short(guest, &hull) : error;
}

void virtq_zpci_guest_backend(struct virtq_zpci_guest *guest, struct virtq_iommu_backend *backend)
{
    memset(backend, 0, sizeof(*backend));
    backend->size = sizeof(*backend);
    backend->context = guest;
    backend->map = backend_map;
    backend->unmap = backend_unmap;
    backend->flush = backend_flush;
}
