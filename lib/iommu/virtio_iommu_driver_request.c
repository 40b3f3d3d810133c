/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests into the queue, replies out of it. */
#include <stdbool.h>
#include <string.h>

#include "../space/lock.h"
#include "virtio_iommu_driver.h"
#include "virtq/iommu/virtio_iommu.h"

#define NONE VIRTQ_PRIV_VIOMMU_DRIVER_NONE

/* The usage's word for a request that was given back without a status. */
#define NO_REPLY 256u

/* Requests that go into one call of the queue, and replies out of one. */
enum { GROUP = 16 };

void virtq_priv_viommu_driver_clear(struct virtq_virtio_iommu_driver *driver)
{
    uint32_t i;

    for (i = 0; i < driver->config.requests; i++) {
        driver->slots[i].next = i + 1 < driver->config.requests ? i + 1 : NONE;
    }
    driver->free = 0;
    driver->oldest = driver->newest = driver->lost = NONE;
    driver->usage.lost = 0;
    driver->unpublished = driver->untold = driver->probing = driver->broken = 0;
}

int virtq_priv_viommu_driver_break(struct virtq_virtio_iommu_driver *driver)
{
    driver->broken = 1;
    return VIRTQ_EBROKEN;
}

void virtq_priv_viommu_driver_put(struct virtq_virtio_iommu_driver *driver, uint32_t slot)
{
    driver->slots[slot].next = driver->free;
    driver->free = slot;
}

/* UNMAPs that nobody waits for yet, in the order in which they were sent: flush looks at the oldest
 * only. */

static void link_unmap(struct virtq_virtio_iommu_driver *driver, uint32_t index)
{
    struct virtq_virtio_iommu_slot *slot = &driver->slots[index];

    slot->turn = ++driver->turns;
    slot->next = NONE;
    slot->previous = driver->newest;
    if (driver->newest == NONE) {
        driver->oldest = index;
    } else {
        driver->slots[driver->newest].next = index;
    }
    driver->newest = index;
}

static void unlink_unmap(struct virtq_virtio_iommu_driver *driver,
                         const struct virtq_virtio_iommu_slot *slot)
{
    if (slot->previous == NONE) {
        driver->oldest = slot->next;
    } else {
        driver->slots[slot->previous].next = slot->next;
    }
    if (slot->next == NONE) {
        driver->newest = slot->previous;
    } else {
        driver->slots[slot->next].previous = slot->previous;
    }
}

/* What a status means to the caller; `refused`: the device says so itself, and did nothing. */
static int status_error(uint32_t status, bool *refused)
{
    static const signed char errors[] = {
        [VIRTIO_IOMMU_S_OK] = VIRTQ_OK,          [VIRTIO_IOMMU_S_IOERR] = VIRTQ_EPEER,
        [VIRTIO_IOMMU_S_UNSUPP] = VIRTQ_ENOTSUP, [VIRTIO_IOMMU_S_DEVERR] = VIRTQ_EPEER,
        [VIRTIO_IOMMU_S_INVAL] = VIRTQ_EINVAL,   [VIRTIO_IOMMU_S_RANGE] = VIRTQ_EINVAL,
        [VIRTIO_IOMMU_S_NOENT] = VIRTQ_EINVAL,   [VIRTIO_IOMMU_S_FAULT] = VIRTQ_EFAULT,
        [VIRTIO_IOMMU_S_NOMEM] = VIRTQ_ENOMEM,
    };
    const int error = status < sizeof(errors) ? errors[status] : VIRTQ_EPEER;

    *refused = error != 0 && error != VIRTQ_EPEER;
    return error;
}

/* A reply, read once. A request that the device gave back without the whole tail has failed, in a
 * way that is not known. */
static int judge(struct virtq_virtio_iommu_driver *driver,
                 const struct virtq_virtio_iommu_slot *slot, uint32_t len, bool *refused)
{
    const unsigned char *shared = driver->config.shared;
    uint32_t status = NO_REPLY;
    int error;

    if (len >= slot->needed) {
        status = __atomic_load_n(shared + slot->tail, __ATOMIC_RELAXED);
    }
    error = status_error(status, refused);
    if (error != 0) {
        driver->usage.failures++;
        driver->usage.last_status = status;
    }
    return error;
}

static void complete(struct virtq_virtio_iommu_driver *driver, struct virtq_virtio_iommu_slot *slot,
                     uint32_t len)
{
    struct virtq_priv_viommu_driver_batch *batch = slot->batch;
    const uint32_t index = (uint32_t)(slot - driver->slots);
    bool refused;
    int error = judge(driver, slot, len, &refused);

    if (batch != NULL) {
        batch->pending--;
        if (error != 0 && batch->error == 0) {
            batch->error = error;
        }
        if (refused) {
            batch->refused[slot->index / 64] |= (uint64_t)1 << (slot->index % 64);
        }
    } else {
        unlink_unmap(driver, slot);
        if (error != 0) {
            /* Kept for the flush that asks for its range. */
            slot->next = driver->lost;
            driver->lost = index;
            driver->usage.lost++;
            return;
        }
    }
    virtq_priv_viommu_driver_put(driver, index);
}

void virtq_priv_viommu_driver_reap(struct virtq_virtio_iommu_driver *driver)
{
    struct virtq_completion done[GROUP];
    int count = GROUP;

    /* The queue gives back what is outstanding, each once: that bounds the turns. */
    while (count == GROUP && driver->broken == 0) {
        int i;

        count = virtq_driver_poll(driver->config.queue, done, GROUP);
        for (i = 0; i < count; i++) {
            complete(driver, done[i].cookie, done[i].len);
        }
        if (count > 0) {
            driver->taken += (uint64_t)count;
        } else if (count < 0) {
            (void)virtq_priv_viommu_driver_break(driver);
        }
    }
}

static void publish(struct virtq_virtio_iommu_driver *driver)
{
    if (driver->unpublished != 0) {
        driver->unpublished = 0;
        driver->untold = 1;
        (void)virtq_driver_publish(driver->config.queue);
    }
}

static void tell(struct virtq_virtio_iommu_driver *driver)
{
    uint32_t data = 0;

    if (driver->untold == 0) {
        return;
    }
    driver->untold = 0;
    if (virtq_driver_needs_notify(driver->config.queue, &data)) {
        driver->usage.notifications++;
        virtq_priv_unlock(&driver->lock);
        driver->config.notify(driver->config.context, data);
        virtq_priv_lock(&driver->lock);
    }
}

/* The hook, with the lock let go. Asleep only once the device knows that it is to be woken. */
static int wait(struct virtq_virtio_iommu_driver *driver)
{
    const bool sleeps = (driver->config.flags & (uint32_t)VIRTQ_VIRTIO_IOMMU_DRIVER_SLEEPS) != 0;
    int error;

    if (sleeps && virtq_driver_enable_notify(driver->config.queue)) {
        return 0;
    }
    driver->usage.waits++;
    virtq_priv_unlock(&driver->lock);
    error = driver->config.wait(driver->config.context);
    virtq_priv_lock(&driver->lock);
    if (sleeps) {
        virtq_driver_disable_notify(driver->config.queue);
    }
    return error;
}

int virtq_priv_viommu_driver_pump(struct virtq_virtio_iommu_driver *driver)
{
    const uint64_t before = driver->taken;
    int error;

    publish(driver);
    tell(driver);
    virtq_priv_viommu_driver_reap(driver);
    if (driver->broken != 0) {
        return VIRTQ_EBROKEN;
    }
    if (driver->taken != before) {
        return 0; /* Perhaps by another thread, while the lock was let go. */
    }
    if (virtq_driver_outstanding(driver->config.queue) == 0) {
        /* Every slot keeps an UNMAP that failed: nothing can come that would free one. */
        return virtq_priv_viommu_driver_break(driver);
    }
    error = wait(driver);
    virtq_priv_viommu_driver_reap(driver);
    if (error != 0 && driver->taken == before) {
        return virtq_priv_viommu_driver_break(driver);
    }
    return driver->broken != 0 ? VIRTQ_EBROKEN : 0;
}

static void start(struct virtq_virtio_iommu_driver *driver,
                  const struct virtq_priv_viommu_driver_list *list,
                  struct virtq_priv_viommu_driver_batch *batch, uint32_t at, uint32_t index)
{
    struct virtq_virtio_iommu_slot *slot = &driver->slots[index];

    slot->batch = batch;
    slot->index = at;
    slot->domain = list->domain;
    if (batch != NULL) {
        batch->pending++;
    } else {
        link_unmap(driver, index);
    }
}

/* Requests that the queue is given in one call. */
struct group {
    struct virtq_segment segments[GROUP][2];
    struct virtq_buffer buffers[GROUP];
    uint32_t slots[GROUP];
    uint32_t count;
};

/* Up to a group of requests, from `from` on: as many as there are slots for. */
static int fill(struct virtq_virtio_iommu_driver *driver, struct group *group,
                const struct virtq_priv_viommu_driver_list *list, uint32_t from)
{
    group->count = 0;
    while (group->count < GROUP && from + group->count < list->count && driver->free != NONE) {
        struct virtq_segment *segments = group->segments[group->count];
        const uint32_t index = driver->free;
        int error =
            virtq_priv_viommu_driver_encode(driver, list, from + group->count, index, segments);

        if (error != 0) {
            return error;
        }
        driver->free = driver->slots[index].next;
        segments[0].route = segments[1].route = 0;
        group->slots[group->count] = index;
        group->buffers[group->count] = (struct virtq_buffer){.segments = segments,
                                                             .cookie = &driver->slots[index],
                                                             .readable = 1,
                                                             .writable = 1,
                                                             .flags = VIRTQ_BUFFER_PREMAPPED};
        group->count++;
    }
    return 0;
}

/* A group of requests into the queue; how many it had room for. */
static uint32_t place(struct virtq_virtio_iommu_driver *driver,
                      const struct virtq_priv_viommu_driver_list *list,
                      struct virtq_priv_viommu_driver_batch *batch, uint32_t from, int *error)
{
    struct group group;
    uint32_t added = 0;
    uint32_t i;

    *error = fill(driver, &group, list, from);
    if (group.count > 0) {
        int result = virtq_driver_add(driver->config.queue, group.buffers, group.count);

        if (result >= 0) {
            added = (uint32_t)result;
        } else if (result != VIRTQ_EFULL && result != VIRTQ_ENOMEM) {
            *error = virtq_priv_viommu_driver_break(driver);
        }
    }
    for (i = group.count; i > added; i--) {
        virtq_priv_viommu_driver_put(driver, group.slots[i - 1]);
    }
    for (i = 0; i < added; i++) {
        start(driver, list, batch, from + i, group.slots[i]);
    }
    driver->unpublished |= added > 0;
    driver->usage.requests += added;
    return added;
}

int virtq_priv_viommu_driver_send(struct virtq_virtio_iommu_driver *driver,
                                  const struct virtq_priv_viommu_driver_list *list,
                                  struct virtq_priv_viommu_driver_batch *batch, uint32_t *sent)
{
    int error = driver->broken != 0 ? VIRTQ_EBROKEN : 0;

    *sent = 0;
    while (error == 0 && *sent < list->count) {
        uint32_t placed = place(driver, list, batch, *sent, &error);

        *sent += placed;
        if (error == 0 && placed == 0) {
            /* Back-pressure: there is room again when replies are in. */
            error = virtq_priv_viommu_driver_pump(driver);
        }
    }
    publish(driver);
    return error;
}

int virtq_priv_viommu_driver_finish(struct virtq_virtio_iommu_driver *driver,
                                    struct virtq_priv_viommu_driver_batch *batch)
{
    int error = 0;

    while (batch->pending > 0 && error == 0) {
        error = driver->broken != 0 ? VIRTQ_EBROKEN : virtq_priv_viommu_driver_pump(driver);
    }
    return error != 0 ? error : batch->error;
}

int virtq_priv_viommu_driver_call(struct virtq_virtio_iommu_driver *driver,
                                  const struct virtq_priv_viommu_driver_list *list,
                                  struct virtq_priv_viommu_driver_batch *batch)
{
    uint32_t sent;
    int error = virtq_priv_viommu_driver_send(driver, list, batch, &sent);
    int finished = virtq_priv_viommu_driver_finish(driver, batch);

    return error != 0 ? error : finished;
}
