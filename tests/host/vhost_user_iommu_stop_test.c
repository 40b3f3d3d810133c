/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings behind an IOMMU that are unmapped, and stop. */
#include "frontend_iommu.h"

#define SPLIT_FEATURES \
    (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | FRONTEND_PROTOCOL)
#define PACKED_FEATURES (SPLIT_FEATURES | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED))

static void stop_open(struct iommu *io, uint64_t features, const struct virtq_vhost_user_ops *ops)
{
    iommu_open_with(io, 0, ops);
    frontend_greet(&io->f, features | IOMMU_PLATFORM);
    iommu_connect(io);
    iommu_start(io, 0, features, 8);
}

/* Three buffers there and back, then `count` that the device keeps or cannot show, and the ring is
 * unmapped. */
static void strand(struct iommu *io, unsigned count)
{
    for (unsigned n = 0; n < 3 + count; n++) {
        io->f.hold = n >= 3;
        frontend_add(&io->f, 0, n);
        frontend_kick(&io->f, 0);
        iommu_run(io);
        cr_assert_eq(frontend_take(&io->f, 0), n < 3 ? 1u : 0u);
    }
    io->silent = true;
    iommu_invalidate(io, iommu_first[0], FRONTEND_REGION);
}

/* From there it goes on with the next buffer. */
static void go_on(struct iommu *io, uint32_t base)
{
    cr_assert_eq(frontend_stop(&io->f, 0), base);
    io->silent = false;
    io->f.hold = false;
    frontend_describe(&io->f, 0, 8, base);
    cr_assert_eq(frontend_kick_message(&io->f, 0), 0);
    iommu_run(io);
    frontend_add(&io->f, 0, 5);
    frontend_kick(&io->f, 0);
    iommu_run(io);
    cr_assert_eq(frontend_take(&io->f, 0), 1u);
    cr_assert_eq(io->f.refused, 0u);
}

/* Packed, after three buffers of two descriptors: 6 were shown, the next ones are 8 (once round)
 * and 10 (and 2). */
Test(host_iommu_stop, m1_a_ring_that_was_unmapped_stops_where_it_stands)
{
    static const struct virtq_vhost_user_ops ops = {.size = sizeof(ops),
                                                    .serve = iommu_serve_silently};
    struct iommu io;

    stop_open(&io, SPLIT_FEATURES, &ops);
    strand(&io, 2);
    go_on(&io, 5);
    iommu_close(&io);
    stop_open(&io, PACKED_FEATURES, &ops);
    strand(&io, 1);
    go_on(&io, 0x80060000);
    iommu_close(&io);
}

static void push_in_vain(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;
    struct virtq_device *device = virtq_vhost_user_vring_device(f->backend, index);

    virtq_vhost_user_vring_enter(f->backend, index);
    for (unsigned i = 0; i < f->held_count; i++) {
        const struct virtq_used_buffer used = {f->held[i].id, 4};

        cr_assert_eq(virtq_device_push(device, &used, 1), VIRTQ_EMISS);
    }
    virtq_vhost_user_vring_leave(f->backend, index);
    f->held_count = 0;
}

Test(host_iommu_stop, m1_a_ring_that_was_unmapped_stops_behind_what_is_in_flight)
{
    static const uint32_t bases[2] = {5, 0x80060002};
    struct virtq_vhost_user_ops ops = frontend_ops;

    ops.stopping = push_in_vain;
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        stop_open(&io, i == 0 ? SPLIT_FEATURES : PACKED_FEATURES, &ops);
        strand(&io, 2);
        go_on(&io, bases[i]);
        iommu_close(&io);
    }
}

/* Nothing is lost. */
Test(host_iommu_stop, a_ring_that_was_unmapped_with_nothing_in_flight_stops_where_it_stands)
{
    static const uint32_t bases[2] = {3, 0x80068006};

    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        stop_open(&io, i == 0 ? SPLIT_FEATURES : PACKED_FEATURES, &frontend_ops);
        strand(&io, 0);
        frontend_kick(&io.f, 0);
        iommu_run(&io);
        go_on(&io, bases[i]);
        iommu_close(&io);
    }
}
