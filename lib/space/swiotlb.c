/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/swiotlb.h"

#include <string.h>

#include "copy/copy.h"
#include "granules.h"
#include "region.h"
#include "stage.h"
#include "swiotlb_pool.h"

enum { GRANULE_LEAST = 64, GRANULE_MOST = 4096 };

static int swiotlb_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_swiotlb *swiotlb = (struct virtq_swiotlb *)space;
    struct virtq_granules *granules = &swiotlb->granules;
    struct virtq_priv_stage_record *record = mapping->record;
    const uint64_t granule_mask = ((uint64_t)1 << granules->shift) - 1;
    const struct virtq_priv_stage_shape shape = {granule_mask, granule_mask, swiotlb->low_mask};
    struct virtq_priv_stage_plan plan;
    uint64_t number;
    uint64_t first;
    int error;

    if (virtq_priv_swiotlb_pass(swiotlb->pool, swiotlb->pool_size, swiotlb->addr, mapping)) {
        record->number = 0;
        record->count = 0;
        return 0;
    }
    error = virtq_priv_stage_plan(mapping, &shape, &plan);
    if (error != 0) {
        return error;
    }
    number = virtq_priv_granules_of(granules, plan.len);
    error = virtq_priv_granules_alloc(
        granules, number,
        virtq_priv_granules_place(granules, swiotlb->addr, plan.wanted, swiotlb->low_mask + 1),
        &first);
    if (error != 0) {
        return error;
    }
    record->first = first;
    record->number = number;
    virtq_priv_stage_fill(&swiotlb->copy, mapping, &plan, swiotlb->pool, swiotlb->addr,
                          first << granules->shift, true);
    return 0;
}

static void swiotlb_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                          uint64_t written)
{
    struct virtq_swiotlb *swiotlb = (struct virtq_swiotlb *)space;
    const struct virtq_priv_stage_record *record = mapping->record;

    if (record->number == 0) {
        return;
    }
    virtq_priv_stage_drain(&swiotlb->copy, mapping, swiotlb->pool, written);
    virtq_priv_swiotlb_release(swiotlb, record->first, record->number);
}

/* The memory stays the caller's until virtq_swiotlb_free(). */
static void swiotlb_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static int swiotlb_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                          struct virtq_window *window)
{
    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    if (addr < space->linear.first || addr > space->linear.last) {
        return VIRTQ_EFAULT;
    }
    *window = space->linear;
    return 0;
}

static const struct virtq_space_ops swiotlb_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "swiotlb",
    .map = swiotlb_map,
    .unmap = swiotlb_unmap,
    .share = virtq_priv_swiotlb_share,
    .unshare = swiotlb_unshare,
    .window = swiotlb_window,
};

size_t virtq_swiotlb_private_size(uint64_t pool_size, uint32_t granule)
{
    if (!virtq_priv_granule_legal(granule, GRANULE_LEAST, GRANULE_MOST)) {
        return 0;
    }
    return virtq_priv_granules_size(pool_size, granule);
}

static int check_config(const struct virtq_swiotlb_config *config)
{
    size_t needed = virtq_swiotlb_private_size(config->pool_size, config->granule);
    uint64_t mask = config->granule - 1u;

    if (config->struct_size < sizeof(*config) || needed == 0 || config->pool == NULL ||
        config->memory == NULL) {
        return VIRTQ_EINVAL;
    }
    if ((config->pool_size & mask) != 0 || (config->addr & mask) != 0 ||
        ((uintptr_t)config->pool & mask) != 0 ||
        (uintptr_t)config->memory % sizeof(uint64_t) != 0 ||
        (config->low_mask & (config->low_mask + 1u)) != 0) {
        return VIRTQ_EINVAL;
    }
    if (!virtq_priv_memory_legal(config->pool, config->pool_size - 1) ||
        config->pool_size - 1 > UINT64_MAX - config->addr) {
        return VIRTQ_EINVAL;
    }
    return config->memory_size >= needed ? 0 : VIRTQ_ENOMEM;
}

int virtq_swiotlb_init(struct virtq_swiotlb *swiotlb, const struct virtq_swiotlb_config *config)
{
    int error = check_config(config);

    if (error == 0 && config->host.share != NULL) {
        error = config->host.share(config->host.context, config->pool, config->pool_size);
    }
    if (error != 0) {
        return error;
    }
    memset(swiotlb, 0, sizeof(*swiotlb));
    swiotlb->space.ops = &swiotlb_ops;
    swiotlb->space.driver_kind = VIRTQ_SPACE_CALLED;
    swiotlb->space.device_kind = VIRTQ_SPACE_DIRECT;
    swiotlb->space.linear.first = config->addr;
    swiotlb->space.linear.last = config->addr + (config->pool_size - 1);
    swiotlb->space.linear.base = config->pool;
    swiotlb->space.linear.permissions =
        (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    swiotlb->space.record_fixed = VIRTQ_PRIV_STAGE_RECORD_FIXED;
    swiotlb->space.record_per_segment = VIRTQ_PRIV_STAGE_RECORD_PER_SEGMENT;
    swiotlb->space.runs_max = 2;
    swiotlb->pool = config->pool;
    swiotlb->pool_size = config->pool_size;
    swiotlb->addr = config->addr;
    swiotlb->low_mask = config->low_mask;
    swiotlb->copy = config->copy;
    swiotlb->host = config->host;
    swiotlb->take = virtq_priv_copy_take_best();
    virtq_priv_granules_init(&swiotlb->granules, config->pool_size, config->granule,
                             config->memory);
    /* After it was made common, which may leave anything there. */
    virtq_priv_copy_zero(&swiotlb->copy, swiotlb->pool, (size_t)swiotlb->pool_size);
    virtq_priv_copy_done(&swiotlb->copy);
    return 0;
}

int virtq_swiotlb_fini(struct virtq_swiotlb *swiotlb)
{
    struct virtq_swiotlb_usage usage;

    virtq_swiotlb_read_usage(swiotlb, &usage);
    if (usage.used != 0) {
        return VIRTQ_EBUSY;
    }
    /* The device may have left bytes where nothing was granted; the next owner is not to see them.
     */
    virtq_priv_copy_zero(&swiotlb->copy, swiotlb->pool, (size_t)swiotlb->pool_size);
    virtq_priv_copy_done(&swiotlb->copy);
    if (swiotlb->host.unshare != NULL) {
        swiotlb->host.unshare(swiotlb->host.context, swiotlb->pool, swiotlb->pool_size);
    }
    return 0;
}
