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
    struct slot *waits; /* A bad buffer, of whose status nobody knows yet where it is; or NULL. */
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
    uint64_t slots;

    if (config->struct_size != sizeof(*config) || config->depth == 0 || config->depth > 32768 ||
        config->pieces < 3 || config->pieces > 32768) {
        return 0;
    }
    slots = (uint64_t)config->depth * slot_size(config->pieces);
    /* More than there are addresses, where these have 32 bits. */
    return slots > SIZE_MAX / 2 ? 0 : lists_size(config->depth) + (size_t)slots;
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
    made->waits = NULL;
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

/* A request is over: so many bytes of its buffer were written. */
static void end(struct virtq_blk_queue *queue, struct slot *slot, struct virtq_used_buffer used,
                uint32_t written)
{
    queue->done[queue->done_count++] = used;
    if (queue->backend != NULL) {
        /* Now: the next request may take its slot before it is pushed. */
        virtq_vhost_user_vring_written(queue->backend, queue->index, &slot->request.chain, written);
    }
    queue->idle[queue->idle_count++] = slot;
}

/* The driver is told of no byte, for those before the status were not written. But it may look
 * there all the same, and must not find the status of an earlier request. */
static void end_bad(struct virtq_blk_queue *queue, const struct virtq_piece *status)
{
    struct slot *slot = queue->waits;
    struct virtq_chain *chain = &slot->request.chain;
    const struct virtq_used_buffer used = {chain->id, 0};

    if (status != NULL) {
        *(unsigned char *)status->base = VIRTIO_BLK_S_IOERR;
        slot->pieces[0] = *status;
        chain->pieces = slot->pieces;
        chain->writable = 1;
        chain->writable_bytes = 1;
    }
    queue->waits = NULL;
    end(queue, slot, used, status != NULL ? 1 : 0);
}

/* 0, or why it has to wait. */
static int answer_bad(struct virtq_blk_queue *queue)
{
    struct virtq_piece status;
    const int found = virtq_device_last_byte(queue->device, &queue->waits->request.chain, &status);

    if (found == VIRTQ_EMISS || found == VIRTQ_EBROKEN) {
        return found;
    }
    end_bad(queue, found == 1 ? &status : NULL);
    return VIRTQ_OK;
}

/* A buffer that was taken: 1; 0: it was answered; or why it has to wait. */
static int judge(struct virtq_blk_queue *queue, struct slot *slot)
{
    if (slot->request.chain.reason != (uint32_t)VIRTQ_REASON_NONE) {
        queue->waits = slot;
        return answer_bad(queue);
    }
    if (virtq_blk_request_parse(&slot->request, queue->disk) == 1) {
        return 1;
    }
    (void)virtq_blk_queue_finish(queue, &slot->request);
    return 0;
}

VIRTQ_API int virtq_blk_queue_pop(struct virtq_blk_queue *queue, struct virtq_blk_request **request)
{
    int got = queue->waits != NULL ? answer_bad(queue) : 0;

    while (got == 0 && queue->idle_count > queue->done_count) {
        struct slot *slot = queue->idle[queue->idle_count - 1];

        got = take(queue, slot);
        if (got != 1) {
            return got;
        }
        queue->idle_count--;
        queue->popped++;
        queue->bad += slot->request.chain.reason != VIRTQ_REASON_NONE;
        *request = &slot->request;
        got = judge(queue, slot);
    }
    return got;
}

VIRTQ_API void virtq_blk_queue_give_up(struct virtq_blk_queue *queue)
{
    if (queue->waits != NULL) {
        end_bad(queue, NULL);
    }
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

    end(queue, (struct slot *)(void *)request, used, used.len);
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
    return queue->depth - queue->idle_count - (queue->waits != NULL ? 1u : 0u);
}

bool virtq_priv_blk_queue_full(const struct virtq_blk_queue *queue)
{
    return queue->waits != NULL || queue->idle_count <= queue->done_count;
}

void virtq_priv_blk_queue_count(const struct virtq_blk_queue *queue, uint64_t *popped,
                                uint64_t *bad)
{
    *popped = queue->popped;
    *bad = queue->bad;
}
