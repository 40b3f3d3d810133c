/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing worlds: memory, spaces, and the ledger between the queues and the spaces. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guarded.h"
#include "runner.h"
#include "world_private.h"

/* The seam hands its operations no context of ours. */
static struct world *current;

/* ---- The ledger ---- */

static const struct virtq_space_ops *real_ops(const struct virtq_space *space)
{
    return current->real[space == current->space.driver ? 0 : 1];
}

static int judged(int error)
{
    if (error != VIRTQ_OK && error != VIRTQ_EMISS && error != VIRTQ_ENOMEM &&
        error != VIRTQ_EFULL) {
        current->ledger.refusals++;
    }
    return error;
}

static int ledger_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    int error = judged(real_ops(space)->map(space, mapping));

    current->ledger.maps += error == VIRTQ_OK;
    return error;
}

static void ledger_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    current->ledger.unmaps++;
    real_ops(space)->unmap(space, mapping, written);
}

static int ledger_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                        virtq_addr_t *addr)
{
    int error = judged(real_ops(space)->share(space, base, len, permissions, addr));

    current->ledger.shares += error == VIRTQ_OK;
    return error;
}

static void ledger_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    current->ledger.unshares++;
    real_ops(space)->unshare(space, addr, len);
}

static int ledger_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                         struct virtq_window *window)
{
    int error = judged(real_ops(space)->window(space, addr, permission, window));

    current->ledger.windows++;
    current->ledger.misses += error == VIRTQ_EMISS;
    return error;
}

static void count_calls(struct world *world, unsigned side, struct virtq_space *space)
{
    struct virtq_space_ops *counted = &world->counted[side];

    world->real[side] = space->ops;
    *counted = *space->ops;
    counted->map = counted->map != NULL ? ledger_map : NULL;
    counted->unmap = counted->unmap != NULL ? ledger_unmap : NULL;
    counted->share = counted->share != NULL ? ledger_share : NULL;
    counted->unshare = counted->unshare != NULL ? ledger_unshare : NULL;
    counted->window = counted->window != NULL ? ledger_window : NULL;
    space->ops = counted;
}

/* ---- Memory ---- */

static void area_open(struct world *world, unsigned which, size_t size, size_t align)
{
    const struct world_space_kind *kind = world->space.kind;
    struct world_area *area = &world->areas[which];
    bool payload = which == (unsigned)WORLD_DATA;

    area->size = (size + align - 1) / align * align;
    area->guarded = kind->alloc == NULL || (payload && !kind->data_inside);
    area->base = area->guarded ? guarded_alloc(area->size)
                               : kind->alloc(&world->space, area->size, align, payload);
    cr_assert(area->base != NULL, "%s: no memory", world->name);
    if (!area->guarded) { /* Guarded memory is zero already. */
        memset(area->base, 0xee, area->size);
    }
}

static void area_close(struct world *world, unsigned which)
{
    struct world_area *area = &world->areas[which];

    if (area->base != NULL && area->guarded) {
        guarded_free(area->base, area->size);
    } else if (area->base != NULL) {
        world->space.kind->free(&world->space, area->base);
    }
}

void *world_memory(size_t size)
{
    size_t whole = (size + VIRTQ_CACHE_LINE - 1) / VIRTQ_CACHE_LINE * VIRTQ_CACHE_LINE;
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, whole);

    cr_assert(size != 0 && memory != NULL);
    memset(memory, 0, whole);
    return memory;
}

/* ---- A world ---- */

static void name_world(struct world *world)
{
    static const char *const pairings[] = {"ours/ours", "ours/reference", "reference/ours",
                                           "reference/reference"};
    const struct world_config *config = &world->config;

    (void)snprintf(world->name, sizeof(world->name), "%s %s %s on %s, size %u from %u%s%s%s%s%s",
                   pairings[config->pairing], config->inlined ? "inline" : "library",
                   config->packed ? "packed" : "split", config->space->name, (unsigned)config->size,
                   (unsigned)config->start, config->event_idx ? ", EVENT_IDX" : "",
                   config->indirect ? ", INDIRECT" : "", config->in_order ? ", IN_ORDER" : "",
                   config->big_endian ? ", big-endian" : "",
                   config->order_platform ? ", ORDER_PLATFORM" : "");
}

const char *world_trouble(struct world *world, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(world->trouble, sizeof(world->trouble), format, arguments);
    va_end(arguments);
    return world->trouble;
}

static uint64_t features_of(const struct world_config *config)
{
    return (config->packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0) |
           (config->big_endian ? 0 : VIRTQ_FEATURE(VIRTIO_F_VERSION_1)) |
           (config->event_idx ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : 0) |
           (config->indirect ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0) |
           (config->in_order ? VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) : 0) |
           (config->order_platform ? VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) : 0);
}

static void open_memory(struct world *world)
{
    const size_t size = world->config.size;
    const bool packed = world->config.packed;
    const size_t ring = size * 32 + 4096;
    const size_t tables = world->config.indirect ? size * WORLD_RUNS * 16 : 16;

    cr_assert(world->config.space->open(&world->space, ring + tables, world->config.data,
                                        world->config.size),
              "%s: no space", world->name);
    /* Every area has guard pages of its own, where the space does not say where it is to be. */
    area_open(world, WORLD_DESCRIPTOR, size * 16, 16);
    area_open(world, WORLD_DRIVER, packed ? 4 : size * 2 + 6, packed ? 4 : 2);
    area_open(world, WORLD_DEVICE, packed ? 4 : size * 8 + 6, 4);
    area_open(world, WORLD_TABLES, tables, 16);
    area_open(world, WORLD_DATA, world->config.data, 4096);
    world->data = world->areas[WORLD_DATA].base;
    count_calls(world, 0, world->space.driver);
    if (world->space.device != world->space.driver) {
        count_calls(world, 1, world->space.device);
    }
    if (world->space.kind->premapped) {
        int error = virtq_space_share(
            world->space.driver, world->data, world->config.data,
            (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE, &world->data_addr);

        cr_assert_eq(error, 0, "%s: share gives %d", world->name, error);
    }
}

void world_open(struct world *world, const struct world_config *config)
{
    memset(world, 0, sizeof(*world));
    world->config = *config;
    world->space.kind = config->space;
    world->features = features_of(config);
    current = world;
    name_world(world);
    open_memory(world);
    if (config->pairing == WORLD_REFERENCE_DRIVER || config->pairing == WORLD_REFERENCES) {
        world_reference_driver_open(world);
    } else {
        world_our_driver_open(world);
    }
    /* The driver writes the ring's first state; so the device comes after it. */
    if (config->pairing == WORLD_REFERENCE_DEVICE || config->pairing == WORLD_REFERENCES) {
        world_reference_device_open(world);
    } else {
        world_our_device_open(world);
    }
}

static const char *balance(struct world *world)
{
    const struct world_ledger *ledger = &world->ledger;
    const struct world_space_kind *kind = world->space.kind;

    if (ledger->maps != ledger->unmaps || ledger->shares != ledger->unshares) {
        return world_trouble(world, "%u mappings, %u unmappings, %u shared, %u unshared",
                             (unsigned)ledger->maps, (unsigned)ledger->unmaps,
                             (unsigned)ledger->shares, (unsigned)ledger->unshares);
    }
    if (ledger->refusals != 0) {
        return world_trouble(world, "the space refused %u calls", (unsigned)ledger->refusals);
    }
    return kind->judge != NULL ? kind->judge(&world->space, true) : NULL;
}

const char *world_close(struct world *world)
{
    const char *trouble;
    unsigned i;

    world->device->close(world);
    world->driver->close(world);
    if (world->space.kind->premapped) {
        virtq_space_unshare(world->space.driver, world->data_addr, world->config.data);
    }
    trouble = balance(world);
    for (i = 0; i < (unsigned)WORLD_AREAS; i++) {
        area_close(world, i);
    }
    if (world->space.device != world->space.driver) {
        world->space.device->ops = world->real[1];
    }
    world->space.driver->ops = world->real[0];
    world->space.kind->close(&world->space);
    current = NULL;
    return trouble;
}

/* ---- What the ends share ---- */

struct virtq_state world_state(const struct world_config *config)
{
    struct virtq_state state = {VIRTQ_FORMAT_SPLIT, config->size, 0, 0, 0};
    uint32_t lap = config->start / config->size;
    uint32_t offset = config->start % config->size;

    state.available = (uint16_t)config->start;
    if (config->packed) {
        state.format = VIRTQ_FORMAT_PACKED;
        state.available = (uint16_t)(offset | (lap % 2 == 0 ? 0x8000u : 0));
    }
    state.used = state.available;
    return state;
}

void world_segments(const struct world *world, const struct world_buffer *buffer,
                    struct virtq_segment *segments)
{
    unsigned count = (unsigned)buffer->readable + buffer->writable;

    for (unsigned i = 0; i < count; i++) {
        if (world->space.kind->premapped) {
            segments[i].addr = world->data_addr + buffer->spans[i].at;
        } else {
            segments[i].base = world->data + buffer->spans[i].at;
        }
        segments[i].len = buffer->spans[i].len;
    }
}

unsigned world_runs(const struct world *world, const struct world_buffer *buffer)
{
    const uintptr_t granule = world->space.kind->granule;
    unsigned count = (unsigned)buffer->readable + buffer->writable;
    unsigned runs = count;

    for (unsigned i = 0; granule != 0 && i < count; i++) {
        uintptr_t first = (uintptr_t)(world->data + buffer->spans[i].at);

        runs += (unsigned)((first + buffer->spans[i].len - 1) / granule - first / granule);
    }
    return runs;
}

size_t world_reach(struct world *world, virtq_addr_t addr, size_t len, uint32_t permission,
                   void **base)
{
    struct world_space *space = &world->space;
    int64_t usable = virtq_space_translate(space->device, addr, len, permission, base);

    if (usable == VIRTQ_EMISS && space->kind->resolve != NULL) {
        const struct virtq_miss miss = {addr, len, permission, 0};

        if (space->kind->resolve(space, &miss) == VIRTQ_OK) {
            usable = virtq_space_translate(space->device, addr, len, permission, base);
        }
    }
    return usable > 0 ? (size_t)usable : 0;
}
