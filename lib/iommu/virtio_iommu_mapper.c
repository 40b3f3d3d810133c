/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/virtio_iommu_mapper.h"

#include <stdbool.h>

#include "../space/lock.h"
#include "../space/region.h"
#include "virtio_iommu_driver.h"
#include "virtq/feature.h"
#include "virtq/iommu/virtio_iommu.h"

#define NONE VIRTQ_PRIV_VIOMMU_DRIVER_NONE

int virtq_virtio_iommu_mapper_init(struct virtq_virtio_iommu_mapper *mapper,
                                   struct virtq_virtio_iommu_driver *driver, uint32_t domain,
                                   uint32_t flags)
{
    const struct virtq_virtio_iommu_settings *settings = &driver->settings;

    if (domain < settings->domain_first || domain > settings->domain_last ||
        (flags & ~(uint32_t)VIRTQ_VIRTIO_IOMMU_MAPPER_BYPASS) != 0) {
        return VIRTQ_EINVAL;
    }
    if (flags != 0 && !virtq_feature_has(settings->features, VIRTIO_IOMMU_F_BYPASS_CONFIG)) {
        return VIRTQ_ENOTSUP;
    }
    *mapper = (struct virtq_virtio_iommu_mapper){driver, domain, flags};
    return 0;
}

static bool is_bypass(const struct virtq_virtio_iommu_mapper *mapper)
{
    return (mapper->flags & (uint32_t)VIRTQ_VIRTIO_IOMMU_MAPPER_BYPASS) != 0;
}

/* One request, and its answer. */
static int call(struct virtq_virtio_iommu_mapper *mapper,
                struct virtq_priv_viommu_driver_list *list)
{
    struct virtq_virtio_iommu_driver *driver = mapper->driver;
    struct virtq_priv_viommu_driver_batch batch = {.pending = 0};
    int error;

    list->domain = mapper->domain;
    list->count = 1;
    virtq_priv_lock(&driver->lock);
    error = virtq_priv_viommu_driver_call(driver, list, &batch);
    virtq_priv_unlock(&driver->lock);
    return error;
}

int virtq_virtio_iommu_mapper_attach(struct virtq_virtio_iommu_mapper *mapper, uint32_t endpoint)
{
    struct virtq_priv_viommu_driver_list list = {
        .endpoint = endpoint,
        .flags = is_bypass(mapper) ? VIRTIO_IOMMU_ATTACH_F_BYPASS : 0,
        .type = VIRTIO_IOMMU_T_ATTACH};

    return call(mapper, &list);
}

int virtq_virtio_iommu_mapper_join(struct virtq_virtio_iommu_mapper *mapper, uint32_t endpoint,
                                   struct virtq_iova *iova,
                                   struct virtq_virtio_iommu_region *regions, unsigned capacity,
                                   unsigned *count)
{
    int error = virtq_virtio_iommu_driver_probe(mapper->driver, endpoint, regions, capacity, count);

    if (error == 0 && *count > capacity) {
        error = VIRTQ_ENOMEM; /* Counted only: what is not known can not be reserved. */
    }
    if (error == 0 && iova != NULL) {
        error = virtq_virtio_iommu_properties_reserve(regions, *count, iova);
    }
    return error != 0 ? error : virtq_virtio_iommu_mapper_attach(mapper, endpoint);
}

int virtq_virtio_iommu_mapper_detach(struct virtq_virtio_iommu_mapper *mapper, uint32_t endpoint)
{
    struct virtq_priv_viommu_driver_list list = {.endpoint = endpoint,
                                                 .type = VIRTIO_IOMMU_T_DETACH};

    return call(mapper, &list);
}

/* What the device would refuse, and what a driver must not send: outside the device's range, not
 * made of granules, or `last` not above `first`. */
static bool range_legal(const struct virtq_virtio_iommu_settings *settings, virtq_addr_t first,
                        virtq_addr_t last)
{
    const uint64_t mask = settings->granule - 1;

    return first < last && first >= settings->first && last <= settings->last &&
           (first & mask) == 0 && (last & mask) == mask;
}

static int check_ranges(const struct virtq_virtio_iommu_mapper *mapper,
                        const struct virtq_region *ranges, unsigned count, bool map)
{
    unsigned i;

    if (is_bypass(mapper)) {
        return VIRTQ_ENOTSUP;
    }
    for (i = 0; i < count; i++) {
        if (!range_legal(&mapper->driver->settings, ranges[i].first, ranges[i].last) ||
            (map && !virtq_priv_permissions_legal(ranges[i].permissions))) {
            return VIRTQ_EINVAL;
        }
    }
    return count == 0 ? VIRTQ_EINVAL : 0;
}

int virtq_virtio_iommu_mapper_map(struct virtq_virtio_iommu_mapper *mapper, virtq_addr_t first,
                                  virtq_addr_t last, uint64_t physical, uint32_t flags)
{
    const uint32_t known =
        VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE | VIRTIO_IOMMU_MAP_F_MMIO;
    const struct virtq_region range = {first, last, NULL, flags & ~VIRTIO_IOMMU_MAP_F_MMIO};
    struct virtq_priv_viommu_driver_list list = {.ranges = &range,
                                                 .physical = physical,
                                                 .given = 1,
                                                 .flags = flags,
                                                 .type = VIRTIO_IOMMU_T_MAP};
    int error = check_ranges(mapper, &range, 1, true);

    if (error != 0 || (flags & ~known) != 0) {
        return error != 0 ? error : VIRTQ_EINVAL;
    }
    if ((flags & VIRTIO_IOMMU_MAP_F_MMIO) != 0 &&
        !virtq_feature_has(mapper->driver->settings.features, VIRTIO_IOMMU_F_MMIO)) {
        return VIRTQ_ENOTSUP;
    }
    return call(mapper, &list);
}

int virtq_virtio_iommu_mapper_unmap(struct virtq_virtio_iommu_mapper *mapper, virtq_addr_t first,
                                    virtq_addr_t last)
{
    const struct virtq_region range = {first, last, NULL, 0};
    struct virtq_priv_viommu_driver_list list = {.ranges = &range, .type = VIRTIO_IOMMU_T_UNMAP};
    int error = check_ranges(mapper, &range, 1, false);

    return error != 0 ? error : call(mapper, &list);
}

/* Takes back what may be mapped of a list of which a part failed; the lock is held. What cannot be
 * taken back stays mapped at an address that the space believes to be free: no request can be made
 * after that. */
static void undo(struct virtq_virtio_iommu_mapper *mapper, const struct virtq_region *ranges,
                 unsigned count, const uint64_t *refused)
{
    struct virtq_virtio_iommu_driver *driver = mapper->driver;
    struct virtq_priv_viommu_driver_batch batch = {.pending = 0};
    int error = 0;
    unsigned i;

    for (i = 0; i < count && error == 0; i++) {
        const struct virtq_priv_viommu_driver_list list = {.ranges = &ranges[i],
                                                           .count = 1,
                                                           .domain = mapper->domain,
                                                           .type = VIRTIO_IOMMU_T_UNMAP};
        uint32_t sent;

        if (refused == NULL || (refused[i / 64] >> (i % 64) & 1) == 0) {
            error = virtq_priv_viommu_driver_send(driver, &list, &batch, &sent);
        }
    }
    if (virtq_priv_viommu_driver_finish(driver, &batch) != 0 || error != 0) {
        (void)virtq_priv_viommu_driver_break(driver);
    }
}

static int backend_map(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_virtio_iommu_mapper *mapper = context;
    struct virtq_virtio_iommu_driver *driver = mapper->driver;
    int error = check_ranges(mapper, ranges, count, true);
    unsigned done = 0;

    if (error != 0) {
        return error;
    }
    virtq_priv_lock(&driver->lock);
    while (error == 0 && done < count) {
        struct virtq_priv_viommu_driver_batch batch = {.pending = 0};
        struct virtq_priv_viommu_driver_list list = {
            .ranges = ranges + done, .domain = mapper->domain, .type = VIRTIO_IOMMU_T_MAP};
        uint32_t sent;
        int finished;

        list.count = count - done < (unsigned)VIRTQ_PRIV_VIOMMU_DRIVER_TURN
                         ? count - done
                         : (unsigned)VIRTQ_PRIV_VIOMMU_DRIVER_TURN;
        error = virtq_priv_viommu_driver_send(driver, &list, &batch, &sent);
        finished = virtq_priv_viommu_driver_finish(driver, &batch);
        error = error != 0 ? error : finished;
        if (error != 0 && driver->broken == 0) {
            undo(mapper, ranges, done, NULL);
            undo(mapper, ranges + done, sent, batch.refused);
        }
        done += sent;
    }
    virtq_priv_unlock(&driver->lock);
    return error;
}

static int backend_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_virtio_iommu_mapper *mapper = context;
    const struct virtq_priv_viommu_driver_list list = {
        .ranges = ranges, .count = count, .domain = mapper->domain, .type = VIRTIO_IOMMU_T_UNMAP};
    int error = check_ranges(mapper, ranges, count, false);
    uint32_t sent;

    if (error != 0) {
        return error;
    }
    virtq_priv_lock(&mapper->driver->lock);
    error = virtq_priv_viommu_driver_send(mapper->driver, &list, NULL, &sent);
    virtq_priv_unlock(&mapper->driver->lock);
    return error;
}

static bool covers(const struct virtq_region *ranges, unsigned count,
                   const struct virtq_virtio_iommu_slot *slot)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (ranges[i].first <= slot->last && slot->first <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Takes the failed UNMAPs of these ranges off their list: whether there were any. */
static bool take_lost(struct virtq_virtio_iommu_mapper *mapper, const struct virtq_region *ranges,
                      unsigned count)
{
    struct virtq_virtio_iommu_driver *driver = mapper->driver;
    uint32_t *link = &driver->lost;
    bool found = false;

    while (*link != NONE) {
        const uint32_t index = *link;
        struct virtq_virtio_iommu_slot *slot = &driver->slots[index];

        if (slot->domain == mapper->domain && covers(ranges, count, slot)) {
            *link = slot->next;
            virtq_priv_viommu_driver_put(driver, index);
            driver->usage.lost--;
            found = true;
        } else {
            link = &slot->next;
        }
    }
    return found;
}

/* Every UNMAP that was sent before this call is answered before it returns (L4). */
static int backend_flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_virtio_iommu_mapper *mapper = context;
    struct virtq_virtio_iommu_driver *driver = mapper->driver;
    uint64_t turns;
    int error = 0;

    virtq_priv_lock(&driver->lock);
    turns = driver->turns;
    while (error == 0 && driver->oldest != NONE && driver->slots[driver->oldest].turn <= turns) {
        error = driver->broken != 0 ? VIRTQ_EBROKEN : virtq_priv_viommu_driver_pump(driver);
    }
    if (error == 0 && driver->broken != 0) {
        error = VIRTQ_EBROKEN;
    }
    if (error == 0 && driver->lost != NONE && take_lost(mapper, ranges, count)) {
        error = VIRTQ_EPEER;
    }
    virtq_priv_unlock(&driver->lock);
    return error;
}

void virtq_virtio_iommu_mapper_backend(struct virtq_virtio_iommu_mapper *mapper,
                                       struct virtq_iommu_backend *backend)
{
    backend->size = sizeof(*backend);
    backend->context = mapper;
    backend->map = backend_map;
    backend->unmap = backend_unmap;
    backend->flush = backend_flush;
}
