/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The device end of a queue in both tiers, behind one table of calls, so that one
 * test body runs over all of them.
 */
#ifndef VIRTQ_TESTS_DEVICE_CALLS_H
#define VIRTQ_TESTS_DEVICE_CALLS_H

#include "support/runner.h"
#include "virtq/inline/device_setup.h"

union device_queue {
    struct virtq_device *library;
    struct CALLS(_device) ring;
};

struct device_calls {
    size_t (*size)(const struct virtq_device_config *config);
    int (*init)(union device_queue *q, void *memory, size_t size,
                const struct virtq_device_config *config);
    int (*pop)(union device_queue *q, struct virtq_chain *chains, unsigned count,
               struct virtq_piece *pieces, unsigned piece_count);
    int (*unpop)(union device_queue *q, const struct virtq_chain *chains, unsigned count);
    int (*push)(union device_queue *q, const struct virtq_used_buffer *used, unsigned count);
    int (*publish)(union device_queue *q);
    int (*needs_notify)(union device_queue *q);
    bool (*enable_notify)(union device_queue *q);
    void (*disable_notify)(union device_queue *q);
    uint32_t (*quiesce)(union device_queue *q);
    void (*resume)(union device_queue *q);
    void (*reset)(union device_queue *q);
    int (*save)(union device_queue *q, struct virtq_state *state);
    int (*restore)(union device_queue *q, const struct virtq_state *state);
    const struct virtq_device_core *(*core)(const union device_queue *q);
};

/* ---- The library tier ---- */

static inline int library_device_init(union device_queue *q, void *memory, size_t size,
                                      const struct virtq_device_config *config)
{
    return virtq_device_init(memory, size, config, &q->library, NULL);
}

static inline int library_device_pop(union device_queue *q, struct virtq_chain *chains,
                                     unsigned count, struct virtq_piece *pieces,
                                     unsigned piece_count)
{
    return virtq_device_pop(q->library, chains, count, pieces, piece_count);
}

static inline int library_device_unpop(union device_queue *q, const struct virtq_chain *chains,
                                       unsigned count)
{
    return virtq_device_unpop(q->library, chains, count);
}

static inline int library_device_push(union device_queue *q, const struct virtq_used_buffer *used,
                                      unsigned count)
{
    return virtq_device_push(q->library, used, count);
}

static inline int library_device_publish(union device_queue *q)
{
    return virtq_device_publish(q->library);
}

static inline int library_device_needs_notify(union device_queue *q)
{
    return virtq_device_needs_notify(q->library);
}

static inline bool library_device_enable_notify(union device_queue *q)
{
    return virtq_device_enable_notify(q->library);
}

static inline void library_device_disable_notify(union device_queue *q)
{
    virtq_device_disable_notify(q->library);
}

static inline uint32_t library_device_quiesce(union device_queue *q)
{
    return virtq_device_quiesce(q->library);
}

static inline void library_device_resume(union device_queue *q)
{
    virtq_device_resume(q->library);
}

static inline void library_device_reset(union device_queue *q)
{
    virtq_device_reset(q->library);
}

static inline int library_device_save(union device_queue *q, struct virtq_state *state)
{
    return virtq_device_save(q->library, state);
}

static inline int library_device_restore(union device_queue *q, const struct virtq_state *state)
{
    return virtq_device_restore(q->library, state);
}

static const struct device_calls library_device = {
    virtq_device_size,           library_device_init,          library_device_pop,
    library_device_unpop,        library_device_push,          library_device_publish,
    library_device_needs_notify, library_device_enable_notify, library_device_disable_notify,
    library_device_quiesce,      library_device_resume,        library_device_reset,
    library_device_save,         library_device_restore,       NULL};

/* ---- The inline tier ---- */

static inline int inline_device_init(union device_queue *q, void *memory, size_t size,
                                     const struct virtq_device_config *config)
{
    return CALLS(_device_init)(&q->ring, config, memory, size, NULL);
}

static inline int inline_device_pop(union device_queue *q, struct virtq_chain *chains,
                                    unsigned count, struct virtq_piece *pieces,
                                    unsigned piece_count)
{
    return CALLS(_device_pop)(&q->ring, VIRTQ_INSTANCE_DIRECT, chains, count, pieces, piece_count);
}

static inline int inline_device_unpop(union device_queue *q, const struct virtq_chain *chains,
                                      unsigned count)
{
    return CALLS(_device_unpop)(&q->ring, chains, count);
}

static inline int inline_device_push(union device_queue *q, const struct virtq_used_buffer *used,
                                     unsigned count)
{
    return CALLS(_device_push)(&q->ring, VIRTQ_INSTANCE_DIRECT, used, count);
}

static inline int inline_device_publish(union device_queue *q)
{
    return CALLS(_device_publish)(&q->ring, VIRTQ_INSTANCE_DIRECT);
}

static inline int inline_device_needs_notify(union device_queue *q)
{
    return CALLS(_device_needs_notify)(&q->ring, VIRTQ_INSTANCE_DIRECT);
}

static inline bool inline_device_enable_notify(union device_queue *q)
{
    return CALLS(_device_enable_notify)(&q->ring, VIRTQ_INSTANCE_DIRECT);
}

static inline void inline_device_disable_notify(union device_queue *q)
{
    CALLS(_device_disable_notify)(&q->ring, VIRTQ_INSTANCE_DIRECT);
}

static inline uint32_t inline_device_quiesce(union device_queue *q)
{
    q->ring.core.flags |= VIRTQ_CORE_QUIESCED;
    return q->ring.core.in_flight;
}

static inline void inline_device_resume(union device_queue *q)
{
    q->ring.core.flags &= ~(uint32_t)VIRTQ_CORE_QUIESCED;
}

static inline void inline_device_reset(union device_queue *q)
{
    CALLS(_device_start)(&q->ring, VIRTQ_INSTANCE_DIRECT, CALLS_START, CALLS_START);
}

static inline int inline_device_save(union device_queue *q, struct virtq_state *state)
{
    return virtq_device_setup_save(&q->ring.core, CALLS_FORMAT, q->ring.popped, q->ring.published,
                                   state);
}

static inline int inline_device_restore(union device_queue *q, const struct virtq_state *state)
{
    int error = virtq_device_setup_restorable(&q->ring.core, CALLS_FORMAT, state);

    if (error == VIRTQ_OK) {
        CALLS(_device_start)(&q->ring, VIRTQ_INSTANCE_DIRECT, state->available, state->used);
        q->ring.core.untested = VIRTQ_UNTESTED_MANY;
    }
    return error;
}

static inline const struct virtq_device_core *inline_device_core(const union device_queue *q)
{
    return &q->ring.core;
}

static const struct device_calls inline_device = {
    virtq_device_setup_size,    inline_device_init,          inline_device_pop,
    inline_device_unpop,        inline_device_push,          inline_device_publish,
    inline_device_needs_notify, inline_device_enable_notify, inline_device_disable_notify,
    inline_device_quiesce,      inline_device_resume,        inline_device_reset,
    inline_device_save,         inline_device_restore,       inline_device_core};

#endif
