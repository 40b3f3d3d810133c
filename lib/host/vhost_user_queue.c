/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/host/vhost_user_queue.h"

#include <string.h>

#include "align.h"
#include "vhost_user_frontend_private.h"
#include "virtq/feature.h"
#include "virtq/layout.h"
#include "virtq/split.h"

enum { PAGE = 4096 };

struct virtq_vhost_user_queue {
    struct virtq_vhost_user_frontend *frontend;
    struct virtq_driver *driver;
    struct virtq_vhost_user_ring ring; /* What it was made of. */
    uint32_t index;
    uint32_t base; /* Where the back-end stood when it stopped. */
    uint64_t lost; /* Buffers that never came back, of those before the last new beginning. */
    bool begun;    /* It has run. */
    bool paused;   /* It was stopped, and `base` counts. */
};

typedef struct virtq_vhost_user_queue queue_type;

static size_t whole_pages(uint64_t size)
{
    return (size_t)((size + PAGE - 1) / PAGE * PAGE);
}

/* The driver end's configuration, but for where things lie; false: an illegal one. */
static bool translate(const struct virtq_vhost_user_queue_config *config,
                      struct virtq_driver_config *driver, struct virtq_layout *layout)
{
    const struct virtq_driver_config begin = VIRTQ_DRIVER_CONFIG_INIT;

    if (config->struct_size != sizeof(*config) || config->frontend == NULL ||
        config->index >= config->frontend->queue_count || config->reserved_ != 0) {
        return false;
    }
    *driver = begin;
    driver->features = virtq_vhost_user_frontend_features(config->frontend);
    driver->format = virtq_feature_has(driver->features, VIRTIO_F_RING_PACKED) ? VIRTQ_FORMAT_PACKED
                                                                               : VIRTQ_FORMAT_SPLIT;
    driver->size = config->size;
    driver->flags = config->flags;
    driver->segments_max = config->segments_max;
    driver->notify_id = (uint16_t)config->index;
    driver->space = config->space;
    return virtq_layout_init((enum virtq_format)driver->format, driver->size, layout) == VIRTQ_OK;
}

/* Tables have pages of their own: the device only reads them. */
static bool has_tables(const struct virtq_driver_config *driver)
{
    return virtq_feature_has(driver->features, VIRTIO_F_INDIRECT_DESC) != 0;
}

/* Bytes of them; without a space enough for each of the four, none of which makes more than two
 * runs of a segment. */
static size_t tables_size(const struct virtq_driver_config *driver)
{
    const size_t runs = 2 * (driver->segments_max != 0 ? (size_t)driver->segments_max : 1);

    if (!has_tables(driver)) {
        return 0;
    }
    return driver->space != NULL ? virtq_driver_tables_size(driver)
                                 : driver->size * runs * sizeof(struct virtq_desc);
}

VIRTQ_API size_t
virtq_vhost_user_queue_ring_size(const struct virtq_vhost_user_queue_config *config)
{
    struct virtq_driver_config driver;
    struct virtq_layout layout;

    return translate(config, &driver, &layout)
               ? whole_pages(layout.size) + whole_pages(tables_size(&driver))
               : 0;
}

VIRTQ_API size_t virtq_vhost_user_queue_size(const struct virtq_vhost_user_queue_config *config)
{
    struct virtq_driver_config driver;
    struct virtq_layout layout;
    size_t size;

    if (!translate(config, &driver, &layout) || driver.space == NULL) {
        return 0;
    }
    size = virtq_driver_size(&driver);
    return size == 0 ? 0 : virtq_priv_align_up(sizeof(queue_type)) + virtq_priv_align_up(size);
}

VIRTQ_API int virtq_vhost_user_queue_init(void *memory, size_t size,
                                          const struct virtq_vhost_user_queue_config *config,
                                          queue_type **queue)
{
    const size_t needed = virtq_vhost_user_queue_size(config);
    const size_t head = virtq_priv_align_up(sizeof(queue_type));
    struct virtq_driver_config driver;
    struct virtq_layout layout;
    queue_type *made = memory;
    int error;

    if (needed == 0 || !translate(config, &driver, &layout) || memory == NULL ||
        (uintptr_t)memory % VIRTQ_CACHE_LINE != 0 || config->ring == NULL ||
        (uintptr_t)config->ring % PAGE != 0) {
        return VIRTQ_EINVAL;
    }
    if (size < needed) {
        return VIRTQ_ENOMEM;
    }
    memset(made, 0, sizeof(*made));
    virtq_layout_areas(&layout, config->ring, &driver.areas);
    if (has_tables(&driver)) {
        driver.tables = (unsigned char *)config->ring + whole_pages(layout.size);
    }
    error = virtq_driver_init((unsigned char *)memory + head, size - head, &driver, &made->driver);
    if (error != VIRTQ_OK) {
        return error;
    }
    made->frontend = config->frontend;
    made->index = config->index;
    made->ring.struct_size = sizeof(made->ring);
    made->ring.size = config->size;
    made->ring.areas = driver.areas;
    virtq_driver_addresses(made->driver, &made->ring.addresses);
    *queue = made;
    return VIRTQ_OK;
}

VIRTQ_API void virtq_vhost_user_queue_fini(queue_type *queue)
{
    virtq_driver_destroy(queue->driver);
}

VIRTQ_API struct virtq_driver *virtq_vhost_user_queue_driver(const queue_type *queue)
{
    return queue->driver;
}

static uint64_t never_back(const queue_type *queue)
{
    struct virtq_counters counters;

    virtq_driver_counters(queue->driver, &counters);
    return counters.added - counters.used;
}

/* Whether it can go on where it stopped: all has come back, and both ends stand at the same place.
 */
static bool can_go_on(const queue_type *queue, struct virtq_state *state)
{
    struct virtq_fault fault;

    virtq_driver_fault(queue->driver, &fault);
    return queue->paused && fault.reason == VIRTQ_REASON_NONE && never_back(queue) == queue->lost &&
           virtq_driver_save(queue->driver, state) == VIRTQ_OK &&
           virtq_state_to_base(state) == queue->base;
}

VIRTQ_API int virtq_vhost_user_queue_start(queue_type *queue)
{
    struct virtq_vhost_user_ring ring = queue->ring;
    struct virtq_state state;
    int error;

    if (queue->frontend->rings[queue->index].size != 0) {
        return queue->frontend->over ? VIRTQ_EPEER : VIRTQ_EBUSY;
    }
    if (can_go_on(queue, &state)) {
        ring.state = &state;
    } else if (queue->begun) {
        error = virtq_driver_reset(queue->driver); /* It does not with buffers outstanding. */
        if (error != VIRTQ_OK) {
            return error;
        }
        queue->lost = never_back(queue);
        queue->paused = false;
    }
    error = virtq_vhost_user_frontend_start(queue->frontend, queue->index, &ring);
    if (error == VIRTQ_OK) {
        queue->begun = true;
        queue->paused = false;
    }
    return error;
}

VIRTQ_API int virtq_vhost_user_queue_stop(queue_type *queue)
{
    struct virtq_state state;
    int error = virtq_vhost_user_frontend_stop(queue->frontend, queue->index, &queue->base);

    if (error != VIRTQ_OK) {
        return error;
    }
    queue->paused = true;
    /* It has taken what was not there, or not what was. */
    if (virtq_driver_save(queue->driver, &state) == VIRTQ_OK &&
        virtq_state_to_base(&state) != queue->base) {
        return virtq_priv_frontend_end(queue->frontend, VIRTQ_VHOST_USER_REFUSED_RING);
    }
    return VIRTQ_OK;
}

VIRTQ_API unsigned virtq_vhost_user_queue_publish(queue_type *queue)
{
    const unsigned count = virtq_driver_publish(queue->driver);

    if (virtq_driver_needs_notify(queue->driver, NULL)) {
        virtq_vhost_user_frontend_kick(queue->frontend, queue->index);
    }
    return count;
}

/* What is left of the time. */
static uint32_t left_of(uint32_t milliseconds, int64_t since)
{
    const int64_t passed = milliseconds == UINT32_MAX ? 0 : virtq_priv_frontend_now() - since;

    return passed < milliseconds ? milliseconds - (uint32_t)passed : 0;
}

VIRTQ_API int virtq_vhost_user_queue_take(queue_type *queue, struct virtq_completion *completions,
                                          unsigned count, uint32_t milliseconds)
{
    int got = virtq_driver_poll(queue->driver, completions, count);
    int woken = 1;
    int64_t since;

    if (got != 0 || milliseconds == 0) {
        return got;
    }
    since = virtq_priv_frontend_now();
    while (got == 0 && woken == 1) {
        const uint32_t left = left_of(milliseconds, since);

        /* A device that is never quite done does not stop the clock. */
        woken = left != 0;
        if (left != 0 && !virtq_driver_enable_notify(queue->driver)) {
            woken = virtq_vhost_user_frontend_wait(queue->frontend, queue->index, 1, left);
        }
        /* After the end, too: what was used before it is the caller's. */
        got = virtq_driver_poll(queue->driver, completions, count);
    }
    virtq_driver_disable_notify(queue->driver);
    return got == 0 && woken < 0 ? woken : got;
}
