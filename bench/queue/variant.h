/* SPDX-License-Identifier: BSD-3-Clause */
/* One instance of the library as the cases see it: its loops, compiled together with it. */
#ifndef BENCH_QUEUE_VARIANT_H
#define BENCH_QUEUE_VARIANT_H

#include "queue/pair.h"
#include "queue/queue.h"

struct bench_variant {
    /* Set-up, in memory that the queue has. */
    size_t (*driver_size)(const struct virtq_driver_config *config);
    size_t (*device_size)(const struct virtq_device_config *config);
    int (*driver_init)(struct bench_queue *queue, const struct virtq_driver_config *config);
    int (*device_init)(struct bench_queue *queue, const struct virtq_device_config *config);
    void (*driver_addresses)(const struct bench_queue *queue,
                             struct virtq_area_addresses *addresses);
    void (*driver_destroy)(struct bench_queue *queue);

    /* One thread: as struct bench_ends says. serve_data is serve with the data looked at and
     * answered; check looks at the completions of the last drain. */
    unsigned (*fill)(struct bench_queue *queue, unsigned count, unsigned batch);
    unsigned (*drain)(struct bench_queue *queue, unsigned count, unsigned batch);
    unsigned (*serve)(struct bench_queue *queue, unsigned count, unsigned batch);
    unsigned (*serve_data)(struct bench_queue *queue, unsigned count, unsigned batch,
                           uint64_t seed);

    /* Two sides. */
    int (*drive)(struct bench_duo *duo, struct bench_pair *pair);
    int (*attend)(struct bench_duo *duo, struct bench_pair *pair);

    /* Single calls, for what is not measured by the buffer. */
    int (*add)(struct bench_queue *queue, const struct virtq_buffer *buffers, unsigned count);
    unsigned (*publish)(struct bench_queue *queue);
    int (*poll)(struct bench_queue *queue, struct virtq_completion *completions, unsigned count);
    int (*pop)(struct bench_queue *queue, struct virtq_chain *chains, unsigned count,
               struct virtq_piece *pieces, unsigned piece_count);
    int (*push)(struct bench_queue *queue, const struct virtq_used_buffer *used, unsigned count);
    int (*device_publish)(struct bench_queue *queue);
};

/* The instances: the library, and the inline tier for each format and space. */
extern const struct bench_variant bench_variant_library;
extern const struct bench_variant bench_variant_split_direct;
extern const struct bench_variant bench_variant_split_swiotlb;
extern const struct bench_variant bench_variant_split_iommu;
extern const struct bench_variant bench_variant_split_bar;
extern const struct bench_variant bench_variant_packed_direct;
extern const struct bench_variant bench_variant_packed_swiotlb;
extern const struct bench_variant bench_variant_packed_iommu;
extern const struct bench_variant bench_variant_packed_bar;

#endif
