/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief Setting up, resetting, saving and restoring the device end: everything off the hot path,
 * for both formats.
 */
#ifndef VIRTQ_INLINE_DEVICE_SETUP_H
#define VIRTQ_INLINE_DEVICE_SETUP_H

#include "../state.h"
#include "packed_device.h"
#include "split_device.h"

/** @brief Which instance a configuration needs. Device-strength barriers and legacy byte order have
 * only the instances that ask the space, or nothing: beside them a call is cheap.
 * @param config it @return an enum virtq_instance */
VIRTQ_INLINE unsigned virtq_device_setup_instance(const struct virtq_device_config *config)
{
    unsigned kind = (unsigned)config->space->device_kind & (unsigned)VIRTQ_INSTANCE_KIND;
    unsigned flags = 0;

    if ((config->flags & (uint32_t)VIRTQ_DEVICE_BIG_ENDIAN) != 0u) {
        flags |= (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN;
    }
    if (virtq_feature_has(config->features, VIRTIO_F_ORDER_PLATFORM) != 0) {
        flags |= (unsigned)VIRTQ_INSTANCE_PLATFORM;
    }
    if (flags != 0u && kind != (unsigned)VIRTQ_INSTANCE_PREMAPPED) {
        kind = (unsigned)VIRTQ_INSTANCE_CALLED;
    }
    return kind | flags;
}

/** @brief Copies and checks a configuration. @param to the copy @param from the caller's @return
 * whether it is legal */
VIRTQ_INLINE bool virtq_device_setup_config(struct virtq_device_config *to,
                                            const struct virtq_device_config *from)
{
    const uint32_t known =
        (uint32_t)VIRTQ_DEVICE_RING_TRANSLATED | (uint32_t)VIRTQ_DEVICE_BIG_ENDIAN;

    if (from == NULL || !virtq_core_copy_config(to, sizeof(*to), from, from->struct_size)) {
        return false;
    }
    to->table_max = to->table_max == 0u ? to->size : to->table_max;
    return to->space != NULL && to->space->ops != NULL && (to->flags & ~known) == 0u &&
           to->space->device_kind <= (uint32_t)VIRTQ_SPACE_PREMAPPED &&
           to->space->ops->size >= offsetof(struct virtq_space_ops, batch) &&
           to->space->ops->window != NULL &&
           virtq_core_legal(to->format, to->size, to->features,
                            (to->flags & (uint32_t)VIRTQ_DEVICE_BIG_ENDIAN) != 0u);
}

/** @brief Lays the private memory of a queue out, or counts it. @param core where the pointers go
 * @param config a legal configuration @param carver where from */
VIRTQ_INLINE void virtq_device_setup_carve(struct virtq_device_core *core,
                                           const struct virtq_device_config *config,
                                           struct virtq_carver *carver)
{
    size_t size = config->size;

    core->entries =
        (struct virtq_device_entry *)virtq_core_carve(carver, size * sizeof(*core->entries));
    core->marks = (uint32_t *)virtq_core_carve(carver, (size + 31u) / 32u * sizeof(*core->marks));
    core->order = NULL;
    core->lengths = NULL;
    if (virtq_feature_has(config->features, VIRTIO_F_IN_ORDER) != 0) {
        core->order = (uint16_t *)virtq_core_carve(carver, size * sizeof(*core->order));
        core->lengths = (uint64_t *)virtq_core_carve(carver, size * sizeof(*core->lengths));
    }
}

/** @brief Bytes of private memory of a device's queue. @param config the configuration @return
 * bytes beyond the struct, 0 if it is illegal */
VIRTQ_INLINE size_t virtq_device_setup_size(const struct virtq_device_config *config)
{
    struct virtq_device_config copy;
    struct virtq_device_core core;
    struct virtq_carver carver = {NULL, 0};

    if (!virtq_device_setup_config(&copy, config)) {
        return 0;
    }
    virtq_device_setup_carve(&core, &copy, &carver);
    return carver.used;
}

/** @brief What follows from the configuration alone. @param core the queue @param config a legal
 * configuration */
VIRTQ_INLINE void virtq_device_setup_core(struct virtq_device_core *core,
                                          const struct virtq_device_config *config)
{
    core->space = config->space;
    core->generation = __atomic_load_n(&config->space->generation, __ATOMIC_ACQUIRE);
    core->flags = virtq_core_flags(config->features);
    core->flags |= (config->flags & (uint32_t)VIRTQ_DEVICE_RING_TRANSLATED) != 0u
                       ? (uint32_t)VIRTQ_CORE_TRANSLATED
                       : 0u;
    core->size = config->size;
    if ((core->flags & (uint32_t)VIRTQ_CORE_TABLES) != 0u) {
        core->table_bytes =
            config->table_max <= UINT32_MAX / 16u ? config->table_max * 16u : UINT32_MAX;
    } else {
        core->table_bytes = 0;
    }
    core->features = config->features;
    core->areas = config->areas;
    core->addresses = config->addresses;
}

/** @brief Prepares the core of a queue: checks, carves, finds the ring. Writes no memory but
 * `core`.
 * @param core result @param config the caller's @param format what it must say @param memory
 * private memory @param memory_size its bytes
 * @param miss result for VIRTQ_EMISS, or NULL @return 0 or an error */
VIRTQ_INLINE int virtq_device_setup_init(struct virtq_device_core *core,
                                         const struct virtq_device_config *config,
                                         enum virtq_format format, void *memory, size_t memory_size,
                                         struct virtq_miss *miss)
{
    struct virtq_device_config copy;
    struct virtq_carver carver = {(unsigned char *)memory, 0};
    bool packed = format == VIRTQ_FORMAT_PACKED;
    uint64_t size;
    int error = VIRTQ_OK;

    if (!virtq_device_setup_config(&copy, config) || copy.format != (uint32_t)format ||
        memory == NULL || ((uintptr_t)memory & (VIRTQ_CACHE_LINE - 1u)) != 0u) {
        return VIRTQ_EINVAL;
    }
    virtq_device_setup_carve(core, &copy, &carver);
    if (carver.used > memory_size) {
        return VIRTQ_ENOMEM;
    }
    virtq_device_setup_core(core, &copy);
    core->memory = memory;
    core->memory_size = memory_size;
    size = copy.size;
    if ((core->flags & VIRTQ_CORE_TRANSLATED) != 0u) {
        error = virtq_device_core_ring(core, size * 16u, packed ? 4u : size * 2u + 6u,
                                       packed ? 4u : size * 8u + 6u);
        if (error == VIRTQ_EMISS && miss != NULL) {
            *miss = core->miss;
        }
    }
    if (error == VIRTQ_OK && !virtq_core_aligned(&core->areas, core->features)) {
        error = VIRTQ_EINVAL;
    }
    return error;
}

/** @brief Puts the books to their start. @param core the queue @param how the instance */
VIRTQ_INLINE void virtq_device_setup_start(struct virtq_device_core *core, unsigned how)
{
    const unsigned kind = how & (unsigned)VIRTQ_INSTANCE_KIND;

    __builtin_memset(core->entries, 0, core->size * sizeof(*core->entries));
    __builtin_memset(core->marks, 0, (core->size + 31u) / 32u * sizeof(*core->marks));
    if (core->lengths != NULL) {
        __builtin_memset(core->order, 0, core->size * sizeof(*core->order));
        __builtin_memset(core->lengths, 0, core->size * sizeof(*core->lengths));
    }
    virtq_device_core_forget(core);
    if (kind == (unsigned)VIRTQ_INSTANCE_DIRECT || kind == (unsigned)VIRTQ_INSTANCE_BAR) {
        virtq_device_core_linear(core);
    }
    core->in_flight = 0;
    core->held = 0;
    core->stale = 0;
    core->unpublished = 0;
    core->untested = 0;
    core->first_test = 1;
    core->ticket = 1;
    core->ahead = 0;
    core->order_first = 0;
    core->order_next = 0;
    core->flags &= ~((uint32_t)VIRTQ_CORE_SILENT | (uint32_t)VIRTQ_CORE_QUIESCED);
    core->fault = (struct virtq_fault){(uint32_t)VIRTQ_REASON_NONE, 0, 0};
}

/** @brief Puts a split device to a position. @param q the queue @param how the instance @param
 * available index @param used index */
VIRTQ_INLINE void virtq_split_device_start(struct virtq_split_device *q, unsigned how,
                                           uint16_t available, uint16_t used)
{
    virtq_device_setup_start(&q->core, how);
    virtq_split_device_attach(q);
    q->core.ticket |= (uint32_t)available << 16;
    q->core.untaken = (uint16_t)(available - used);
    q->popped = available;
    q->seen = available;
    q->pushed = used;
    q->published = used;
}

/** @brief Puts a packed device to a position. @param q the queue @param how the instance @param
 * available position @param used position */
VIRTQ_INLINE void virtq_packed_device_start(struct virtq_packed_device *q, unsigned how,
                                            uint16_t available, uint16_t used)
{
    virtq_device_setup_start(&q->core, how);
    virtq_packed_device_attach(q);
    q->popped = available;
    q->pushed = used;
    q->published = used;
    q->slots = virtq_position_between(used, available, q->core.size);
    q->core.untaken = q->slots;
}

/** @brief Builds a split device. As virtq_device_init(), with the struct apart from its memory.
 * @param q result; untouched on an error @param config see there @param memory aligned to
 * #VIRTQ_CACHE_LINE @param memory_size at least virtq_device_setup_size() @param miss see there
 * @return see there */
VIRTQ_INLINE int virtq_split_device_init(struct virtq_split_device *q,
                                         const struct virtq_device_config *config, void *memory,
                                         size_t memory_size, struct virtq_miss *miss)
{
    struct virtq_split_device fresh;
    int error;

    __builtin_memset(&fresh, 0, sizeof(fresh));
    error =
        virtq_device_setup_init(&fresh.core, config, VIRTQ_FORMAT_SPLIT, memory, memory_size, miss);
    if (error == VIRTQ_OK) {
        virtq_split_device_start(&fresh, virtq_device_setup_instance(config), 0, 0);
        *q = fresh;
    }
    return error;
}

/** @brief Builds a packed device. As virtq_device_init(), with the struct apart from its memory.
 * @param q result; untouched on an error @param config see there @param memory aligned to
 * #VIRTQ_CACHE_LINE @param memory_size at least virtq_device_setup_size() @param miss see there
 * @return see there */
VIRTQ_INLINE int virtq_packed_device_init(struct virtq_packed_device *q,
                                          const struct virtq_device_config *config, void *memory,
                                          size_t memory_size, struct virtq_miss *miss)
{
    struct virtq_packed_device fresh;
    int error;

    __builtin_memset(&fresh, 0, sizeof(fresh));
    error = virtq_device_setup_init(&fresh.core, config, VIRTQ_FORMAT_PACKED, memory, memory_size,
                                    miss);
    if (error == VIRTQ_OK) {
        virtq_packed_device_start(&fresh, virtq_device_setup_instance(config), VIRTQ_POSITION_START,
                                  VIRTQ_POSITION_START);
        *q = fresh;
    }
    return error;
}

/** @brief Whether anything popped or pushed is not yet published. @param core the queue @return
 * whether */
VIRTQ_INLINE bool virtq_device_setup_busy(const struct virtq_device_core *core)
{
    return core->in_flight != 0u || core->held != 0u || core->unpublished != 0u;
}

/** @brief Fills a state in. @param core the queue @param format its format @param available
 * position @param used position @param state result @return 0 or VIRTQ_EBUSY */
VIRTQ_INLINE int virtq_device_setup_save(const struct virtq_device_core *core,
                                         enum virtq_format format, uint16_t available,
                                         uint16_t used, struct virtq_state *state)
{
    if (virtq_device_setup_busy(core)) {
        return VIRTQ_EBUSY;
    }
    state->format = (uint32_t)format;
    state->size = core->size;
    state->available = available;
    state->used = used;
    state->reserved_ = 0;
    return VIRTQ_OK;
}

/** @brief Validates a state for a queue. @param core the queue @param format its format @param
 * state not trusted @return 0, VIRTQ_EBUSY or VIRTQ_EINVAL */
VIRTQ_INLINE int virtq_device_setup_restorable(const struct virtq_device_core *core,
                                               enum virtq_format format,
                                               const struct virtq_state *state)
{
    if (virtq_device_setup_busy(core)) {
        return VIRTQ_EBUSY;
    }
    if (state->format != (uint32_t)format || state->size != core->size) {
        return VIRTQ_EINVAL;
    }
    return virtq_event_positions(format == VIRTQ_FORMAT_PACKED, state->size, state->available,
                                 state->used)
               ? VIRTQ_OK
               : VIRTQ_EINVAL;
}

#endif
