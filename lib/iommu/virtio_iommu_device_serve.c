/* SPDX-License-Identifier: BSD-3-Clause */
/* The request queue: popped, carried out, pushed and published in batches. */
#include <string.h>

#include "virtio_iommu_device_private.h"

/* Pushes what is answered. A ring whose window was withdrawn takes it later. */
static int push_done(struct virtq_virtio_iommu_device *iommu, struct virtq_device *queue)
{
    int pushed;

    if (iommu->done_count == 0) {
        return 0;
    }
    pushed = virtq_device_push(queue, iommu->done, iommu->done_count);
    if (pushed > 0) {
        iommu->done_count -= (uint32_t)pushed;
        memmove(iommu->done, iommu->done + pushed, iommu->done_count * sizeof(*iommu->done));
    }
    return pushed;
}

/* One request; false: it waits, and is kept. */
static bool serve_one(struct virtq_virtio_iommu_device *iommu, const struct virtq_chain *chain)
{
    struct virtq_used_buffer *done = &iommu->done[iommu->done_count];

    if (virtq_virtio_iommu_device_handle(iommu, chain, &done->len) != VIRTQ_OK) {
        iommu->held = *chain;
        iommu->holds = 1;
        return false;
    }
    done->id = chain->id;
    iommu->done_count++;
    return true;
}

/* Takes requests off the queue and answers them. Those behind one that waits are put back. */
static int serve_batch(struct virtq_virtio_iommu_device *iommu, struct virtq_device *queue,
                       unsigned budget)
{
    struct virtq_chain chains[VIOMMU_BATCH];
    const unsigned most = budget < (unsigned)VIOMMU_BATCH ? budget : (unsigned)VIOMMU_BATCH;
    int count;
    int i;

    if (iommu->holds != 0) {
        const struct virtq_chain chain = iommu->held;

        iommu->holds = 0;
        return serve_one(iommu, &chain) ? 1 : 0;
    }
    count = virtq_device_pop(queue, chains, most, iommu->pieces, iommu->piece_count);
    for (i = 0; i < count; i++) {
        if (!serve_one(iommu, &chains[i])) {
            const int behind = count - i - 1;

            return behind == 0 ? count
                               : virtq_device_unpop(queue, &chains[i + 1], (unsigned)behind);
        }
    }
    return count;
}

int virtq_virtio_iommu_device_serve(struct virtq_virtio_iommu_device *iommu,
                                    struct virtq_device *queue, unsigned budget)
{
    unsigned total = 0;
    int result = 0;
    int shown;

    while (total < budget) {
        int pushed;

        if (iommu->done_count == 0) {
            result = serve_batch(iommu, queue, budget - total);
            if (result < 0 || (result == 0 && iommu->done_count == 0)) {
                break;
            }
        }
        pushed = push_done(iommu, queue);
        if (pushed < 0) {
            result = pushed;
            break;
        }
        total += (unsigned)pushed;
        if (iommu->holds != 0) {
            break;
        }
    }
    shown = virtq_device_publish(queue);
    if (total != 0) {
        return (int)total;
    }
    return result < 0 ? result : shown < 0 ? shown : 0;
}
