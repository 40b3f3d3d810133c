/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of a world over our own ends. */
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "world_private.h"

/* Counters that agree with what the caller was told. */
static const char *judge_answers(struct world *world, const char *end,
                                 const struct world_answers *answers,
                                 const struct virtq_counters *counters)
{
    if (counters->notify_asked != answers->notify ||
        counters->notify_suppressed != answers->silent) {
        return world_trouble(world, "%s counted %u and %u notifications, not %u and %u", end,
                             (unsigned)counters->notify_asked,
                             (unsigned)counters->notify_suppressed, (unsigned)answers->notify,
                             (unsigned)answers->silent);
    }
    if (counters->error_full != answers->full || counters->error_memory != answers->memory ||
        counters->error_miss != answers->miss) {
        return world_trouble(world, "%s counted %u, %u and %u shortages, not %u, %u and %u", end,
                             (unsigned)counters->error_full, (unsigned)counters->error_memory,
                             (unsigned)counters->error_miss, (unsigned)answers->full,
                             (unsigned)answers->memory, (unsigned)answers->miss);
    }
    return NULL;
}

/* ---- Driver ---- */

static int our_add(struct world *world, const struct world_buffer *buffer)
{
    struct world_our_driver *end = &world->our_driver;
    struct virtq_segment segments[WORLD_SEGMENTS];
    struct virtq_buffer ours = {segments, (void *)(uintptr_t)buffer->cookie, buffer->readable,
                                buffer->writable,
                                buffer->direct ? (uint32_t)VIRTQ_BUFFER_DIRECT : 0};
    int added;

    if (world->space.kind->premapped) {
        ours.flags |= (uint32_t)VIRTQ_BUFFER_PREMAPPED;
    }
    world_segments(world, buffer, segments);
    added = end->calls->add(end, &ours, 1);
    end->answers.full += added == VIRTQ_EFULL;
    end->answers.memory += added == VIRTQ_ENOMEM;
    for (unsigned i = 0; added == 1 && i < buffer->readable; i++) {
        world->bytes_copied += buffer->spans[i].len;
    }
    return added;
}

static void our_publish(struct world *world)
{
    (void)world->our_driver.calls->publish(&world->our_driver);
}

static bool our_should_notify(struct world *world)
{
    struct world_our_driver *end = &world->our_driver;
    bool wanted = end->calls->needs_notify(end);

    end->answers.notify += wanted;
    end->answers.silent += !wanted;
    return wanted;
}

static int our_poll(struct world *world, struct world_done *done, unsigned count)
{
    struct virtq_completion completions[WORLD_BATCH];
    int taken = world->our_driver.calls->poll(&world->our_driver, completions, count);

    for (int i = 0; i < taken; i++) {
        done[i].cookie = (uint64_t)(uintptr_t)completions[i].cookie;
        done[i].len = completions[i].len;
        world->bytes_copied += completions[i].len;
    }
    return taken;
}

static bool our_enable(struct world *world, unsigned after)
{
    return world->our_driver.calls->enable(&world->our_driver, after);
}

static void our_disable(struct world *world)
{
    world->our_driver.calls->disable(&world->our_driver);
}

static const char *our_judge(struct world *world, uint64_t total)
{
    const struct world_our_driver *end = &world->our_driver;
    const bool called = world->space.driver->driver_kind == (uint32_t)VIRTQ_SPACE_CALLED ||
                        ((world->config.big_endian || world->config.order_platform) &&
                         !world->space.kind->premapped);
    const uint64_t copied = world->space.kind->copies ? world->bytes_copied : 0;
    struct virtq_counters counters;

    end->calls->counters(end, &counters);
    if (end->calls->fault(end) != (uint32_t)VIRTQ_REASON_NONE) {
        return world_trouble(world, "driver: %s", virtq_reason_name(end->calls->fault(end)));
    }
    if (end->calls->outstanding(end) != 0 || end->calls->room(end) != world->config.size) {
        return world_trouble(world, "driver: %u outstanding, room for %u",
                             (unsigned)end->calls->outstanding(end),
                             (unsigned)end->calls->room(end));
    }
    if (counters.added != total || counters.used != total) {
        return world_trouble(world, "driver counted %u added, %u used of %u",
                             (unsigned)counters.added, (unsigned)counters.used, (unsigned)total);
    }
    if (counters.bytes_copied != copied || counters.error_length != 0 ||
        counters.error_caller != 0 || counters.error_buffer != 0) {
        return world_trouble(world, "driver counted %u bytes copied of %u, errors %u %u %u",
                             (unsigned)counters.bytes_copied, (unsigned)copied,
                             (unsigned)counters.error_length, (unsigned)counters.error_caller,
                             (unsigned)counters.error_buffer);
    }
    /* L1: one call a buffer, or none. */
    if (world->ledger.maps != (called ? total : 0)) {
        return world_trouble(world, "%u calls of map for %u buffers", (unsigned)world->ledger.maps,
                             (unsigned)total);
    }
    return judge_answers(world, "driver", &end->answers, &counters);
}

static void our_close(struct world *world)
{
    world->our_driver.calls->destroy(&world->our_driver);
    free(world->our_driver.memory);
}

const struct world_driver_ops world_our_driver_ops = {
    our_add,    our_publish, our_should_notify, our_poll,
    our_enable, our_disable, our_judge,         our_close,
};

void world_our_driver_open(struct world *world)
{
    struct world_our_driver *end = &world->our_driver;
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    const struct virtq_state state = world_state(&world->config);
    size_t size;
    int error;

    config.format = world->config.packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    config.size = world->config.size;
    config.features = world->features;
    config.flags = world->config.big_endian ? (uint32_t)VIRTQ_DRIVER_BIG_ENDIAN : 0;
    config.flags |= (uint32_t)VIRTQ_DRIVER_STRICT_LENGTH;
    config.segments_max = WORLD_SEGMENTS;
    config.space = world->space.driver;
    config.areas.descriptor = world->areas[WORLD_DESCRIPTOR].base;
    config.areas.driver = world->areas[WORLD_DRIVER].base;
    config.areas.device = world->areas[WORLD_DEVICE].base;
    config.tables = world->config.indirect ? world->areas[WORLD_TABLES].base : NULL;
    cr_assert_leq(virtq_driver_tables_size(&config), world->config.size * WORLD_RUNS * 16u);
    end->calls = world->config.inlined ? world_inline_driver(world->config.packed,
                                                             virtq_driver_setup_instance(&config))
                                       : &world_library_driver;
    cr_assert(end->calls != NULL, "%s: no such instance", world->name);
    size = end->calls->size(&config);
    end->memory = world_memory(size);
    error = end->calls->init(end, &config, size);
    cr_assert_eq(error, 0, "%s: driver's init gives %d", world->name, error);
    if (world->config.start != 0) {
        error = end->calls->restore(end, &state);
        cr_assert_eq(error, 0, "%s: driver's restore gives %d", world->name, error);
    }
    end->calls->addresses(end, &world->addresses);
    world->driver = &world_our_driver_ops;
}

/* ---- Device ---- */

/* Whether a call failed for a miss that is now made good, so that it is worth trying again. */
static bool again(struct world *world, int error, unsigned *tries)
{
    struct world_our_device *end = &world->our_device;
    struct virtq_miss miss;

    end->answers.miss += error == VIRTQ_EMISS;
    if (error != VIRTQ_EMISS || world->space.kind->resolve == NULL || ++*tries > 1000) {
        return false;
    }
    end->calls->miss(end, &miss);
    return world->space.kind->resolve(&world->space, &miss) == VIRTQ_OK;
}

static int our_pop(struct world *world, struct world_chain *const *chains, unsigned count)
{
    struct world_our_device *end = &world->our_device;
    struct virtq_chain popped[WORLD_BATCH];
    struct virtq_piece pieces[WORLD_BATCH * WORLD_RUNS];
    /* Now and then room for the pieces of but one or two large buffers. */
    unsigned room = count % 3 == 0 ? WORLD_RUNS : WORLD_BATCH * WORLD_RUNS;
    unsigned tries = 0;
    int taken;

    do {
        taken = end->calls->pop(end, popped, count, pieces, room);
    } while (again(world, taken, &tries));
    for (int i = 0; i < taken; i++) {
        struct world_chain *chain = chains[i];

        if (popped[i].reason != (uint32_t)VIRTQ_REASON_NONE) {
            (void)world_trouble(world, "a bad buffer: %s", virtq_reason_name(popped[i].reason));
            return VIRTQ_EINVAL;
        }
        chain->ours = popped[i];
        chain->ours.pieces = chain->pieces;
        memcpy(chain->pieces, popped[i].pieces,
               (popped[i].readable + popped[i].writable) * sizeof(struct virtq_piece));
        chain->readable = popped[i].readable_bytes;
        chain->writable = popped[i].writable_bytes;
    }
    return taken;
}

static int our_unpop(struct world *world, struct world_chain *const *chains, unsigned count)
{
    struct virtq_chain ours[WORLD_BATCH];

    for (unsigned i = 0; i < count; i++) {
        ours[i] = chains[i]->ours;
    }
    return world->our_device.calls->unpop(&world->our_device, ours, count);
}

/* Pieces of a premapped queue hold device addresses: the caller's own business to reach them. */
static size_t copy_premapped(struct world *world, const struct world_chain *chain, bool write,
                             uint64_t at, unsigned char *bytes, size_t len)
{
    const struct virtq_piece *piece = chain->pieces + (write ? chain->ours.readable : 0);
    unsigned count = write ? chain->ours.writable : chain->ours.readable;
    size_t moved = 0;

    for (; count > 0 && moved < len; count--, piece++) {
        size_t some = len - moved;
        void *base;

        if (at >= piece->len) {
            at -= piece->len;
            continue;
        }
        some = some < piece->len - at ? some : (size_t)(piece->len - at);
        some = world_reach(
            world, piece->addr + at, some,
            write ? (uint32_t)VIRTQ_PERMISSION_WRITE : (uint32_t)VIRTQ_PERMISSION_READ, &base);
        if (some == 0) {
            break;
        }
        if (write) {
            memcpy(base, bytes + moved, some);
        } else {
            memcpy(bytes + moved, base, some);
        }
        moved += some;
        at = 0;
    }
    return moved;
}

static size_t our_read(struct world *world, const struct world_chain *chain, uint64_t at, void *to,
                       size_t len)
{
    struct virtq_cursor reader = virtq_chain_reader(&chain->ours);

    if (world->space.kind->premapped) {
        return copy_premapped(world, chain, false, at, to, len);
    }
    return virtq_cursor_skip(&reader, at) == at ? virtq_cursor_read(&reader, to, len) : 0;
}

static size_t our_write(struct world *world, const struct world_chain *chain, uint64_t at,
                        const void *from, size_t len)
{
    struct virtq_cursor writer = virtq_chain_writer(&chain->ours);
    unsigned char bytes[4096];

    if (world->space.kind->premapped) {
        len = len < sizeof(bytes) ? len : sizeof(bytes);
        memcpy(bytes, from, len);
        return copy_premapped(world, chain, true, at, bytes, len);
    }
    return virtq_cursor_skip(&writer, at) == at ? virtq_cursor_write(&writer, from, len) : 0;
}

static int our_push(struct world *world, const struct world_chain *chain, uint32_t written)
{
    const struct virtq_used_buffer used = {chain->ours.id, written};
    unsigned tries = 0;
    int pushed;

    do {
        pushed = world->our_device.calls->push(&world->our_device, &used, 1);
    } while (again(world, pushed, &tries));
    return pushed;
}

static int our_device_publish(struct world *world)
{
    unsigned tries = 0;
    int count;

    do {
        count = world->our_device.calls->publish(&world->our_device);
    } while (again(world, count, &tries));
    return count < 0 ? count : 0;
}

static int our_device_should_notify(struct world *world)
{
    unsigned tries = 0;
    int wanted;

    do {
        wanted = world->our_device.calls->needs_notify(&world->our_device);
    } while (again(world, wanted, &tries));
    world->our_device.answers.notify += wanted == 1;
    world->our_device.answers.silent += wanted == 0;
    return wanted;
}

static bool our_device_enable(struct world *world)
{
    return world->our_device.calls->enable(&world->our_device);
}

static void our_device_disable(struct world *world)
{
    world->our_device.calls->disable(&world->our_device);
}

static const char *our_device_judge(struct world *world, uint64_t total)
{
    const struct world_our_device *end = &world->our_device;
    struct virtq_counters counters;

    end->calls->counters(end, &counters);
    if (end->calls->fault(end) != (uint32_t)VIRTQ_REASON_NONE) {
        return world_trouble(world, "device: %s", virtq_reason_name(end->calls->fault(end)));
    }
    if (end->calls->outstanding(end) != 0) {
        return world_trouble(world, "device: %u outstanding",
                             (unsigned)end->calls->outstanding(end));
    }
    if (counters.added != total || counters.used != total || counters.error_buffer != 0 ||
        counters.error_caller != 0) {
        return world_trouble(world, "device counted %u popped, %u pushed of %u, errors %u %u",
                             (unsigned)counters.added, (unsigned)counters.used, (unsigned)total,
                             (unsigned)counters.error_buffer, (unsigned)counters.error_caller);
    }
    return judge_answers(world, "device", &end->answers, &counters);
}

static void our_device_close(struct world *world)
{
    free(world->our_device.memory);
}

const struct world_device_ops world_our_device_ops = {
    true,
    our_pop,
    our_unpop,
    our_read,
    our_write,
    our_push,
    our_device_publish,
    our_device_should_notify,
    our_device_enable,
    our_device_disable,
    our_device_judge,
    our_device_close,
};

void world_our_device_open(struct world *world)
{
    struct world_our_device *end = &world->our_device;
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    const struct virtq_state state = world_state(&world->config);
    struct virtq_miss miss;
    unsigned tries = 0;
    size_t size;
    int error;

    config.format = world->config.packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    config.size = world->config.size;
    config.features = world->features;
    config.flags = (uint32_t)VIRTQ_DEVICE_RING_TRANSLATED;
    config.flags |= world->config.big_endian ? (uint32_t)VIRTQ_DEVICE_BIG_ENDIAN : 0;
    config.table_max = WORLD_RUNS;
    config.space = world->space.device;
    config.addresses = world->addresses;
    end->calls = world->config.inlined ? world_inline_device(world->config.packed,
                                                             virtq_device_setup_instance(&config))
                                       : &world_library_device;
    cr_assert(end->calls != NULL, "%s: no such instance", world->name);
    size = end->calls->size(&config);
    end->memory = world_memory(size);
    do {
        error = end->calls->init(end, &config, size, &miss);
    } while (error == VIRTQ_EMISS && world->space.kind->resolve != NULL && ++tries < 8 &&
             world->space.kind->resolve(&world->space, &miss) == VIRTQ_OK);
    cr_assert_eq(error, 0, "%s: device's init gives %d", world->name, error);
    if (world->config.start != 0) {
        error = end->calls->restore(end, &state);
        cr_assert_eq(error, 0, "%s: device's restore gives %d", world->name, error);
    }
    world->device = &world_our_device_ops;
}
