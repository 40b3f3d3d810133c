/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The driver end of a queue in both tiers, behind one table of calls, so that one
 * test body runs over all of them; and the ring it writes.
 */
#ifndef VIRTQ_TESTS_DRIVER_CALLS_H
#define VIRTQ_TESTS_DRIVER_CALLS_H

#include "support/runner.h"
#include "virtq/inline/driver_state.h"

union driver_queue {
    struct virtq_driver *library;
    struct CALLS(_driver) ring;
};

struct driver_calls {
    size_t (*size)(const struct virtq_driver_config *config);
    int (*init)(union driver_queue *q, void *memory, size_t size,
                const struct virtq_driver_config *config);
    int (*add)(union driver_queue *q, const struct virtq_buffer *buffers, unsigned count);
    unsigned (*publish)(union driver_queue *q);
    bool (*needs_notify)(union driver_queue *q, uint32_t *data);
    int (*poll)(union driver_queue *q, struct virtq_completion *completions, unsigned count);
    bool (*enable_notify)(union driver_queue *q, unsigned after);
    void (*disable_notify)(union driver_queue *q);
    int (*detach)(union driver_queue *q, void **cookie);
    int (*reset)(union driver_queue *q);
    int (*resize)(union driver_queue *q, const struct virtq_driver_config *config);
    int (*save)(union driver_queue *q, struct virtq_state *state);
    int (*restore)(union driver_queue *q, const struct virtq_state *state);
    void (*destroy)(union driver_queue *q);
    const struct virtq_driver_core *(*core)(const union driver_queue *q);
};

/* ---- The library tier ---- */

static inline int library_driver_init(union driver_queue *q, void *memory, size_t size,
                                      const struct virtq_driver_config *config)
{
    return virtq_driver_init(memory, size, config, &q->library);
}

static inline int library_driver_add(union driver_queue *q, const struct virtq_buffer *buffers,
                                     unsigned count)
{
    return virtq_driver_add(q->library, buffers, count);
}

static inline unsigned library_driver_publish(union driver_queue *q)
{
    return virtq_driver_publish(q->library);
}

static inline bool library_driver_needs_notify(union driver_queue *q, uint32_t *data)
{
    return virtq_driver_needs_notify(q->library, data);
}

static inline int library_driver_poll(union driver_queue *q, struct virtq_completion *completions,
                                      unsigned count)
{
    return virtq_driver_poll(q->library, completions, count);
}

static inline bool library_driver_enable_notify(union driver_queue *q, unsigned after)
{
    return after == 1 ? virtq_driver_enable_notify(q->library)
                      : virtq_driver_enable_notify_after(q->library, after);
}

static inline void library_driver_disable_notify(union driver_queue *q)
{
    virtq_driver_disable_notify(q->library);
}

static inline int library_driver_detach(union driver_queue *q, void **cookie)
{
    return virtq_driver_detach(q->library, cookie);
}

static inline int library_driver_reset(union driver_queue *q)
{
    return virtq_driver_reset(q->library);
}

static inline int library_driver_resize(union driver_queue *q,
                                        const struct virtq_driver_config *config)
{
    return virtq_driver_resize(q->library, config);
}

static inline int library_driver_save(union driver_queue *q, struct virtq_state *state)
{
    return virtq_driver_save(q->library, state);
}

static inline int library_driver_restore(union driver_queue *q, const struct virtq_state *state)
{
    return virtq_driver_restore(q->library, state);
}

static inline void library_driver_destroy(union driver_queue *q)
{
    virtq_driver_destroy(q->library);
}

static const struct driver_calls library_driver = {virtq_driver_size,
                                                   library_driver_init,
                                                   library_driver_add,
                                                   library_driver_publish,
                                                   library_driver_needs_notify,
                                                   library_driver_poll,
                                                   library_driver_enable_notify,
                                                   library_driver_disable_notify,
                                                   library_driver_detach,
                                                   library_driver_reset,
                                                   library_driver_resize,
                                                   library_driver_save,
                                                   library_driver_restore,
                                                   library_driver_destroy,
                                                   NULL};

/* ---- The inline tier ---- */

static inline int inline_driver_init(union driver_queue *q, void *memory, size_t size,
                                     const struct virtq_driver_config *config)
{
    return CALLS(_driver_init)(&q->ring, config, memory, size);
}

static inline int inline_driver_add(union driver_queue *q, const struct virtq_buffer *buffers,
                                    unsigned count)
{
    return CALLS(_driver_add)(&q->ring, VIRTQ_INSTANCE_DIRECT, buffers, count);
}

static inline unsigned inline_driver_publish(union driver_queue *q)
{
    return CALLS(_driver_publish)(&q->ring, VIRTQ_INSTANCE_DIRECT);
}

static inline bool inline_driver_needs_notify(union driver_queue *q, uint32_t *data)
{
    return CALLS(_driver_needs_notify)(&q->ring, VIRTQ_INSTANCE_DIRECT, data);
}

static inline int inline_driver_poll(union driver_queue *q, struct virtq_completion *completions,
                                     unsigned count)
{
    return CALLS(_driver_poll)(&q->ring, VIRTQ_INSTANCE_DIRECT, completions, count);
}

static inline bool inline_driver_enable_notify(union driver_queue *q, unsigned after)
{
    return CALLS(_driver_enable_notify)(&q->ring, VIRTQ_INSTANCE_DIRECT, after);
}

static inline void inline_driver_disable_notify(union driver_queue *q)
{
    CALLS(_driver_disable_notify)(&q->ring, VIRTQ_INSTANCE_DIRECT);
}

static inline int inline_driver_detach(union driver_queue *q, void **cookie)
{
    return virtq_driver_setup_detach(&q->ring.core, VIRTQ_INSTANCE_DIRECT, cookie);
}

static inline int inline_driver_reset(union driver_queue *q)
{
    if (virtq_driver_setup_busy(&q->ring.core)) {
        return VIRTQ_EBUSY;
    }
    CALLS(_driver_start)(&q->ring);
    return VIRTQ_OK;
}

static inline int inline_driver_resize(union driver_queue *q,
                                       const struct virtq_driver_config *config)
{
    return CALLS(_driver_resize)(&q->ring, config);
}

static inline int inline_driver_save(union driver_queue *q, struct virtq_state *state)
{
    return CALLS(_driver_save)(&q->ring, state);
}

static inline int inline_driver_restore(union driver_queue *q, const struct virtq_state *state)
{
    return CALLS(_driver_restore)(&q->ring, VIRTQ_INSTANCE_DIRECT, state);
}

static inline void inline_driver_destroy(union driver_queue *q)
{
    virtq_driver_setup_destroy(&q->ring.core, VIRTQ_INSTANCE_DIRECT);
}

static inline const struct virtq_driver_core *inline_driver_core(const union driver_queue *q)
{
    return &q->ring.core;
}

static const struct driver_calls inline_driver = {
    virtq_driver_setup_size,     inline_driver_init,           inline_driver_add,
    inline_driver_publish,       inline_driver_needs_notify,   inline_driver_poll,
    inline_driver_enable_notify, inline_driver_disable_notify, inline_driver_detach,
    inline_driver_reset,         inline_driver_resize,         inline_driver_save,
    inline_driver_restore,       inline_driver_destroy,        inline_driver_core};

#endif
