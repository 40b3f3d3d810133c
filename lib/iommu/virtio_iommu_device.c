/* SPDX-License-Identifier: BSD-3-Clause */
/* The device as a whole: its memory, its beginning and its end, features and resets. */
#include "virtq/iommu/virtio_iommu_device.h"

#include <string.h>

#include "../space/region.h"
#include "virtio_iommu_device_private.h"
#include "virtq/inline/core.h"

enum {
    FINGERS_MAX = 1 << 24,
    FEATURES = 0x7f,
    PERMISSION_FLAGS = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE
};

_Static_assert(VIRTIO_IOMMU_MAP_F_READ == (unsigned)VIRTQ_PERMISSION_READ &&
                   VIRTIO_IOMMU_MAP_F_WRITE == (unsigned)VIRTQ_PERMISSION_WRITE,
               "a table's permissions are the request's flags");

static bool offers(const struct virtq_virtio_iommu_device_config *config, unsigned bit)
{
    return (config->features >> bit & 1u) != 0;
}

/* Fills in what 0 stands for, and says whether the rest makes sense. */
static bool config_legal(struct virtq_virtio_iommu_device_config *config)
{
    config->features &= FEATURES;
    if (config->domains == 0 || config->domains > config->endpoints) {
        config->domains = config->endpoints;
    }
    if (config->domain_mappings == 0 || config->domain_mappings > config->mappings) {
        config->domain_mappings = config->mappings;
    }
    if (config->phys_last > UINTPTR_MAX) {
        config->phys_last = UINTPTR_MAX;
    }
    if (!offers(config, VIRTIO_IOMMU_F_INPUT_RANGE)) {
        config->input_first = 0;
        config->input_last = UINT64_MAX;
    }
    if (!offers(config, VIRTIO_IOMMU_F_DOMAIN_RANGE)) {
        config->domain_first = 0;
        config->domain_last = UINT32_MAX;
    }
    if (!offers(config, VIRTIO_IOMMU_F_PROBE)) {
        config->probe_size = 0;
    }
    if (!offers(config, VIRTIO_IOMMU_F_BYPASS_CONFIG)) {
        config->bypass = 0;
    }
    return config->page_size_mask != 0 && config->input_first <= config->input_last &&
           config->domain_first <= config->domain_last && config->probe_size % 4 == 0 &&
           config->probe_size <= VIRTQ_SIZE_MAX && config->bypass <= 1 && config->memory != NULL &&
           config->memory->ops->window != NULL && config->endpoints != 0 &&
           config->endpoints < INT32_MAX && config->mappings != 0 && config->faults != 0 &&
           !(offers(config, VIRTIO_IOMMU_F_BYPASS) && offers(config, VIRTIO_IOMMU_F_BYPASS_CONFIG));
}

/* Every byte of a request of exact size in a piece of its own. */
static uint32_t pieces_needed(const struct virtq_virtio_iommu_device_config *config)
{
    return (uint32_t)sizeof(struct virtio_iommu_req_probe) + config->probe_size +
           (uint32_t)sizeof(struct virtio_iommu_req_tail);
}

/* One more domain than there can be: an endpoint enters its new one before it leaves the old. */
static uint32_t slots_needed(const struct virtq_virtio_iommu_device_config *config)
{
    return config->domains + 1;
}

/* Two for each mapping, as a power of two: most likely none shares one. */
static uint32_t fingers_needed(const struct virtq_virtio_iommu_device_config *config)
{
    uint32_t count = 64;

    while (count < FINGERS_MAX && count / 2 < config->mappings) {
        count *= 2;
    }
    return count;
}

/* Where everything lies. With a base of NULL it only counts. */
struct parts {
    struct virtq_virtio_iommu_device *iommu;
    struct virtq_virtio_iommu_endpoint **endpoints;
    struct virtq_virtio_iommu_domain **domains;
    struct virtq_virtio_iommu_domain *slots;
    struct virtq_priv_viommu_fault *faults;
    struct virtq_piece *pieces;
    unsigned char *nodes;
    uint32_t *fingers;
    size_t size;
};

static bool carve(unsigned char *base, const struct virtq_virtio_iommu_device_config *config,
                  struct parts *parts)
{
    struct virtq_carver carver = {base, 0};
    const size_t slots = slots_needed(config);
    const size_t nodes = VIRTQ_PRIV_TREE_POOL_NODES(config->mappings, slots);

    /* Wider than any of them, so that no sum wraps below. */
    if ((uint64_t)nodes * VIRTQ_TREE_NODE_SIZE +
            (uint64_t)slots * (sizeof(*parts->slots) + 2 * sizeof(void *)) +
            (uint64_t)fingers_needed(config) * sizeof(*parts->fingers) +
            (uint64_t)config->faults * sizeof(*parts->faults) >
        SIZE_MAX / 2) {
        return false;
    }
    parts->iommu = virtq_core_carve(&carver, sizeof(*parts->iommu));
    parts->endpoints =
        virtq_core_carve(&carver, config->endpoints * sizeof(struct virtq_virtio_iommu_endpoint *));
    parts->domains = virtq_core_carve(&carver, slots * sizeof(struct virtq_virtio_iommu_domain *));
    parts->slots = virtq_core_carve(&carver, slots * sizeof(*parts->slots));
    parts->faults = virtq_core_carve(&carver, config->faults * sizeof(*parts->faults));
    parts->pieces = virtq_core_carve(&carver, pieces_needed(config) * sizeof(*parts->pieces));
    parts->nodes = virtq_core_carve(&carver, nodes * VIRTQ_TREE_NODE_SIZE);
    parts->fingers = virtq_core_carve(&carver, fingers_needed(config) * sizeof(*parts->fingers));
    parts->size = carver.used;
    return true;
}

static bool prepare(const struct virtq_virtio_iommu_device_config *from,
                    struct virtq_virtio_iommu_device_config *config, struct parts *parts,
                    unsigned char *base)
{
    return virtq_core_copy_config(config, sizeof(*config), from, from->struct_size) &&
           config_legal(config) && carve(base, config, parts);
}

size_t virtq_virtio_iommu_device_size(const struct virtq_virtio_iommu_device_config *config)
{
    struct virtq_virtio_iommu_device_config own;
    struct parts parts;

    return prepare(config, &own, &parts, NULL) ? parts.size : 0;
}

/* The guest's memory has moved: so has what lies behind each endpoint. */
static void memory_moved(struct virtq_space_listener *listener, int wait)
{
    unsigned char *at = (unsigned char *)listener;
    struct virtq_virtio_iommu_device *iommu =
        (struct virtq_virtio_iommu_device *)(void *)(at - offsetof(struct virtq_virtio_iommu_device,
                                                                   ear));
    uint32_t i;

    for (i = 0; i < iommu->endpoint_count; i++) {
        struct virtq_space *space = &iommu->endpoints[i]->space;

        if (wait != 0) {
            virtq_space_invalidated(space);
        } else {
            virtq_space_moved(space);
        }
    }
}

static void build(const struct parts *parts, const struct virtq_virtio_iommu_device_config *config)
{
    struct virtq_virtio_iommu_device *iommu = parts->iommu;
    const uint32_t slots = slots_needed(config);
    const uint32_t fingers = fingers_needed(config);
    uint32_t shift = 0;
    uint32_t i;

    memset(iommu, 0, sizeof(*iommu));
    iommu->config = *config;
    iommu->offered = config->features;
    iommu->granule = (config->page_size_mask & (0 - config->page_size_mask)) - 1;
    iommu->map_flags = PERMISSION_FLAGS;
    iommu->bypass = config->bypass;
    iommu->unattached_bypass = config->bypass;
    iommu->endpoints = parts->endpoints;
    iommu->domains = parts->domains;
    iommu->pieces = parts->pieces;
    iommu->piece_count = pieces_needed(config);
    iommu->faults.ring = parts->faults;
    iommu->faults.capacity = config->faults;
    virtq_priv_tree_pool_init(&iommu->pool, parts->nodes,
                              VIRTQ_PRIV_TREE_POOL_NODES(config->mappings, slots));
    while ((iommu->granule >> shift & 1u) != 0) {
        shift++;
    }
    memset(parts->fingers, 0, fingers * sizeof(*parts->fingers));
    for (i = 0; i < slots; i++) {
        struct virtq_virtio_iommu_domain *domain = &parts->slots[i];

        memset(domain, 0, sizeof(*domain));
        virtq_priv_tree_init_in(&domain->tree, &iommu->pool, config->domain_mappings);
        virtq_priv_tree_set_fingers(&domain->tree, parts->fingers, fingers, shift,
                                    (uint64_t)i * (fingers / slots));
        iommu->domains[i] = domain;
    }
    iommu->ear.moved = memory_moved;
    iommu->ear.next = config->memory->listeners;
    config->memory->listeners = &iommu->ear;
}

int virtq_virtio_iommu_device_init(void *memory, size_t size,
                                   const struct virtq_virtio_iommu_device_config *config,
                                   struct virtq_virtio_iommu_device **iommu)
{
    struct virtq_virtio_iommu_device_config own;
    struct parts parts;

    if (memory == NULL || (uintptr_t)memory % VIRTQ_CACHE_LINE != 0 ||
        !prepare(config, &own, &parts, memory)) {
        return VIRTQ_EINVAL;
    }
    if (size < parts.size) {
        return VIRTQ_ENOMEM;
    }
    build(&parts, &own);
    *iommu = parts.iommu;
    return VIRTQ_OK;
}

void virtq_virtio_iommu_device_destroy(struct virtq_virtio_iommu_device *iommu)
{
    struct virtq_space_listener **at = &iommu->config.memory->listeners;

    while (*at != NULL && *at != &iommu->ear) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = iommu->ear.next;
    }
}

static void set_features(struct virtq_virtio_iommu_device *iommu, uint64_t features)
{
    iommu->negotiated = features;
    iommu->map_flags = PERMISSION_FLAGS;
    if (viommu_has(iommu, VIRTIO_IOMMU_F_MMIO)) {
        iommu->map_flags |= VIRTIO_IOMMU_MAP_F_MMIO;
    }
    virtq_priv_viommu_settle_bypass(iommu);
}

int virtq_virtio_iommu_device_negotiate(struct virtq_virtio_iommu_device *iommu, uint64_t features)
{
    features &= FEATURES;
    if ((features & ~iommu->offered) != 0) {
        return VIRTQ_EINVAL;
    }
    set_features(iommu, features);
    return VIRTQ_OK;
}

/* [virtio 1.4, Device operations]: BYPASS_CONFIG counts once it is offered, BYPASS once it is
 * negotiated. */
void virtq_priv_viommu_settle_bypass(struct virtq_virtio_iommu_device *iommu)
{
    const bool by_config = (iommu->offered >> VIRTIO_IOMMU_F_BYPASS_CONFIG & 1u) != 0;
    const uint32_t now = by_config ? iommu->bypass : viommu_has(iommu, VIRTIO_IOMMU_F_BYPASS);
    uint32_t i;

    if (now == iommu->unattached_bypass) {
        return;
    }
    __atomic_store_n(&iommu->unattached_bypass, now, __ATOMIC_RELEASE);
    for (i = 0; i < iommu->endpoint_count; i++) {
        if (iommu->endpoints[i]->domain == NULL) {
            virtq_priv_viommu_withdraw(iommu->endpoints[i]);
        }
    }
}

void virtq_virtio_iommu_device_reset(struct virtq_virtio_iommu_device *iommu)
{
    uint32_t i;

    for (i = 0; i < iommu->endpoint_count; i++) {
        if (iommu->endpoints[i]->domain != NULL) {
            virtq_priv_viommu_detach(iommu->endpoints[i]);
        }
    }
    set_features(iommu, 0);
    for (i = 0; i < iommu->endpoint_count; i++) {
        iommu->endpoints[i]->held = 0;
    }
    iommu->awaited = 0;
    iommu->waits = 0;
    iommu->holds = 0;
    iommu->done_count = 0;
    virtq_priv_viommu_faults_clear(iommu);
}

void virtq_virtio_iommu_device_reset_system(struct virtq_virtio_iommu_device *iommu)
{
    iommu->bypass = iommu->config.bypass;
    virtq_virtio_iommu_device_reset(iommu);
}

int virtq_virtio_iommu_device_waits(const struct virtq_virtio_iommu_device *iommu)
{
    return (int)iommu->waits;
}

void virtq_virtio_iommu_device_read_usage(struct virtq_virtio_iommu_device *iommu,
                                          struct virtq_virtio_iommu_usage *usage)
{
    usage->endpoints = iommu->endpoint_count;
    usage->domains = iommu->domain_count;
    usage->mappings = iommu->mappings;
    usage->requests = iommu->requests;
    usage->malformed = iommu->malformed;
    virtq_priv_viommu_faults_usage(iommu, usage);
}
