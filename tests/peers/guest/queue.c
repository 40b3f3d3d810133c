/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue.h"

#include "console.h"
#include "platform.h"

#define PAGE 4096u
#define SIZE_SPLIT 16u
#define SIZE_ORDERED 64u /* see size_of() */
#define SIZE_PACKED 12u  /* no power of two: the ring's end is elsewhere than the index's */

static uint32_t size_of(const struct transport *transport, uint32_t size_max)
{
    uint32_t size =
        virtq_feature_has(transport->features, VIRTIO_F_RING_PACKED) ? SIZE_PACKED : SIZE_SPLIT;

    /* In order, QEMU 10.0.2 loses a buffer when the ring is full, or when its size is no power of
     * two: it takes a difference of positions modulo the size. */
    if (virtq_feature_has(transport->features, VIRTIO_F_IN_ORDER)) {
        size = SIZE_ORDERED;
    }

    while (size > size_max) {
        size /= 2;
    }
    return size;
}

/* The ring's memory, for config->size descriptors, not over the end of a page: where a used element
 * lies on two, QEMU 7.2 writes its second half elsewhere behind an IOMMU. */
static void place_ring(struct virtq_driver_config *config)
{
    struct virtq_layout layout;

    check(virtq_layout_init((enum virtq_format)config->format, config->size, &layout) == VIRTQ_OK,
          "the layout");
    check(layout.size <= PAGE && PAGE % layout.align == 0, "the ring fits into a page");
    virtq_layout_areas(&layout, memory_shared((size_t)layout.size, PAGE), &config->areas);
}

static void enable(struct queue *queue)
{
    struct virtq_area_addresses addresses;

    virtq_driver_disable_notify(queue->driver);
    virtq_driver_addresses(queue->driver, &addresses);
    queue->transport->ops->enable(queue->transport, queue->config.size, &addresses);
}

void queue_open(struct queue *queue, struct transport *transport, unsigned index,
                struct virtq_space *space)
{
    struct virtq_driver_config *config = &queue->config;
    size_t size;

    *queue = (struct queue){.transport = transport, .index = index, .memory = memory_marked()};
    *config = (struct virtq_driver_config)VIRTQ_DRIVER_CONFIG_INIT;
    config->features = transport->features;
    config->format = virtq_feature_has(config->features, VIRTIO_F_RING_PACKED) ? VIRTQ_FORMAT_PACKED
                                                                               : VIRTQ_FORMAT_SPLIT;
    config->size = size_of(transport, transport->ops->select(transport, index));
    config->flags = VIRTQ_DRIVER_STRICT_LENGTH;
    config->segments_max = QUEUE_SEGMENTS_MAX;
    config->notify_id = (uint16_t)index;
    config->space = space;
    place_ring(config);
    if (virtq_feature_has(config->features, VIRTIO_F_INDIRECT_DESC)) {
        config->tables = memory_shared(virtq_driver_tables_size(config), VIRTQ_CACHE_LINE);
    }
    size = virtq_driver_size(config);
    check(virtq_driver_init(memory_private(size, VIRTQ_CACHE_LINE), size, config, &queue->driver) ==
              VIRTQ_OK,
          "the queue");
    enable(queue);
}

void queue_close(struct queue *queue)
{
    virtq_driver_destroy(queue->driver);
    memory_release(queue->memory);
}

unsigned queue_restart(struct queue *queue)
{
    unsigned outstanding = 0;
    void *cookie;

    queue->transport->ops->reset_queue(queue->transport, queue->index);
    while (virtq_driver_detach(queue->driver, &cookie) == 1) {
        outstanding++;
    }
    if (!virtq_feature_has(queue->config.features, VIRTIO_F_IN_ORDER)) {
        queue->config.size /= 2;
    }
    place_ring(&queue->config);
    check(virtq_driver_resize(queue->driver, &queue->config) == VIRTQ_OK, "resize");
    (void)queue->transport->ops->select(queue->transport, queue->index);
    enable(queue);
    return outstanding;
}

bool queue_add(struct queue *queue, const struct virtq_buffer *buffer)
{
    int added = virtq_driver_add(queue->driver, buffer, 1);

    if (added == VIRTQ_EFULL) {
        return false;
    }
    check(added == 1, "a buffer is added");
    return true;
}

void queue_kick(struct queue *queue)
{
    uint32_t data;

    (void)virtq_driver_publish(queue->driver);
    if (virtq_driver_needs_notify(queue->driver, &data)) {
        queue->transport->ops->notify(queue->transport, queue->index, data);
    }
}

unsigned queue_wait(struct queue *queue, struct virtq_completion *done, unsigned count)
{
    for (;;) {
        uint32_t seen = platform_interrupts();
        int taken = virtq_driver_poll(queue->driver, done, count);

        if (taken < 0) {
            struct virtq_fault fault;

            virtq_driver_fault(queue->driver, &fault);
            fail_at(virtq_reason_name(fault.reason), fault.position, (uint32_t)fault.value);
        }
        if (taken > 0) {
            return (unsigned)taken;
        }
        if (queue->sleeps && !virtq_driver_enable_notify(queue->driver)) {
            platform_sleep(seen);
        }
    }
}

void queue_describe(const struct queue *queue)
{
    uint64_t features = queue->transport->features;

    console_pair("packed", (uint32_t)virtq_feature_has(features, VIRTIO_F_RING_PACKED));
    console_pair("event", (uint32_t)virtq_feature_has(features, VIRTIO_F_EVENT_IDX));
    console_pair("indirect", (uint32_t)virtq_feature_has(features, VIRTIO_F_INDIRECT_DESC));
    console_pair("order", (uint32_t)virtq_feature_has(features, VIRTIO_F_IN_ORDER));
    console_pair("data", (uint32_t)virtq_feature_has(features, VIRTIO_F_NOTIFICATION_DATA));
    console_pair("platform", (uint32_t)virtq_feature_has(features, VIRTIO_F_ACCESS_PLATFORM));
    console_pair("messages", (uint32_t)queue->transport->messages);
    console_pair("size", virtq_driver_room(queue->driver));
}
