/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a packed virtqueue. */
#include <string.h>

#include "reference_private.h"

static unsigned char *descriptor_at(const struct reference_driver *driver,
                                    struct reference_position position)
{
    unsigned char *ring = driver->config.descriptor_area;

    return ring + (size_t)position.index * 16;
}

bool reference_packed_is_available(uint16_t flags, bool wrap)
{
    bool avail = (flags & REFERENCE_AVAIL) != 0;
    bool used = (flags & REFERENCE_USED) != 0;

    return avail == wrap && used != wrap;
}

bool reference_packed_is_used(uint16_t flags, bool wrap)
{
    bool avail = (flags & REFERENCE_AVAIL) != 0;
    bool used = (flags & REFERENCE_USED) != 0;

    return avail == wrap && used == wrap;
}

/* "The descriptor ring is zero-initialized"; a ring that has run before looks as if every
 * descriptor was used on the last lap that passed it. */
static void write_passed_descriptors(struct reference_driver *driver)
{
    uint32_t size = driver->config.size;
    struct reference_position position = {0, true};

    for (uint32_t i = 0; i < driver->config.start; i++) {
        uint16_t flags = position.wrap ? REFERENCE_AVAIL | REFERENCE_USED : 0;

        reference_store16(descriptor_at(driver, position) + 14, flags, false);
        position = reference_position_next(position, size);
    }
    driver->next_avail = position;
    driver->next_used = position;
    driver->tested = position;
}

bool reference_packed_driver_init(struct reference_driver *driver)
{
    const struct reference_config *config = &driver->config;

    memset(config->descriptor_area, 0, (size_t)config->size * 16);
    memset(config->driver_area, 0, 4);
    memset(config->device_area, 0, 4);
    write_passed_descriptors(driver);
    reference_driver_enable_used_notifications(driver);
    return true;
}

static uint16_t available_flags(bool writable, bool wrap)
{
    return (uint16_t)((writable ? REFERENCE_WRITE : 0) | (wrap ? REFERENCE_AVAIL : REFERENCE_USED));
}

/* "The VIRTQ_DESC_F_WRITE flags bit is the only valid flag for descriptors in the indirect table";
 * the id is reserved. */
static struct reference_segment make_table(struct reference_driver *driver, uint16_t id,
                                           const struct reference_segment *segments,
                                           unsigned readable, unsigned count)
{
    const struct reference_memory *memory = &driver->config.memory;
    unsigned char *table = reference_driver_table(driver, id, count);

    for (unsigned i = 0; i < count; i++) {
        struct reference_descriptor descriptor = {segments[i].address, segments[i].length, 0,
                                                  i >= readable ? REFERENCE_WRITE : 0};

        reference_put_descriptor(table + (size_t)i * 16, false, &descriptor);
    }
    return (struct reference_segment){memory->address_of(memory->ctx, table), count * 16, false};
}

/*
 * The driver's example of "Supplying Buffers to The Device / Implementation Example": every
 * descriptor gets its flags at once but the first, which comes last; only the last one has the id.
 */
static void write_list(struct reference_driver *driver, const struct reference_segment *list,
                       unsigned readable, unsigned count, uint16_t extra_flags, uint16_t id)
{
    unsigned char *first = descriptor_at(driver, driver->next_avail);
    uint16_t first_flags = 0;

    for (unsigned i = 0; i < count; i++) {
        bool last = i + 1 == count;
        unsigned char *bytes = descriptor_at(driver, driver->next_avail);
        uint16_t flags = available_flags(i >= readable, driver->next_avail.wrap);

        flags = (uint16_t)(flags | extra_flags | (last ? 0 : REFERENCE_NEXT));
        reference_put64(bytes, list[i].address, false);
        reference_put32(bytes + 8, list[i].length, false);
        reference_put16(bytes + 12, last ? id : UINT16_MAX, false);
        if (i == 0) {
            first_flags = flags;
        } else {
            reference_store16(bytes + 14, flags, false);
        }
        driver->next_avail = reference_position_next(driver->next_avail, driver->config.size);
    }
    reference_store16(first + 14, first_flags, false);
    driver->since_test += count;
}

void reference_packed_driver_add(struct reference_driver *driver,
                                 const struct reference_segment *segments, unsigned readable,
                                 unsigned count, unsigned direct, uint16_t *id)
{
    *id = driver->unused[--driver->unused_count];
    if (direct < count) {
        struct reference_segment table = make_table(driver, *id, segments, readable, count);

        write_list(driver, &table, driver->config.write_on_indirect ? 0 : 1, 1, REFERENCE_INDIRECT,
                   *id);
    } else {
        write_list(driver, segments, readable, count, 0, *id);
    }
}

static bool used_is_waiting(const struct reference_driver *driver)
{
    const unsigned char *bytes = descriptor_at(driver, driver->next_used);

    return driver->outstanding > 0 &&
           reference_packed_is_used(reference_load16(bytes + 14, false), driver->next_used.wrap);
}

/* How many descriptors the used element with this id stands for; 0 if it is not one. */
static uint32_t used_descriptors(struct reference_driver *driver, uint16_t id, uint32_t *batch)
{
    uint32_t descriptors = 0;

    if (id >= driver->config.size || !driver->buffers[id].outstanding) {
        return 0;
    }
    if (!driver->config.in_order) {
        return driver->buffers[id].descriptors;
    }
    *batch = reference_driver_rank(driver, id);
    for (uint32_t i = 0; i < *batch; i++) {
        uint16_t member = driver->order[(driver->oldest + i) % driver->config.size];

        descriptors += driver->buffers[member].descriptors;
    }
    return descriptors;
}

/* "Receiving Used Buffers From The Device". The flags are loaded once: WRITE is judged in the same
 * word that said "used". */
int reference_packed_driver_find(struct reference_driver *driver, uint16_t *id, uint32_t *length,
                                 uint32_t *batch)
{
    const unsigned char *bytes = descriptor_at(driver, driver->next_used);
    uint16_t flags = reference_load16(bytes + 14, false);
    uint32_t descriptors;

    if (driver->outstanding == 0 || !reference_packed_is_used(flags, driver->next_used.wrap)) {
        return 0;
    }
    *id = reference_get16(bytes + 12, false);
    /* "Element Length is reserved for used descriptors without the VIRTQ_DESC_F_WRITE flag, and is
     * ignored by drivers." */
    *length = (flags & REFERENCE_WRITE) ? reference_get32(bytes + 8, false) : 0;
    descriptors = used_descriptors(driver, *id, batch);
    if (descriptors == 0) {
        return reference_violate(&driver->violation, "used id is not an outstanding buffer");
    }
    if (*length > driver->buffers[*id].writable) {
        return reference_violate(&driver->violation, "used length exceeds the writable elements");
    }
    driver->next_used =
        reference_position_advance(driver->next_used, driver->config.size, descriptors);
    return 1;
}

bool reference_packed_driver_should_notify(struct reference_driver *driver)
{
    bool wanted = reference_packed_wanted(&driver->config, driver->config.device_area,
                                          driver->tested, driver->since_test, &driver->violation);

    driver->tested = driver->next_avail;
    driver->since_test = 0;
    return wanted;
}

bool reference_packed_driver_set_event(struct reference_driver *driver, unsigned n)
{
    bool event_idx = driver->config.event_idx;
    struct reference_position armed =
        reference_position_advance(driver->next_used, driver->config.size, n - 1);

    reference_packed_arm(driver->config.driver_area, event_idx ? REFERENCE_DESC : REFERENCE_ENABLE,
                         armed);
    return used_is_waiting(driver);
}

void reference_packed_driver_disable(struct reference_driver *driver)
{
    reference_packed_arm(driver->config.driver_area, REFERENCE_DISABLE, driver->next_used);
}
