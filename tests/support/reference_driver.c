/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end: what both formats have in common. */
#include <stdlib.h>
#include <string.h>

#include "reference_private.h"

static bool is_split(const struct reference_driver *driver)
{
    return driver->config.format == REFERENCE_SPLIT;
}

bool reference_driver_init(struct reference_driver *driver, const struct reference_config *config)
{
    memset(driver, 0, sizeof(*driver));
    if (!reference_config_valid(config)) {
        return false;
    }
    driver->config = *config;
    driver->buffers = calloc(config->size, sizeof(*driver->buffers));
    driver->unused = calloc(config->size, sizeof(*driver->unused));
    driver->order = calloc(config->size, sizeof(*driver->order));
    reference_require(driver->buffers && driver->unused && driver->order, "out of memory");
    driver->free_descriptors = config->size;
    while (driver->unused_count < config->size) {
        driver->unused[driver->unused_count] = (uint16_t)(config->size - 1 - driver->unused_count);
        driver->unused_count++;
    }
    return is_split(driver) ? reference_split_driver_init(driver)
                            : reference_packed_driver_init(driver);
}

void reference_driver_free(struct reference_driver *driver)
{
    for (uint32_t i = 0; driver->buffers && i < driver->config.size; i++) {
        free(driver->buffers[i].own_table);
    }
    free(driver->buffers);
    free(driver->unused);
    free(driver->order);
    free(driver->link);
    free(driver->table_copy);
    memset(driver, 0, sizeof(*driver));
}

unsigned char *reference_driver_table(struct reference_driver *driver, uint16_t id, unsigned count)
{
    unsigned char *tables = driver->config.tables;
    void *table;

    if (tables) {
        return tables + (size_t)id * driver->config.table_entries * 16;
    }
    table = calloc(count, 16);
    reference_require(table != NULL, "out of memory");
    driver->buffers[id].own_table = table;
    return table;
}

/* What "Driver Requirements: Indirect Descriptors", "Message Framing" and "Scatter-Gather Support"
 * forbid, and the room that the buffer needs. */
static bool may_add(const struct reference_driver *driver, unsigned count, unsigned direct,
                    uint64_t bytes)
{
    const struct reference_config *config = &driver->config;
    bool indirect = direct < count;

    if (driver->violation || count == 0 || count > reference_longest_chain(config)) {
        return false;
    }
    if (bytes > REFERENCE_CHAIN_BYTES || direct + indirect > driver->free_descriptors) {
        return false;
    }
    if (!indirect) {
        return true;
    }
    if (config->no_indirect || (config->tables && count - direct > config->table_entries)) {
        return false;
    }
    return is_split(driver) || direct == 0;
}

bool reference_driver_add_mixed(struct reference_driver *driver,
                                const struct reference_segment *segments, unsigned readable,
                                unsigned writable, unsigned long token, unsigned direct)
{
    unsigned count = readable + writable;
    uint64_t bytes = 0;
    uint64_t writable_bytes = 0;
    struct reference_buffer *buffer;
    uint16_t id;

    direct = direct < count ? direct : count;
    for (unsigned i = 0; i < count; i++) {
        bytes += segments[i].length;
        writable_bytes += i >= readable ? segments[i].length : 0;
    }
    if (!may_add(driver, count, direct, bytes)) {
        return false;
    }
    if (is_split(driver)) {
        reference_split_driver_add(driver, segments, readable, count, direct, &id);
    } else {
        reference_packed_driver_add(driver, segments, readable, count, direct, &id);
    }
    buffer = &driver->buffers[id];
    buffer->outstanding = true;
    buffer->token = token;
    buffer->writable = writable_bytes;
    buffer->descriptors = direct < count ? direct + 1 : direct;
    driver->free_descriptors -= buffer->descriptors;
    if (driver->config.in_order) {
        driver->order[(driver->oldest + driver->outstanding) % driver->config.size] = id;
    }
    driver->outstanding++;
    return true;
}

bool reference_driver_add(struct reference_driver *driver, const struct reference_segment *segments,
                          unsigned readable, unsigned writable, unsigned long token, bool indirect)
{
    return reference_driver_add_mixed(driver, segments, readable, writable, token,
                                      indirect ? 0 : readable + writable);
}

uint32_t reference_driver_rank(const struct reference_driver *driver, uint32_t id)
{
    for (uint32_t i = 0; i < driver->outstanding; i++) {
        if (driver->order[(driver->oldest + i) % driver->config.size] == id) {
            return i + 1;
        }
    }
    return 0;
}

static void release(struct reference_driver *driver, uint16_t id)
{
    struct reference_buffer *buffer = &driver->buffers[id];

    if (is_split(driver)) {
        reference_split_driver_release(driver, id);
    } else {
        driver->unused[driver->unused_count++] = id;
    }
    driver->free_descriptors += buffer->descriptors;
    driver->outstanding--;
    buffer->outstanding = false;
    free(buffer->own_table);
    buffer->own_table = NULL;
}

/* "In-order use of descriptors": the skipped buffers are assumed to have been used completely. */
static uint16_t take_oldest(struct reference_driver *driver, uint32_t *length)
{
    uint16_t id = driver->order[driver->oldest];
    uint64_t all = driver->buffers[id].writable;

    driver->oldest = (driver->oldest + 1) % driver->config.size;
    driver->batch_left--;
    if (driver->batch_left == 0) {
        *length = driver->batch_length;
    } else {
        *length = all > UINT32_MAX ? UINT32_MAX : (uint32_t)all;
    }
    return id;
}

int reference_driver_poll(struct reference_driver *driver, unsigned long *token, uint32_t *length)
{
    uint16_t id = 0;

    if (driver->violation) {
        return -1;
    }
    if (driver->batch_left == 0) {
        uint32_t batch = 1;
        int found = is_split(driver) ? reference_split_driver_find(driver, &id, length, &batch)
                                     : reference_packed_driver_find(driver, &id, length, &batch);

        if (found <= 0) {
            return found;
        }
        driver->batch_length = *length;
        driver->batch_left = driver->config.in_order ? batch : 0;
    }
    if (driver->config.in_order) {
        id = take_oldest(driver, length);
    }
    *token = driver->buffers[id].token;
    release(driver, id);
    return driver->violation ? -1 : 1;
}

bool reference_driver_should_notify(struct reference_driver *driver)
{
    return is_split(driver) ? reference_split_driver_should_notify(driver)
                            : reference_packed_driver_should_notify(driver);
}

bool reference_driver_set_event(struct reference_driver *driver, unsigned n)
{
    bool there;

    reference_require(n >= 1 && n <= driver->config.size, "event count out of range");
    there = is_split(driver) ? reference_split_driver_set_event(driver, n)
                             : reference_packed_driver_set_event(driver, n);
    return there || driver->batch_left > 0;
}

bool reference_driver_enable_used_notifications(struct reference_driver *driver)
{
    return reference_driver_set_event(driver, 1);
}

void reference_driver_disable_used_notifications(struct reference_driver *driver)
{
    if (is_split(driver)) {
        reference_split_driver_disable(driver);
    } else {
        reference_packed_driver_disable(driver);
    }
}

/* "Driver Notifications": next_off in bits 16 to 30 and next_wrap in bit 31; for a split queue
 * these are the low 15 bits and the top bit of the available index. */
uint32_t reference_driver_notification_data(const struct reference_driver *driver, uint16_t queue)
{
    uint32_t next = driver->avail_idx;

    if (!is_split(driver)) {
        next = driver->next_avail.index + (driver->next_avail.wrap ? 32768U : 0U);
    }
    return queue + next * 65536U;
}
