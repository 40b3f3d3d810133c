/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of two descriptors, each field from an alphabet of nasty values, all combinations: what
 * the device makes of it against a model that is written from the specification and shares no code.
 * Every seventh combination by default (a step that meets every pair of values); all of them with
 * VIRTQ_EXHAUSTIVE set. */
#include "driver.h"
#include "ends.h"

enum { SIZE = 2, MODEL_PIECES = 8, TABLE_AT = 64, ENTRIES_MAX = 4 };

#define END (GUEST + GUEST_SIZE)

struct model_desc {
    uint64_t addr;
    uint32_t len;
    unsigned flags;
    unsigned other; /* next (split) or id (packed) */
};

/* What has to come out. */
struct model {
    int result; /* of pop */
    uint32_t reason;
    uint64_t bytes[2];
    unsigned counts[2];
    uint64_t addr[MODEL_PIECES];
    unsigned id;
    bool written;
};

static struct model_desc table[ENTRIES_MAX]; /* What lies at TABLE_AT. */

static int inside(uint64_t addr, uint32_t len)
{
    return addr >= GUEST && addr < END && len <= END - addr;
}

static uint32_t model_element(struct model *m, const struct model_desc *d)
{
    unsigned way = (d->flags & WRITE) != 0;

    if (m->written && way == 0) {
        return VIRTQ_REASON_ORDER;
    }
    m->written = way != 0;
    if (d->len == 0) {
        return 0;
    }
    if (!inside(d->addr, d->len)) {
        return VIRTQ_REASON_ADDRESS;
    }
    m->addr[m->counts[0] + m->counts[1]] = d->addr;
    m->counts[way]++;
    m->bytes[way] += d->len;
    return 0;
}

static uint32_t model_table(struct model *m, const struct model_desc *d, bool packed)
{
    uint32_t entries = d->len / 16;
    uint32_t at = 0;

    if (d->len == 0 || d->len % 16 != 0 || entries > ENTRIES_MAX) {
        return VIRTQ_REASON_TABLE_LENGTH;
    }
    if (!inside(d->addr, d->len)) {
        return VIRTQ_REASON_ADDRESS;
    }
    for (uint32_t steps = 1;; steps++) {
        /* Wherever else a table may lie, the memory is zero. */
        static const struct model_desc zero = {0, 0, 0, 0};
        const struct model_desc *entry = d->addr == GUEST + TABLE_AT ? &table[at] : &zero;
        uint32_t reason;

        if (!packed && (entry->flags & INDIRECT) != 0) {
            return VIRTQ_REASON_TABLE_NESTED;
        }
        reason = model_element(m, entry);
        if (reason != 0) {
            return reason;
        }
        at = packed ? at + 1 : entry->other;
        if (packed ? at == entries : (entry->flags & NEXT) == 0) {
            return 0;
        }
        if (at >= entries) {
            return VIRTQ_REASON_TABLE_RANGE;
        }
        if (steps == entries) {
            return VIRTQ_REASON_TABLE_LOOP;
        }
    }
}

static void model_broken(struct model *m, uint32_t reason)
{
    m->result = VIRTQ_EBROKEN;
    m->reason = reason;
}

static void model_split(struct model *m, unsigned index, unsigned head, const struct model_desc *d)
{
    unsigned at = head;

    memset(m, 0, sizeof(*m));
    if (index > SIZE) {
        model_broken(m, VIRTQ_REASON_QUEUE_INDEX);
        return;
    }
    if (index == 0) {
        return;
    }
    if (head >= SIZE) {
        model_broken(m, VIRTQ_REASON_QUEUE_HEAD);
        return;
    }
    m->result = 1;
    m->id = head;
    for (unsigned steps = 1;; steps++) {
        if ((d[at].flags & INDIRECT) != 0) {
            m->reason = (d[at].flags & NEXT) != 0 ? (uint32_t)VIRTQ_REASON_TABLE_NEXT
                                                  : model_table(m, &d[at], false);
            return;
        }
        m->reason = model_element(m, &d[at]);
        if (m->reason != 0 || (d[at].flags & NEXT) == 0) {
            return;
        }
        at = d[at].other;
        if (at >= SIZE) {
            model_broken(m, VIRTQ_REASON_QUEUE_NEXT);
            return;
        }
        if (steps == SIZE) {
            model_broken(m, VIRTQ_REASON_QUEUE_LOOP);
            return;
        }
    }
}

static bool model_available(const struct model_desc *d)
{
    return (d->flags & AVAIL) != 0 && (d->flags & USED) == 0;
}

static void model_packed(struct model *m, const struct model_desc *d)
{
    unsigned at = 0;

    memset(m, 0, sizeof(*m));
    if (!model_available(&d[0])) {
        return;
    }
    m->result = 1;
    for (;; at++) {
        if (at == SIZE || (at != 0 && !model_available(&d[at]))) {
            /* Behind the end of the ring the bits of the first descriptor are of the wrong lap. */
            model_broken(m, VIRTQ_REASON_QUEUE_PARTIAL);
            return;
        }
        if ((d[at].flags & INDIRECT) != 0 && (at != 0 || (d[at].flags & NEXT) != 0)) {
            model_broken(m, VIRTQ_REASON_QUEUE_TABLE);
            return;
        }
        if (m->reason == 0) {
            m->reason = (d[at].flags & INDIRECT) != 0 ? model_table(m, &d[at], true)
                                                      : model_element(m, &d[at]);
        }
        if ((d[at].flags & NEXT) == 0) {
            break;
        }
    }
    m->id = d[at].other;
    if (m->id >= SIZE) {
        model_broken(m, VIRTQ_REASON_QUEUE_HEAD);
    }
}

/* ---- The alphabets ---- */

static const uint64_t addresses[] = {GUEST, GUEST + TABLE_AT, END - 16, END - 8, 0, UINT64_MAX - 7};
static const uint32_t lens[] = {0, 1, 16, 32, 33, UINT32_MAX};
static const unsigned split_flags[] = {
    0, NEXT, WRITE, NEXT | WRITE, INDIRECT, INDIRECT | NEXT, INDIRECT | WRITE};
static const unsigned packed_flags[] = {AVAIL,
                                        AVAIL | NEXT,
                                        AVAIL | WRITE,
                                        AVAIL | NEXT | WRITE,
                                        AVAIL | INDIRECT,
                                        AVAIL | INDIRECT | NEXT,
                                        AVAIL | USED | NEXT,
                                        USED,
                                        0};

enum { OTHERS = 3 };

/* The descriptor of a number; the rest of the number is left. */
static struct model_desc draw(bool packed, unsigned long *number)
{
    const unsigned flags = packed ? 9 : 7;
    struct model_desc d;

    d.addr = addresses[*number % 6];
    *number /= 6;
    d.len = lens[*number % 6];
    *number /= 6;
    d.flags = packed ? packed_flags[*number % flags] : split_flags[*number % flags];
    *number /= flags;
    d.other = (unsigned)(*number % OTHERS);
    *number /= OTHERS;
    return d;
}

static unsigned long combinations(bool packed)
{
    unsigned long one = 6ul * 6 * (packed ? 9 : 7) * OTHERS;

    return one * one * (packed ? 1 : 4 * 3);
}

static void place(struct hostile *h, const struct model_desc *d)
{
    for (unsigned i = 0; i < SIZE; i++) {
        if (h->packed) {
            split_desc(h, i, d[i].addr, d[i].len, d[i].other, d[i].flags);
        } else {
            split_desc(h, i, d[i].addr, d[i].len, d[i].flags, d[i].other);
        }
    }
}

static void compare(const struct hostile *h, const struct device_end *device, const struct model *m,
                    int result, const struct virtq_chain *chain, unsigned long number)
{
    const struct virtq_device_core *core =
        h->packed ? &device->queue.packed.core : &device->queue.split.core;
    bool bad = m->reason != 0;

    cr_assert_eq(result, m->result, "combination %lu", number);
    if (result < 0) {
        cr_assert_eq(core->fault.reason, m->reason, "combination %lu", number);
        return;
    }
    if (result == 0) {
        return;
    }
    cr_assert_eq(chain->reason, m->reason, "combination %lu", number);
    cr_assert_eq(chain->id, m->id);
    cr_assert_eq(chain->readable, bad ? 0 : m->counts[0]);
    cr_assert_eq(chain->writable, bad ? 0 : m->counts[1]);
    cr_assert_eq(chain->readable_bytes, bad ? 0 : m->bytes[0]);
    cr_assert_eq(chain->writable_bytes, bad ? 0 : m->bytes[1]);
    for (unsigned i = 0; i < chain->readable + chain->writable; i++) {
        cr_assert(chain->pieces[i].base == h->guest.view + (m->addr[i] - GUEST));
    }
}

static void all(struct hostile *h, bool packed)
{
    const unsigned long step = getenv("VIRTQ_EXHAUSTIVE") != NULL ? 1 : 7;
    struct device_end fresh;
    struct virtq_chain chain;
    struct virtq_piece pieces[MODEL_PIECES];

    if (h->begins) {
        return; /* Both placements together would take twice as long. */
    }
    hostile_open(h, packed, SIZE, BASIC);
    h->config.table_max = ENTRIES_MAX;
    fresh.calls = inline_devices[packed][h->called];
    cr_assert_eq(fresh.calls->init(&fresh, &h->config, h->memory.view, h->memory.size), 0);
    table[0] = (struct model_desc){GUEST, 4, NEXT, 1};
    table[1] = (struct model_desc){GUEST + 4, 8, WRITE, 0};
    for (unsigned i = 0; i < 2; i++) {
        table_entry(h, TABLE_AT, i, table[i].addr, table[i].len, table[i].flags, table[i].other);
    }
    for (unsigned long number = 0; number < combinations(packed); number += step) {
        struct device_end device = fresh;
        unsigned long left = number;
        struct model_desc d[SIZE];
        struct model m;
        int result;

        d[0] = draw(packed, &left);
        d[1] = draw(packed, &left);
        place(h, d);
        if (packed) {
            model_packed(&m, d);
        } else {
            unsigned head = (unsigned)(left % 3);
            unsigned index = (unsigned)(left / 3);

            put16(h->ring[1].at + 4, head);
            split_index(h, index);
            model_split(&m, index, head, d);
        }
        result = device.calls->pop(&device, &chain, 1, pieces, MODEL_PIECES);
        compare(h, &device, &m, result, &chain, number);
        memset(h->memory.view, 0, SIZE * sizeof(struct virtq_device_entry));
    }
}

Hostile(hostile_exhaustive, split_every_ring_of_two_is_judged_as_the_model_judges_it)
{
    all(h, false);
}

Hostile(hostile_exhaustive, packed_every_ring_of_two_is_judged_as_the_model_judges_it)
{
    all(h, true);
}
