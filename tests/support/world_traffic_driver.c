/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's turns: adds random buffers, and checks each that comes back. */
#include <string.h>

#include "world_traffic_private.h"

/* What a buffer's slot holds: its readable bytes, then `written` bytes of the device's. */
static void draw(const struct traffic *t, const struct flight *flight, uint32_t written,
                 unsigned char *to, uint32_t slot_at)
{
    const unsigned char *read = traffic_bytes(t, flight->number, 0);
    const unsigned char *write = traffic_bytes(t, flight->number, 1);
    unsigned count = (unsigned)flight->buffer.readable + flight->buffer.writable;

    memset(to, UNTOUCHED, t->stride);
    for (unsigned i = 0; i < count; i++) {
        const struct world_span *span = &flight->buffer.spans[i];
        unsigned char *at = to + (span->at - slot_at);

        if (i < flight->buffer.readable) {
            memcpy(at, read, span->len);
            read += span->len;
        } else {
            uint32_t some = written < span->len ? written : span->len;

            memcpy(at, write, some);
            write += some;
            written -= some;
        }
    }
}

static void shape_buffer(struct traffic *t, struct flight *flight, unsigned slot, unsigned most)
{
    struct world_buffer *buffer = &flight->buffer;
    unsigned count = 1 + traffic_below(t, most);
    uint32_t at = slot * t->stride + traffic_below(t, GAP);

    buffer->readable = (uint16_t)traffic_below(t, count + 1);
    buffer->writable = (uint16_t)(count - buffer->readable);
    flight->readable = 0;
    flight->writable = 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t len = traffic_below(t, 4) == 0 ? t->longest : 1 + traffic_below(t, t->longest);

        buffer->spans[i].at = at;
        buffer->spans[i].len = len;
        at += len + GAP - traffic_below(t, GAP);
        *(i < buffer->readable ? &flight->readable : &flight->writable) += len;
    }
}

/* A random buffer, one that an empty ring takes. */
static void shape(struct traffic *t, struct flight *flight, unsigned slot)
{
    const uint32_t size = t->world.config.size;
    unsigned most = t->segments;
    bool table = t->world.config.indirect && traffic_below(t, 4) != 0;

    if (!table && most > size) {
        most = size;
    }
    do {
        shape_buffer(t, flight, slot, most);
        most = most > 1 ? most - 1 : 1;
    } while (!table && world_runs(&t->world, &flight->buffer) > size);
    flight->buffer.direct = !table;
    flight->number = t->added;
    flight->buffer.cookie = t->added << 16 | slot;
}

/* Any of the free slots, so that they are used in no order. It becomes the one behind the rest. */
static unsigned pick_slot(struct traffic *t)
{
    unsigned at = traffic_below(t, t->unused_count);
    uint16_t slot = t->unused[at];

    t->unused_count--;
    t->unused[at] = t->unused[t->unused_count];
    t->unused[t->unused_count] = slot;
    return slot;
}

/* Adds one buffer. False: no room, or trouble. */
static bool add_one(struct traffic *t)
{
    unsigned slot;
    struct flight *flight;
    int added;

    if (t->added == t->total || t->unused_count == 0) {
        return false;
    }
    slot = pick_slot(t);
    flight = &t->flights[slot];
    shape(t, flight, slot);
    draw(t, flight, 0, t->world.data + (size_t)slot * t->stride, slot * t->stride);
    added = t->world.driver->add(&t->world, &flight->buffer);
    if (added == 1) {
        flight->busy = true;
        t->order[t->added % t->slots] = (uint16_t)slot;
        t->added++;
        t->driver_untold = true;
        return true;
    }
    t->unused_count++;
    t->tally.full += added == VIRTQ_EFULL;
    t->tally.shortages += added == VIRTQ_ENOMEM;
    if ((added != VIRTQ_EFULL && added != VIRTQ_ENOMEM) || t->added == t->done) {
        (void)traffic_fail(t, virtq_error_name(added), t->added);
    }
    return false;
}

static bool check_done(struct traffic *t, const struct world_done *done)
{
    unsigned slot = (unsigned)(done->cookie & 0xffff);
    uint64_t number = done->cookie >> 16;
    struct flight *flight = &t->flights[slot < t->slots ? slot : 0];

    if (slot >= t->slots || !flight->busy || flight->number != number) {
        return traffic_fail(t, "a cookie that is not outstanding came back", number);
    }
    if (t->world.config.in_order && number != t->done) {
        return traffic_fail(t, "came back out of order", number);
    }
    if (done->len != traffic_filled(flight)) {
        (void)world_trouble(&t->world, "%u of %u, not %u", (unsigned)done->len,
                            (unsigned)flight->writable, (unsigned)traffic_filled(flight));
        return traffic_fail(t, "a wrong length came back", number);
    }
    draw(t, flight, done->len, t->expected, slot * t->stride);
    if (memcmp(t->expected, t->world.data + (size_t)slot * t->stride, t->stride) != 0) {
        return traffic_fail(t, "wrong bytes came back", number);
    }
    flight->busy = false;
    t->unused[t->unused_count++] = (uint16_t)slot;
    t->done++;
    return true;
}

/* Gives how many came back. */
static int take_back(struct traffic *t, unsigned count)
{
    struct world_done done[WORLD_BATCH];
    int taken = t->world.driver->poll(&t->world, done, count);

    if (taken < 0) {
        (void)traffic_fail(t, virtq_error_name(taken), t->done);
    }
    for (int i = 0; i < taken; i++) {
        if (!check_done(t, &done[i])) {
            return -1;
        }
    }
    return taken;
}

static void tell_device(struct traffic *t)
{
    t->world.driver->publish(&t->world);
    if (t->driver_untold) {
        bool wanted = t->world.driver->should_notify(&t->world);

        t->device_awake = t->device_awake || wanted;
        t->tally.silent += !wanted;
    }
    t->driver_untold = false;
}

static void driver_sleeps(struct traffic *t)
{
    unsigned outstanding = (unsigned)(t->added - t->done);
    unsigned after =
        outstanding > 1 && traffic_below(t, 2) == 0 ? 1 + traffic_below(t, outstanding) : 1;

    tell_device(t);
    if (t->world.driver->enable(&t->world, after)) {
        return;
    }
    t->driver_awake = false;
    t->tally.sleeps[0]++;
    if (after == 1 && traffic_below(t, 4) == 0 && take_back(t, 1) != 0) {
        (void)traffic_fail(t, "the driver was told that nothing came", t->done);
    }
}

void traffic_driver_step(struct traffic *t)
{
    unsigned wanted = traffic_below(t, 8) == 0 ? t->slots : 1 + traffic_below(t, WORLD_BATCH);
    bool busy = false;

    if (t->driver_tired) {
        t->driver_tired = false;
        driver_sleeps(t);
        return;
    }
    if (traffic_below(t, 4) == 0) {
        t->world.driver->disable(&t->world);
    }
    while (traffic_below(t, 8) != 0 && wanted > 0 && add_one(t)) {
        wanted--;
        busy = true;
    }
    if (busy && traffic_below(t, 8) != 0) {
        t->world.driver->publish(&t->world);
        if (traffic_below(t, 4) != 0) {
            tell_device(t);
        }
    }
    if (t->trouble == NULL && traffic_below(t, 2) == 0) {
        busy = take_back(t, 1 + traffic_below(t, WORLD_BATCH)) != 0 || busy;
        t->driver_tired = !busy && t->added != t->done;
    }
}
