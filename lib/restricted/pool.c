/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool.h"

#include "space/region.h"

bool virtq_priv_restricted_legal(const struct virtq_restricted_pool *pool)
{
    if (pool->base == NULL || pool->size == 0 ||
        !virtq_priv_memory_legal(pool->base, pool->size - 1) ||
        pool->size - 1 > UINT64_MAX - pool->first) {
        return false;
    }
    if (pool->form == (uint32_t)VIRTQ_RESTRICTED_DEVICE) {
        return pool->first == 0;
    }
    /* System memory is cacheable, and its addresses have no id in them. */
    return (pool->id | pool->shift | pool->memory | pool->widths) == 0 &&
           (pool->form != (uint32_t)VIRTQ_RESTRICTED_RANGE ||
            pool->reach.first <= pool->reach.last);
}

bool virtq_priv_restricted_facts(const struct virtq_restricted_config *config,
                                 struct virtq_access_facts *facts)
{
    if (config->struct_size < sizeof(*config) ||
        config->pool.form > (uint32_t)VIRTQ_RESTRICTED_RANGE ||
        (config->flags & ~(uint32_t)VIRTQ_RESTRICTED_PARTS) != 0) {
        return false;
    }
    *facts = config->facts;
    facts->pool = config->pool.form == (uint32_t)VIRTQ_RESTRICTED_DEVICE
                      ? (uint8_t)VIRTQ_ACCESS_POOL_DEVICE
                      : (uint8_t)VIRTQ_ACCESS_POOL_SYSTEM;
    return true;
}

/* What the device reaches of system memory; L6: both ends included. */
static struct virtq_restricted_range reach_of(const struct virtq_restricted_pool *pool,
                                              uint32_t bits)
{
    struct virtq_restricted_range reach = {0, UINT64_MAX};

    if (pool->form == (uint32_t)VIRTQ_RESTRICTED_RANGE) {
        reach = pool->reach;
    }
    if (bits < 64 && reach.last >> bits != 0) {
        reach.last = ((uint64_t)1 << bits) - 1;
    }
    return reach;
}

/* The address that a region's last byte has must fit; a region is not cut. */
static int clip_region(const struct virtq_restricted_pool *pool, uint32_t bits)
{
    uint64_t last = pool->size - 1;

    if (pool->shift - 1u < 63u) {
        last |= (uint64_t)pool->id << pool->shift;
    }
    return bits < 64 && last >> bits != 0 ? VIRTQ_EFAULT : 0;
}

int virtq_priv_restricted_clip(const struct virtq_restricted_pool *pool, uint32_t bits,
                               uint64_t granule, struct virtq_restricted_pool *clipped)
{
    const struct virtq_restricted_range reach = reach_of(pool, bits);
    const uint64_t mask = granule - 1;
    virtq_addr_t first = pool->first;
    virtq_addr_t last = pool->first + (pool->size - 1);

    *clipped = *pool;
    if (pool->form == (uint32_t)VIRTQ_RESTRICTED_DEVICE) {
        clipped->size &= ~mask;
        return clipped->size == 0 ? VIRTQ_EFAULT : clip_region(clipped, bits);
    }
    first = reach.first > first ? reach.first : first;
    last = reach.last < last ? reach.last : last;
    if (first > last || mask > last - first) {
        return VIRTQ_EFAULT;
    }
    /* Inwards to granules. `last` first: where it goes below 0 there was no whole granule. */
    if ((last & mask) != mask) {
        if (last < mask) {
            return VIRTQ_EFAULT;
        }
        last = (last & ~mask) - 1;
    }
    if ((first & mask) != 0) {
        if (first > UINT64_MAX - mask) {
            return VIRTQ_EFAULT;
        }
        first = (first + mask) & ~mask;
    }
    if (first > last) {
        return VIRTQ_EFAULT;
    }
    clipped->base = (unsigned char *)pool->base + (first - pool->first);
    clipped->first = first;
    clipped->size = last - first + 1;
    return 0;
}

int virtq_priv_restricted_open_bar(const struct virtq_restricted_pool *pool, struct virtq_bar *bar)
{
    struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;

    config.base = pool->base;
    config.size = pool->size;
    config.permissions = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    config.id = pool->id;
    config.shift = pool->shift;
    config.memory = pool->memory;
    config.widths = pool->widths;
    return virtq_bar_init_config(bar, &config);
}

VIRTQ_API int virtq_restricted_range_write(const struct virtq_restricted_range *range,
                                           unsigned char *bytes)
{
    unsigned i;

    if (range->first > range->last) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(range->first >> (8 * i));
        bytes[8 + i] = (unsigned char)(range->last >> (8 * i));
    }
    return 0;
}

VIRTQ_API int virtq_restricted_range_read(const unsigned char *bytes,
                                          struct virtq_restricted_range *range)
{
    struct virtq_restricted_range fresh = {0, 0};
    unsigned i;

    for (i = 0; i < 8; i++) {
        fresh.first |= (uint64_t)bytes[i] << (8 * i);
        fresh.last |= (uint64_t)bytes[8 + i] << (8 * i);
    }
    if (fresh.first > fresh.last) {
        return VIRTQ_EINVAL;
    }
    *range = fresh;
    return 0;
}
