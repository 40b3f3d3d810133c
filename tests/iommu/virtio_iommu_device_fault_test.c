/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-iommu device: faults on the event queue. M4, M5. */
#include "virtio_iommu_device_queue.h"

enum { RW = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE, REPORT = 24 };

static uint32_t le32(uint32_t value)
{
    return rig_le32(value);
}

/* One report, field by field. */
static void is_report(const struct virtio_iommu_fault *fault, uint8_t reason, uint32_t flags,
                      uint32_t endpoint, uint64_t address)
{
    cr_assert_eq(fault->reason, reason);
    cr_assert(fault->reserved[0] == 0 && fault->reserved[1] == 0 && fault->reserved[2] == 0);
    cr_assert_eq(le32(fault->flags), flags);
    cr_assert_eq(le32(fault->endpoint), endpoint);
    cr_assert_eq(fault->reserved1, 0u);
    cr_assert_eq(rig_le64(fault->address), address);
}

static void each_fault_is_reported(unsigned format)
{
    const uint32_t read = VIRTIO_IOMMU_FAULT_F_READ | VIRTIO_IOMMU_FAULT_F_ADDRESS;
    const uint32_t write = VIRTIO_IOMMU_FAULT_F_WRITE | VIRTIO_IOMMU_FAULT_F_ADDRESS;
    struct virtio_iommu_fault reports[4];
    struct queue queue;
    struct rig rig;
    unsigned i;

    rig_open(&rig);
    queue_open(&queue, format, NULL);
    memset(reports, 0xee, sizeof(reports));
    for (i = 0; i < 4; i++) {
        queue_send(&queue, NULL, 0, &reports[i], sizeof(reports[i]));
    }
    cr_assert_eq(virtq_virtio_iommu_device_report(rig.iommu, queue.device), 0, "nothing to say");
    cr_assert_null(rig_reach(&rig, 1, 0x1234, RIG_READ));
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 1, 0x2345, RIG_WRITE));
    cr_assert_eq(rig_map(&rig, 1, 0x1000, 0x1fff, RIG_PHYS, VIRTIO_IOMMU_MAP_F_READ),
                 VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 1, 0x1234, RIG_WRITE));
    cr_assert(rig_reach(&rig, 1, 0x1234, RIG_READ) != NULL);
    cr_assert_eq(rig_map(&rig, 1, 0x2000, 0x2fff, 0, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 1, 0x2000, RIG_READ), "there is no such memory");
    cr_assert_eq(virtq_virtio_iommu_device_report(rig.iommu, queue.device), 4);
    for (i = 0; i < 4; i++) {
        cr_assert_eq(queue_take(&queue), REPORT);
    }
    is_report(&reports[0], VIRTIO_IOMMU_FAULT_R_DOMAIN, read, RIG_ID + 1, 0x1234);
    is_report(&reports[1], VIRTIO_IOMMU_FAULT_R_MAPPING, write, RIG_ID + 1, 0x2345);
    is_report(&reports[2], VIRTIO_IOMMU_FAULT_R_MAPPING, write, RIG_ID + 1, 0x1234);
    is_report(&reports[3], VIRTIO_IOMMU_FAULT_R_UNKNOWN, read, RIG_ID + 1, 0x2000);
    queue_close(&queue);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_fault, each_fault_is_reported_in_a_buffer_of_its_own)
{
    each_fault_is_reported(VIRTQ_FORMAT_SPLIT);
    each_fault_is_reported(VIRTQ_FORMAT_PACKED);
}

Test(iommu_virtio_iommu_device_fault, without_buffers_as_many_wait_as_there_is_room_for)
{
    struct virtio_iommu_fault reports[6];
    struct queue queue;
    struct rig rig;
    unsigned i;

    rig_open(&rig);
    queue_open(&queue, VIRTQ_FORMAT_SPLIT, NULL);
    for (i = 0; i < 3; i++) {
        cr_assert_null(rig_reach(&rig, 0, i, RIG_READ));
    }
    cr_assert_eq(virtq_virtio_iommu_device_report(rig.iommu, queue.device), 0, "nobody waits");
    for (; i < 100; i++) {
        cr_assert_null(rig_reach(&rig, 0, i, RIG_READ));
    }
    cr_assert_eq(rig_usage(&rig).faults, 4u);
    cr_assert_eq(rig_usage(&rig).dropped, 96u);
    for (i = 0; i < 6; i++) {
        queue_send(&queue, NULL, 0, &reports[i], sizeof(reports[i]));
    }
    cr_assert_eq(virtq_virtio_iommu_device_report(rig.iommu, queue.device), 4);
    for (i = 0; i < 4; i++) {
        cr_assert_eq(queue_take(&queue), REPORT);
        cr_assert_eq(rig_le64(reports[i].address), (uint64_t)i, "the oldest");
    }
    cr_assert_eq(rig_usage(&rig).reported, 4u);
    cr_assert_eq(rig_usage(&rig).faults, 0u);
    cr_assert_null(rig_reach(&rig, 0, 50, RIG_READ));
    cr_assert_eq(virtq_virtio_iommu_device_report(rig.iommu, queue.device), 1);
    cr_assert_eq(rig_le64(reports[4].address), 50u);
    queue_close(&queue);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_fault, a_buffer_that_is_too_small_gets_nothing)
{
    unsigned char small[3 * (REPORT - 1)];
    struct virtio_iommu_fault report;
    struct virtq_segment segments[REPORT];
    struct queue queue;
    struct rig rig;
    unsigned i;

    memset(small, 0xee, sizeof(small));
    memset(segments, 0, sizeof(segments));
    rig_open(&rig);
    queue_open(&queue, VIRTQ_FORMAT_PACKED, NULL);
    for (i = 0; i < 3; i++) {
        queue_send(&queue, NULL, 0, small + i * (REPORT - 1), REPORT - 1);
    }
    queue_send(&queue, small, REPORT, NULL, 0);
    for (i = 0; i < REPORT; i++) {
        segments[i].base = (unsigned char *)&report + i;
        segments[i].len = 1;
    }
    queue_add(&queue, segments, 0, REPORT, NULL);
    cr_assert_null(rig_reach(&rig, 0, 77, RIG_READ));
    cr_assert_eq(virtq_virtio_iommu_device_report(rig.iommu, queue.device), 5);
    for (i = 0; i < 4; i++) {
        cr_assert_eq(queue_take(&queue), 0, "not spread over several");
    }
    cr_assert_eq(queue_take(&queue), REPORT, "in however many pieces");
    cr_assert_eq(rig_le64(report.address), 77u);
    for (i = 0; i < sizeof(small); i++) {
        cr_assert_eq(small[i], 0xeeu);
    }
    queue_close(&queue);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_fault, reset_forgets_faults)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_null(rig_reach(&rig, 0, 77, RIG_READ));
    virtq_virtio_iommu_device_reset(rig.iommu);
    cr_assert_eq(rig_usage(&rig).faults, 0u);
    rig_close(&rig);
}

/* A device end behind the endpoint: what it may not reach is a bad buffer, and a fault. */
static void a_queue_behind_an_endpoint(unsigned format)
{
    struct virtio_iommu_fault report;
    struct virtq_piece pieces[4];
    struct virtq_chain chain;
    struct virtq_used_buffer used = {0, 0};
    unsigned char data[8];
    struct queue events;
    struct queue queue;
    struct rig rig;

    rig_open(&rig);
    queue_open(&events, format, NULL);
    queue_open(&queue, format, &rig.endpoints[0].space);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    /* The driver's addresses are pointers, so they are what is mapped. */
    cr_assert_eq(rig_map(&rig, 1, (uintptr_t)data & ~(uint64_t)0xfff,
                         ((uintptr_t)data & ~(uint64_t)0xfff) + 0x1fff, RIG_PHYS, RW),
                 VIRTIO_IOMMU_S_OK);
    queue_send(&queue, data, sizeof(data), NULL, 0);
    cr_assert_eq(virtq_device_pop(queue.device, &chain, 1, pieces, 4), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert(pieces[0].base == rig.memory + ((uintptr_t)data & 0xfff));
    used.id = chain.id;
    cr_assert_eq(virtq_device_push(queue.device, &used, 1), 1);
    cr_assert_eq(rig_unmap(&rig, 1, 0, UINT64_MAX), VIRTIO_IOMMU_S_OK);
    queue_send(&queue, data, sizeof(data), NULL, 0);
    cr_assert_eq(virtq_device_pop(queue.device, &chain, 1, pieces, 4), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_ADDRESS, "L3: its window is forgotten");
    queue_send(&events, NULL, 0, &report, sizeof(report));
    cr_assert_eq(virtq_virtio_iommu_device_report(rig.iommu, events.device), 1);
    is_report(&report, VIRTIO_IOMMU_FAULT_R_MAPPING,
              VIRTIO_IOMMU_FAULT_F_READ | VIRTIO_IOMMU_FAULT_F_ADDRESS, RIG_ID, (uintptr_t)data);
    queue_close(&queue);
    queue_close(&events);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_fault, a_device_end_behind_an_endpoint_translates_and_faults)
{
    a_queue_behind_an_endpoint(VIRTQ_FORMAT_SPLIT);
    a_queue_behind_an_endpoint(VIRTQ_FORMAT_PACKED);
}
