/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a split virtqueue. */
#include <stdlib.h>
#include <string.h>

#include "reference_private.h"

static unsigned char *avail_flags(const struct reference_driver *driver)
{
    return driver->config.driver_area;
}

static unsigned char *avail_idx(const struct reference_driver *driver)
{
    return avail_flags(driver) + 2;
}

static unsigned char *avail_entry(const struct reference_driver *driver, uint16_t index)
{
    return avail_flags(driver) + 4 + (size_t)(index % driver->config.size) * 2;
}

static unsigned char *used_event(const struct reference_driver *driver)
{
    return avail_flags(driver) + 4 + (size_t)driver->config.size * 2;
}

static unsigned char *used_flags(const struct reference_driver *driver)
{
    return driver->config.device_area;
}

static unsigned char *used_idx(const struct reference_driver *driver)
{
    return used_flags(driver) + 2;
}

static unsigned char *used_entry(const struct reference_driver *driver, uint16_t index)
{
    return used_flags(driver) + 4 + (size_t)(index % driver->config.size) * 8;
}

static unsigned char *avail_event(const struct reference_driver *driver)
{
    return used_flags(driver) + 4 + (size_t)driver->config.size * 8;
}

/* "The driver MUST initialize flags in the used ring to 0 when allocating the used ring." */
bool reference_split_driver_init(struct reference_driver *driver)
{
    const struct reference_config *config = &driver->config;
    size_t table = (size_t)config->size * 16;

    driver->link = calloc(config->size, sizeof(*driver->link));
    driver->table_copy = calloc(config->size, 16);
    reference_require(driver->link && driver->table_copy, "out of memory");
    memset(config->descriptor_area, 0, table);
    memset(config->driver_area, 0, 6 + (size_t)config->size * 2);
    memset(config->device_area, 0, 6 + (size_t)config->size * 8);
    driver->avail_idx = (uint16_t)config->start;
    driver->used_idx = (uint16_t)config->start;
    driver->tested_idx = (uint16_t)config->start;
    reference_store16(avail_idx(driver), driver->avail_idx, config->big_endian);
    reference_store16(used_idx(driver), driver->used_idx, config->big_endian);
    reference_driver_enable_used_notifications(driver);
    return true;
}

/* "If VIRTIO_F_IN_ORDER has been negotiated, driver uses descriptors in ring order: starting from
 * offset 0 in the table, and wrapping around at the end of the table." */
static uint16_t take_slot(struct reference_driver *driver)
{
    uint16_t slot;

    if (!driver->config.in_order) {
        return driver->unused[--driver->unused_count];
    }
    slot = driver->next_slot;
    driver->next_slot = (uint16_t)((slot + 1U) % driver->config.size);
    return slot;
}

static struct reference_descriptor describe(const struct reference_segment *segment, bool writable,
                                            bool last, uint16_t next)
{
    uint16_t flags = (uint16_t)((writable ? REFERENCE_WRITE : 0) | (last ? 0 : REFERENCE_NEXT));

    return (struct reference_descriptor){segment->address, segment->length, flags, last ? 0 : next};
}

static struct reference_descriptor make_table(struct reference_driver *driver, uint16_t id,
                                              const struct reference_segment *segments,
                                              unsigned first, unsigned readable, unsigned count)
{
    const struct reference_config *config = &driver->config;
    unsigned entries = count - first;
    unsigned char *table = reference_driver_table(driver, id, entries);
    struct reference_descriptor whole = {0};

    for (unsigned i = 0; i < entries; i++) {
        struct reference_descriptor descriptor = describe(
            &segments[first + i], first + i >= readable, i + 1 == entries, (uint16_t)(i + 1));

        reference_put_descriptor(table + (size_t)i * 16, config->big_endian, &descriptor);
    }
    whole.address = config->memory.address_of(config->memory.ctx, table);
    whole.length = entries * 16;
    whole.third =
        (uint16_t)(REFERENCE_INDIRECT | (config->write_on_indirect ? REFERENCE_WRITE : 0));
    return whole;
}

static void put_slot(struct reference_driver *driver, uint16_t slot,
                     const struct reference_descriptor *descriptor)
{
    unsigned char *table = driver->config.descriptor_area;

    reference_put_descriptor(table + (size_t)slot * 16, driver->config.big_endian, descriptor);
    reference_put_descriptor(driver->table_copy + (size_t)slot * 16, driver->config.big_endian,
                             descriptor);
}

/* "Supplying Buffers to The Device", steps 1 to 5. */
void reference_split_driver_add(struct reference_driver *driver,
                                const struct reference_segment *segments, unsigned readable,
                                unsigned count, unsigned direct, uint16_t *id)
{
    unsigned needed = direct < count ? direct + 1 : direct;
    uint16_t head = take_slot(driver);
    uint16_t slot = head;

    for (unsigned i = 0; i < needed; i++) {
        bool last = i + 1 == needed;
        uint16_t next = last ? slot : take_slot(driver);
        struct reference_descriptor descriptor;

        if (i < direct) {
            descriptor = describe(&segments[i], i >= readable, last, next);
        } else {
            descriptor = make_table(driver, head, segments, direct, readable, count);
        }
        put_slot(driver, slot, &descriptor);
        driver->link[slot] = next;
        slot = next;
    }
    reference_put16(avail_entry(driver, driver->avail_idx), head, driver->config.big_endian);
    driver->avail_idx++;
    driver->since_test++;
    reference_store16(avail_idx(driver), driver->avail_idx, driver->config.big_endian);
    *id = head;
}

static uint16_t used_ahead(const struct reference_driver *driver)
{
    return (uint16_t)(reference_load16(used_idx(driver), driver->config.big_endian) -
                      driver->used_idx);
}

int reference_split_driver_find(struct reference_driver *driver, uint16_t *id, uint32_t *length,
                                uint32_t *batch)
{
    const unsigned char *entry = used_entry(driver, driver->used_idx);
    uint16_t ahead = used_ahead(driver);
    uint32_t head;

    if (ahead == 0) {
        return 0;
    }
    if (ahead > driver->outstanding) {
        return reference_violate(&driver->violation, "used index passes the outstanding buffers");
    }
    head = reference_get32(entry, driver->config.big_endian);
    *length = reference_get32(entry + 4, driver->config.big_endian);
    if (head >= driver->config.size || !driver->buffers[head].outstanding) {
        return reference_violate(&driver->violation, "used id is not an outstanding head");
    }
    if (*length > driver->buffers[head].writable) {
        return reference_violate(&driver->violation, "used length exceeds the writable elements");
    }
    if (driver->config.in_order) {
        *batch = reference_driver_rank(driver, head);
        if (*batch > ahead) {
            return reference_violate(&driver->violation,
                                     "used out of order, or used index short of the batch");
        }
    }
    driver->used_idx = (uint16_t)(driver->used_idx + *batch);
    *id = (uint16_t)head;
    return 1;
}

/* "A device MUST NOT write to any descriptor table entry." */
void reference_split_driver_release(struct reference_driver *driver, uint16_t id)
{
    const unsigned char *table = driver->config.descriptor_area;
    uint16_t slot = id;

    for (uint32_t i = 0; i < driver->buffers[id].descriptors; i++) {
        size_t offset = (size_t)slot * 16;

        if (memcmp(table + offset, driver->table_copy + offset, 16) != 0) {
            reference_violate(&driver->violation, "the device wrote to the descriptor table");
        }
        if (!driver->config.in_order) {
            driver->unused[driver->unused_count++] = slot;
        }
        slot = driver->link[slot];
    }
}

bool reference_split_driver_should_notify(struct reference_driver *driver)
{
    bool wanted = reference_split_wanted(&driver->config, used_flags(driver), avail_event(driver),
                                         driver->tested_idx, driver->avail_idx, driver->since_test,
                                         &driver->violation);

    driver->tested_idx = driver->avail_idx;
    driver->since_test = 0;
    return wanted;
}

/* The look at the used index comes after the sequentially consistent store, as "Receiving Used
 * Buffers From The Device" has it. */
bool reference_split_driver_set_event(struct reference_driver *driver, unsigned n)
{
    const struct reference_config *config = &driver->config;

    if (!config->event_idx) {
        reference_store16(avail_flags(driver), 0, config->big_endian);
        return used_ahead(driver) > 0;
    }
    reference_store16(used_event(driver), (uint16_t)(driver->used_idx + n - 1), config->big_endian);
    return used_ahead(driver) >= n;
}

/* With EVENT_IDX "the driver MUST set flags to 0": the event just behind is the farthest away. */
void reference_split_driver_disable(struct reference_driver *driver)
{
    const struct reference_config *config = &driver->config;

    if (!config->event_idx) {
        reference_store16(avail_flags(driver), 1, config->big_endian);
        return;
    }
    reference_store16(used_event(driver), (uint16_t)(driver->used_idx - 1), config->big_endian);
}
