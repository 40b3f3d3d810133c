/* SPDX-License-Identifier: BSD-3-Clause */
#include "cross/link.h"

#include <stdlib.h>
#include <string.h>

#include <virtq/layout.h>

#include "queue/data.h"

enum { RING_SIZE = 256, BATCH = 32 };

static void *zeroed(size_t size)
{
    size_t rounded = (size + VIRTQ_CACHE_LINE - 1) & ~((size_t)VIRTQ_CACHE_LINE - 1);
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, rounded);

    if (memory != NULL) {
        memset(memory, 0, rounded);
    }
    return memory;
}

static uint64_t features(const struct cross_link *link)
{
    const uint64_t packed =
        link->world->config.format == VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;

    return packed | VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) |
           VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM);
}

static int open_driver(struct cross_link *link)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_layout layout;
    int error = virtq_layout_init(link->world->config.format, RING_SIZE, &layout);
    void *ring = error == 0 ? cross_world_ring(link->world, (size_t)layout.size) : NULL;
    size_t size;

    if (ring == NULL) {
        return error != 0 ? error : VIRTQ_ENOMEM;
    }
    config.size = RING_SIZE;
    config.format = (uint32_t)link->world->config.format;
    config.features = features(link);
    config.segments_max = 1;
    config.space = link->world->driver[link->queue];
    virtq_layout_areas(&layout, ring, &config.areas);
    size = virtq_driver_size(&config);
    link->driver_memory = zeroed(size);
    return link->driver_memory == NULL
               ? VIRTQ_ENOMEM
               : virtq_driver_init(link->driver_memory, size, &config, &link->driver);
}

static int open_device(struct cross_link *link)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    size_t size;

    config.size = RING_SIZE;
    config.format = (uint32_t)link->world->config.format;
    config.features = features(link);
    config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    config.space = link->world->own_device[link->queue] != NULL
                       ? link->world->own_device[link->queue]
                       : link->world->device;
    virtq_driver_addresses(link->driver, &config.addresses);
    size = virtq_device_size(&config);
    link->device_memory = zeroed(size);
    return link->device_memory == NULL
               ? VIRTQ_ENOMEM
               : virtq_device_init(link->device_memory, size, &config, &link->device, NULL);
}

/* Puts the payload where the program has it, and offers it as the way wants it. */
static bool open_slot(struct cross_link *link, unsigned slot)
{
    const struct cross_config *config = &link->world->config;
    unsigned char *payload = cross_world_payload(link->world, config->bytes);

    if (payload == NULL) {
        return false;
    }
    link->plain_segments[slot].base = payload;
    link->plain_segments[slot].len = config->bytes;
    link->plain[slot].segments = &link->plain_segments[slot];
    link->plain[slot].readable = config->to_device;
    link->plain[slot].writable = !config->to_device;
    link->segments[slot] = link->plain_segments[slot];
    if (link->world->offer == CROSS_OFFER_ADDRESS) {
        link->segments[slot].addr = cross_world_address(link->world, payload);
    }
    link->buffers[slot] = link->plain[slot];
    link->buffers[slot].segments = &link->segments[slot];
    link->buffers[slot].cookie = &link->buffers[slot];
    return true;
}

static int open_requests(struct cross_link *link)
{
    const struct cross_config *config = &link->world->config;
    int error = 0;

    if (link->world->offer == CROSS_OFFER_REQUEST) {
        error = virtq_swiotlb_request_init(link->requests, link->window, &link->world->swiotlb,
                                           NULL, config->to_device ? config->bytes : 0,
                                           config->to_device ? 0 : config->bytes);
        link->has_requests = error == 0;
    }
    return error;
}

struct cross_link *cross_link_open(struct cross_world *world, unsigned queue, int *error)
{
    struct cross_link *link = zeroed(sizeof(*link));

    if (link == NULL) {
        *error = VIRTQ_ENOMEM;
        return NULL;
    }
    link->world = world;
    link->queue = queue;
    link->window = world->window;
    link->batch = link->window < BATCH ? link->window : BATCH;
    *error = open_driver(link);
    if (*error == 0) {
        *error = open_device(link);
    }
    for (unsigned slot = 0; *error == 0 && slot < link->window; slot++) {
        *error = open_slot(link, slot) ? 0 : VIRTQ_ENOMEM;
    }
    if (*error == 0) {
        *error = open_requests(link);
    }
    if (*error != 0) {
        cross_link_close(link);
        return NULL;
    }
    return link;
}

void cross_link_close(struct cross_link *link)
{
    if (link == NULL) {
        return;
    }
    if (link->driver != NULL) {
        virtq_driver_destroy(link->driver);
    }
    if (link->has_requests) {
        virtq_swiotlb_request_fini(link->requests, link->window);
    }
    free(link->driver_memory);
    free(link->device_memory);
    free(link);
}

/* Brings a batch into its slots. */
static bool prepare(struct cross_link *link, unsigned first)
{
    for (unsigned slot = first; slot < first + link->batch; slot++) {
        if (virtq_swiotlb_request_prepare(&link->requests[slot], link->plain[slot].segments,
                                          link->plain[slot].readable, link->plain[slot].writable,
                                          &link->buffers[slot]) != 0) {
            return false;
        }
    }
    return true;
}

static bool fill(struct cross_link *link)
{
    for (unsigned done = 0; done < link->window; done += link->batch) {
        if (link->has_requests && !prepare(link, done)) {
            return false;
        }
        if (virtq_driver_add(link->driver, &link->buffers[done], link->batch) != (int)link->batch ||
            virtq_driver_publish(link->driver) != link->batch) {
            return false;
        }
        link->notifications += virtq_driver_needs_notify(link->driver, NULL);
    }
    return true;
}

/* `touch`: looks at what came, and answers. */
static bool serve(struct cross_link *link, bool touch)
{
    uint64_t writable = link->world->config.to_device ? 0 : link->world->config.bytes;

    for (unsigned done = 0; done < link->window;) {
        int count = virtq_device_pop(link->device, link->chains, link->batch, link->pieces,
                                     2 * CROSS_WINDOW_MAX);

        for (int index = 0; index < count; index++) {
            const struct virtq_chain *chain = &link->chains[index];

            if (chain->reason != (uint32_t)VIRTQ_REASON_NONE || chain->writable_bytes != writable ||
                chain->readable_bytes + writable != link->world->config.bytes ||
                (touch && !bench_data_answer(chain, link->seed + done + (unsigned)index))) {
                return false;
            }
            link->used[index].id = chain->id;
            link->used[index].len = (uint32_t)writable;
        }
        if (count <= 0 || virtq_device_push(link->device, link->used, (unsigned)count) != count ||
            (int)virtq_device_publish(link->device) != count) {
            return false;
        }
        link->notifications += virtq_device_needs_notify(link->device) == 1;
        done += (unsigned)count;
    }
    return true;
}

static bool drain(struct cross_link *link)
{
    uint32_t written = link->world->config.to_device ? 0 : link->world->config.bytes;

    for (unsigned done = 0; done < link->window;) {
        int count = virtq_driver_poll(link->driver, link->completions, link->batch);

        for (int index = 0; index < count; index++) {
            unsigned slot = done + (unsigned)index;

            if (link->completions[index].cookie != &link->buffers[slot] ||
                link->completions[index].len != written) {
                return false;
            }
            if (link->has_requests &&
                virtq_swiotlb_request_complete(&link->requests[slot], written) != written) {
                return false;
            }
        }
        if (count <= 0) {
            return false;
        }
        done += (unsigned)count;
    }
    return true;
}

static bool cycle(struct cross_link *link, bool touch)
{
    link->failure = NULL;
    if (!fill(link)) {
        link->failure = "a buffer could not be added";
    } else if (!serve(link, touch)) {
        link->failure = "a wrong buffer, length or payload came to the device";
    } else if (!drain(link)) {
        link->failure = "a wrong buffer or length came back";
    }
    return link->failure == NULL;
}

bool cross_link_cycle(struct cross_link *link)
{
    return cycle(link, false);
}

bool cross_link_verify(struct cross_link *link)
{
    link->seed += CROSS_WINDOW_MAX;
    for (unsigned slot = 0; slot < link->window; slot++) {
        bench_data_offer(&link->plain[slot], link->seed + slot);
    }
    if (!cycle(link, true)) {
        return false;
    }
    for (unsigned slot = 0; slot < link->window; slot++) {
        if (!bench_data_returned(&link->plain[slot], link->seed + slot)) {
            link->failure = "a wrong payload came back";
            return false;
        }
    }
    return true;
}
