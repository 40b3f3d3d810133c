/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The front-end of the tests has an IOMMU: it answers what the back-end asks on its own
 * channel, page by page, from a table.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_IOMMU_H
#define VIRTQ_TESTS_HOST_FRONTEND_IOMMU_H

#include "frontend.h"

enum { IOMMU_PAGE = 4096, IOMMU_PAGES = FRONTEND_REGION / IOMMU_PAGE };

#define IOMMU_READ VIRTQ_PERMISSION_READ
#define IOMMU_WRITE VIRTQ_PERMISSION_WRITE
#define IOMMU_BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)
#define IOMMU_PLATFORM VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM)

/* The device addresses of the two regions; the second one ends where all addresses do (L6). */
static const uint64_t iommu_first[2] = {0x40000000, UINT64_MAX - FRONTEND_REGION + 1};

struct iommu_page {
    uint64_t user;        /* Where it leads. */
    uint32_t permissions; /* What it is mapped for; 0: it is not. */
};

struct iommu {
    struct frontend f;
    struct iommu_page pages[2][IOMMU_PAGES];
    struct iommu_page nowhere; /* Of all other addresses. */
    int channel;               /* -1: there is none. */
    bool silent;               /* Asked, it says nothing. */
    unsigned misses;           /* How often it was asked. */
    unsigned failed;           /* How often it had nothing. */
    unsigned forbidden;        /* How often it was told that an access was not allowed. */
    struct virtq_vhost_user_iotlb last;
};

static inline struct iommu_page *iommu_page(struct iommu *io, uint64_t iova)
{
    for (unsigned i = 0; i < 2; i++) {
        if (iova >= iommu_first[i] && iova - iommu_first[i] < FRONTEND_REGION) {
            return &io->pages[i][(iova - iommu_first[i]) / IOMMU_PAGE];
        }
    }
    return &io->nowhere;
}

static inline void iommu_map_all(struct iommu *io)
{
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned p = 0; p < IOMMU_PAGES; p++) {
            io->pages[i][p].user = frontend_user[i] + (uint64_t)p * IOMMU_PAGE;
            io->pages[i][p].permissions = IOMMU_BOTH;
        }
    }
}

/* The driver's addresses are the IOMMU's from now on. */
static inline void iommu_addresses(struct iommu *io)
{
    io->f.ring_base = iommu_first[0];
    for (unsigned i = 0; i < 2; i++) {
        io->f.regions[i].first = iommu_first[i];
        io->f.regions[i].last = iommu_first[i] + (FRONTEND_REGION - 1);
    }
    cr_assert_eq(virtq_direct_init_regions(&io->f.space, io->f.regions, 2), 0);
}

/* The driver's addresses are physical. */
static inline void iommu_no_addresses(struct iommu *io)
{
    io->f.ring_base = frontend_user[0];
    for (unsigned i = 0; i < 2; i++) {
        io->f.regions[i].first = frontend_guest[i];
        io->f.regions[i].last = frontend_guest[i] + (FRONTEND_REGION - 1);
    }
    cr_assert_eq(virtq_direct_init_regions(&io->f.space, io->f.regions, 2), 0);
}

static inline void iommu_open_with(struct iommu *io, uint32_t translations,
                                   const struct virtq_vhost_user_ops *ops)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;

    memset(io, 0, sizeof(*io));
    config.features = IOMMU_PLATFORM;
    config.translations = translations;
    config.ops = ops;
    frontend_open_config(&io->f, &config);
    io->channel = -1;
    iommu_addresses(io);
    iommu_map_all(io);
}

/* The channel on which the back-end asks. */
static inline void iommu_connect(struct iommu *io)
{
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    cr_assert_eq(frontend_try(&io->f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &ends[1], 1), 0);
    cr_assert_eq(close(ends[1]), 0);
    if (io->channel >= 0) {
        cr_assert_eq(close(io->channel), 0);
    }
    io->channel = ends[0];
}

static inline void iommu_open(struct iommu *io, uint64_t features)
{
    iommu_open_with(io, 0, &frontend_ops);
    frontend_greet(&io->f, features | IOMMU_PLATFORM);
    iommu_connect(io);
}

static inline void iommu_close(struct iommu *io)
{
    if (io->channel >= 0) {
        cr_assert_eq(close(io->channel), 0);
    }
    frontend_close(&io->f);
}

/* Sends a translation, or takes one back: 0 accepted, 1 refused. */
static inline int iommu_tell(struct iommu *io, uint8_t type, uint64_t iova, uint64_t size,
                             uint64_t user, uint32_t permissions)
{
    struct virtq_vhost_user_iotlb message;

    memset(&message, 0, sizeof(message));
    message.iova = iova;
    message.size = size;
    message.user_address = user;
    message.permissions = (uint8_t)permissions;
    message.type = type;
    return frontend_try(&io->f, VHOST_USER_IOTLB_MSG, &message, sizeof(message), NULL, 0);
}

static inline void iommu_invalidate(struct iommu *io, uint64_t iova, uint64_t size)
{
    /* Two members are whatever was on the stack. */
    cr_assert_eq(iommu_tell(io, VHOST_USER_IOTLB_INVALIDATE, iova, size, UINT64_MAX - 5, 0xee), 0);
}

/* One request of the back-end's, if there is one. */
static inline bool iommu_asked(struct iommu *io, bool *needs_reply)
{
    struct virtq_vhost_user_header header;

    if (recv(io->channel, &header, sizeof(header), MSG_DONTWAIT) != (ssize_t)sizeof(header)) {
        return false;
    }
    cr_assert_eq(header.request, (uint32_t)VHOST_USER_BACKEND_IOTLB_MSG);
    cr_assert_eq(header.size, (uint32_t)sizeof(io->last));
    cr_assert_eq(recv(io->channel, &io->last, sizeof(io->last), MSG_DONTWAIT),
                 (ssize_t)sizeof(io->last));
    *needs_reply = (header.flags & VHOST_USER_NEED_REPLY) != 0;
    return true;
}

static inline void iommu_reply(struct iommu *io, uint64_t result)
{
    struct {
        struct virtq_vhost_user_header header;
        uint32_t words[2];
    } reply = {{VHOST_USER_BACKEND_IOTLB_MSG, VHOST_USER_VERSION | VHOST_USER_REPLY, 8}, {0, 0}};

    memcpy(reply.words, &result, sizeof(result));
    cr_assert_eq(send(io->channel, &reply, sizeof(reply), MSG_NOSIGNAL), (ssize_t)sizeof(reply));
}

/* Answers as the table has it: a page, with all that it is mapped for, whatever was asked. */
static inline void iommu_answer(struct iommu *io, const struct virtq_vhost_user_iotlb *miss,
                                bool needs_reply)
{
    const struct iommu_page *page = iommu_page(io, miss->iova);
    const uint64_t first = miss->iova & ~(uint64_t)(IOMMU_PAGE - 1);
    uint64_t result = 1;

    if (page->permissions != 0) {
        result = (uint64_t)iommu_tell(io, VHOST_USER_IOTLB_UPDATE, first, IOMMU_PAGE, page->user,
                                      page->permissions);
    } else {
        io->failed++;
    }
    if (needs_reply) {
        iommu_reply(io, result);
    }
}

/* Both ends do all that there is to do. */
static inline void iommu_run(struct iommu *io)
{
    bool needs_reply = false;

    cr_assert_eq(frontend_run(&io->f), 0);
    while (iommu_asked(io, &needs_reply)) {
        if (io->last.type == VHOST_USER_IOTLB_ACCESS_FAIL) {
            cr_assert(!needs_reply);
            io->forbidden++;
            continue;
        }
        io->misses++;
        cr_assert_eq(io->last.type, (uint8_t)VHOST_USER_IOTLB_MISS);
        if (!io->silent) {
            const struct virtq_vhost_user_iotlb miss = io->last;

            iommu_answer(io, &miss, needs_reply);
        }
        cr_assert_eq(frontend_run(&io->f), 0);
    }
}

/* frontend_start(), where the ring may have to wait for its translations. */
static inline void iommu_start(struct iommu *io, unsigned index, uint64_t features, uint32_t size)
{
    frontend_start(&io->f, index, features, size);
    iommu_run(io);
}

/* Whether the driver was notified since the last time. */
static inline bool iommu_called(struct iommu *io, unsigned index)
{
    uint64_t calls = 0;

    return read(io->f.call[index], &calls, sizeof(calls)) == (ssize_t)sizeof(calls);
}

/* `count` buffers there and back, in lots of up to four, each with its notification. */
static inline void iommu_traffic(struct iommu *io, unsigned index, unsigned count)
{
    (void)iommu_called(io, index);
    for (unsigned done = 0; done < count;) {
        unsigned lot = count - done < 4 ? count - done : 4;

        for (unsigned i = 0; i < lot; i++) {
            frontend_add(&io->f, index, (done + i) % 8 + index * 8);
        }
        frontend_kick(&io->f, index);
        iommu_run(io);
        cr_assert_eq(frontend_take(&io->f, index), lot);
        cr_assert(iommu_called(io, index), "no interrupt");
        cr_assert(!virtq_driver_enable_notify(io->f.driver[index]));
        done += lot;
    }
}

/* A buffer that the device cannot reach: it comes back with nothing written. */
static inline void iommu_bad_buffer(struct iommu *io, unsigned index)
{
    struct virtq_completion completion;

    frontend_add(&io->f, index, 0);
    frontend_kick(&io->f, index);
    iommu_run(io);
    cr_assert_eq(virtq_driver_poll(io->f.driver[index], &completion, 1), 1);
    cr_assert_eq(completion.len, 0u);
    cr_assert(!virtq_driver_enable_notify(io->f.driver[index]));
    cr_assert_eq(((const unsigned char *)completion.cookie)[32], 0);
}

/* For struct virtq_vhost_user_ops: decides nothing about notifications; what is held is used, and
 * not shown. */
static inline void iommu_serve_silently(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;
    struct virtq_device *device = virtq_vhost_user_vring_device(f->backend, index);
    struct virtq_chain chain;
    struct virtq_piece pieces[4];

    virtq_vhost_user_vring_enter(f->backend, index);
    while (virtq_device_pop(device, &chain, 1, pieces, 4) == 1) {
        frontend_finish(device, &chain);
    }
    if (!f->hold) {
        (void)virtq_device_publish(device);
    }
    virtq_vhost_user_vring_leave(f->backend, index);
}

#endif
