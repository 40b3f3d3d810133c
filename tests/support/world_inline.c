/* SPDX-License-Identifier: BSD-3-Clause */
/* The inline tier's instances, each behind a table of calls. */
#include "world_private.h"

#define WORLD_DRIVER(format, name, how)                                                          \
    static int format##_##name##_init(struct world_our_driver *end,                              \
                                      const struct virtq_driver_config *config, size_t size)     \
    {                                                                                            \
        return virtq_##format##_driver_init(&end->queue.format, config, end->memory, size);      \
    }                                                                                            \
    static int format##_##name##_restore(struct world_our_driver *end,                           \
                                         const struct virtq_state *state)                        \
    {                                                                                            \
        return virtq_##format##_driver_restore(&end->queue.format, how, state);                  \
    }                                                                                            \
    static int format##_##name##_add(struct world_our_driver *end,                               \
                                     const struct virtq_buffer *buffers, unsigned count)         \
    {                                                                                            \
        return virtq_##format##_driver_add(&end->queue.format, how, buffers, count);             \
    }                                                                                            \
    static unsigned format##_##name##_publish(struct world_our_driver *end)                      \
    {                                                                                            \
        return virtq_##format##_driver_publish(&end->queue.format, how);                         \
    }                                                                                            \
    static bool format##_##name##_needs_notify(struct world_our_driver *end)                     \
    {                                                                                            \
        return virtq_##format##_driver_needs_notify(&end->queue.format, how, NULL);              \
    }                                                                                            \
    static int format##_##name##_poll(struct world_our_driver *end,                              \
                                      struct virtq_completion *completions, unsigned count)      \
    {                                                                                            \
        return virtq_##format##_driver_poll(&end->queue.format, how, completions, count);        \
    }                                                                                            \
    static bool format##_##name##_enable(struct world_our_driver *end, unsigned after)           \
    {                                                                                            \
        return virtq_##format##_driver_enable_notify(&end->queue.format, how, after);            \
    }                                                                                            \
    static void format##_##name##_disable(struct world_our_driver *end)                          \
    {                                                                                            \
        virtq_##format##_driver_disable_notify(&end->queue.format, how);                         \
    }                                                                                            \
    static void format##_##name##_destroy(struct world_our_driver *end)                          \
    {                                                                                            \
        virtq_driver_setup_destroy(&end->queue.format.core, how);                                \
    }                                                                                            \
    static const struct world_driver_calls format##_driver_##name = {                            \
        virtq_driver_setup_size,      format##_##name##_init,    format##_##name##_restore,      \
        format##_##name##_add,        format##_##name##_publish, format##_##name##_needs_notify, \
        format##_##name##_poll,       format##_##name##_enable,  format##_##name##_disable,      \
        format##_driver_addresses_of, format##_driver_counters,  format##_driver_outstanding,    \
        format##_driver_room,         format##_driver_fault,     format##_##name##_destroy}

#define WORLD_DEVICE(format, name, how)                                                            \
    static int format##_device_##name##_pop(struct world_our_device *end,                          \
                                            struct virtq_chain *chains, unsigned count,            \
                                            struct virtq_piece *pieces, unsigned piece_count)      \
    {                                                                                              \
        return virtq_##format##_device_pop(&end->queue.format, how, chains, count, pieces,         \
                                           piece_count);                                           \
    }                                                                                              \
    static int format##_device_##name##_push(struct world_our_device *end,                         \
                                             const struct virtq_used_buffer *used, unsigned count) \
    {                                                                                              \
        return virtq_##format##_device_push(&end->queue.format, how, used, count);                 \
    }                                                                                              \
    static int format##_device_##name##_publish(struct world_our_device *end)                      \
    {                                                                                              \
        return virtq_##format##_device_publish(&end->queue.format, how);                           \
    }                                                                                              \
    static int format##_device_##name##_needs_notify(struct world_our_device *end)                 \
    {                                                                                              \
        return virtq_##format##_device_needs_notify(&end->queue.format, how);                      \
    }                                                                                              \
    static bool format##_device_##name##_enable(struct world_our_device *end)                      \
    {                                                                                              \
        return virtq_##format##_device_enable_notify(&end->queue.format, how);                     \
    }                                                                                              \
    static void format##_device_##name##_disable(struct world_our_device *end)                     \
    {                                                                                              \
        virtq_##format##_device_disable_notify(&end->queue.format, how);                           \
    }                                                                                              \
    static int format##_device_##name##_restore(struct world_our_device *end,                      \
                                                const struct virtq_state *state)                   \
    {                                                                                              \
        virtq_##format##_device_start(&end->queue.format, how, state->available, state->used);     \
        return 0;                                                                                  \
    }                                                                                              \
    static const struct world_device_calls format##_device_##name = {                              \
        virtq_device_setup_size,                                                                   \
        format##_device_init,                                                                      \
        format##_device_##name##_restore,                                                          \
        format##_device_##name##_pop,                                                              \
        format##_device_unpop_,                                                                    \
        format##_device_##name##_push,                                                             \
        format##_device_##name##_publish,                                                          \
        format##_device_##name##_needs_notify,                                                     \
        format##_device_##name##_enable,                                                           \
        format##_device_##name##_disable,                                                          \
        format##_device_counters,                                                                  \
        format##_device_outstanding,                                                               \
        format##_device_fault,                                                                     \
        format##_device_miss}

/* What is the same in every instance of a format. */
#define WORLD_FORMAT(format)                                                                      \
    static void format##_driver_addresses_of(const struct world_our_driver *end,                  \
                                             struct virtq_area_addresses *addresses)              \
    {                                                                                             \
        *addresses = end->queue.format.core.addresses;                                            \
    }                                                                                             \
    static void format##_driver_counters(const struct world_our_driver *end,                      \
                                         struct virtq_counters *counters)                         \
    {                                                                                             \
        *counters = end->queue.format.core.counters;                                              \
    }                                                                                             \
    static uint32_t format##_driver_outstanding(const struct world_our_driver *end)               \
    {                                                                                             \
        return end->queue.format.core.outstanding + end->queue.format.core.unpublished;           \
    }                                                                                             \
    static uint32_t format##_driver_room(const struct world_our_driver *end)                      \
    {                                                                                             \
        return end->queue.format.core.room;                                                       \
    }                                                                                             \
    static uint32_t format##_driver_fault(const struct world_our_driver *end)                     \
    {                                                                                             \
        return end->queue.format.core.fault.reason;                                               \
    }                                                                                             \
    static int format##_device_init(struct world_our_device *end,                                 \
                                    const struct virtq_device_config *config, size_t size,        \
                                    struct virtq_miss *miss)                                      \
    {                                                                                             \
        return virtq_##format##_device_init(&end->queue.format, config, end->memory, size, miss); \
    }                                                                                             \
    static int format##_device_unpop_(struct world_our_device *end,                               \
                                      const struct virtq_chain *chains, unsigned count)           \
    {                                                                                             \
        return virtq_##format##_device_unpop(&end->queue.format, chains, count);                  \
    }                                                                                             \
    static void format##_device_counters(const struct world_our_device *end,                      \
                                         struct virtq_counters *counters)                         \
    {                                                                                             \
        *counters = end->queue.format.core.counters;                                              \
    }                                                                                             \
    static uint32_t format##_device_outstanding(const struct world_our_device *end)               \
    {                                                                                             \
        return end->queue.format.core.in_flight;                                                  \
    }                                                                                             \
    static uint32_t format##_device_fault(const struct world_our_device *end)                     \
    {                                                                                             \
        return end->queue.format.core.fault.reason;                                               \
    }                                                                                             \
    static void format##_device_miss(const struct world_our_device *end, struct virtq_miss *miss) \
    {                                                                                             \
        *miss = end->queue.format.core.miss;                                                      \
    }

enum {
    CALLED = VIRTQ_INSTANCE_CALLED,
    DIRECT = VIRTQ_INSTANCE_DIRECT,
    BAR = VIRTQ_INSTANCE_BAR,
    PREMAPPED = VIRTQ_INSTANCE_PREMAPPED,
    LEGACY = VIRTQ_INSTANCE_BIG_ENDIAN,
    LEGACY_PREMAPPED = (int)VIRTQ_INSTANCE_BIG_ENDIAN | (int)VIRTQ_INSTANCE_PREMAPPED,
    PLATFORM = VIRTQ_INSTANCE_PLATFORM,
    INSTANCES = 16
};

WORLD_FORMAT(split)
WORLD_FORMAT(packed)

WORLD_DRIVER(split, called, CALLED);
WORLD_DRIVER(split, direct, DIRECT);
WORLD_DRIVER(split, bar, BAR);
WORLD_DRIVER(split, premapped, PREMAPPED);
WORLD_DRIVER(split, legacy, LEGACY);
WORLD_DRIVER(split, legacy_premapped, LEGACY_PREMAPPED);
WORLD_DRIVER(split, platform, PLATFORM);
WORLD_DRIVER(packed, called, CALLED);
WORLD_DRIVER(packed, direct, DIRECT);
WORLD_DRIVER(packed, bar, BAR);
WORLD_DRIVER(packed, premapped, PREMAPPED);
WORLD_DRIVER(packed, platform, PLATFORM);

WORLD_DEVICE(split, called, CALLED);
WORLD_DEVICE(split, direct, DIRECT);
WORLD_DEVICE(split, bar, BAR);
WORLD_DEVICE(split, premapped, PREMAPPED);
WORLD_DEVICE(split, legacy, LEGACY);
WORLD_DEVICE(split, legacy_premapped, LEGACY_PREMAPPED);
WORLD_DEVICE(split, platform, PLATFORM);
WORLD_DEVICE(packed, called, CALLED);
WORLD_DEVICE(packed, direct, DIRECT);
WORLD_DEVICE(packed, bar, BAR);
WORLD_DEVICE(packed, premapped, PREMAPPED);
WORLD_DEVICE(packed, platform, PLATFORM);

#define WORLD_TABLE(format, end)                                                  \
    {                                                                             \
        [CALLED] = &format##_##end##_called, [DIRECT] = &format##_##end##_direct, \
        [BAR] = &format##_##end##_bar, [PREMAPPED] = &format##_##end##_premapped, \
        [PLATFORM] = &format##_##end##_platform,                                  \
    }

const struct world_driver_calls *world_inline_driver(bool packed, unsigned how)
{
    static const struct world_driver_calls *const split_table[INSTANCES] =
        WORLD_TABLE(split, driver);
    static const struct world_driver_calls *const packed_table[INSTANCES] =
        WORLD_TABLE(packed, driver);

    if (!packed && how == (unsigned)LEGACY) {
        return &split_driver_legacy;
    }
    if (!packed && how == (unsigned)LEGACY_PREMAPPED) {
        return &split_driver_legacy_premapped;
    }
    return how < INSTANCES ? (packed ? packed_table : split_table)[how] : NULL;
}

const struct world_device_calls *world_inline_device(bool packed, unsigned how)
{
    static const struct world_device_calls *const split_table[INSTANCES] =
        WORLD_TABLE(split, device);
    static const struct world_device_calls *const packed_table[INSTANCES] =
        WORLD_TABLE(packed, device);

    if (!packed && how == (unsigned)LEGACY) {
        return &split_device_legacy;
    }
    if (!packed && how == (unsigned)LEGACY_PREMAPPED) {
        return &split_device_legacy_premapped;
    }
    return how < INSTANCES ? (packed ? packed_table : split_table)[how] : NULL;
}
