/* SPDX-License-Identifier: BSD-3-Clause */
/* The device's turns: checks what it gets, and gives it back filled, in any order it may. */
#include <string.h>

#include "world_traffic_private.h"

static bool check_readable(struct traffic *t, const struct world_chain *chain,
                           const struct flight *flight, uint64_t number)
{
    unsigned char bytes[LONGEST];
    uint64_t cut = traffic_below(t, flight->readable + 1u);

    if (!flight->busy || flight->number != number) {
        return traffic_fail(t, "the device got what was not sent", number);
    }
    if (chain->readable != flight->readable || chain->writable != flight->writable) {
        (void)world_trouble(&t->world, "%u and %u bytes, not %u and %u", (unsigned)chain->readable,
                            (unsigned)chain->writable, (unsigned)flight->readable,
                            (unsigned)flight->writable);
        return traffic_fail(t, "wrong lengths", number);
    }
    if (t->world.device->read(&t->world, chain, 0, bytes, (size_t)cut) != cut ||
        t->world.device->read(&t->world, chain, cut, bytes + cut,
                              (size_t)(flight->readable - cut)) != flight->readable - cut) {
        return traffic_fail(t, "the device cannot read it all", number);
    }
    if (memcmp(bytes, traffic_bytes(t, number, 0), flight->readable) != 0) {
        return traffic_fail(t, "the device reads wrong bytes", number);
    }
    return true;
}

/* Gives how many were taken and kept. */
static int take(struct traffic *t)
{
    unsigned room = t->spare_count < WORLD_BATCH ? t->spare_count : WORLD_BATCH;
    unsigned count = room == 0 ? 0 : 1 + traffic_below(t, room);
    struct world_chain **chains = t->spare + t->spare_count - count;
    unsigned back = 0;
    int taken = count == 0 ? 0 : t->world.device->pop(&t->world, chains, count);

    if (taken <= 0) {
        return taken == 0 || traffic_fail(t, virtq_error_name(taken), t->popped) ? 0 : -1;
    }
    if (t->world.device->unpop != NULL && traffic_below(t, 8) == 0) {
        int error;

        back = 1 + traffic_below(t, (unsigned)taken);
        error = t->world.device->unpop(&t->world, chains + taken - back, back);
        t->tally.unpopped += back;
        if (error != 0) {
            return traffic_fail(t, "unpop", t->popped) ? 0 : -1;
        }
    }
    for (unsigned i = 0; i + back < (unsigned)taken; i++) {
        struct flight *flight = &t->flights[t->order[t->popped % t->slots]];

        if (!check_readable(t, chains[i], flight, t->popped)) {
            return -1;
        }
        t->popped++;
        t->held[t->held_count++] = (struct held){chains[i], flight};
    }
    /* What was not kept stays among the spare ones. */
    memmove(chains, chains + taken - back, (count - ((unsigned)taken - back)) * sizeof(*chains));
    t->spare_count -= (unsigned)taken - back;
    return taken;
}

/* Fills one of the buffers that the device holds, and pushes it. */
static bool give_back(struct traffic *t)
{
    bool any = !t->world.config.in_order || t->world.device->reorders;
    unsigned at = any ? traffic_below(t, t->held_count) : 0;
    struct world_chain *chain = t->held[at].chain;
    const struct flight *flight = t->held[at].flight;
    uint64_t number = flight->number;
    const unsigned char *bytes = traffic_bytes(t, number, 1);
    uint32_t written = traffic_filled(flight);
    uint32_t cut = traffic_below(t, written + 1u);

    t->held_count--;
    memmove(t->held + at, t->held + at + 1, (t->held_count - at) * sizeof(*t->held));
    t->spare[t->spare_count++] = chain;
    if (t->world.device->write(&t->world, chain, cut, bytes + cut, written - cut) !=
            written - cut ||
        t->world.device->write(&t->world, chain, 0, bytes, cut) != cut) {
        return traffic_fail(t, "the device cannot write it all", number);
    }
    if (t->world.device->push(&t->world, chain, written) != 1) {
        return traffic_fail(t, "push", number);
    }
    t->pushed++;
    t->device_untold = true;
    return true;
}

static void tell_driver(struct traffic *t)
{
    int wanted = t->world.device->publish(&t->world);

    if (wanted == 0 && t->device_untold) {
        wanted = t->world.device->should_notify(&t->world);
    }
    if (wanted < 0) {
        (void)traffic_fail(t, virtq_error_name(wanted), t->pushed);
    }
    t->driver_awake = t->driver_awake || wanted == 1;
    t->device_untold = false;
}

static void device_sleeps(struct traffic *t)
{
    tell_driver(t);
    if (t->world.device->enable(&t->world)) {
        return;
    }
    t->device_awake = false;
    t->tally.sleeps[1]++;
    if (traffic_below(t, 4) == 0 && take(t) != 0) {
        (void)traffic_fail(t, "the device was told that nothing came", t->popped);
    }
}

void traffic_device_step(struct traffic *t)
{
    unsigned wanted = traffic_below(t, 8) == 0 ? HELD : 1 + traffic_below(t, WORLD_BATCH);
    bool busy = false;

    if (t->device_tired) {
        t->device_tired = false;
        device_sleeps(t);
        return;
    }
    if (traffic_below(t, 4) == 0) {
        t->world.device->disable(&t->world);
    }
    if (traffic_below(t, 2) == 0) {
        for (; wanted > 0 && t->held_count > 0; wanted--) {
            if (!give_back(t)) {
                return;
            }
            busy = true;
        }
        if (traffic_below(t, 8) != 0 && t->world.device->publish(&t->world) != 0) {
            (void)traffic_fail(t, "publish", t->pushed);
        }
        if (busy && traffic_below(t, 4) != 0) {
            tell_driver(t);
        }
    }
    if (t->trouble == NULL && traffic_below(t, 2) == 0) {
        t->device_tired = take(t) == 0 && !busy && t->held_count == 0;
    }
}
