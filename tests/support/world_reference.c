/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of a world over the reference's ends. The reference knows no spaces: what our
 * queues do with the seam is done for it here, once more and by hand. */
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "world_private.h"

/* ---- Memory ---- */

/* The reference wants its ranges in one piece, however many windows they lie in. */
static void *reach_whole(void *context, uint64_t address, uint32_t length)
{
    struct world *world = context;
    unsigned char *first = NULL;
    uint32_t done = 0;

    while (done < length) {
        void *base = NULL;
        size_t some = world_reach(world, address + done, length - done,
                                  world->reference_device.writing ? (uint32_t)VIRTQ_PERMISSION_WRITE
                                                                  : (uint32_t)VIRTQ_PERMISSION_READ,
                                  &base);

        if (some == 0 || (first != NULL && (unsigned char *)base != first + done)) {
            return NULL;
        }
        first = first == NULL ? base : first;
        done += (uint32_t)some;
    }
    return first;
}

/* Nothing but tables is asked for by pointer. */
static uint64_t table_address(void *context, const void *pointer)
{
    struct world *world = context;
    const unsigned char *table = pointer;

    return world->reference_driver.tables + (uint64_t)(table - world->areas[WORLD_TABLES].base);
}

struct reference_config world_reference_config(struct world *world)
{
    struct reference_config config;

    memset(&config, 0, sizeof(config));
    config.format = world->config.packed ? REFERENCE_PACKED : REFERENCE_SPLIT;
    config.size = world->config.size;
    config.descriptor_area = world->areas[WORLD_DESCRIPTOR].base;
    config.driver_area = world->areas[WORLD_DRIVER].base;
    config.device_area = world->areas[WORLD_DEVICE].base;
    config.memory.at = reach_whole;
    config.memory.address_of = table_address;
    config.memory.ctx = world;
    config.event_idx = world->config.event_idx;
    config.in_order = world->config.in_order;
    config.no_indirect = !world->config.indirect;
    config.big_endian = world->config.big_endian;
    config.start = world->config.start;
    config.longest_chain = world->config.indirect ? WORLD_RUNS : 0;
    config.tables = world->areas[WORLD_TABLES].base;
    config.table_entries = world->config.indirect ? WORLD_RUNS : 0;
    config.write_on_indirect = world->config.start % 2 != 0;
    return config;
}

/* ---- Driver ---- */

static struct virtq_mapping mapping_of(struct world *world, unsigned long token)
{
    struct world_reference_driver *driver = &world->reference_driver;
    struct virtq_mapping mapping;

    memset(&mapping, 0, sizeof(mapping));
    mapping.record = driver->records + driver->record_size * token;
    return mapping;
}

static void unmap(struct world *world, unsigned long token, uint32_t written)
{
    struct virtq_space *space = world->space.driver;
    struct virtq_mapping mapping = mapping_of(world, token);

    if (!world->space.kind->premapped) {
        space->ops->unmap(space, &mapping, written);
    }
}

/* Device addresses of a buffer, as runs; readable ones in `*readable`. */
static int map(struct world *world, const struct world_buffer *buffer, unsigned long token,
               struct virtq_run *runs, unsigned *readable, unsigned *writable)
{
    struct virtq_space *space = world->space.driver;
    struct virtq_segment segments[WORLD_SEGMENTS];
    struct virtq_mapping mapping = mapping_of(world, token);
    int error = VIRTQ_OK;

    world_segments(world, buffer, segments);
    *readable = buffer->readable;
    *writable = buffer->writable;
    if (world->space.kind->premapped) {
        for (unsigned i = 0; i < *readable + *writable; i++) {
            runs[i] = (struct virtq_run){segments[i].addr, segments[i].len, 0};
        }
        return VIRTQ_OK;
    }
    mapping.runs = runs;
    mapping.segments = segments;
    mapping.segments_readable = buffer->readable;
    mapping.segments_writable = buffer->writable;
    mapping.capacity = WORLD_RUNS;
    error = space->ops->map(space, &mapping);
    *readable = mapping.runs_readable;
    *writable = mapping.runs_writable;
    return error;
}

static int reference_add(struct world *world, const struct world_buffer *buffer)
{
    struct world_reference_driver *driver = &world->reference_driver;
    struct reference_segment segments[WORLD_RUNS];
    struct virtq_run runs[WORLD_RUNS];
    unsigned long token;
    unsigned readable;
    unsigned writable;
    int error;

    if (driver->unused_count == 0) {
        return VIRTQ_EFULL;
    }
    token = driver->unused[driver->unused_count - 1];
    error = map(world, buffer, token, runs, &readable, &writable);
    if (error != VIRTQ_OK) {
        return error;
    }
    for (unsigned i = 0; i < readable + writable; i++) {
        segments[i] = (struct reference_segment){runs[i].addr, runs[i].len, i >= readable};
    }
    if (!reference_driver_add(&driver->end, segments, readable, writable, token,
                              world->config.indirect && !buffer->direct)) {
        unmap(world, token, 0);
        return driver->end.violation != NULL ? VIRTQ_EBROKEN : VIRTQ_EFULL;
    }
    driver->unused_count--;
    driver->cookies[token] = buffer->cookie;
    return 1;
}

static void reference_publish(struct world *world)
{
    (void)world; /* Adding makes available at once. */
}

static bool reference_should_notify(struct world *world)
{
    return reference_driver_should_notify(&world->reference_driver.end);
}

static int reference_poll(struct world *world, struct world_done *done, unsigned count)
{
    struct world_reference_driver *driver = &world->reference_driver;
    unsigned taken = 0;

    for (; taken < count; taken++) {
        unsigned long token;
        int polled = reference_driver_poll(&driver->end, &token, &done[taken].len);

        if (polled < 0) {
            (void)world_trouble(world, "the device broke a rule: %s", driver->end.violation);
            return VIRTQ_EBROKEN;
        }
        if (polled == 0) {
            break;
        }
        done[taken].cookie = driver->cookies[token];
        unmap(world, token, done[taken].len);
        driver->unused[driver->unused_count++] = (uint16_t)token;
    }
    return (int)taken;
}

static bool reference_enable(struct world *world, unsigned after)
{
    struct reference_driver *end = &world->reference_driver.end;

    after = after > end->outstanding ? end->outstanding : after;
    return after < 2 ? reference_driver_enable_used_notifications(end)
                     : reference_driver_set_event(end, after);
}

static void reference_disable(struct world *world)
{
    reference_driver_disable_used_notifications(&world->reference_driver.end);
}

static const char *reference_judge(struct world *world, uint64_t total)
{
    const struct reference_driver *end = &world->reference_driver.end;

    (void)total;
    if (end->violation != NULL) {
        return world_trouble(world, "the device broke a rule: %s", end->violation);
    }
    if (end->outstanding != 0 || end->free_descriptors != world->config.size) {
        return world_trouble(world, "reference driver: %u outstanding", (unsigned)end->outstanding);
    }
    return NULL;
}

static void reference_close(struct world *world)
{
    struct world_reference_driver *driver = &world->reference_driver;
    struct virtq_space *space = world->space.driver;

    virtq_space_unshare(space, world->addresses.descriptor, world->areas[WORLD_DESCRIPTOR].size);
    virtq_space_unshare(space, world->addresses.driver, world->areas[WORLD_DRIVER].size);
    virtq_space_unshare(space, world->addresses.device, world->areas[WORLD_DEVICE].size);
    virtq_space_unshare(space, driver->tables, world->areas[WORLD_TABLES].size);
    reference_driver_free(&driver->end);
    free(driver->records);
    free(driver->cookies);
    free(driver->unused);
}

const struct world_driver_ops world_reference_driver_ops = {
    reference_add,    reference_publish, reference_should_notify, reference_poll,
    reference_enable, reference_disable, reference_judge,         reference_close,
};

static virtq_addr_t share(struct world *world, unsigned which, uint32_t permissions)
{
    const struct world_area *area = &world->areas[which];
    virtq_addr_t addr = 0;
    int error = virtq_space_share(world->space.driver, area->base, area->size, permissions, &addr);

    cr_assert_eq(error, 0, "%s: share gives %d", world->name, error);
    return addr;
}

void world_reference_driver_open(struct world *world)
{
    struct world_reference_driver *driver = &world->reference_driver;
    const struct reference_config config = world_reference_config(world);
    const uint32_t read = VIRTQ_PERMISSION_READ;
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    const uint32_t size = world->config.size;

    driver->record_size = virtq_space_record_size(world->space.driver, WORLD_SEGMENTS);
    driver->records = world_memory(driver->record_size * size + 8);
    driver->cookies = world_memory(size * sizeof(*driver->cookies));
    driver->unused = world_memory(size * sizeof(*driver->unused));
    for (uint32_t i = 0; i < size; i++) {
        driver->unused[driver->unused_count++] = (uint16_t)i;
    }
    world->addresses.descriptor =
        share(world, WORLD_DESCRIPTOR, world->config.packed ? both : read);
    world->addresses.driver = share(world, WORLD_DRIVER, read);
    world->addresses.device = share(world, WORLD_DEVICE, both);
    driver->tables = share(world, WORLD_TABLES, read);
    cr_assert(reference_driver_init(&driver->end, &config), "%s: reference driver", world->name);
    world->driver = &world_reference_driver_ops;
}

/* ---- Device ---- */

static int reference_pop(struct world *world, struct world_chain *const *chains, unsigned count)
{
    struct reference_device *end = &world->reference_device.end;
    unsigned taken = 0;

    for (; taken < count; taken++) {
        struct world_chain *chain = chains[taken];
        int popped = reference_device_pop(end, &chain->reference);

        if (popped < 0) {
            (void)world_trouble(world, "the driver broke a rule: %s", end->violation);
            return VIRTQ_EBROKEN;
        }
        if (popped == 0) {
            break;
        }
        chain->readable = chain->reference.readable;
        chain->writable = chain->reference.writable;
    }
    return (int)taken;
}

static size_t reference_read(struct world *world, const struct world_chain *chain, uint64_t at,
                             void *to, size_t len)
{
    return reference_chain_read(&chain->reference, &world->reference_device.end.config.memory, at,
                                to, len);
}

static size_t reference_write(struct world *world, const struct world_chain *chain, uint64_t at,
                              const void *from, size_t len)
{
    struct world_reference_device *device = &world->reference_device;
    size_t written;

    device->writing = true;
    written = reference_chain_write(&chain->reference, &device->end.config.memory, at, from, len);
    device->writing = false;
    return written;
}

/* Segments are not looked at when a buffer is pushed, so a copy of the rest will do. */
static int reference_push(struct world *world, const struct world_chain *chain, uint32_t written)
{
    struct world_reference_device *device = &world->reference_device;

    device->pending[device->count] = chain->reference;
    device->pending[device->count].segments = NULL;
    device->written[device->count] = written;
    device->count++;
    return 1;
}

/* One used element for as many as IN_ORDER allows: all but the last are fully used. */
static unsigned batch_of(const struct world_reference_device *device, unsigned from)
{
    unsigned count = 1;

    while (from + count < device->count &&
           device->written[from + count - 1] == device->pending[from + count - 1].writable) {
        count++;
    }
    return count;
}

static int reference_device_publish(struct world *world)
{
    struct world_reference_device *device = &world->reference_device;
    unsigned done = 0;

    /* Every other time batches go out one by one, as if there were no such rule. */
    if (!world->config.in_order || device->published++ % 2 == 0) {
        reference_device_push_all(&device->end, device->pending, device->written, device->count);
        done = device->count;
    }
    while (done < device->count) {
        unsigned count = batch_of(device, done);

        reference_device_push_batch(&device->end, device->pending + done, count,
                                    device->written[done + count - 1]);
        done += count;
    }
    device->count = 0;
    return 0;
}

static int reference_should_notify_driver(struct world *world)
{
    return reference_device_should_notify(&world->reference_device.end) ? 1 : 0;
}

static bool reference_device_enable(struct world *world)
{
    return reference_device_enable_available_notifications(&world->reference_device.end);
}

static void reference_device_disable(struct world *world)
{
    reference_device_disable_available_notifications(&world->reference_device.end);
}

static const char *reference_device_judge(struct world *world, uint64_t total)
{
    const struct reference_device *end = &world->reference_device.end;

    (void)total;
    if (end->violation != NULL) {
        return world_trouble(world, "the driver broke a rule: %s", end->violation);
    }
    return end->outstanding == 0 ? NULL : "reference device: buffers outstanding";
}

static void reference_device_close(struct world *world)
{
    reference_device_free(&world->reference_device.end);
    free(world->reference_device.pending);
    free(world->reference_device.written);
}

const struct world_device_ops world_reference_device_ops = {
    false,
    reference_pop,
    NULL,
    reference_read,
    reference_write,
    reference_push,
    reference_device_publish,
    reference_should_notify_driver,
    reference_device_enable,
    reference_device_disable,
    reference_device_judge,
    reference_device_close,
};

void world_reference_device_open(struct world *world)
{
    struct world_reference_device *device = &world->reference_device;
    const struct reference_config config = world_reference_config(world);

    device->pending = world_memory(world->config.size * sizeof(*device->pending));
    device->written = world_memory(world->config.size * sizeof(*device->written));
    cr_assert(reference_device_init(&device->end, &config), "%s: reference device", world->name);
    world->device = &world_reference_device_ops;
}
