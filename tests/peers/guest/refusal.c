/* SPDX-License-Identifier: BSD-3-Clause */
#include "refusal.h"

#include <string.h>

#include "console.h"

#define PAGE 4096u
#define STATUS_IOERR 1u  /* VIRTIO_BLK_S_IOERR */
#define WAITS 100000000u /* looks, before the device counts as gone */

/* What the disk is to write to: mapped for all of its life, and unmapped after a while. */
static uint8_t landing[PAGE] __attribute__((aligned(4096)));
static uint8_t target[2 * PAGE] __attribute__((aligned(4096)));
static uint8_t request[PAGE] __attribute__((aligned(4096))); /* header, then status */

static virtq_addr_t share(struct virtq_space *space, void *pages, uint64_t bytes,
                          uint32_t permissions)
{
    virtq_addr_t addr = 0;

    check(virtq_space_share(space, pages, bytes, permissions, &addr) == VIRTQ_OK,
          "pages are mapped");
    return addr;
}

/* Reads from sector 0 on: the first bytes to landing[], the others to target[]. */
static void send_read(struct queue *queue, const virtq_addr_t *addr, uint32_t first,
                      uint32_t others)
{
    const struct virtq_segment segments[] = {{.addr = addr[0], .len = 16},
                                             {.addr = addr[1], .len = first},
                                             {.addr = addr[2], .len = others},
                                             {.addr = addr[0] + 16, .len = 1}};
    const struct virtq_buffer buffer = {
        .segments = segments, .readable = 1, .writable = 3, .flags = VIRTQ_BUFFER_PREMAPPED};

    memset(request, 0, 16);
    request[16] = 0xa5;
    memset(landing, 0x5a, sizeof(landing));
    memset(target, 0x5a, sizeof(target));
    check(queue_add(queue, &buffer), "room");
    queue_kick(queue);
}

/* Not a byte was written, and whatever the IOMMU tells is right. */
static void judge(const struct refusal *refusal, virtq_addr_t addr)
{
    if (refusal->judge != NULL) {
        refusal->judge(addr, sizeof(target));
    }
    for (unsigned i = 0; i < sizeof(target); i++) {
        check(target[i] == 0x5a, "unmapped, memory is not written");
    }
}

/* An IOMMU that takes the device out of service: nothing of the ring can be judged after that. */
static void refuse_stopped(const struct refusal *refusal, struct queue *queue,
                           const virtq_addr_t *addr)
{
    unsigned waits = 0;

    send_read(queue, addr, PAGE, 2 * PAGE);
    while (!refusal->stopped()) {
        check(waits++ < WAITS / 100, "the IOMMU takes the disk out of service");
    }
    judge(refusal, addr[2]);
    refusal->recover();
}

#ifdef GUEST_SERVED
/* Our back-end gives a buffer back of which not all is mapped, and has written nothing of it but an
 * error where the status is. */
static void refuse(const struct refusal *refusal, struct queue *queue, const virtq_addr_t *addr)
{
    struct virtq_completion done;

    for (unsigned i = 0; i < 2; i++) {
        send_read(queue, addr, i == 0 ? 508 : PAGE, i == 0 ? 4 : 2 * PAGE);
        check(queue_wait(queue, &done, 1) == 1 && done.len == 0 && request[16] == STATUS_IOERR &&
                  landing[0] == 0x5a,
              "nothing of the request is carried out, and it says so");
        judge(refusal, addr[2]);
    }
}
#else
/* QEMU stops a device whose chain it cannot map; but it does carry out a request of which one short
 * segment is not mapped, says that it succeeded, and drops the bytes. Where it stops a device with
 * packed queues, version 7.2 hangs. */
static void refuse(const struct refusal *refusal, struct queue *queue, const virtq_addr_t *addr)
{
    struct transport *disk = queue->transport;
    struct virtq_completion done;
    unsigned waits = 0;

    send_read(queue, addr, 508, 4);
    check(queue_wait(queue, &done, 1) == 1 && landing[0] != 0x5a, "what is mapped is written");
    judge(refusal, addr[2]);
    if (virtq_feature_has(disk->features, VIRTIO_F_RING_PACKED)) {
        return;
    }
    send_read(queue, addr, PAGE, 2 * PAGE);
    while ((disk->ops->read_status(disk) & STATUS_NEEDS_RESET) == 0) {
        check(waits++ < WAITS, "the disk fails");
    }
    check(virtq_driver_poll(queue->driver, &done, 1) == 0 && request[16] == 0xa5,
          "the request is not carried out");
    judge(refusal, addr[2]);
}
#endif

void refusal_run(const struct refusal *refusal, struct transport *disk)
{
    struct virtq_space *space = refusal->space;
    struct queue queue;
    struct virtq_completion done;
    virtq_addr_t addr[3];

    transport_open(disk, QUEUE_FEATURES);
    queue_open(&queue, disk, 0, space);
    transport_start(disk);
    addr[0] = share(space, request, PAGE, VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE);
    addr[1] = share(space, landing, sizeof(landing), VIRTQ_PERMISSION_WRITE);
    addr[2] = share(space, target, sizeof(target), VIRTQ_PERMISSION_WRITE);
    send_read(&queue, addr, PAGE, 2 * PAGE);
    check(queue_wait(&queue, &done, 1) == 1 && done.len == 3 * PAGE + 1 && request[16] == 0 &&
              target[0] != 0x5a,
          "mapped, memory is written");
    virtq_space_unshare(space, addr[2], sizeof(target));
    if (refusal->stopped != NULL) {
        refuse_stopped(refusal, &queue, addr);
    } else {
        refuse(refusal, &queue, addr);
    }
    transport_stop(disk);
    queue_close(&queue);
    virtq_space_unshare(space, addr[1], sizeof(landing));
    virtq_space_unshare(space, addr[0], PAGE);
}
