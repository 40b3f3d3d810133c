/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A queue with both ends on it, instances of the templates, and a round trip whose stages
 * can be checked one by one.
 */
#ifndef VIRTQ_TESTS_SPEC_ORDER_BENCH_H
#define VIRTQ_TESTS_SPEC_ORDER_BENCH_H

#include "trace_order.h"
/* The recorder first, then the library. */

enum { ORDER_CHAIN = 3, ORDER_BATCH = 4, ORDER_PRIVATE = 4096, ORDER_SEGMENT = 64 };

/** @brief The stages of a round, in the order in which they come. */
enum order_stage {
    ORDER_DEVICE_ENABLE = 1,   /**< The device asks to be woken. */
    ORDER_SUPPLY = 2,          /**< The driver adds, publishes and asks whether to notify. */
    ORDER_DEVICE_DISABLE = 4,  /**< The device asks not to be woken. */
    ORDER_TAKE = 8,            /**< The device pops one, and then the rest. */
    ORDER_DRIVER_ENABLE = 16,  /**< The driver asks to be woken. */
    ORDER_USE = 32,            /**< The device pushes, publishes and asks whether to notify. */
    ORDER_DRIVER_DISABLE = 64, /**< The driver asks not to be woken. */
    ORDER_COLLECT = 128        /**< The driver polls one, and then the rest. */
};

struct order_instance;

/** @brief The queue. */
struct order_bench {
    const struct order_instance *with;
    bool packed;
    uint32_t size;
    uint64_t features;
    unsigned chain; /**< Segments of a buffer. */
    unsigned batch; /**< Buffers of a round. */
    bool tables;    /**< They go into indirect tables. */
    unsigned first; /**< Packed: the ring descriptor at which the round began. */
    unsigned slots; /**< Ring descriptors of a buffer. */
    struct virtq_direct direct;
    struct virtq_premapped premapped;
    struct virtq_region region;
    struct virtq_driver_config driver_config;
    struct virtq_device_config device_config;
    union {
        struct virtq_split_driver split;
        struct virtq_packed_driver packed;
    } driver;
    union {
        struct virtq_split_device split;
        struct virtq_packed_device packed;
    } device;
    struct virtq_chain chains[ORDER_BATCH];
    struct virtq_piece pieces[ORDER_BATCH * ORDER_CHAIN];
    _Alignas(VIRTQ_CACHE_LINE) unsigned char shared[ORDER_RING]; /**< The ring, then the tables. */
    _Alignas(VIRTQ_CACHE_LINE) unsigned char own[2][ORDER_PRIVATE];
    _Alignas(16) unsigned char data[ORDER_BATCH][ORDER_CHAIN][ORDER_SEGMENT];
};

/** @brief The templates, instantiated for one kind of space. */
struct order_instance {
    unsigned how;
    int (*add)(struct order_bench *b, const struct virtq_buffer *buffers, unsigned count);
    unsigned (*publish)(struct order_bench *b);
    bool (*driver_test)(struct order_bench *b, uint32_t *data);
    int (*poll)(struct order_bench *b, struct virtq_completion *completions, unsigned count);
    bool (*driver_enable)(struct order_bench *b, unsigned after);
    void (*driver_disable)(struct order_bench *b);
    int (*pop)(struct order_bench *b, struct virtq_chain *chains, unsigned count);
    int (*push)(struct order_bench *b, const struct virtq_used_buffer *used, unsigned count);
    int (*device_publish)(struct order_bench *b);
    int (*device_test)(struct order_bench *b);
    bool (*device_enable)(struct order_bench *b);
    void (*device_disable)(struct order_bench *b);
};

#define ORDER_DRIVER(format, name, constant)                                                      \
    static int format##_##name##_add(struct order_bench *b, const struct virtq_buffer *buffers,   \
                                     unsigned count)                                              \
    {                                                                                             \
        return virtq_##format##_driver_add(&b->driver.format, constant, buffers, count);          \
    }                                                                                             \
    static unsigned format##_##name##_publish(struct order_bench *b)                              \
    {                                                                                             \
        return virtq_##format##_driver_publish(&b->driver.format, constant);                      \
    }                                                                                             \
    static bool format##_##name##_driver_test(struct order_bench *b, uint32_t *data)              \
    {                                                                                             \
        return virtq_##format##_driver_needs_notify(&b->driver.format, constant, data);           \
    }                                                                                             \
    static int format##_##name##_poll(struct order_bench *b, struct virtq_completion *completion, \
                                      unsigned count)                                             \
    {                                                                                             \
        return virtq_##format##_driver_poll(&b->driver.format, constant, completion, count);      \
    }                                                                                             \
    static bool format##_##name##_driver_enable(struct order_bench *b, unsigned after)            \
    {                                                                                             \
        return virtq_##format##_driver_enable_notify(&b->driver.format, constant, after);         \
    }                                                                                             \
    static void format##_##name##_driver_disable(struct order_bench *b)                           \
    {                                                                                             \
        virtq_##format##_driver_disable_notify(&b->driver.format, constant);                      \
    }

#define ORDER_DEVICE(format, name, constant)                                                       \
    static int format##_##name##_pop(struct order_bench *b, struct virtq_chain *chains,            \
                                     unsigned count)                                               \
    {                                                                                              \
        return virtq_##format##_device_pop(&b->device.format, constant, chains, count, b->pieces,  \
                                           ORDER_BATCH * ORDER_CHAIN);                             \
    }                                                                                              \
    static int format##_##name##_push(struct order_bench *b, const struct virtq_used_buffer *used, \
                                      unsigned count)                                              \
    {                                                                                              \
        return virtq_##format##_device_push(&b->device.format, constant, used, count);             \
    }                                                                                              \
    static int format##_##name##_device_publish(struct order_bench *b)                             \
    {                                                                                              \
        return virtq_##format##_device_publish(&b->device.format, constant);                       \
    }                                                                                              \
    static int format##_##name##_device_test(struct order_bench *b)                                \
    {                                                                                              \
        return virtq_##format##_device_needs_notify(&b->device.format, constant);                  \
    }                                                                                              \
    static bool format##_##name##_device_enable(struct order_bench *b)                             \
    {                                                                                              \
        return virtq_##format##_device_enable_notify(&b->device.format, constant);                 \
    }                                                                                              \
    static void format##_##name##_device_disable(struct order_bench *b)                            \
    {                                                                                              \
        virtq_##format##_device_disable_notify(&b->device.format, constant);                       \
    }

/** @brief Instantiates the templates. @param format split or packed @param name of the instance
 * @param constant an enum virtq_instance */
#define ORDER_INSTANCE(format, name, constant)                                              \
    ORDER_DRIVER(format, name, constant)                                                    \
    ORDER_DEVICE(format, name, constant)                                                    \
    static const struct order_instance format##_##name = {(unsigned)(constant),             \
                                                          format##_##name##_add,            \
                                                          format##_##name##_publish,        \
                                                          format##_##name##_driver_test,    \
                                                          format##_##name##_poll,           \
                                                          format##_##name##_driver_enable,  \
                                                          format##_##name##_driver_disable, \
                                                          format##_##name##_pop,            \
                                                          format##_##name##_push,           \
                                                          format##_##name##_device_publish, \
                                                          format##_##name##_device_test,    \
                                                          format##_##name##_device_enable,  \
                                                          format##_##name##_device_disable}

/** @brief The space that leads to an instance. */
static inline struct virtq_space *order_space(struct order_bench *b)
{
    const uint32_t both = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    const unsigned kind = b->with->how & (unsigned)VIRTQ_INSTANCE_KIND;

    b->region = (struct virtq_region){0, UINT64_MAX, NULL, both};
    if (kind == (unsigned)VIRTQ_INSTANCE_DIRECT) {
        cr_assert_eq(virtq_direct_init(&b->direct, NULL, 0, UINT64_MAX, both), 0);
        return &b->direct.space;
    }
    cr_assert_eq(virtq_direct_init_regions(&b->direct, &b->region, 1), 0);
    if (kind == (unsigned)VIRTQ_INSTANCE_CALLED) {
        return &b->direct.space;
    }
    virtq_premapped_init(&b->premapped, &b->direct.space);
    return &b->premapped.space;
}

/** @brief Fills both configurations in, and says where the queue lies. */
static inline void order_configure(struct order_bench *b)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    const bool swapped = (b->with->how & (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN) != 0;
    struct virtq_layout layout;
    size_t ring;

    driver.format = b->packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    cr_assert_eq(
        virtq_layout_init(b->packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT, b->size, &layout),
        0);
    ring = (size_t)(layout.size + 15) & ~(size_t)15;
    driver.size = b->size;
    driver.features = b->features;
    driver.flags = swapped ? (uint32_t)VIRTQ_DRIVER_BIG_ENDIAN : 0;
    driver.segments_max = ORDER_CHAIN;
    driver.space = order_space(b);
    virtq_layout_areas(&layout, b->shared, &driver.areas);
    driver.tables = b->tables ? b->shared + ring : NULL;
    cr_assert_leq(ring + virtq_driver_tables_size(&driver), (size_t)ORDER_RING);
    device.format = driver.format;
    device.size = driver.size;
    device.features = driver.features;
    device.flags = swapped ? (uint32_t)VIRTQ_DEVICE_BIG_ENDIAN : 0;
    device.space = driver.space;
    device.areas = driver.areas;
    b->driver_config = driver;
    b->device_config = device;
    order_queue.areas = driver.areas;
    order_queue.tables = b->shared + ring;
    order_queue.tables_size = ORDER_RING - ring;
    order_queue.size = b->size;
    order_queue.packed = b->packed;
    order_ring = b->shared;
    order_ring_size = ORDER_RING;
}

/** @brief Sets both ends up, as the members from `with` to `tables` say. */
static inline void order_open(struct order_bench *b)
{
    const uint64_t format = b->packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    const bool legacy = (b->with->how & (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN) != 0;
    const bool platform = (b->with->how & (unsigned)VIRTQ_INSTANCE_PLATFORM) != 0;

    order_hook = NULL;
    b->features |= format | (legacy ? 0 : VIRTQ_FEATURE(VIRTIO_F_VERSION_1)) |
                   (platform ? VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) : 0) |
                   (b->tables ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0);
    b->first = 0;
    b->slots = b->tables && b->chain > 1 ? 1 : b->chain;
    order_configure(b);
    cr_assert_eq(virtq_driver_setup_instance(&b->driver_config), b->with->how);
    cr_assert_eq(virtq_device_setup_instance(&b->device_config), b->with->how);
    if (b->packed) {
        cr_assert_eq(virtq_packed_driver_init(&b->driver.packed, &b->driver_config, b->own[0],
                                              ORDER_PRIVATE),
                     0);
        cr_assert_eq(virtq_packed_device_init(&b->device.packed, &b->device_config, b->own[1],
                                              ORDER_PRIVATE, NULL),
                     0);
    } else {
        cr_assert_eq(
            virtq_split_driver_init(&b->driver.split, &b->driver_config, b->own[0], ORDER_PRIVATE),
            0);
        cr_assert_eq(virtq_split_device_init(&b->device.split, &b->device_config, b->own[1],
                                             ORDER_PRIVATE, NULL),
                     0);
    }
}

/** @brief The driver adds and publishes the round's buffers: the last segment of each, if it has
 * several, is for the device to write. */
static inline void order_add(struct order_bench *b)
{
    struct virtq_segment segments[ORDER_BATCH][ORDER_CHAIN];
    struct virtq_buffer buffers[ORDER_BATCH];

    for (unsigned i = 0; i < b->batch; i++) {
        for (unsigned k = 0; k < b->chain; k++) {
            segments[i][k].addr = 0;
            segments[i][k].base = b->data[i][k];
            if (b->with->how % 4 == (unsigned)VIRTQ_INSTANCE_PREMAPPED) {
                segments[i][k].addr = (uintptr_t)b->data[i][k];
            }
            segments[i][k].len = ORDER_SEGMENT;
        }
        buffers[i] =
            (struct virtq_buffer){segments[i], NULL, (uint16_t)(b->chain > 1 ? b->chain - 1 : 1),
                                  (uint16_t)(b->chain > 1 ? 1 : 0), 0};
    }
    cr_assert_eq(b->with->add(b, buffers, b->batch), (int)b->batch);
}

/** @brief The device pops one buffer, and then the rest. */
static inline void order_pop(struct order_bench *b)
{
    cr_assert_eq(b->with->pop(b, b->chains, 1), 1);
    if (b->batch > 1) {
        cr_assert_eq(b->with->pop(b, &b->chains[1], b->batch - 1), (int)b->batch - 1);
    }
    for (unsigned i = 0; i < b->batch; i++) {
        cr_assert_eq(b->chains[i].reason, 0u);
    }
}

/** @brief The device pushes the round's buffers; the latest first unless the queue is IN_ORDER. */
static inline void order_push(struct order_bench *b)
{
    const bool in_order = virtq_feature_has(b->features, VIRTIO_F_IN_ORDER) != 0;
    struct virtq_used_buffer used[ORDER_BATCH];

    for (unsigned i = 0; i < b->batch; i++) {
        const struct virtq_chain *chain = &b->chains[in_order ? i : b->batch - 1 - i];

        used[i] = (struct virtq_used_buffer){chain->id, (uint32_t)chain->writable_bytes};
    }
    cr_assert_eq(b->with->push(b, used, b->batch), (int)b->batch);
}

/** @brief The driver polls one buffer, and then the rest. */
static inline void order_poll(struct order_bench *b)
{
    struct virtq_completion done[ORDER_BATCH];

    cr_assert_eq(b->with->poll(b, done, 1), 1);
    if (b->batch > 1) {
        cr_assert_eq(b->with->poll(b, done, ORDER_BATCH), (int)b->batch - 1);
    }
}

/** @brief One stage of a round. */
static inline void order_act(struct order_bench *b, enum order_stage stage)
{
    switch (stage) {
    case ORDER_DEVICE_ENABLE:
        cr_assert(!b->with->device_enable(b));
        break;
    case ORDER_SUPPLY:
        order_add(b);
        cr_assert_eq(b->with->publish(b), b->batch);
        (void)b->with->driver_test(b, NULL);
        break;
    case ORDER_DEVICE_DISABLE:
        b->with->device_disable(b);
        break;
    case ORDER_TAKE:
        order_pop(b);
        break;
    case ORDER_DRIVER_ENABLE:
        cr_assert(!b->with->driver_enable(b, 1));
        break;
    case ORDER_USE:
        order_push(b);
        cr_assert_eq(b->with->device_publish(b), (int)b->batch);
        cr_assert_geq(b->with->device_test(b), 0);
        break;
    case ORDER_DRIVER_DISABLE:
        b->with->driver_disable(b);
        break;
    default:
        order_poll(b);
        break;
    }
}

/** @brief Takes the round's buffers to the device and back.
 * @param stages after which of them to check, a set of enum order_stage @param check the check */
static inline void order_round(struct order_bench *b, unsigned stages,
                               void (*check)(const struct order_bench *b))
{
    for (unsigned stage = ORDER_DEVICE_ENABLE; stage <= ORDER_COLLECT; stage *= 2) {
        order_begin();
        order_act(b, (enum order_stage)stage);
        order_check_sane();
        if ((stages & stage) != 0) {
            check(b);
        }
    }
    b->first = (b->first + b->batch * b->slots) % b->size;
}

/** @brief Every shape of round on every instance, thrice round the ring. */
static inline void order_rounds(const struct order_instance *const *instances, unsigned count,
                                uint32_t size, unsigned stages,
                                void (*check)(const struct order_bench *b))
{
    static struct order_bench b;

    for (unsigned variant = 0; variant < count * 32; variant++) {
        memset(&b, 0, sizeof(b));
        b.with = instances[variant / 32];
        b.packed = size == 7;
        b.size = size;
        b.chain = (variant & 1) != 0 ? ORDER_CHAIN : 1;
        b.tables = (variant & 2) != 0;
        b.batch = (variant & 4) == 0 ? 1 : b.chain > 1 && !b.tables ? 2 : ORDER_BATCH;
        b.features = ((variant & 8) != 0 ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : 0) |
                     ((variant & 16) != 0 ? VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) : 0);
        order_open(&b);
        for (unsigned round = 0; round < 3 * size; round++) {
            order_round(&b, stages, check);
        }
    }
}

#endif
