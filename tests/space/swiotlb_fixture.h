/* SPDX-License-Identifier: BSD-3-Clause */
/* What the swiotlb tests share: a pool between guard pages. */
#ifndef VIRTQ_TESTS_SPACE_SWIOTLB_FIXTURE_H
#define VIRTQ_TESTS_SPACE_SWIOTLB_FIXTURE_H

#include <stdlib.h>

#include "support/guarded.h"
#include "support/runner.h"
#include "support/spaces.h"
#include "virtq/space/swiotlb.h"

enum { ADDR = 0x100000 };

/* A pool between guard pages, its book-keeping elsewhere. */
struct pool {
    struct virtq_swiotlb swiotlb;
    unsigned char *base;
    size_t size;
    uint64_t *bits;
};

static inline void pool_open(struct pool *pool, size_t size, uint32_t granule, uint32_t mask)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;

    pool->size = size;
    pool->base = guarded_alloc(size);
    memset(pool->base, 0xee, size);
    config.pool = pool->base;
    config.pool_size = size;
    config.addr = ADDR;
    config.granule = granule;
    config.low_mask = mask;
    config.memory_size = virtq_swiotlb_private_size(size, granule);
    pool->bits = malloc(config.memory_size);
    config.memory = pool->bits;
    cr_assert_eq(virtq_swiotlb_init(&pool->swiotlb, &config), 0);
}

static inline void pool_close(struct pool *pool)
{
    guarded_free(pool->base, pool->size);
    free(pool->bits);
}

static inline struct virtq_space *space_of(struct pool *pool)
{
    return &pool->swiotlb.space;
}

/* Whether every byte of the pool is 0: a hostile device dumps it all. */
static inline int is_zero(const struct pool *pool)
{
    size_t i;

    for (i = 0; i < pool->size; i++) {
        if (pool->base[i] != 0) {
            return 0;
        }
    }
    return 1;
}

static inline struct virtq_swiotlb_usage usage_of(struct pool *pool)
{
    struct virtq_swiotlb_usage usage;

    virtq_swiotlb_read_usage(&pool->swiotlb, &usage);
    return usage;
}

#endif
