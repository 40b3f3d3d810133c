/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-iommu device: requests on a queue, in any pieces; answers that wait. M1, L3. */
#include "support/random.h"
#include "virtio_iommu_device_queue.h"
#include "virtq/guard.h"

enum { RW = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE, TAIL = 4 };

static struct virtio_iommu_req_map map_request(uint32_t domain, uint64_t first, uint64_t last)
{
    struct virtio_iommu_req_map request;

    memset(&request, 0, sizeof(request));
    request.head.type = VIRTIO_IOMMU_T_MAP;
    request.domain = rig_le32(domain);
    request.virt_start = rig_le64(first);
    request.virt_end = rig_le64(last);
    request.phys_start = rig_le64(RIG_PHYS);
    request.flags = rig_le32(RW);
    return request;
}

static void a_batch_is_answered(unsigned format)
{
    struct virtio_iommu_req_map requests[30];
    struct queue queue;
    struct rig rig;
    unsigned i;

    rig_open(&rig);
    queue_open(&queue, format, NULL);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    for (i = 0; i < 30; i++) {
        requests[i] = map_request(1, i * 0x1000, i * 0x1000 + 0xfff);
        requests[i].tail.status = 0xee;
        queue_send(&queue, &requests[i], 36, &requests[i].tail, TAIL);
    }
    cr_assert_eq(virtq_virtio_iommu_device_serve(rig.iommu, queue.device, 20), 20, "the budget");
    cr_assert_eq(rig_usage(&rig).mappings, 20u);
    cr_assert_eq(virtq_virtio_iommu_device_serve(rig.iommu, queue.device, 20), 10);
    cr_assert_eq(virtq_virtio_iommu_device_serve(rig.iommu, queue.device, 20), 0);
    for (i = 0; i < 30; i++) {
        cr_assert_eq(queue_take(&queue), TAIL);
        cr_assert_eq(requests[i].tail.status, VIRTIO_IOMMU_S_OK);
    }
    queue_close(&queue);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_serve, a_batch_is_answered_within_the_budget)
{
    a_batch_is_answered(VIRTQ_FORMAT_SPLIT);
    a_batch_is_answered(VIRTQ_FORMAT_PACKED);
}

/* Cuts [base, base + length) into segments at random. */
static unsigned cut(uint64_t *random, unsigned char *base, uint32_t length,
                    struct virtq_segment *segments)
{
    unsigned count = 0;
    uint32_t at = 0;

    while (at < length) {
        uint32_t part = 1 + (uint32_t)random_below(random, 5);

        part = count < 27 && part < length - at ? part : length - at;
        segments[count].base = base + at;
        segments[count].len = part;
        segments[count++].route = 0;
        at += part;
    }
    return count;
}

static void in_any_pieces(unsigned format)
{
    struct virtq_segment segments[QUEUE_SEGMENTS];
    uint64_t random = 11;
    unsigned char answer[RIG_PROBE + TAIL];
    struct virtio_iommu_req_probe probe;
    struct queue queue;
    struct rig rig;
    unsigned round;

    rig_open(&rig);
    queue_open(&queue, format, NULL);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    memset(&probe, 0, sizeof(probe));
    probe.head.type = VIRTIO_IOMMU_T_PROBE;
    probe.endpoint = rig_le32(RIG_ID);
    for (round = 0; round < 60; round++) {
        struct virtio_iommu_req_map map = map_request(1, round * 0x1000, round * 0x1000 + 0xfff);
        const bool probes = round % 2 == 0;
        unsigned readable = cut(&random, probes ? (unsigned char *)&probe : (unsigned char *)&map,
                                probes ? sizeof(probe) : 36, segments);
        unsigned writable =
            cut(&random, answer, probes ? sizeof(answer) : TAIL, segments + readable);

        memset(answer, 0xee, sizeof(answer));
        queue_add(&queue, segments, readable, writable, NULL);
        cr_assert_eq(virtq_virtio_iommu_device_serve(rig.iommu, queue.device, 8), 1);
        cr_assert_eq(queue_take(&queue), probes ? (int64_t)sizeof(answer) : TAIL);
        cr_assert_eq(answer[probes ? RIG_PROBE : 0], VIRTIO_IOMMU_S_OK, "round %u", round);
    }
    queue_close(&queue);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_serve, a_request_comes_in_any_pieces)
{
    in_any_pieces(VIRTQ_FORMAT_SPLIT);
    in_any_pieces(VIRTQ_FORMAT_PACKED);
}

/* Head, body and tail each in a byte of its own; and what is all readable, or all writable. */
static void hostile_layouts(unsigned format)
{
    struct virtio_iommu_req_map map = map_request(1, 0, 0xfff);
    struct virtq_segment segments[40];
    struct queue queue;
    struct rig rig;
    unsigned i;

    rig_open(&rig);
    queue_open(&queue, format, NULL);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    queue_send(&queue, &map, sizeof(map), NULL, 0);
    queue_send(&queue, NULL, 0, &map, sizeof(map));
    queue_send(&queue, &map, 35, &map.tail, TAIL);
    queue_send(&queue, &map, 36, &map.tail, 3);
    cr_assert_eq(virtq_virtio_iommu_device_serve(rig.iommu, queue.device, 8), 4);
    for (i = 0; i < 4; i++) {
        cr_assert_eq(queue_take(&queue), 0, "the driver sees that it failed");
    }
    cr_assert_eq(rig_usage(&rig).mappings, 0u);
    cr_assert_eq(rig_usage(&rig).malformed, 4u);
    for (i = 0; i < 40; i++) {
        segments[i].base = (unsigned char *)&map + i;
        segments[i].len = 1;
        segments[i].route = 0;
    }
    queue_add(&queue, segments, 36, 4, NULL);
    cr_assert_eq(virtq_virtio_iommu_device_serve(rig.iommu, queue.device, 8), 1);
    cr_assert_eq(queue_take(&queue), TAIL);
    cr_assert_eq(rig_usage(&rig).mappings, 1u);
    queue_close(&queue);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_serve, a_request_without_its_parts_is_used_with_length_0)
{
    hostile_layouts(VIRTQ_FORMAT_SPLIT);
    hostile_layouts(VIRTQ_FORMAT_PACKED);
}

static void unmap_waits(unsigned format, uint32_t scheme)
{
    struct virtio_iommu_req_unmap unmap;
    struct virtio_iommu_req_map map;
    struct virtq_guard_user user __attribute__((aligned(VIRTQ_CACHE_LINE)));
    struct virtq_guard guard;
    struct virtq_piece pieces[4];
    struct virtq_chain chain;
    struct virtq_used_buffer used = {0, 0};
    unsigned char data[8];
    const uint64_t page = (uintptr_t)data & ~(uint64_t)0xfff;
    struct queue requests;
    struct queue queue;
    struct rig rig;

    memset(&unmap, 0, sizeof(unmap));
    unmap.head.type = VIRTIO_IOMMU_T_UNMAP;
    unmap.domain = rig_le32(1);
    unmap.virt_end = UINT64_MAX;
    unmap.tail.status = 0xee;
    map = map_request(1, 0x5000, 0x5fff);
    rig_open(&rig);
    cr_assert_eq(virtq_guard_init(&guard, &rig.endpoints[0].space, scheme), VIRTQ_OK);
    cr_assert_eq(virtq_guard_join(&guard, &user), VIRTQ_OK);
    queue_open(&requests, format, NULL);
    queue_open(&queue, format, &rig.endpoints[0].space);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, page, page + 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    queue_send(&queue, data, sizeof(data), NULL, 0);
    virtq_guard_enter(&user);
    cr_assert_eq(virtq_device_pop(queue.device, &chain, 1, pieces, 4), 1);
    virtq_guard_leave(&user, virtq_device_outstanding(queue.device),
                      virtq_device_stale(queue.device));
    queue_send(&requests, &unmap, 28, &unmap.tail, TAIL);
    queue_send(&requests, &map, 36, &map.tail, TAIL);
    cr_assert_eq(virtq_virtio_iommu_device_serve(rig.iommu, requests.device, 8), 0);
    cr_assert_eq(virtq_virtio_iommu_device_waits(rig.iommu), 1);
    cr_assert_eq(virtq_virtio_iommu_device_serve(rig.iommu, requests.device, 8), 0, "still");
    cr_assert_eq(queue_take(&requests), -1, "M1: not before the buffer is back");
    cr_assert_eq(unmap.tail.status, 0xeeu);
    virtq_guard_enter(&user);
    used.id = chain.id;
    cr_assert_eq(virtq_device_push(queue.device, &used, 1), 1);
    virtq_guard_leave(&user, virtq_device_outstanding(queue.device),
                      virtq_device_stale(queue.device));
    cr_assert_eq(virtq_virtio_iommu_device_serve(rig.iommu, requests.device, 8), 2,
                 "and the one behind it");
    cr_assert_eq(virtq_virtio_iommu_device_waits(rig.iommu), 0);
    cr_assert_eq(queue_take(&requests), TAIL);
    cr_assert_eq(unmap.tail.status, VIRTIO_IOMMU_S_OK);
    cr_assert_eq(queue_take(&requests), TAIL);
    cr_assert_eq(rig_usage(&rig).mappings, 1u);
    virtq_guard_part(&user);
    queue_close(&queue);
    queue_close(&requests);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_serve, m1_unmap_is_answered_when_no_buffer_lies_there_any_more)
{
    unmap_waits(VIRTQ_FORMAT_SPLIT, VIRTQ_GUARD_EPOCH);
    unmap_waits(VIRTQ_FORMAT_PACKED, VIRTQ_GUARD_EPOCH);
    unmap_waits(VIRTQ_FORMAT_SPLIT, VIRTQ_GUARD_LOCK);
    unmap_waits(VIRTQ_FORMAT_PACKED, VIRTQ_GUARD_CALLER);
}

Test(iommu_virtio_iommu_device_serve, reset_forgets_a_request_that_waits)
{
    struct virtq_guard_user user __attribute__((aligned(VIRTQ_CACHE_LINE)));
    struct virtq_guard guard;
    struct virtq_chain chain;
    struct virtio_iommu_req_tail tail;
    struct virtio_iommu_req_detach detach;
    struct virtq_piece pieces[2];
    struct rig rig;
    uint32_t used = 99;

    rig_open(&rig);
    cr_assert_eq(virtq_guard_init(&guard, &rig.endpoints[0].space, VIRTQ_GUARD_EPOCH), VIRTQ_OK);
    cr_assert_eq(virtq_guard_join(&guard, &user), VIRTQ_OK);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    virtq_guard_enter(&user);
    virtq_guard_leave(&user, 1, 0);
    memset(&detach, 0, sizeof(detach));
    memset(&chain, 0, sizeof(chain));
    detach.head.type = VIRTIO_IOMMU_T_DETACH;
    detach.domain = rig_le32(1);
    detach.endpoint = rig_le32(RIG_ID);
    pieces[0] = (struct virtq_piece){.base = &detach, .len = 20};
    pieces[1] = (struct virtq_piece){.base = &tail, .len = 4};
    chain.pieces = pieces;
    chain.readable = 1;
    chain.writable = 1;
    chain.readable_bytes = 20;
    chain.writable_bytes = 4;
    cr_assert_eq(virtq_virtio_iommu_device_handle(rig.iommu, &chain, &used), VIRTQ_EBUSY);
    cr_assert_eq(virtq_virtio_iommu_device_handle(rig.iommu, &chain, &used), VIRTQ_EBUSY);
    cr_assert_eq(used, 99u);
    virtq_virtio_iommu_device_reset(rig.iommu);
    cr_assert_eq(virtq_virtio_iommu_device_waits(rig.iommu), 0);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    virtq_guard_enter(&user);
    virtq_guard_leave(&user, 0, 0);
    virtq_guard_part(&user);
    rig_close(&rig);
}
