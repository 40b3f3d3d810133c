/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a packed virtqueue. */
#include "reference_private.h"

static unsigned char *descriptor_at(const struct reference_device *device,
                                    struct reference_position position)
{
    unsigned char *ring = device->config.descriptor_area;

    return ring + (size_t)position.index * 16;
}

bool reference_packed_device_init(struct reference_device *device)
{
    struct reference_position start =
        reference_position_start(device->config.size, device->config.start);

    device->next_avail = start;
    device->next_used = start;
    device->tested = start;
    reference_device_enable_available_notifications(device);
    return true;
}

/* All entries of the table, one after another. */
static const char *walk_table(const struct reference_device *device, struct reference_chain *chain,
                              uint64_t address, uint32_t length)
{
    const struct reference_config *config = &device->config;
    const unsigned char *table;

    if (config->no_indirect) {
        return "indirect table although INDIRECT_DESC was not negotiated";
    }
    if (length == 0 || length % 16 != 0) {
        return "length of an indirect table is not a positive multiple of 16";
    }
    table = config->memory.at(config->memory.ctx, address, length);
    if (!table) {
        return "indirect table is outside the memory of the device";
    }
    for (uint32_t i = 0; i < length / 16; i++) {
        struct reference_descriptor entry;
        const char *why;

        reference_get_descriptor(table + (size_t)i * 16, false, &entry);
        if ((entry.fourth & ~REFERENCE_WRITE) != 0) {
            return "a flag other than WRITE is set inside an indirect table";
        }
        why = reference_chain_append(chain, entry.address, entry.length,
                                     (entry.fourth & REFERENCE_WRITE) != 0,
                                     reference_longest_chain(config));
        if (why) {
            return why;
        }
    }
    return NULL;
}

/* One descriptor of a list, whose flags were loaded and found available; `last` tells whether the
 * list ends with it. */
static const char *take_descriptor(struct reference_device *device, struct reference_chain *chain,
                                   const unsigned char *bytes, uint16_t flags, bool *last)
{
    uint64_t address = reference_get64(bytes, false);
    uint32_t length = reference_get32(bytes + 8, false);

    *last = !(flags & REFERENCE_NEXT);
    chain->descriptors++;
    if (chain->descriptors + device->busy_descriptors > device->config.size) {
        return "list needs more descriptors than are free, or loops";
    }
    if (*last) {
        chain->id = reference_get16(bytes + 12, false);
    }
    if (flags & REFERENCE_INDIRECT) {
        if (!*last || chain->descriptors > 1) {
            return "indirect descriptor in a list linked by NEXT";
        }
        return walk_table(device, chain, address, length);
    }
    return reference_chain_append(chain, address, length, (flags & REFERENCE_WRITE) != 0,
                                  reference_longest_chain(&device->config));
}

/* "All flags, including VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED, VIRTQ_DESC_F_WRITE must be
 * set/cleared correctly in all descriptors in the list, not just the first one." */
static const char *walk_ring(struct reference_device *device, struct reference_chain *chain,
                             uint16_t flags)
{
    struct reference_position position = device->next_avail;
    bool last;

    for (;;) {
        const unsigned char *bytes = descriptor_at(device, position);
        const char *why = take_descriptor(device, chain, bytes, flags, &last);

        if (why || last) {
            return why;
        }
        position = reference_position_next(position, device->config.size);
        flags = reference_load16(descriptor_at(device, position) + 14, false);
        if (!reference_packed_is_available(flags, position.wrap)) {
            return "list runs into a descriptor that is not available";
        }
    }
}

int reference_packed_device_pop(struct reference_device *device, struct reference_chain *chain)
{
    const unsigned char *head = descriptor_at(device, device->next_avail);
    uint16_t flags = reference_load16(head + 14, false);
    const char *why;

    if (!reference_packed_is_available(flags, device->next_avail.wrap)) {
        return 0;
    }
    why = walk_ring(device, chain, flags);
    if (!why && chain->id >= device->config.size) {
        why = "buffer id is not below the queue size";
    }
    if (!why && device->busy[chain->id]) {
        why = "buffer id belongs to a buffer that the device still has";
    }
    if (why) {
        return reference_violate(&device->violation, why);
    }
    device->busy[chain->id] = true;
    device->next_avail =
        reference_position_advance(device->next_avail, device->config.size, chain->descriptors);
    return 1;
}

/* WRITE "is used to specify whether any data has been written by the device". */
static void put_used(struct reference_device *device, struct reference_position position,
                     uint16_t id, uint32_t length)
{
    unsigned char *bytes = descriptor_at(device, position);
    uint16_t flags = position.wrap ? REFERENCE_AVAIL | REFERENCE_USED : 0;

    reference_put32(bytes + 8, length, false);
    reference_put16(bytes + 12, id, false);
    reference_store16(bytes + 14, (uint16_t)(flags | (length > 0 ? REFERENCE_WRITE : 0)), false);
}

static void skip(struct reference_device *device, const struct reference_chain *chain)
{
    device->next_used =
        reference_position_advance(device->next_used, device->config.size, chain->descriptors);
    device->since_test += chain->descriptors;
    device->busy[chain->id] = false;
}

/* "These devices always mark the descriptor corresponding to the first buffer in the request used
 * after the rest of the descriptors". */
void reference_packed_device_push(struct reference_device *device,
                                  const struct reference_chain *chains, const uint32_t *written,
                                  unsigned n)
{
    struct reference_position first = device->next_used;

    skip(device, &chains[0]);
    for (unsigned i = 1; i < n; i++) {
        put_used(device, device->next_used, chains[i].id, written[i]);
        skip(device, &chains[i]);
    }
    put_used(device, first, chains[0].id, written[0]);
}

/* "In-order use of descriptors": the id is that of the last buffer, the place that of the first. */
void reference_packed_device_push_batch(struct reference_device *device,
                                        const struct reference_chain *chains, unsigned n,
                                        uint32_t last_written)
{
    struct reference_position first = device->next_used;

    for (unsigned i = 0; i < n; i++) {
        skip(device, &chains[i]);
    }
    put_used(device, first, chains[n - 1].id, last_written);
}

bool reference_packed_device_should_notify(struct reference_device *device)
{
    bool wanted = reference_packed_wanted(&device->config, device->config.driver_area,
                                          device->tested, device->since_test, &device->violation);

    device->tested = device->next_used;
    device->since_test = 0;
    return wanted;
}

static bool available_is_waiting(const struct reference_device *device)
{
    const unsigned char *bytes = descriptor_at(device, device->next_avail);

    return reference_packed_is_available(reference_load16(bytes + 14, false),
                                         device->next_avail.wrap);
}

bool reference_packed_device_set_event(struct reference_device *device, unsigned n)
{
    bool event_idx = device->config.event_idx;
    struct reference_position armed =
        reference_position_advance(device->next_avail, device->config.size, n - 1);

    reference_packed_arm(device->config.device_area, event_idx ? REFERENCE_DESC : REFERENCE_ENABLE,
                         armed);
    return available_is_waiting(device);
}

void reference_packed_device_disable(struct reference_device *device)
{
    reference_packed_arm(device->config.device_area, REFERENCE_DISABLE, device->next_avail);
}
