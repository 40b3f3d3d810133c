/* SPDX-License-Identifier: BSD-3-Clause */
/* The iommu kind of a front-end's space: with an IOTLB a domain of its own, whose mappings come and
 * go; without, one mapping of everything, which is a slot of the back-end's memory. */
#include "align.h"
#include "vhost_user_frontend_private.h"
#include "vhost_user_space_private.h"

/* Those of its own queue, and as many to swap them for. */
enum { MAGAZINES = 2 * VIRTQ_IOVA_CACHE_MAGAZINES, SLOT_GRANULE = 4096 };

typedef struct virtq_priv_user_space space_type;
typedef struct virtq_vhost_user_space_config config_type;

/* Where each table lies, from the first byte on. */
struct tables {
    size_t magazines;
    size_t ranges;
    size_t domain;
    size_t queue;
    size_t end;
    unsigned mappings;
    unsigned range_count;
    unsigned entries;
    uint32_t policy;
};

static struct tables tables_of(const config_type *config)
{
    const bool iotlb = virtq_priv_user_space_iotlb(config);
    struct tables tables = {0};

    tables.policy = iotlb ? config->policy : (uint32_t)VIRTQ_IOMMU_PERSISTENT;
    /* Without an IOTLB: all of the memory; and a place for what is none of it, to be refused. */
    tables.mappings = iotlb ? config->mappings : 2;
    tables.entries = tables.policy == (uint32_t)VIRTQ_IOMMU_STRICT ? 0 : tables.mappings;
    tables.range_count = tables.mappings + MAGAZINES * VIRTQ_IOVA_MAGAZINE_ROOM;
    tables.ranges = virtq_priv_align_up(MAGAZINES * sizeof(struct virtq_iova_magazine));
    tables.domain =
        tables.ranges + virtq_priv_align_up(tables.range_count * sizeof(struct virtq_iova_range));
    tables.queue =
        tables.domain + (iotlb ? virtq_priv_align_up(VIRTQ_TREE_SIZE(tables.mappings)) : 0);
    tables.end = tables.queue +
                 virtq_priv_align_up(virtq_iommu_queue_private_size(tables.policy, tables.entries));
    return tables;
}

size_t virtq_priv_user_iommu_size(const config_type *config)
{
    return tables_of(config).end;
}

/* Without an IOTLB a mapping is memory that the back-end is given. */
static int map_slot(void *context, const struct virtq_region *ranges, unsigned count)
{
    space_type *space = context;

    if (count != 1 || ranges->base != space->memory.base) {
        return VIRTQ_EFAULT;
    }
    space->shown.share.address = ranges->first;
    return virtq_vhost_user_frontend_add_memory(space->frontend, &space->shown.share);
}

static int unmap_slot(void *context, const struct virtq_region *ranges, unsigned count)
{
    space_type *space = context;

    (void)ranges, (void)count;
    return virtq_vhost_user_frontend_remove_memory(space->frontend, &space->shown.share);
}

/* Its answer has come: it reaches the memory no more (M1). */
static int flush_slot(void *context, const struct virtq_region *ranges, unsigned count)
{
    (void)context, (void)ranges, (void)count;
    return VIRTQ_OK;
}

static int make_backend(space_type *space, unsigned char *memory, const struct tables *tables)
{
    struct virtq_priv_user_iommu *iommu = &space->is.iommu;
    int error;

    space->shown.backend = &iommu->backend;
    if (!space->iotlb) {
        iommu->backend = (struct virtq_iommu_backend){sizeof(iommu->backend), space, map_slot,
                                                      unmap_slot, flush_slot};
        return VIRTQ_OK;
    }
    if (space->frontend->domain != NULL) {
        return VIRTQ_EBUSY;
    }
    error = virtq_domain_init(&iommu->domain, tables->mappings, memory + tables->domain,
                              tables->queue - tables->domain);
    if (error == VIRTQ_OK) {
        virtq_domain_backend(&iommu->domain, &iommu->backend);
    }
    return error;
}

static int make_addresses(space_type *space, unsigned char *memory, const config_type *config,
                          const struct tables *tables)
{
    struct virtq_iova_range *ranges = (void *)(memory + tables->ranges);
    struct virtq_iova_magazine *magazines = (void *)(memory + tables->magazines);
    struct virtq_priv_user_iommu *iommu = &space->is.iommu;
    int error =
        virtq_iova_init(&iommu->iova, config->first, config->last,
                        space->iotlb ? config->granule : SLOT_GRANULE, ranges, tables->range_count);

    if (error == VIRTQ_OK) {
        error =
            virtq_iova_depot_init(&iommu->depot, &iommu->iova, UINT64_MAX, magazines, MAGAZINES);
    }
    return error;
}

static int make_queue(space_type *space, unsigned char *memory, const config_type *config,
                      const struct tables *tables)
{
    struct virtq_iommu_queue_config queue = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;

    queue.depot = &space->is.iommu.depot;
    queue.backend = config->backend != NULL ? config->backend : space->shown.backend;
    queue.policy = tables->policy;
    queue.entries = tables->entries;
    queue.memory = memory + tables->queue;
    queue.memory_size = tables->end - tables->queue;
    space->shown.space = &space->is.iommu.queue.space;
    return virtq_iommu_queue_init(&space->is.iommu.queue, &queue);
}

int virtq_priv_user_iommu_init(space_type *space, unsigned char *memory, const config_type *config)
{
    const struct tables tables = tables_of(config);
    struct virtq_priv_user_iommu *iommu = &space->is.iommu;
    int error = make_backend(space, memory, &tables);

    if (error == VIRTQ_OK) {
        error = make_addresses(space, memory, config, &tables);
    }
    if (error == VIRTQ_OK) {
        error = make_queue(space, memory, config, &tables);
    }
    if (error != VIRTQ_OK) {
        return error;
    }
    if (space->iotlb) {
        virtq_vhost_user_frontend_set_domain(space->frontend, &iommu->domain);
        return VIRTQ_OK;
    }
    error = virtq_space_share(space->shown.space, space->memory.base, space->memory.size,
                              VIRTQ_PRIV_BOTH, &iommu->shared);
    if (error != VIRTQ_OK) {
        virtq_iommu_queue_destroy(&iommu->queue);
    }
    return error;
}

void virtq_priv_user_iommu_fini(space_type *space)
{
    struct virtq_priv_user_iommu *iommu = &space->is.iommu;

    if (!space->iotlb) {
        virtq_space_unshare(space->shown.space, iommu->shared, space->memory.size);
    }
    virtq_iommu_queue_destroy(&iommu->queue);
    if (space->iotlb) {
        virtq_vhost_user_frontend_set_domain(space->frontend, NULL);
    }
}
