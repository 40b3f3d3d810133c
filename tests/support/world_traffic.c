/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world_traffic_private.h"

bool traffic_fail(struct traffic *t, const char *what, uint64_t number)
{
    const char *more = what != t->world.trouble ? t->world.trouble : "";

    if (t->trouble == NULL) {
        (void)snprintf(t->text, sizeof(t->text), "%s: buffer %u: %s%s%s", t->world.name,
                       (unsigned)number, what, more[0] != '\0' ? ": " : "", more);
        t->trouble = t->text;
    }
    return false;
}

/* A buffer's bytes, another run of the pattern for each buffer and each way. */
const unsigned char *traffic_bytes(const struct traffic *t, uint64_t number, unsigned way)
{
    uint64_t seed = number * 2 + way;

    return t->pattern + random_next(&seed) % PATTERN;
}

/* How much of the writable part the device fills: all, some or nothing. */
uint32_t traffic_filled(const struct flight *flight)
{
    uint64_t seed = flight->number ^ 0x5eed;
    uint64_t word = random_next(&seed);

    if (word % 4 < 2) {
        return flight->writable;
    }
    return word % 4 == 2 ? 0 : (uint32_t)((word >> 8) % (flight->writable + 1u));
}

static void open_traffic(struct traffic *t, const struct world_config *wanted, uint64_t buffers)
{
    struct world_config config = *wanted;
    const unsigned held = config.size < HELD ? config.size : HELD;
    uint64_t seed = 4711;

    t->total = buffers;
    t->segments = config.size > 1024 ? 3 : WORLD_SEGMENTS;
    t->longest = config.size > 1024 ? 16 : SEGMENT_MOST;
    t->stride = t->segments * (t->longest + GAP);
    t->slots = config.size;
    config.data = (size_t)t->slots * t->stride;
    world_open(&t->world, &config);
    /* Each world has traffic of its own, and the same every time. */
    for (const char *name = t->world.name; *name != '\0'; name++) {
        t->random = t->random * 31 + (unsigned char)*name;
    }
    for (unsigned i = 0; i < sizeof(t->pattern); i++) {
        t->pattern[i] = (unsigned char)random_next(&seed);
    }
    t->flights = calloc(t->slots, sizeof(*t->flights));
    t->unused = calloc(t->slots, sizeof(*t->unused));
    t->order = calloc(t->slots, sizeof(*t->order));
    t->chains = calloc(held, sizeof(*t->chains));
    t->spare = calloc(held, sizeof(*t->spare));
    t->held = calloc(held, sizeof(*t->held));
    while (t->unused_count < t->slots) {
        t->unused[t->unused_count] = (uint16_t)t->unused_count;
        t->unused_count++;
    }
    while (t->spare_count < held) {
        t->spare[t->spare_count] = &t->chains[t->spare_count];
        t->spare_count++;
    }
    t->driver_awake = true;
    t->device_awake = true;
}

static void add_tally(struct traffic *t, struct world_tally *tally)
{
    tally->buffers += t->done;
    tally->full += t->tally.full;
    tally->shortages += t->tally.shortages;
    tally->sleeps[0] += t->tally.sleeps[0];
    tally->sleeps[1] += t->tally.sleeps[1];
    tally->silent += t->tally.silent;
    tally->unpopped += t->tally.unpopped;
    tally->misses += t->world.ledger.misses;
}

static void close_traffic(struct traffic *t)
{
    const unsigned held = t->spare_count + t->held_count;
    const char *trouble = world_close(&t->world);

    if (trouble != NULL) {
        (void)traffic_fail(t, trouble, t->total);
    }
    for (unsigned i = 0; i < held; i++) {
        reference_chain_free(&t->chains[i].reference);
    }
    free(t->flights);
    free(t->unused);
    free(t->order);
    free(t->chains);
    free(t->spare);
    free(t->held);
}

static void run(struct traffic *t)
{
    const uint64_t patience = 100000 + 400 * t->total;

    for (uint64_t steps = 0; t->trouble == NULL && t->done < t->total; steps++) {
        bool driver = traffic_below(t, 2) == 0;

        if (!t->driver_awake && !t->device_awake) {
            (void)world_trouble(&t->world, "%u added, %u popped, %u pushed, %u done",
                                (unsigned)t->added, (unsigned)t->popped, (unsigned)t->pushed,
                                (unsigned)t->done);
            (void)traffic_fail(t, "both ends sleep", t->done);
        } else if (steps > patience) {
            (void)traffic_fail(t, "no end after very many steps", t->done);
        } else if (driver && t->driver_awake) {
            traffic_driver_step(t);
        } else if (!driver && t->device_awake) {
            traffic_device_step(t);
        }
    }
}

static void judge(struct traffic *t)
{
    const char *trouble = t->world.driver->judge(&t->world, t->total);

    if (trouble == NULL) {
        trouble = t->world.device->judge(&t->world, t->total);
    }
    if (trouble != NULL) {
        (void)traffic_fail(t, trouble, t->total);
    } else if (t->held_count != 0 || t->popped != t->total || t->pushed != t->total) {
        (void)traffic_fail(t, "the device was not done", t->total);
    }
}

const char *world_traffic(const struct world_config *config, uint64_t buffers,
                          struct world_tally *tally)
{
    static struct traffic t;

    memset(&t, 0, sizeof(t));
    open_traffic(&t, config, buffers);
    run(&t);
    if (t.trouble == NULL) {
        judge(&t);
        if (tally != NULL) {
            add_tally(&t, tally);
        }
        close_traffic(&t);
    }
    return t.trouble;
}
