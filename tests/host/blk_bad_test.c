/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that cannot be walked, for some of their pages are not mapped: the driver finds an error
 * in the status, and not what an earlier request has left there. */
#include "frontend_iommu.h"
#include "virtq/host/blk_queue.h"

#define SPLIT_FEATURES \
    (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | FRONTEND_PROTOCOL)

enum { SIZE = 16, SECTORS = 64, OLD = 0xee };

static const uint64_t formats[2] = {SPLIT_FEATURES,
                                    SPLIT_FEATURES | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)};

/* The front-end's `opaque` is itself. */
static struct virtq_blk_queue *requests;
static void *requests_memory;
static struct virtq_blk_disk disk = VIRTQ_BLK_DISK_INIT;

static int blk_started(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;
    struct virtq_blk_queue_config config = VIRTQ_BLK_QUEUE_CONFIG_INIT;

    disk.sectors = SECTORS;
    config.depth = 4;
    config.pieces = 8;
    config.device = virtq_vhost_user_vring_device(f->backend, index);
    config.disk = &disk;
    requests_memory = aligned_alloc(VIRTQ_CACHE_LINE, virtq_blk_queue_size(&config));
    return virtq_blk_queue_init(requests_memory, virtq_blk_queue_size(&config), &config, &requests);
}

static void blk_stopping(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;

    cr_assert_eq(virtq_blk_queue_busy(requests), 0u);
    virtq_vhost_user_vring_enter(f->backend, index);
    virtq_blk_queue_give_up(requests);
    (void)virtq_blk_queue_publish(requests);
    (void)virtq_vhost_user_vring_notify(f->backend, index);
    virtq_vhost_user_vring_leave(f->backend, index);
    free(requests_memory);
    requests_memory = NULL;
}

/* Each request is carried out at once, and reads nothing. */
static void blk_serve(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;
    struct virtq_blk_request *request;

    virtq_vhost_user_vring_enter(f->backend, index);
    while (virtq_blk_queue_pop(requests, &request) == 1) {
        (void)virtq_blk_queue_finish(requests, request);
    }
    (void)virtq_blk_queue_publish(requests);
    (void)virtq_vhost_user_vring_notify(f->backend, index);
    virtq_vhost_user_vring_leave(f->backend, index);
}

static const struct virtq_vhost_user_ops blk_ops = {.size = sizeof(struct virtq_vhost_user_ops),
                                                    .started = blk_started,
                                                    .stopping = blk_stopping,
                                                    .serve = blk_serve};

static void blk_open(struct iommu *io, uint64_t features)
{
    iommu_open_with(io, 0, &blk_ops);
    frontend_greet(&io->f, features | IOMMU_PLATFORM);
    iommu_connect(io);
    iommu_start(io, 0, features, SIZE);
}

/* A request's header, data and status, each in a page of its own in the second region. */
static unsigned char *part(struct iommu *io, unsigned page)
{
    return io->f.guest + FRONTEND_REGION + (size_t)page * IOMMU_PAGE;
}

/* A read of one sector, of which page `page`, 1 for the data or 2 for the status, is not mapped. */
static void send_read(struct iommu *io, unsigned page)
{
    struct virtq_segment segments[3];
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 2};

    for (unsigned i = 0; i < 3; i++) {
        memset(part(io, i), i == 0 ? 0 : OLD, IOMMU_PAGE);
        io->pages[1][i].permissions = i == page ? 0 : IOMMU_BOTH;
    }
    iommu_invalidate(io, iommu_first[1], FRONTEND_REGION);
    memset(segments, 0, sizeof(segments));
    segments[0].base = part(io, 0);
    segments[0].len = 16;
    segments[1].base = part(io, 1);
    segments[1].len = VIRTQ_BLK_SECTOR;
    segments[2].base = part(io, 2);
    segments[2].len = 1;
    cr_assert_eq(virtq_driver_add(io->f.driver[0], &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(io->f.driver[0]), 1u);
    frontend_kick(&io->f, 0);
}

/* It came back like this, and nothing beside the status was written. */
static void came_back(struct iommu *io, uint32_t len, unsigned char status)
{
    struct virtq_completion completion;

    cr_assert_eq(virtq_driver_poll(io->f.driver[0], &completion, 1), 1);
    cr_assert_eq(completion.len, len);
    cr_assert_eq(part(io, 2)[0], status);
    for (unsigned i = 1; i < IOMMU_PAGE; i++) {
        cr_assert_eq(part(io, 2)[i], OLD);
    }
    for (unsigned i = 0; i < IOMMU_PAGE; i++) {
        cr_assert_eq(part(io, 0)[i], 0);
        cr_assert_eq(part(io, 1)[i], OLD);
    }
    cr_assert(iommu_called(io, 0));
    cr_assert(!virtq_driver_enable_notify(io->f.driver[0]));
}

Test(host_blk_bad, data_that_is_not_mapped_is_an_error_of_the_request)
{
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        blk_open(&io, formats[i]);
        for (unsigned n = 0; n < 5; n++) {
            send_read(&io, 1);
            iommu_run(&io);
            cr_assert_eq(io.failed, n + 1);
            came_back(&io, 0, VIRTIO_BLK_S_IOERR);
            /* And the next one is as good as ever. */
            send_read(&io, 3);
            iommu_run(&io);
            came_back(&io, VIRTQ_BLK_SECTOR + 1, VIRTIO_BLK_S_OK);
        }
        iommu_close(&io);
    }
}

Test(host_blk_bad, a_status_that_is_not_mapped_is_not_written)
{
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        blk_open(&io, formats[i]);
        for (unsigned n = 0; n < 5; n++) {
            send_read(&io, 2);
            iommu_run(&io);
            came_back(&io, 0, OLD);
        }
        iommu_close(&io);
    }
}

/* The header and the data are answered for, and of the status nothing is said. */
static void ask_for_status(struct iommu *io)
{
    bool needs_reply = false;

    io->silent = true;
    for (unsigned n = 0; n < 2; n++) {
        struct virtq_vhost_user_iotlb miss;

        cr_assert_eq(frontend_run(&io->f), 0);
        cr_assert(iommu_asked(io, &needs_reply));
        miss = io->last;
        cr_assert_eq(miss.iova, iommu_first[1] + (uint64_t)n * IOMMU_PAGE);
        iommu_answer(io, &miss, needs_reply);
    }
    iommu_run(io);
    cr_assert_eq(io->last.iova, iommu_first[1] + 2u * IOMMU_PAGE);
}

Test(host_blk_bad, m4_one_that_waits_for_its_status_holds_up_nothing_but_the_next_ones)
{
    for (unsigned i = 0; i < 2; i++) {
        struct virtq_completion completion;
        struct iommu io;

        blk_open(&io, formats[i]);
        send_read(&io, 1);
        ask_for_status(&io);
        for (unsigned n = 0; n < 3; n++) {
            frontend_kick(&io.f, 0);
            iommu_run(&io);
            cr_assert_eq(virtq_driver_poll(io.f.driver[0], &completion, 1), 0);
        }
        cr_assert_eq(virtq_blk_queue_busy(requests), 0u);
        io.silent = false;
        iommu_answer(&io, &io.last, true);
        iommu_run(&io);
        came_back(&io, 0, VIRTIO_BLK_S_IOERR);
        iommu_close(&io);
    }
}

Test(host_blk_bad, a_ring_that_stops_waits_for_no_status)
{
    static const uint32_t bases[2] = {1, 0x80038003};

    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        blk_open(&io, formats[i]);
        send_read(&io, 1);
        ask_for_status(&io);
        cr_assert_eq(frontend_stop(&io.f, 0), bases[i]);
        came_back(&io, 0, OLD);
        iommu_close(&io);
    }
}
