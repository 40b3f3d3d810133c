/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief Setting up, resetting and taking down the driver end: everything off the hot path, for
 * both formats.
 */
#ifndef VIRTQ_INLINE_DRIVER_SETUP_H
#define VIRTQ_INLINE_DRIVER_SETUP_H

#include "packed_driver.h"
#include "split_driver.h"

/** @brief Whether a space's table has a member. @param space the space @param end offset of the
 * member's end in the table @return whether the table is long enough; the member may still be NULL
 */
VIRTQ_INLINE bool virtq_space_reaches(const struct virtq_space *space, size_t end)
{
    return space->ops->size >= end;
}

/** @brief Whether a space can share. @param space the space @return whether */
VIRTQ_INLINE bool virtq_space_has_share(const struct virtq_space *space)
{
    return virtq_space_reaches(space, offsetof(struct virtq_space_ops, unshare)) &&
           space->ops->share != NULL;
}

/** @brief Whether a space can take back what it shared. @param space the space @return whether */
VIRTQ_INLINE bool virtq_space_has_unshare(const struct virtq_space *space)
{
    return virtq_space_reaches(space, offsetof(struct virtq_space_ops, window)) &&
           space->ops->unshare != NULL;
}

/** @brief Whether a space can map whole buffers. @param space the space @return whether */
VIRTQ_INLINE bool virtq_space_has_map(const struct virtq_space *space)
{
    return virtq_space_reaches(space, offsetof(struct virtq_space_ops, share)) &&
           space->ops->map != NULL && space->ops->unmap != NULL;
}

/** @brief Whether a space is to be told of buffers that come back together. @param space the space
 * @return whether */
VIRTQ_INLINE bool virtq_space_has_batch(const struct virtq_space *space)
{
    return virtq_space_reaches(space, sizeof(struct virtq_space_ops)) && space->ops->batch != NULL;
}

/** @brief Entries of a table, and runs of the largest buffer. A space that does not say how many
 * runs it gives may cut segments where its regions end: there is room for each to be cut once.
 * @param config a legal configuration @return how many, 1 to 65535 */
VIRTQ_INLINE size_t virtq_driver_setup_runs(const struct virtq_driver_config *config)
{
    size_t runs = config->segments_max;

    if (config->space->driver_kind != (uint32_t)VIRTQ_SPACE_CALLED) {
        return runs;
    }
    if (config->space->runs_max != 0u) {
        return runs > config->space->runs_max ? runs : config->space->runs_max;
    }
    return runs < UINT16_MAX / 2u ? runs * 2u : UINT16_MAX;
}

/** @brief Which instance a configuration needs. Device-strength barriers and legacy byte order have
 * only the instances that ask the space, or nothing: beside them a call is cheap.
 * @param config it @return an enum virtq_instance */
VIRTQ_INLINE unsigned virtq_driver_setup_instance(const struct virtq_driver_config *config)
{
    unsigned kind = (unsigned)config->space->driver_kind & (unsigned)VIRTQ_INSTANCE_KIND;
    unsigned flags = 0;

    if ((config->flags & (uint32_t)VIRTQ_DRIVER_BIG_ENDIAN) != 0u) {
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
VIRTQ_INLINE bool virtq_driver_setup_config(struct virtq_driver_config *to,
                                            const struct virtq_driver_config *from)
{
    const uint32_t known = (uint32_t)VIRTQ_DRIVER_STRICT_LENGTH | (uint32_t)VIRTQ_DRIVER_BIG_ENDIAN;

    if (from == NULL || !virtq_core_copy_config(to, sizeof(*to), from, from->struct_size)) {
        return false;
    }
    to->segments_max = to->segments_max == 0u ? 1u : to->segments_max;
    return to->space != NULL && to->space->ops != NULL && (to->flags & ~known) == 0u &&
           to->space->driver_kind <= (uint32_t)VIRTQ_SPACE_PREMAPPED &&
           virtq_core_legal(to->format, to->size, to->features,
                            (to->flags & (uint32_t)VIRTQ_DRIVER_BIG_ENDIAN) != 0u) &&
           virtq_space_has_share(to->space) &&
           ((virtq_driver_setup_instance(to) & (unsigned)VIRTQ_INSTANCE_KIND) !=
                (unsigned)VIRTQ_INSTANCE_CALLED ||
            virtq_space_has_map(to->space));
}

/** @brief Lays the private memory of a queue out, or counts it. @param core where the pointers go
 * @param config a legal configuration @param carver where from @param next result: the split
 * format's free list, the packed format's ids
 * @param heads result: the split format's copy of the available ring */
VIRTQ_INLINE void virtq_driver_setup_carve(struct virtq_driver_core *core,
                                           const struct virtq_driver_config *config,
                                           struct virtq_carver *carver, uint16_t **next,
                                           uint16_t **heads)
{
    unsigned kind = virtq_driver_setup_instance(config) & (unsigned)VIRTQ_INSTANCE_KIND;
    size_t size = config->size;

    core->entries =
        (struct virtq_driver_entry *)virtq_core_carve(carver, size * sizeof(*core->entries));
    *next = (uint16_t *)virtq_core_carve(carver, size * sizeof(**next));
    *heads = (uint16_t *)virtq_core_carve(carver, size * sizeof(**heads));
    core->runs = NULL;
    core->records = NULL;
    core->record_size = 0;
    if (kind == (unsigned)VIRTQ_INSTANCE_CALLED) {
        core->record_size =
            VIRTQ_RECORD_HEADER + virtq_space_record_size(config->space, config->segments_max);
        core->runs = (struct virtq_run *)virtq_core_carve(carver, virtq_driver_setup_runs(config) *
                                                                      sizeof(*core->runs));
        core->records = (unsigned char *)virtq_core_carve(carver, size * core->record_size);
    }
}

/** @brief What can be set before the ring is shared. @param core the queue @param config a legal
 * configuration */
VIRTQ_INLINE void virtq_driver_setup_core(struct virtq_driver_core *core,
                                          const struct virtq_driver_config *config)
{
    const struct virtq_window *linear = &config->space->linear;
    uint16_t runs_max = config->space->runs_max;

    core->space = config->space;
    core->linear = *linear;
    core->delta = linear->first - (uint64_t)(uintptr_t)linear->base;
    core->size = config->size;
    core->flags = virtq_core_flags(config->features);
    core->flags &= config->tables != NULL ? ~0u : ~(uint32_t)VIRTQ_CORE_TABLES;
    core->flags |= (config->flags & (uint32_t)VIRTQ_DRIVER_STRICT_LENGTH) != 0u
                       ? (uint32_t)VIRTQ_CORE_STRICT_LENGTH
                       : 0u;
    core->flags |= virtq_space_has_batch(config->space) ? (uint32_t)VIRTQ_CORE_BATCHES : 0u;
    core->segments_max = config->segments_max;
    core->table_span =
        (core->flags & (uint32_t)VIRTQ_CORE_TABLES) != 0u ? config->segments_max - 1u : 0u;
    core->runs_max = (uint16_t)virtq_driver_setup_runs(config);
    core->room_least = (core->flags & (uint32_t)VIRTQ_CORE_TABLES) != 0u ? 1u : core->runs_max;
    core->runs_least = runs_max != 0u ? runs_max : UINT16_MAX;
    core->tables = (unsigned char *)config->tables;
    core->table_bytes = (uint32_t)virtq_driver_setup_runs(config) * 16u;
    core->config_flags = config->flags;
    core->features = config->features;
    core->areas = config->areas;
    core->notify_id = config->notify_id;
}

/** @brief One area to share. */
struct virtq_driver_area {
    void *base;           /**< In this program's memory. */
    virtq_addr_t *addr;   /**< Where its device address goes. */
    uint64_t len;         /**< Bytes. */
    uint32_t permissions; /**< What the device does there. */
};

/** @brief Lists a queue's areas, its tables last if it has any. @param core the queue, `size` and
 * `areas` set
 * @param areas result @return how many: 3 or 4 */
VIRTQ_INLINE unsigned virtq_driver_setup_areas(struct virtq_driver_core *core,
                                               struct virtq_driver_area areas[4])
{
    const bool packed = virtq_feature_has(core->features, VIRTIO_F_RING_PACKED) != 0;
    const uint32_t read = VIRTQ_PERMISSION_READ;
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    const uint64_t size = core->size;
    struct virtq_area_addresses *to = &core->addresses;

    areas[0] = (struct virtq_driver_area){core->areas.descriptor, &to->descriptor, size * 16u,
                                          packed ? both : read};
    areas[1] = (struct virtq_driver_area){core->areas.driver, &to->driver,
                                          packed ? 4u : size * 2u + 6u, read};
    areas[2] = (struct virtq_driver_area){core->areas.device, &to->device,
                                          packed ? 4u : size * 8u + 6u, both};
    areas[3] = (struct virtq_driver_area){core->tables, &core->tables_addr,
                                          core->table_bytes * size, read};
    return (core->flags & VIRTQ_CORE_TABLES) != 0u ? 4u : 3u;
}

/** @brief Gives shared areas back. @param core the queue @param areas them @param count how many,
 * from the first on */
VIRTQ_INLINE void virtq_driver_setup_unshare(struct virtq_driver_core *core,
                                             const struct virtq_driver_area *areas, unsigned count)
{
    if (!virtq_space_has_unshare(core->space)) {
        return;
    }
    while (count-- > 0u) {
        core->space->ops->unshare(core->space, *areas[count].addr, areas[count].len);
    }
}

/** @brief Shares a queue's areas; all or none. @param core the queue @return 0 or the space's error
 */
VIRTQ_INLINE int virtq_driver_setup_share(struct virtq_driver_core *core)
{
    struct virtq_driver_area areas[4];
    unsigned count = virtq_driver_setup_areas(core, areas);

    for (unsigned i = 0; i < count; i++) {
        int error = core->space->ops->share(core->space, areas[i].base, areas[i].len,
                                            areas[i].permissions, areas[i].addr);

        if (error != VIRTQ_OK) {
            virtq_driver_setup_unshare(core, areas, i);
            return error;
        }
    }
    return VIRTQ_OK;
}

/** @brief Zeroes the shared areas and puts the books to their start. S11: used.flags is 0; P1: all
 * flags are 0.
 * @param core the queue @param next the split format's free list, or NULL */
VIRTQ_INLINE void virtq_driver_setup_start(struct virtq_driver_core *core, uint16_t *next)
{
    struct virtq_driver_area areas[4];
    const uint32_t size = core->size;

    (void)virtq_driver_setup_areas(core, areas);
    for (unsigned i = 0; i < 3u; i++) {
        virtq_shm_zero(areas[i].base, areas[i].len);
    }
    __builtin_memset(core->entries, 0, size * sizeof(*core->entries));
    for (uint32_t i = 0; i < size; i++) {
        uint16_t after = (uint16_t)(i + 1u == size ? 0u : i + 1u);

        core->entries[i].link = after;
        if (next != NULL) {
            next[i] = after;
        }
    }
    core->room = (uint16_t)size;
    core->outstanding = 0;
    core->unpublished = 0;
    core->untested = 0;
    core->detach = 0;
    core->flags &= ~((uint32_t)VIRTQ_CORE_SILENT | (uint32_t)VIRTQ_CORE_DETACHED);
    core->fault = (struct virtq_fault){(uint32_t)VIRTQ_REASON_NONE, 0, 0};
}

/** @brief Takes one buffer out of the books that the device has not used. @param core the queue
 * @param how the instance @param cookie result @return 1, or 0 for none */
VIRTQ_INLINE int virtq_driver_setup_detach(struct virtq_driver_core *core, unsigned how,
                                           void **cookie)
{
    for (; core->detach < core->size; core->detach++) {
        struct virtq_driver_entry *entry = &core->entries[core->detach];

        if (entry->slots == 0u) {
            continue;
        }
        if ((how & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_CALLED) {
            virtq_driver_map_undo(core, (uint16_t)core->detach, 0);
        }
        *cookie = entry->cookie;
        entry->slots = 0;
        /* The ring still shows the buffer to the device: no more may be added before a reset. S7.
         */
        core->room = 0;
        core->outstanding = 0;
        core->unpublished = 0;
        core->flags |= VIRTQ_CORE_DETACHED;
        return 1;
    }
    core->detach = 0;
    return 0;
}

/** @brief Whether any buffer is outstanding. @param core the queue @return whether */
VIRTQ_INLINE bool virtq_driver_setup_busy(const struct virtq_driver_core *core)
{
    for (uint32_t i = 0; i < core->size; i++) {
        if (core->entries[i].slots != 0u) {
            return true;
        }
    }
    return false;
}

/** @brief Bytes of private memory of a split driver. @param config the configuration @return bytes
 * beyond the struct, 0 if it is illegal */
VIRTQ_INLINE size_t virtq_driver_setup_size(const struct virtq_driver_config *config)
{
    struct virtq_driver_config copy;
    struct virtq_driver_core core;
    struct virtq_carver carver = {NULL, 0};
    uint16_t *next;
    uint16_t *heads;

    if (!virtq_driver_setup_config(&copy, config)) {
        return 0;
    }
    virtq_driver_setup_carve(&core, &copy, &carver, &next, &heads);
    return carver.used;
}

/** @brief Puts positions to their start. @param q the queue */
VIRTQ_INLINE void virtq_split_driver_start(struct virtq_split_driver *q)
{
    unsigned char *avail = (unsigned char *)q->core.areas.driver;
    unsigned char *used = (unsigned char *)q->core.areas.device;
    uint32_t round = q->core.size;

    /* I1: in order, descriptors come in the order of the table. */
    if ((q->core.flags & VIRTQ_CORE_IN_ORDER) == 0u && round > VIRTQ_SPLIT_DRIVER_ROUND) {
        round = VIRTQ_SPLIT_DRIVER_ROUND;
    }
    virtq_driver_setup_start(&q->core, q->next);
    __builtin_memset(q->heads, 0, q->core.size * sizeof(*q->heads));
    q->desc = (struct virtq_desc *)q->core.areas.descriptor;
    q->avail = (struct virtq_avail *)(void *)avail;
    q->ring = (uint16_t *)(void *)(avail + sizeof(struct virtq_avail));
    q->used = (struct virtq_used *)(void *)used;
    q->elements = (struct virtq_used_elem *)(void *)(used + sizeof(struct virtq_used));
    q->mask = (uint16_t)(q->core.size - 1u);
    q->head = 0;
    q->tail = (uint16_t)(round - 1u);
    q->spare = (uint16_t)(q->core.size - round);
    q->added = 0;
    q->published = 0;
    q->polled = 0;
    q->seen = 0;
    q->oldest = 0;
    q->batch = 0;
}

/** @brief Puts positions to their start. @param q the queue */
VIRTQ_INLINE void virtq_packed_driver_start(struct virtq_packed_driver *q)
{
    virtq_driver_setup_start(&q->core, NULL);
    q->desc = (struct pvirtq_desc *)q->core.areas.descriptor;
    q->own_event = (uint32_t *)q->core.areas.driver;
    q->event = (const uint32_t *)q->core.areas.device;
    q->id = 0;
    q->added = VIRTQ_POSITION_START;
    q->published = VIRTQ_POSITION_START;
    q->polled = VIRTQ_POSITION_START;
    q->oldest = 0;
    q->batch = 0;
}

/** @brief Prepares the core of a queue: checks, carves, shares. @param core result @param config
 * the caller's @param format what it must say @param memory private memory @param memory_size its
 * bytes @param next result @param heads result
 * @return 0 or an error, then nothing is shared */
VIRTQ_INLINE int virtq_driver_setup_init(struct virtq_driver_core *core,
                                         const struct virtq_driver_config *config,
                                         enum virtq_format format, void *memory, size_t memory_size,
                                         uint16_t **next, uint16_t **heads)
{
    struct virtq_driver_config copy;
    struct virtq_carver carver = {(unsigned char *)memory, 0};

    if (!virtq_driver_setup_config(&copy, config) || copy.format != (uint32_t)format ||
        !virtq_core_aligned(&copy.areas, copy.features) || ((uintptr_t)copy.tables & 15u) != 0u ||
        memory == NULL || ((uintptr_t)memory & (VIRTQ_CACHE_LINE - 1u)) != 0u) {
        return VIRTQ_EINVAL;
    }
    if (virtq_driver_setup_size(&copy) > memory_size) {
        return VIRTQ_ENOMEM;
    }
    __builtin_memset(core, 0, sizeof(*core));
    virtq_driver_setup_carve(core, &copy, &carver, next, heads);
    virtq_driver_setup_core(core, &copy);
    core->memory = memory;
    core->memory_size = memory_size;
    return virtq_driver_setup_share(core);
}

/** @brief Builds a split driver. As virtq_driver_init(), with the struct apart from its memory.
 * @param q result; untouched on an error @param config see there @param memory aligned to
 * #VIRTQ_CACHE_LINE @param memory_size at least virtq_driver_setup_size() @return see there */
VIRTQ_INLINE int virtq_split_driver_init(struct virtq_split_driver *q,
                                         const struct virtq_driver_config *config, void *memory,
                                         size_t memory_size)
{
    struct virtq_split_driver fresh;
    int error;

    __builtin_memset(&fresh, 0, sizeof(fresh));
    error = virtq_driver_setup_init(&fresh.core, config, VIRTQ_FORMAT_SPLIT, memory, memory_size,
                                    &fresh.next, &fresh.heads);
    if (error == VIRTQ_OK) {
        virtq_split_driver_start(&fresh);
        *q = fresh;
    }
    return error;
}

/** @brief Builds a packed driver. As virtq_driver_init(), with the struct apart from its memory.
 * @param q result; untouched on an error @param config see there @param memory aligned to
 * #VIRTQ_CACHE_LINE @param memory_size at least virtq_driver_setup_size() @return see there */
VIRTQ_INLINE int virtq_packed_driver_init(struct virtq_packed_driver *q,
                                          const struct virtq_driver_config *config, void *memory,
                                          size_t memory_size)
{
    struct virtq_packed_driver fresh;
    uint16_t *unused;
    int error;

    __builtin_memset(&fresh, 0, sizeof(fresh));
    error = virtq_driver_setup_init(&fresh.core, config, VIRTQ_FORMAT_PACKED, memory, memory_size,
                                    &fresh.ids, &unused);
    if (error == VIRTQ_OK) {
        virtq_packed_driver_start(&fresh);
        *q = fresh;
    }
    return error;
}

/** @brief See virtq_driver_destroy(). @param core the queue @param how the instance */
VIRTQ_INLINE void virtq_driver_setup_destroy(struct virtq_driver_core *core, unsigned how)
{
    struct virtq_driver_area areas[4];
    void *cookie;

    core->detach = 0;
    while (virtq_driver_setup_detach(core, how, &cookie) == 1) {
    }
    virtq_driver_setup_unshare(core, areas, virtq_driver_setup_areas(core, areas));
}

#endif
