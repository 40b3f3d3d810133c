/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier behind the same tables of calls. */
#include "world_private.h"

static int driver_init(struct world_our_driver *end, const struct virtq_driver_config *config,
                       size_t size)
{
    return virtq_driver_init(end->memory, size, config, &end->queue.library);
}

static int driver_restore(struct world_our_driver *end, const struct virtq_state *state)
{
    return virtq_driver_restore(end->queue.library, state);
}

static int driver_add(struct world_our_driver *end, const struct virtq_buffer *buffers,
                      unsigned count)
{
    return virtq_driver_add(end->queue.library, buffers, count);
}

static unsigned driver_publish(struct world_our_driver *end)
{
    return virtq_driver_publish(end->queue.library);
}

static bool driver_needs_notify(struct world_our_driver *end)
{
    return virtq_driver_needs_notify(end->queue.library, NULL);
}

static int driver_poll(struct world_our_driver *end, struct virtq_completion *completions,
                       unsigned count)
{
    return virtq_driver_poll(end->queue.library, completions, count);
}

static bool driver_enable(struct world_our_driver *end, unsigned after)
{
    return after == 1 ? virtq_driver_enable_notify(end->queue.library)
                      : virtq_driver_enable_notify_after(end->queue.library, after);
}

static void driver_disable(struct world_our_driver *end)
{
    virtq_driver_disable_notify(end->queue.library);
}

static void driver_addresses(const struct world_our_driver *end,
                             struct virtq_area_addresses *addresses)
{
    virtq_driver_addresses(end->queue.library, addresses);
}

static void driver_counters(const struct world_our_driver *end, struct virtq_counters *counters)
{
    virtq_driver_counters(end->queue.library, counters);
}

static uint32_t driver_outstanding(const struct world_our_driver *end)
{
    return virtq_driver_outstanding(end->queue.library);
}

static uint32_t driver_room(const struct world_our_driver *end)
{
    return virtq_driver_room(end->queue.library);
}

static uint32_t driver_fault(const struct world_our_driver *end)
{
    struct virtq_fault fault;

    virtq_driver_fault(end->queue.library, &fault);
    return fault.reason;
}

static void driver_destroy(struct world_our_driver *end)
{
    virtq_driver_destroy(end->queue.library);
}

const struct world_driver_calls world_library_driver = {
    virtq_driver_size,   driver_init,        driver_restore, driver_add,     driver_publish,
    driver_needs_notify, driver_poll,        driver_enable,  driver_disable, driver_addresses,
    driver_counters,     driver_outstanding, driver_room,    driver_fault,   driver_destroy,
};

static int device_init(struct world_our_device *end, const struct virtq_device_config *config,
                       size_t size, struct virtq_miss *miss)
{
    return virtq_device_init(end->memory, size, config, &end->queue.library, miss);
}

static int device_restore(struct world_our_device *end, const struct virtq_state *state)
{
    return virtq_device_restore(end->queue.library, state);
}

static int device_pop(struct world_our_device *end, struct virtq_chain *chains, unsigned count,
                      struct virtq_piece *pieces, unsigned piece_count)
{
    return virtq_device_pop(end->queue.library, chains, count, pieces, piece_count);
}

static int device_unpop(struct world_our_device *end, const struct virtq_chain *chains,
                        unsigned count)
{
    return virtq_device_unpop(end->queue.library, chains, count);
}

static int device_push(struct world_our_device *end, const struct virtq_used_buffer *used,
                       unsigned count)
{
    return virtq_device_push(end->queue.library, used, count);
}

static int device_publish(struct world_our_device *end)
{
    return virtq_device_publish(end->queue.library);
}

static int device_needs_notify(struct world_our_device *end)
{
    return virtq_device_needs_notify(end->queue.library);
}

static bool device_enable(struct world_our_device *end)
{
    return virtq_device_enable_notify(end->queue.library);
}

static void device_disable(struct world_our_device *end)
{
    virtq_device_disable_notify(end->queue.library);
}

static void device_counters(const struct world_our_device *end, struct virtq_counters *counters)
{
    virtq_device_counters(end->queue.library, counters);
}

static uint32_t device_outstanding(const struct world_our_device *end)
{
    return virtq_device_outstanding(end->queue.library);
}

static uint32_t device_fault(const struct world_our_device *end)
{
    struct virtq_fault fault;

    virtq_device_fault(end->queue.library, &fault);
    return fault.reason;
}

static void device_miss(const struct world_our_device *end, struct virtq_miss *miss)
{
    virtq_device_miss(end->queue.library, miss);
}

const struct world_device_calls world_library_device = {
    virtq_device_size, device_init,        device_restore,      device_pop,    device_unpop,
    device_push,       device_publish,     device_needs_notify, device_enable, device_disable,
    device_counters,   device_outstanding, device_fault,        device_miss,
};
