/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sources of a world share. */
#ifndef VIRTQ_TESTS_WORLD_PRIVATE_H
#define VIRTQ_TESTS_WORLD_PRIVATE_H

#include "world.h"

/** @brief A driver of ours, of one tier and one instance. */
struct world_driver_calls {
    size_t (*size)(const struct virtq_driver_config *config);
    int (*init)(struct world_our_driver *end, const struct virtq_driver_config *config,
                size_t size);
    int (*restore)(struct world_our_driver *end, const struct virtq_state *state);
    int (*add)(struct world_our_driver *end, const struct virtq_buffer *buffers, unsigned count);
    unsigned (*publish)(struct world_our_driver *end);
    bool (*needs_notify)(struct world_our_driver *end);
    int (*poll)(struct world_our_driver *end, struct virtq_completion *completions, unsigned count);
    bool (*enable)(struct world_our_driver *end, unsigned after);
    void (*disable)(struct world_our_driver *end);
    void (*addresses)(const struct world_our_driver *end, struct virtq_area_addresses *addresses);
    void (*counters)(const struct world_our_driver *end, struct virtq_counters *counters);
    uint32_t (*outstanding)(const struct world_our_driver *end);
    uint32_t (*room)(const struct world_our_driver *end);
    uint32_t (*fault)(const struct world_our_driver *end);
    void (*destroy)(struct world_our_driver *end);
};

/** @brief A device of ours. */
struct world_device_calls {
    size_t (*size)(const struct virtq_device_config *config);
    int (*init)(struct world_our_device *end, const struct virtq_device_config *config, size_t size,
                struct virtq_miss *miss);
    int (*restore)(struct world_our_device *end, const struct virtq_state *state);
    int (*pop)(struct world_our_device *end, struct virtq_chain *chains, unsigned count,
               struct virtq_piece *pieces, unsigned piece_count);
    int (*unpop)(struct world_our_device *end, const struct virtq_chain *chains, unsigned count);
    int (*push)(struct world_our_device *end, const struct virtq_used_buffer *used, unsigned count);
    int (*publish)(struct world_our_device *end);
    int (*needs_notify)(struct world_our_device *end);
    bool (*enable)(struct world_our_device *end);
    void (*disable)(struct world_our_device *end);
    void (*counters)(const struct world_our_device *end, struct virtq_counters *counters);
    uint32_t (*outstanding)(const struct world_our_device *end);
    uint32_t (*fault)(const struct world_our_device *end);
    void (*miss)(const struct world_our_device *end, struct virtq_miss *miss);
};

/** @brief The inline tier's instance for a configuration, or NULL. `how` is an enum
 * virtq_instance. */
const struct world_driver_calls *world_inline_driver(bool packed, unsigned how);
const struct world_device_calls *world_inline_device(bool packed, unsigned how);
extern const struct world_driver_calls world_library_driver;
extern const struct world_device_calls world_library_device;

extern const struct world_driver_ops world_our_driver_ops;
extern const struct world_device_ops world_our_device_ops;
extern const struct world_driver_ops world_reference_driver_ops;
extern const struct world_device_ops world_reference_device_ops;

void world_our_driver_open(struct world *world);
void world_our_device_open(struct world *world);
void world_reference_driver_open(struct world *world);
void world_reference_device_open(struct world *world);

/** @brief Where the queue stands at first, as our ends say it. */
struct virtq_state world_state(const struct world_config *config);
/** @brief The reference's description of the world's queue. */
struct reference_config world_reference_config(struct world *world);
/** @brief A buffer's segments as the driver's space wants them. */
void world_segments(const struct world *world, const struct world_buffer *buffer,
                    struct virtq_segment *segments);
/** @brief Device memory; misses are resolved. @return the bytes usable from there, 0 for none */
size_t world_reach(struct world *world, virtq_addr_t addr, size_t len, uint32_t permission,
                   void **base);
/** @brief Zeroed private memory, aligned to a cache line. */
void *world_memory(size_t size);
/** @brief Keeps a text for failure messages. @return it */
const char *world_trouble(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
