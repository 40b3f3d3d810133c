/* SPDX-License-Identifier: BSD-3-Clause */
/* The IOTLB of a back-end: what rings see, what the front-end changes. */
#include "vhost_user_tlb.h"

#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PAGE = 4096 };

static void lock(struct virtq_priv_tlb *tlb)
{
    while (__atomic_exchange_n(&tlb->lock, 1u, __ATOMIC_ACQUIRE) != 0) {
        (void)sched_yield();
    }
}

static void unlock(struct virtq_priv_tlb *tlb)
{
    __atomic_store_n(&tlb->lock, 0u, __ATOMIC_RELEASE);
}

static void drop_refused(struct virtq_priv_tlb *tlb, uint32_t at)
{
    const uint32_t count = tlb->refused_count - 1;

    memmove(&tlb->refused[at], &tlb->refused[at + 1], (count - at) * sizeof(tlb->refused[0]));
    __atomic_store_n(&tlb->refused_count, count, __ATOMIC_RELAXED);
}

/* Whether the front-end has said that it has nothing for this access: an error, once. Later it may
 * have. */
static int take_refused(struct virtq_priv_tlb *tlb, virtq_addr_t addr, uint32_t permission)
{
    int error = VIRTQ_OK;
    uint32_t i;

    if (__atomic_load_n(&tlb->refused_count, __ATOMIC_RELAXED) == 0) {
        return VIRTQ_OK;
    }
    lock(tlb);
    for (i = 0; i < tlb->refused_count && error == VIRTQ_OK; i++) {
        const struct virtq_priv_refused *refused = &tlb->refused[i];

        if (refused->addr == addr && (refused->permissions & permission) == permission) {
            error = refused->error;
            drop_refused(tlb, i);
        }
    }
    unlock(tlb);
    return error;
}

/* What was refused in a range is to be asked for again. */
static void forget_refused(struct virtq_priv_tlb *tlb, virtq_addr_t first, virtq_addr_t last)
{
    uint32_t i = 0;

    lock(tlb);
    while (i < tlb->refused_count) {
        if (tlb->refused[i].addr >= first && tlb->refused[i].addr <= last) {
            drop_refused(tlb, i);
        } else {
            i++;
        }
    }
    unlock(tlb);
}

/* Any queue's access. What is missing is noted here, whichever of the queue's calls runs into it,
 * and once for each page (M4). A translation that does not grant the access is asked for as well:
 * its mapping may have got wider, of which nobody is told. */
static int tlb_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                      struct virtq_window *window)
{
    struct virtq_priv_tlb *tlb = (struct virtq_priv_tlb *)(void *)space;
    const struct virtq_miss miss = {addr, PAGE - addr % PAGE, permission, 0};
    int error = virtq_iotlb_lookup(&tlb->iotlb, addr, permission, window);

    if (error != VIRTQ_EMISS && error != VIRTQ_EPERM) {
        return error;
    }
    error = take_refused(tlb, addr, permission);
    if (error != VIRTQ_OK) {
        return error;
    }
    /* Where there are too many, the queue that waits will come again and note it then. */
    (void)!virtq_iotlb_note_miss(&tlb->iotlb, &miss);
    (void)__atomic_add_fetch(&tlb->missed, 1u, __ATOMIC_RELAXED);
    return VIRTQ_EMISS;
}

static const struct virtq_space_ops tlb_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "vhost-user iotlb",
    .window = tlb_window,
};

void virtq_priv_tlb_none(struct virtq_priv_tlb *tlb)
{
    memset(tlb, 0, sizeof(*tlb));
    virtq_vhost_user_channel_init(&tlb->channel, -1);
    tlb->watched = -1;
    tlb->wake = -1;
    tlb->epoll = -1;
}

int virtq_priv_tlb_init(struct virtq_priv_tlb *tlb, unsigned capacity, void *memory, int epoll)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = VIRTQ_PRIV_TLB_WAKE}};
    int error = virtq_iotlb_init(&tlb->iotlb, capacity, memory, virtq_iotlb_size(capacity));

    if (error == VIRTQ_OK) {
        error = virtq_iotlb_set_misses(&tlb->iotlb, tlb->misses, VIRTQ_PRIV_MISSES_MAX);
    }
    if (error == VIRTQ_OK) {
        virtq_iotlb_set_eviction(&tlb->iotlb, true);
        error = virtq_iommu_device_init(&tlb->device, NULL, &tlb->iotlb);
    }
    if (error == VIRTQ_OK) {
        tlb->device.space.ops = &tlb_ops;
        error = virtq_guard_init(&tlb->guard, &tlb->device.space, VIRTQ_GUARD_EPOCH);
    }
    if (error != VIRTQ_OK) {
        return error;
    }
    tlb->epoll = epoll;
    tlb->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (tlb->wake < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, tlb->wake, &event) != 0) {
        virtq_priv_tlb_fini(tlb);
        return VIRTQ_ENOMEM;
    }
    return VIRTQ_OK;
}

void virtq_priv_tlb_fini(struct virtq_priv_tlb *tlb)
{
    virtq_vhost_user_channel_fini(&tlb->channel);
    if (tlb->watched >= 0) {
        (void)close(tlb->watched);
    }
    tlb->watched = -1;
    if (tlb->wake >= 0) {
        (void)close(tlb->wake);
    }
    tlb->wake = -1;
}

bool virtq_priv_tlb_exists(const struct virtq_priv_tlb *tlb)
{
    return tlb->wake >= 0;
}

struct virtq_priv_asked *virtq_priv_tlb_asked(struct virtq_priv_tlb *tlb, uint32_t i)
{
    return &tlb->asked[(tlb->asked_first + i) % VIRTQ_PRIV_MISSES_MAX];
}

void virtq_priv_tlb_flush(struct virtq_priv_tlb *tlb)
{
    struct virtq_miss miss;
    uint32_t i;

    if (!virtq_priv_tlb_exists(tlb)) {
        return;
    }
    (void)virtq_iotlb_invalidate(&tlb->iotlb, 0, UINT64_MAX);
    for (i = 0; i < tlb->asked_count; i++) {
        virtq_iotlb_forget_miss(&tlb->iotlb, &virtq_priv_tlb_asked(tlb, i)->miss);
        virtq_priv_tlb_asked(tlb, i)->settled = true;
    }
    for (i = 0; i < VIRTQ_PRIV_MISSES_MAX && virtq_iotlb_next_miss(&tlb->iotlb, &miss) == 1; i++) {
        virtq_iotlb_forget_miss(&tlb->iotlb, &miss);
    }
    forget_refused(tlb, 0, UINT64_MAX);
    (void)__atomic_add_fetch(&tlb->updates, 1u, __ATOMIC_SEQ_CST);
}

void virtq_priv_tlb_refuse(struct virtq_priv_tlb *tlb, struct virtq_priv_asked *asked, int error)
{
    const struct virtq_miss *miss = &asked->miss;
    struct virtq_window window;

    if (asked->settled) {
        return;
    }
    asked->settled = true;
    virtq_iotlb_forget_miss(&tlb->iotlb, miss);
    if (error == VIRTQ_EPERM) {
        virtq_priv_tlb_tell(tlb, miss);
    }
    if (virtq_iotlb_lookup(&tlb->iotlb, miss->addr, miss->permissions, &window) != VIRTQ_OK) {
        lock(tlb);
        if (tlb->refused_count == VIRTQ_PRIV_REFUSED_MAX) {
            drop_refused(tlb, 0);
        }
        tlb->refused[tlb->refused_count] =
            (struct virtq_priv_refused){miss->addr, miss->permissions, error};
        __atomic_store_n(&tlb->refused_count, tlb->refused_count + 1, __ATOMIC_RELAXED);
        unlock(tlb);
    }
    (void)__atomic_add_fetch(&tlb->updates, 1u, __ATOMIC_SEQ_CST);
}

/* Gives up what was asked for in a range, but for what `granted` would do. */
static void refuse_range(struct virtq_priv_tlb *tlb, virtq_addr_t first, virtq_addr_t last,
                         uint32_t granted, int error)
{
    uint32_t i;

    for (i = 0; i < tlb->asked_count; i++) {
        struct virtq_priv_asked *asked = virtq_priv_tlb_asked(tlb, i);

        if (asked->miss.addr >= first && asked->miss.addr <= last &&
            (asked->miss.permissions & ~granted) != 0) {
            virtq_priv_tlb_refuse(tlb, asked, error);
        }
    }
}

/* All of it lies in memory that was given, or nothing of it counts. A translation may go over
 * several regions. */
static uint32_t update(struct virtq_priv_tlb *tlb, const struct virtq_priv_mapped *mapped,
                       const struct virtq_vhost_user_iotlb *wire)
{
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    uint64_t done = 0;
    void *base;

    if (wire->size == 0 || wire->size - 1 > UINT64_MAX - wire->iova ||
        wire->size - 1 > UINT64_MAX - wire->user_address || wire->permissions == 0 ||
        (wire->permissions & ~both) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    while (done < wire->size) {
        const uint64_t run = virtq_priv_mapped_run(mapped, wire->user_address + done, &base);

        if (run == 0) {
            return VIRTQ_VHOST_USER_REFUSED_MEMORY;
        }
        done += run < wire->size - done ? run : wire->size - done;
    }
    for (done = 0; done < wire->size;) {
        const uint64_t run = virtq_priv_mapped_run(mapped, wire->user_address + done, &base);
        const uint64_t part = run < wire->size - done ? run : wire->size - done;
        const virtq_addr_t first = wire->iova + done;

        if (virtq_iotlb_update(&tlb->iotlb, first, first + (part - 1), base, wire->permissions) !=
            VIRTQ_OK) {
            return VIRTQ_VHOST_USER_REFUSED_MEMORY;
        }
        done += part;
    }
    forget_refused(tlb, wire->iova, wire->iova + (wire->size - 1));
    refuse_range(tlb, wire->iova, wire->iova + (wire->size - 1), wire->permissions, VIRTQ_EPERM);
    (void)__atomic_add_fetch(&tlb->updates, 1u, __ATOMIC_SEQ_CST);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

/* The last address of a range that may be said to reach beyond the top, or to have 2^64 bytes,
 * which no number can say: to forget too much does no harm (L6). */
virtq_addr_t virtq_priv_tlb_last(const struct virtq_vhost_user_iotlb *wire)
{
    const uint64_t above = UINT64_MAX - wire->iova;

    return wire->iova + (wire->size - 1 < above ? wire->size - 1 : above);
}

uint32_t virtq_priv_tlb_message(struct virtq_priv_tlb *tlb, const struct virtq_priv_mapped *mapped,
                                const struct virtq_vhost_user_iotlb *wire)
{
    switch (wire->type) {
    case VHOST_USER_IOTLB_UPDATE:
        return update(tlb, mapped, wire);
    case VHOST_USER_IOTLB_INVALIDATE:
        /* Returns when no burst is left that could use it (M1, L3). Its user address and
         * permissions mean nothing. */
        forget_refused(tlb, wire->iova, virtq_priv_tlb_last(wire));
        return virtq_iotlb_invalidate(&tlb->iotlb, wire->iova, virtq_priv_tlb_last(wire)) ==
                       VIRTQ_OK
                   ? VIRTQ_VHOST_USER_ACCEPTED
                   : VIRTQ_VHOST_USER_REFUSED_VALUE;
    case VHOST_USER_IOTLB_ACCESS_FAIL:
        refuse_range(tlb, wire->iova, virtq_priv_tlb_last(wire), 0, VIRTQ_EFAULT);
        return VIRTQ_VHOST_USER_ACCEPTED;
    default:
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
}

void virtq_priv_tlb_want(struct virtq_priv_tlb *tlb, virtq_addr_t addr, uint64_t len,
                         uint32_t permission)
{
    const uint64_t most = UINT64_MAX - addr;
    uint64_t left = len - 1 < most ? len - 1 : most; /* Behind the byte at `addr`. */

    for (;;) {
        struct virtq_window window;
        uint64_t step = PAGE - addr % PAGE;

        if (virtq_iotlb_lookup(&tlb->iotlb, addr, permission, &window) != VIRTQ_OK) {
            const struct virtq_miss miss = {addr, step, permission, 0};

            (void)!virtq_iotlb_note_miss(&tlb->iotlb, &miss);
        }
        if (step > left) {
            return;
        }
        addr += step;
        left -= step;
    }
}
