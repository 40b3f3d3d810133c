/* SPDX-License-Identifier: BSD-3-Clause */
/* Fault reports as the driver takes them. */
#include "virtq/iommu/virtio_iommu_events.h"

#include "pair.h"
#include "runner.h"
#include "virtq/iommu/virtio_iommu.h"

enum { EVENTS = 8, REPORT = 24 };

static uint64_t shared[EVENTS * VIRTQ_VIRTIO_IOMMU_EVENT_BYTES / 8];

static void events_open(struct virtq_virtio_iommu_events *events, struct pair *p, unsigned options)
{
    struct virtq_virtio_iommu_events_config config = VIRTQ_VIRTIO_IOMMU_EVENTS_CONFIG_INIT;

    pair_open(p, 16, 0, options);
    config.queue = p->driver;
    config.space = p->space;
    config.shared = shared;
    config.count = EVENTS;
    cr_assert_eq(virtq_virtio_iommu_events_init(events, &config), 0);
}

/* A report byte by byte, little-endian. */
static void report(unsigned char bytes[REPORT], uint32_t head, uint32_t flags, uint32_t endpoint,
                   uint32_t reserved1, uint64_t address)
{
    const uint64_t words[] = {head | (uint64_t)flags << 32, endpoint | (uint64_t)reserved1 << 32,
                              address};

    for (unsigned i = 0; i < REPORT; i++) {
        bytes[i] = (unsigned char)(words[i / 8] >> (8 * (i % 8)));
    }
}

static void send(struct pair *p, const unsigned char *bytes, size_t size, uint32_t length)
{
    struct virtq_cursor writer;

    cr_assert_eq(pair_pop(p, 1), 1);
    cr_assert_eq(p->chains[0].writable_bytes, (uint64_t)REPORT);
    cr_assert_eq(p->chains[0].readable_bytes, 0u);
    writer = virtq_chain_writer(&p->chains[0]);
    (void)virtq_cursor_write(&writer, bytes, size);
    cr_assert_eq(pair_push(p, 0, length), 1);
    cr_assert_eq(virtq_device_publish(p->device), 1);
}

PairTest(iommu_virtio_iommu_events, a_fault_is_parsed_and_its_buffer_goes_back)
{
    struct virtq_virtio_iommu_event faults[4];
    struct virtq_virtio_iommu_events events;
    unsigned char bytes[REPORT];
    unsigned found = 99;

    events_open(&events, p, PAIR_DIRECT);
    cr_assert_eq(virtq_virtio_iommu_events_poll(&events, faults, 4, &found), 0);
    cr_assert_eq(found, 0u);
    for (unsigned i = 0; i < 50; i++) {
        report(bytes, 2, 0x102, 77 + i, 0, UINT64_C(0x123456789abcdef0) + i);
        send(p, bytes, REPORT, REPORT);
        cr_assert_eq(virtq_virtio_iommu_events_poll(&events, faults, 4, &found), 1);
        cr_assert_eq(found, 1u);
        cr_assert_eq(faults[0].reason, (uint32_t)VIRTIO_IOMMU_FAULT_R_MAPPING);
        cr_assert_eq(faults[0].flags, VIRTIO_IOMMU_FAULT_F_WRITE | VIRTIO_IOMMU_FAULT_F_ADDRESS);
        cr_assert_eq(faults[0].endpoint, 77 + i);
        cr_assert_eq(faults[0].address, UINT64_C(0x123456789abcdef0) + i);
        cr_assert_eq(virtq_driver_outstanding(p->driver), (uint32_t)EVENTS);
    }
    virtq_virtio_iommu_events_destroy(&events);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_events, what_must_be_ignored_is_ignored)
{
    struct virtq_virtio_iommu_event faults[4];
    struct virtq_virtio_iommu_events events;
    unsigned char bytes[REPORT];
    unsigned found = 99;

    events_open(&events, p, PAIR_DIRECT);
    for (unsigned bit = 8; bit < 32; bit++) {
        report(bytes, 1 | UINT32_C(1) << bit, 0, 1, 0, 0);
        send(p, bytes, REPORT, REPORT);
        cr_assert_eq(virtq_virtio_iommu_events_poll(&events, faults, 4, &found), 1);
        cr_assert_eq(found, 0u, "reserved bit %u", bit);
    }
    report(bytes, 1, 0, 1, 0, 0);
    for (uint32_t length = 0; length < REPORT; length++) {
        send(p, bytes, REPORT, length);
        cr_assert_eq(virtq_virtio_iommu_events_poll(&events, faults, 4, &found), 1);
        cr_assert_eq(found, 0u, "length %u", length);
    }
    cr_assert_eq(events.ignored, 24u + REPORT);
    /* reserved1 and undefined flags are ignored by themselves; an unknown reason is one. */
    report(bytes, 200, 0xfffffeffu, 5, 0xffffffffu, 7);
    send(p, bytes, REPORT, REPORT);
    cr_assert_eq(virtq_virtio_iommu_events_poll(&events, faults, 4, &found), 1);
    cr_assert_eq(found, 1u);
    cr_assert_eq(faults[0].reason, (uint32_t)VIRTIO_IOMMU_FAULT_R_UNKNOWN);
    cr_assert_eq(faults[0].flags, VIRTIO_IOMMU_FAULT_F_READ | VIRTIO_IOMMU_FAULT_F_WRITE);
    cr_assert_eq(faults[0].address, 0u, "no address was reported");
    virtq_virtio_iommu_events_destroy(&events);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_events, the_caller_s_budget_is_kept_and_nothing_is_lost)
{
    struct virtq_virtio_iommu_event faults[EVENTS];
    struct virtq_virtio_iommu_events events;
    unsigned char bytes[REPORT];
    unsigned found = 99;

    events_open(&events, p, PAIR_LEDGER);
    for (unsigned i = 0; i < EVENTS; i++) {
        report(bytes, 1, 1, i, 0, 0);
        send(p, bytes, REPORT, REPORT);
    }
    for (unsigned i = 0; i < EVENTS; i += 3) {
        const unsigned wanted = EVENTS - i < 3 ? EVENTS - i : 3;

        cr_assert_eq(virtq_virtio_iommu_events_poll(&events, faults, 3, &found), (int)wanted);
        cr_assert_eq(found, wanted);
        cr_assert_eq(faults[0].endpoint, i);
        cr_assert_eq(faults[0].reason, (uint32_t)VIRTIO_IOMMU_FAULT_R_DOMAIN);
    }
    virtq_virtio_iommu_events_destroy(&events);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_events, a_broken_queue_is_said)
{
    struct virtq_virtio_iommu_event fault;
    struct virtq_virtio_iommu_events events;
    unsigned found = 99;

    events_open(&events, p, PAIR_DIRECT);
    pair_break_driver(p);
    cr_assert_eq(virtq_virtio_iommu_events_poll(&events, &fault, 1, &found), VIRTQ_EBROKEN);
    cr_assert_eq(found, 0u);
    virtq_virtio_iommu_events_destroy(&events);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_events, refuses_a_configuration_that_makes_no_sense)
{
    struct virtq_virtio_iommu_events_config good = VIRTQ_VIRTIO_IOMMU_EVENTS_CONFIG_INIT;
    struct virtq_virtio_iommu_events_config config;
    struct virtq_virtio_iommu_events events;

    pair_open(p, 16, 0, PAIR_DIRECT);
    good.queue = p->driver;
    good.space = p->space;
    good.shared = shared;
    good.count = EVENTS;
#define REFUSED(field, value)                                                                 \
    do {                                                                                      \
        config = good;                                                                        \
        config.field = (value);                                                               \
        cr_assert_eq(virtq_virtio_iommu_events_init(&events, &config), VIRTQ_EINVAL, #field); \
    } while (0)
    REFUSED(struct_size, 8);
    REFUSED(queue, NULL);
    REFUSED(space, NULL);
    REFUSED(shared, NULL);
    REFUSED(shared, (unsigned char *)shared + 4);
    REFUSED(count, 0);
    REFUSED(count, 17);
#undef REFUSED
    cr_assert_eq(pair_add(p, 0, 1, 1), 1);
    cr_assert_eq(virtq_virtio_iommu_events_init(&events, &good), VIRTQ_EINVAL);
    pair_close(p);
}
