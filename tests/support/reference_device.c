/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end: what both formats have in common. */
#include <stdlib.h>
#include <string.h>

#include "reference_private.h"

static bool is_split(const struct reference_device *device)
{
    return device->config.format == REFERENCE_SPLIT;
}

bool reference_device_init(struct reference_device *device, const struct reference_config *config)
{
    memset(device, 0, sizeof(*device));
    if (!reference_config_valid(config)) {
        return false;
    }
    device->config = *config;
    device->busy = calloc(config->size, sizeof(*device->busy));
    device->order = calloc(config->size, sizeof(*device->order));
    reference_require(device->busy && device->order, "out of memory");
    return is_split(device) ? reference_split_device_init(device)
                            : reference_packed_device_init(device);
}

void reference_device_free(struct reference_device *device)
{
    free(device->busy);
    free(device->order);
    free(device->link);
    memset(device, 0, sizeof(*device));
}

int reference_device_pop(struct reference_device *device, struct reference_chain *chain)
{
    int popped;

    reference_chain_clear(chain);
    if (device->violation) {
        return -1;
    }
    popped = is_split(device) ? reference_split_device_pop(device, chain)
                              : reference_packed_device_pop(device, chain);
    if (popped == 1) {
        if (device->config.in_order) {
            device->order[(device->oldest + device->outstanding) % device->config.size] = chain->id;
        }
        device->outstanding++;
        device->busy_descriptors += chain->descriptors;
    }
    return popped;
}

/* "If VIRTIO_F_IN_ORDER has been negotiated, a device MUST use buffers in the same order in which
 * they have been available." */
static void begin_push(struct reference_device *device, const struct reference_chain *chain,
                       uint32_t written)
{
    reference_require(chain->id < device->config.size && device->busy[chain->id],
                      "pushed a buffer that was not popped");
    reference_require(written <= chain->writable, "pushed more than the writable elements hold");
    if (device->config.in_order) {
        reference_require(device->order[device->oldest] == chain->id, "pushed out of order");
        device->oldest = (device->oldest + 1) % device->config.size;
    }
    device->outstanding--;
    device->busy_descriptors -= chain->descriptors;
}

void reference_device_push_all(struct reference_device *device,
                               const struct reference_chain *chains, const uint32_t *written,
                               unsigned n)
{
    if (n == 0) {
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        begin_push(device, &chains[i], written[i]);
    }
    if (is_split(device)) {
        reference_split_device_push(device, chains, written, n);
    } else {
        reference_packed_device_push(device, chains, written, n);
    }
}

void reference_device_push(struct reference_device *device, const struct reference_chain *chain,
                           uint32_t written)
{
    reference_device_push_all(device, chain, &written, 1);
}

void reference_device_push_batch(struct reference_device *device,
                                 const struct reference_chain *chains, unsigned n,
                                 uint32_t last_written)
{
    reference_require(device->config.in_order && n > 0, "a batch needs IN_ORDER and a buffer");
    for (unsigned i = 0; i < n; i++) {
        begin_push(device, &chains[i], i + 1 == n ? last_written : 0);
    }
    if (is_split(device)) {
        reference_split_device_push_batch(device, chains, n, last_written);
    } else {
        reference_packed_device_push_batch(device, chains, n, last_written);
    }
}

bool reference_device_should_notify(struct reference_device *device)
{
    return is_split(device) ? reference_split_device_should_notify(device)
                            : reference_packed_device_should_notify(device);
}

bool reference_device_set_event(struct reference_device *device, unsigned n)
{
    reference_require(n >= 1 && n <= device->config.size, "event count out of range");
    return is_split(device) ? reference_split_device_set_event(device, n)
                            : reference_packed_device_set_event(device, n);
}

bool reference_device_enable_available_notifications(struct reference_device *device)
{
    return reference_device_set_event(device, 1);
}

void reference_device_disable_available_notifications(struct reference_device *device)
{
    if (is_split(device)) {
        reference_split_device_disable(device);
    } else {
        reference_packed_device_disable(device);
    }
}
