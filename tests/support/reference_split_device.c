/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a split virtqueue. */
#include <stdlib.h>

#include "reference_private.h"

static unsigned char *avail_flags(const struct reference_device *device)
{
    return device->config.driver_area;
}

static unsigned char *avail_idx(const struct reference_device *device)
{
    return avail_flags(device) + 2;
}

static unsigned char *avail_entry(const struct reference_device *device, uint16_t index)
{
    return avail_flags(device) + 4 + (size_t)(index % device->config.size) * 2;
}

static unsigned char *used_event(const struct reference_device *device)
{
    return avail_flags(device) + 4 + (size_t)device->config.size * 2;
}

static unsigned char *used_flags(const struct reference_device *device)
{
    return device->config.device_area;
}

static unsigned char *used_idx(const struct reference_device *device)
{
    return used_flags(device) + 2;
}

static unsigned char *used_entry(const struct reference_device *device, uint16_t index)
{
    return used_flags(device) + 4 + (size_t)(index % device->config.size) * 8;
}

static unsigned char *avail_event(const struct reference_device *device)
{
    return used_flags(device) + 4 + (size_t)device->config.size * 8;
}

bool reference_split_device_init(struct reference_device *device)
{
    const struct reference_config *config = &device->config;

    device->link = calloc(config->size, sizeof(*device->link));
    reference_require(device->link != NULL, "out of memory");
    device->avail_idx = (uint16_t)config->start;
    device->used_idx = (uint16_t)config->start;
    device->tested_idx = (uint16_t)config->start;
    device->slot_known = config->start == 0;
    reference_store16(used_idx(device), device->used_idx, config->big_endian);
    reference_device_enable_available_notifications(device);
    return true;
}

static uint16_t avail_ahead(const struct reference_device *device)
{
    return (uint16_t)(reference_load16(avail_idx(device), device->config.big_endian) -
                      device->avail_idx);
}

/* The entries of an indirect table, in the order of their `next`. */
static const char *walk_table(const struct reference_device *device, struct reference_chain *chain,
                              const struct reference_descriptor *whole)
{
    const struct reference_config *config = &device->config;
    uint32_t entries = whole->length / 16;
    const unsigned char *table;
    uint32_t at = 0;

    if (config->no_indirect) {
        return "indirect table although INDIRECT_DESC was not negotiated";
    }
    if (entries == 0 || whole->length % 16 != 0) {
        return "length of an indirect table is not a positive multiple of 16";
    }
    table = config->memory.at(config->memory.ctx, whole->address, whole->length);
    if (!table) {
        return "indirect table is outside the memory of the device";
    }
    for (uint32_t steps = 1;; steps++) {
        struct reference_descriptor entry;
        const char *why;

        reference_get_descriptor(table + (size_t)at * 16, config->big_endian, &entry);
        if (entry.third & REFERENCE_INDIRECT) {
            return "indirect descriptor inside an indirect table";
        }
        why = reference_chain_append(chain, entry.address, entry.length,
                                     (entry.third & REFERENCE_WRITE) != 0,
                                     reference_longest_chain(config));
        if (why || !(entry.third & REFERENCE_NEXT)) {
            return why;
        }
        if (entry.fourth >= entries || steps == entries) {
            return "next of a table entry leaves the table or loops";
        }
        if (config->in_order && entry.fourth != at + 1) {
            return "table entries are not sequential although IN_ORDER was negotiated";
        }
        at = entry.fourth;
    }
}

/* Marks the slot as held by the device, if the driver was free to use it and chose it rightly. */
static const char *claim_slot(struct reference_device *device, uint16_t slot)
{
    if (slot >= device->config.size) {
        return "descriptor index is outside the table";
    }
    if (device->busy[slot]) {
        return "descriptor loops, or was made available while the device still had it";
    }
    if (device->config.in_order && device->slot_known && slot != device->expected_slot) {
        return "descriptors are not in ring order although IN_ORDER was negotiated";
    }
    device->slot_known = true;
    device->expected_slot = (uint16_t)((slot + 1U) % device->config.size);
    device->busy[slot] = true;
    return NULL;
}

/* Every turn claims a slot that was free, so a loop ends at the first slot met again. */
static const char *walk_ring(struct reference_device *device, struct reference_chain *chain)
{
    const unsigned char *table = device->config.descriptor_area;
    uint16_t slot = chain->id;

    for (;;) {
        struct reference_descriptor descriptor;
        const char *why = claim_slot(device, slot);

        if (why) {
            return why;
        }
        chain->descriptors++;
        reference_get_descriptor(table + (size_t)slot * 16, device->config.big_endian, &descriptor);
        device->link[slot] = descriptor.fourth;
        if (descriptor.third & REFERENCE_INDIRECT) {
            /* WRITE is ignored here, as "Device Requirements: Indirect Descriptors" wants. */
            return (descriptor.third & REFERENCE_NEXT) ? "descriptor has both INDIRECT and NEXT"
                                                       : walk_table(device, chain, &descriptor);
        }
        why = reference_chain_append(chain, descriptor.address, descriptor.length,
                                     (descriptor.third & REFERENCE_WRITE) != 0,
                                     reference_longest_chain(&device->config));
        if (why || !(descriptor.third & REFERENCE_NEXT)) {
            return why;
        }
        slot = descriptor.fourth;
    }
}

int reference_split_device_pop(struct reference_device *device, struct reference_chain *chain)
{
    uint16_t ahead = avail_ahead(device);
    const char *why;

    if (ahead == 0) {
        return 0;
    }
    if (ahead + device->outstanding > device->config.size) {
        return reference_violate(&device->violation,
                                 "available index runs ahead by more than the queue holds");
    }
    chain->id = reference_get16(avail_entry(device, device->avail_idx), device->config.big_endian);
    why = walk_ring(device, chain);
    if (why) {
        return reference_violate(&device->violation, why);
    }
    device->avail_idx++;
    return 1;
}

static void release_slots(struct reference_device *device, const struct reference_chain *chain)
{
    uint16_t slot = chain->id;

    for (uint32_t i = 0; i < chain->descriptors; i++) {
        device->busy[slot] = false;
        slot = device->link[slot];
    }
}

static void put_used(struct reference_device *device, uint16_t index, uint16_t id, uint32_t length)
{
    unsigned char *entry = used_entry(device, index);

    reference_put32(entry, id, device->config.big_endian);
    reference_put32(entry + 4, length, device->config.big_endian);
}

static void publish(struct reference_device *device, unsigned n)
{
    device->used_idx = (uint16_t)(device->used_idx + n);
    device->since_test += n;
    reference_store16(used_idx(device), device->used_idx, device->config.big_endian);
}

void reference_split_device_push(struct reference_device *device,
                                 const struct reference_chain *chains, const uint32_t *written,
                                 unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        release_slots(device, &chains[i]);
        put_used(device, (uint16_t)(device->used_idx + i), chains[i].id, written[i]);
    }
    publish(device, n);
}

/* "In-order use of descriptors": the id is the last head, the place is that of the first buffer. */
void reference_split_device_push_batch(struct reference_device *device,
                                       const struct reference_chain *chains, unsigned n,
                                       uint32_t last_written)
{
    for (unsigned i = 0; i < n; i++) {
        release_slots(device, &chains[i]);
    }
    put_used(device, device->used_idx, chains[n - 1].id, last_written);
    publish(device, n);
}

bool reference_split_device_should_notify(struct reference_device *device)
{
    bool wanted = reference_split_wanted(&device->config, avail_flags(device), used_event(device),
                                         device->tested_idx, device->used_idx, device->since_test,
                                         &device->violation);

    device->tested_idx = device->used_idx;
    device->since_test = 0;
    return wanted;
}

bool reference_split_device_set_event(struct reference_device *device, unsigned n)
{
    const struct reference_config *config = &device->config;

    if (!config->event_idx) {
        reference_store16(used_flags(device), 0, config->big_endian);
        return avail_ahead(device) > 0;
    }
    reference_store16(avail_event(device), (uint16_t)(device->avail_idx + n - 1),
                      config->big_endian);
    return avail_ahead(device) >= n;
}

/* With EVENT_IDX "the device MUST set flags to 0": the event just behind is the farthest away. */
void reference_split_device_disable(struct reference_device *device)
{
    const struct reference_config *config = &device->config;

    if (!config->event_idx) {
        reference_store16(used_flags(device), 1, config->big_endian);
        return;
    }
    reference_store16(avail_event(device), (uint16_t)(device->avail_idx - 1), config->big_endian);
}
