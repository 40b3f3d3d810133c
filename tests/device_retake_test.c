/* SPDX-License-Identifier: BSD-3-Clause */
/* A device that goes on after a crash: what it had popped and not pushed comes out of records. */
#include "pair.h"
#include "virtq/packed.h"

enum { SIZE = 16, BUFFERS = 5 };

/* What a back-end would have written down of a buffer when it popped it. */
struct record {
    struct pvirtq_desc descs[SIZE];
    struct virtq_taken_buffer taken;
    uint64_t readable_bytes;
    uint64_t writable_bytes;
};

/* Pops one buffer and writes it down. */
static void take(struct pair *p, struct record *record)
{
    struct virtq_state before;
    struct virtq_areas areas;

    virtq_device_position(p->device, &before);
    virtq_device_areas(p->device, &areas);
    cr_assert_eq(pair_pop(p, 1), 1);
    memset(record, 0, sizeof(*record));
    record->taken.id = p->chains[0].id;
    record->readable_bytes = p->chains[0].readable_bytes;
    record->writable_bytes = p->chains[0].writable_bytes;
    if (p->format == VIRTQ_FORMAT_PACKED) {
        const struct pvirtq_desc *ring = areas.descriptor;
        uint32_t at = before.available & 0x7fffu;

        record->taken.count = virtq_device_slots(p->device, p->chains[0].id);
        cr_assert(record->taken.count != 0 && record->taken.count <= SIZE);
        for (uint32_t i = 0; i < record->taken.count; i++) {
            record->descs[i] = ring[at];
            at = at + 1 == before.size ? 0 : at + 1;
        }
        record->taken.descs = record->descs;
    }
}

/* A new process on the same ring. */
static void crash(struct pair *p, const struct virtq_state *state)
{
    memset(p->device_memory, 0xee, p->device_size);
    pair_start_device(p);
    cr_assert_eq(virtq_device_restore(p->device, state), VIRTQ_OK);
}

/* Takes one back, and looks whether it is the same buffer. */
static void retake(struct pair *p, const struct record *record, unsigned chain)
{
    struct virtq_chain *got = &p->chains[chain];

    cr_assert_eq(virtq_device_retake(p->device, &record->taken, got, &p->pieces[chain * 16], 16),
                 1);
    cr_assert_eq(got->id, record->taken.id);
    cr_assert_eq(got->reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert_eq(got->readable_bytes, record->readable_bytes);
    cr_assert_eq(got->writable_bytes, record->writable_bytes);
    cr_assert_eq(virtq_device_slots(p->device, got->id),
                 p->format == VIRTQ_FORMAT_SPLIT ? 1u : record->taken.count);
}

static void push_all(struct pair *p, unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        cr_assert_eq(pair_push(p, i, (uint32_t)p->chains[i].writable_bytes), 1);
    }
    cr_assert_eq(virtq_device_publish(p->device), (int)count);
}

/* Of all that came back, each once. */
static void collect(struct pair *p, unsigned count)
{
    uint32_t seen = 0;

    cr_assert_eq(pair_poll(p, count + 1), (int)count);
    for (unsigned i = 0; i < count; i++) {
        const uint32_t bit = 1u << (uintptr_t)p->done[i].cookie;

        cr_assert_eq(seen & bit, 0u);
        seen |= bit;
    }
}

static const unsigned options[] = {PAIR_DIRECT,
                                   PAIR_LEDGER,
                                   PAIR_BAR,
                                   PAIR_PREMAPPED,
                                   PAIR_DIRECT | PAIR_TABLES,
                                   PAIR_LEDGER | PAIR_TRANSLATED};
enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

PairTest(core_retake, buffers_of_any_shape_come_back_whatever_was_used_meanwhile)
{
    for (unsigned o = 0; o < OPTIONS; o++) {
        for (unsigned used = 0; used < 1u << BUFFERS; used++) {
            struct record records[BUFFERS];
            struct virtq_state state;
            unsigned left = 0;

            pair_open(p, SIZE, 0, options[o]);
            for (unsigned i = 0; i < BUFFERS; i++) {
                cr_assert_eq(pair_add(p, i % 3, 1 + i % 2, i + 1), 1);
            }
            (void)virtq_driver_publish(p->driver);
            for (unsigned i = 0; i < BUFFERS; i++) {
                take(p, &records[i]);
            }
            for (unsigned i = 0; i < BUFFERS; i++) {
                if ((used >> i & 1u) != 0) { /* Its used entry overwrites what is in flight. */
                    p->chains[0].id = (uint16_t)records[i].taken.id;
                    cr_assert_eq(pair_push(p, 0, (uint32_t)records[i].writable_bytes), 1);
                }
            }
            (void)virtq_device_publish(p->device);
            virtq_device_position(p->device, &state);
            crash(p, &state);
            cr_assert_eq(pair_pop(p, 1), 0);
            for (unsigned i = 0; i < BUFFERS; i++) {
                if ((used >> i & 1u) == 0) {
                    retake(p, &records[i], left++);
                }
            }
            cr_assert_eq(virtq_device_outstanding(p->device), left);
            push_all(p, 0, left);
            collect(p, BUFFERS);
            pair_exchange(p, 7, 1);
            pair_idle(p);
            pair_close(p);
        }
    }
}

PairTest(core_retake, i7_in_order_a_retaken_buffer_goes_back_before_a_newer_one)
{
    struct record records[3];
    struct virtq_state state;

    pair_open(p, SIZE, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), PAIR_DIRECT);
    pair_send(p, 3, 1);
    for (unsigned i = 0; i < 3; i++) {
        take(p, &records[i]);
    }
    virtq_device_position(p->device, &state);
    crash(p, &state);
    for (unsigned i = 0; i < 3; i++) {
        retake(p, &records[i], i);
    }
    pair_send(p, 1, 4);
    cr_assert_eq(virtq_device_pop(p->device, &p->chains[3], 1, &p->pieces[128], 4), 1);
    for (unsigned i = 4; i-- != 0;) {
        cr_assert_eq(pair_poll(p, 1), 0);
        cr_assert_eq(pair_push(p, i, 16), 1);
        cr_assert_eq(virtq_device_publish(p->device), i == 0 ? 4 : 0);
    }
    pair_receive(p, 4, 1);
    pair_idle(p);
}

PairTest(core_retake, no_more_is_retaken_than_lies_between_the_positions_and_nothing_twice)
{
    struct record records[2];
    struct record other;
    struct virtq_state state;
    struct virtq_chain chain;

    pair_open(p, SIZE, 0, PAIR_DIRECT);
    cr_assert_eq(pair_add(p, 1, 1, 1), 1);
    cr_assert_eq(pair_add(p, 1, 1, 2), 1);
    (void)virtq_driver_publish(p->driver);
    take(p, &records[0]);
    take(p, &records[1]);
    virtq_device_position(p->device, &state);
    crash(p, &state);
    retake(p, &records[0], 0);
    /* In flight already; no id; the queue is quiesced; no piece. */
    cr_assert_eq(virtq_device_retake(p->device, &records[0].taken, &chain, p->pieces, 4),
                 VIRTQ_EINVAL);
    other = records[1];
    other.taken.descs = records[1].taken.descs != NULL ? other.descs : NULL;
    for (unsigned shift = 0; shift < 32; shift++) {
        other.taken.id = (1u << shift) < SIZE ? SIZE : 1u << shift;
        cr_assert_eq(virtq_device_retake(p->device, &other.taken, &chain, p->pieces, 4),
                     VIRTQ_EINVAL);
    }
    cr_assert_eq(virtq_device_retake(p->device, &records[1].taken, &chain, p->pieces, 0),
                 VIRTQ_EINVAL);
    (void)virtq_device_quiesce(p->device);
    cr_assert_eq(virtq_device_retake(p->device, &records[1].taken, &chain, p->pieces, 4), 0);
    virtq_device_resume(p->device);
    /* A retaken buffer has no place in the ring to be put back to. */
    cr_assert_eq(virtq_device_unpop(p->device, p->chains, 1), VIRTQ_EINVAL);
    retake(p, &records[1], 1);
    other.taken.id = (records[0].taken.id + 1) % SIZE;
    other.taken.id =
        other.taken.id == records[1].taken.id ? (other.taken.id + 1) % SIZE : other.taken.id;
    cr_assert_eq(virtq_device_retake(p->device, &other.taken, &chain, p->pieces, 4), VIRTQ_EINVAL);
    push_all(p, 0, 2);
    collect(p, 2);
    pair_exchange(p, 3, 1);
}

Test(core_retake, descriptors_that_no_packed_ring_can_hold_are_refused)
{
    static const uint16_t flags[][3] = {
        {0, 0, 0},
        {VIRTQ_DESC_F_NEXT, 0, 0},
        {0, VIRTQ_DESC_F_NEXT, 0},
        {VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_NEXT},
        {VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_INDIRECT},
        {VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, 0},
    };
    struct pair p;
    struct record record;
    struct virtq_state state;

    memset(&p, 0, sizeof(p));
    p.format = VIRTQ_FORMAT_PACKED;
    pair_open(&p, SIZE, 0, PAIR_DIRECT);
    cr_assert_eq(pair_add(&p, 1, 2, 1), 1);
    (void)virtq_driver_publish(p.driver);
    take(&p, &record);
    virtq_device_position(p.device, &state);
    crash(&p, &state);
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct record bad = record;

        bad.taken.descs = bad.descs;
        for (unsigned k = 0; k < 3; k++) {
            pair_poke(&bad.descs[k], 14, flags[i][k]);
        }
        cr_assert_eq(virtq_device_retake(p.device, &bad.taken, p.chains, p.pieces, 8),
                     VIRTQ_EINVAL);
        bad = record;
        bad.taken.descs = bad.descs;
        bad.taken.count = i < 3 ? i : i + 1; /* None, too few, too many. */
        cr_assert_eq(virtq_device_retake(p.device, &bad.taken, p.chains, p.pieces, 8),
                     VIRTQ_EINVAL);
    }
    retake(&p, &record, 0);
    push_all(&p, 0, 1);
    collect(&p, 1);
    pair_close(&p);
}

PairTest(core_retake, a_bad_buffer_comes_out_like_any_other)
{
    struct record record;
    struct virtq_state state;
    struct virtq_chain chain;

    pair_open(p, SIZE, 0, PAIR_DIRECT);
    cr_assert_eq(pair_add(p, 2, 2, 1), 1);
    (void)virtq_driver_publish(p->driver);
    take(p, &record);
    virtq_device_position(p->device, &state);
    crash(p, &state);
    /* Four pieces, and room for three. */
    cr_assert_eq(virtq_device_retake(p->device, &record.taken, &chain, p->pieces, 3), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_PIECES);
    cr_assert_eq(chain.readable + chain.writable, 0u);
    p->chains[0] = chain;
    cr_assert_eq(pair_push(p, 0, 1), VIRTQ_EINVAL);
    cr_assert_eq(pair_push(p, 0, 0), 1);
    cr_assert_eq(virtq_device_publish(p->device), 1);
    pair_receive(p, 1, 1);
    pair_exchange(p, 5, 1);
}
