/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "align.h"
#include "blk_queue_private.h"

/* A request, then its pieces, then its vector: each begins where the one before ends. */
struct slot {
    struct virtq_blk_request request;
    struct virtq_piece pieces[];
};

/* `idle` holds numbers of slots, `done` what is to be pushed. There is room for `depth` of each:
 * idle slots are never fewer than what is done, or nothing is popped. */
struct virtq_blk_queue {
    struct virtq_device *device;
    struct virtq_vhost_user_backend *backend;
    const struct virtq_blk_disk *disk;
    unsigned char *slots;
    struct virtq_used_buffer *done;
    struct slot **idle;
    uint64_t popped;
    uint64_t bad;
    size_t slot_size;
    uint32_t depth;
    uint32_t pieces;
    uint32_t idle_count;
    uint32_t done_count;
    uint32_t index;
};

static size_t slot_size(uint32_t pieces)
{
    return virtq_priv_align_up(sizeof(struct slot) +
                               pieces * (sizeof(struct virtq_piece) + sizeof(struct iovec)));
}

static size_t lists_size(uint32_t depth)
{
    return virtq_priv_align_up(sizeof(struct virtq_blk_queue) +
                               depth * (sizeof(struct virtq_used_buffer) + sizeof(struct slot *)));
}

VIRTQ_API size_t virtq_blk_queue_size(const struct virtq_blk_queue_config *config)
{
    if (config->struct_size != sizeof(*config) || config->depth == 0 || config->depth > 32768 ||
        config->pieces < 3 || config->pieces > 32768) {
        return 0;
    }
    return lists_size(config->depth) + config->depth * slot_size(config->pieces);
}

VIRTQ_API int virtq_blk_queue_init(void *memory, size_t size,
                                   const struct virtq_blk_queue_config *config,
                                   struct virtq_blk_queue **queue)
{
    const size_t needed = virtq_blk_queue_size(config);
    struct virtq_blk_queue *made = memory;
    uint32_t i;

    if (needed == 0 || memory == NULL || (uintptr_t)memory % VIRTQ_CACHE_LINE != 0 ||
        config->device == NULL || config->disk == NULL) {
        return VIRTQ_EINVAL;
    }
    if (size < needed) {
        return VIRTQ_ENOMEM;
    }
    made->device = config->device;
    made->backend = config->backend;
    made->index = config->index;
    made->disk = config->disk;
    made->depth = config->depth;
    made->pieces = config->pieces;
    made->slot_size = slot_size(config->pieces);
    made->idle = (struct slot **)(void *)(made + 1);
    made->done = (struct virtq_used_buffer *)(void *)(made->idle + made->depth);
    made->slots = (unsigned char *)memory + lists_size(config->depth);
    made->popped = made->bad = 0;
    made->done_count = 0;
    made->idle_count = config->depth;
    for (i = 0; i < config->depth; i++) {
        /* The first ones are used first, and again and again: they stay in the cache. */
        made->idle[config->depth - 1 - i] =
            (struct slot *)(void *)(made->slots + i * made->slot_size);
    }
    *queue = made;
    return VIRTQ_OK;
}

/* The queue's own calls, or those that record and log. */
static int take(struct virtq_blk_queue *queue, struct slot *slot)
{
    struct virtq_chain *chain = &slot->request.chain;

    return queue->backend == NULL
               ? virtq_device_pop(queue->device, chain, 1, slot->pieces, queue->pieces)
               : virtq_vhost_user_vring_pop(queue->backend, queue->index, chain, 1, slot->pieces,
                                            queue->pieces);
}

static int give(struct virtq_blk_queue *queue)
{
    return queue->backend == NULL
               ? virtq_device_push(queue->device, queue->done, queue->done_count)
               : virtq_vhost_user_vring_push_used(queue->backend, queue->index, queue->done,
                                                  queue->done_count);
}

VIRTQ_API int virtq_blk_queue_pop(struct virtq_blk_queue *queue, struct virtq_blk_request **request)
{
    while (queue->idle_count > queue->done_count) {
        struct slot *slot = queue->idle[queue->idle_count - 1];
        const int got = take(queue, slot);

        if (got != 1) {
            return got;
        }
        queue->idle_count--;
        queue->popped++;
        queue->bad += slot->request.chain.reason != VIRTQ_REASON_NONE;
        if (virtq_blk_request_parse(&slot->request, queue->disk) == 1) {
            *request = &slot->request;
            return 1;
        }
        (void)virtq_blk_queue_finish(queue, &slot->request);
    }
    return 0;
}

VIRTQ_API struct iovec *virtq_blk_queue_vector(struct virtq_blk_queue *queue,
                                               struct virtq_blk_request *request, unsigned *count)
{
    struct slot *slot = (struct slot *)(void *)request;
    struct iovec *vector = (struct iovec *)(void *)(slot->pieces + queue->pieces);

    *count = virtq_blk_request_vector(request, vector, queue->pieces);
    return vector;
}

VIRTQ_API uint32_t virtq_blk_queue_finish(struct virtq_blk_queue *queue,
                                          struct virtq_blk_request *request)
{
    const struct virtq_used_buffer used = virtq_blk_request_finish(request);

    queue->done[queue->done_count++] = used;
    if (queue->backend != NULL) {
        /* Now: the next request may take its slot before it is pushed. */
        virtq_vhost_user_vring_written(queue->backend, queue->index, &request->chain, used.len);
    }
    queue->idle[queue->idle_count++] = (struct slot *)(void *)request;
    return queue->done_count;
}

VIRTQ_API int virtq_blk_queue_publish(struct virtq_blk_queue *queue)
{
    if (queue->done_count != 0) {
        const int pushed = give(queue);

        if (pushed < 0) {
            return pushed;
        }
        queue->done_count -= (uint32_t)pushed;
        memmove(queue->done, queue->done + pushed, queue->done_count * sizeof(queue->done[0]));
    }
    return queue->backend == NULL ? virtq_device_publish(queue->device)
                                  : virtq_vhost_user_vring_publish(queue->backend, queue->index);
}

VIRTQ_API uint32_t virtq_blk_queue_busy(const struct virtq_blk_queue *queue)
{
    return queue->depth - queue->idle_count;
}

void virtq_priv_blk_queue_count(const struct virtq_blk_queue *queue, uint64_t *popped,
                                uint64_t *bad)
{
    *popped = queue->popped;
    *bad = queue->bad;
}
