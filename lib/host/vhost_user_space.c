/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "align.h"
#include "vhost_user_frontend_private.h"
#include "vhost_user_space_private.h"
#include "virtq/feature.h"

enum { PAGE = 4096, POOL_GRANULE = 64 };

#define GRANULE_MAX (UINT64_C(1) << 30)
#define MAPPINGS_MAX (UINT32_C(1) << 20)

typedef struct virtq_priv_user_space space_type;
typedef struct virtq_vhost_user_space_config config_type;

static uint64_t up(uint64_t size, uint64_t granule)
{
    return (size + granule - 1) & ~(granule - 1);
}

bool virtq_priv_user_space_iotlb(const config_type *config)
{
    return virtq_feature_has(virtq_vhost_user_frontend_features(config->frontend),
                             VIRTIO_F_ACCESS_PLATFORM) != 0;
}

/* Bytes of memory that the back-end is given. A slot takes a little more than its buffer, and two
 * halves of the pool are never in the way of each other. */
static uint64_t shared_size(const config_type *config)
{
    const uint64_t buffers = config->kind == (uint32_t)VIRTQ_VHOST_USER_SPACE_SWIOTLB
                                 ? 2 * config->buffer_size
                                 : config->buffer_size;

    return up(config->ring_size, config->granule) + up(buffers, config->granule) +
           (config->granule > PAGE ? config->granule : 0);
}

static bool legal_iommu(const config_type *config)
{
    const bool iotlb = virtq_priv_user_space_iotlb(config);

    if (config->kind != (uint32_t)VIRTQ_VHOST_USER_SPACE_IOMMU) {
        return !iotlb && config->backend == NULL;
    }
    return config->policy <= (uint32_t)VIRTQ_IOMMU_PERSISTENT && config->mappings != 0 &&
           config->mappings <= MAPPINGS_MAX && (iotlb || config->backend == NULL);
}

static bool legal(const config_type *config)
{
    const uint64_t most = (uint64_t)PTRDIFF_MAX / 16;

    return config->struct_size == sizeof(*config) && config->frontend != NULL &&
           config->kind <= (uint32_t)VIRTQ_VHOST_USER_SPACE_BAR && config->granule >= PAGE &&
           (config->granule & (config->granule - 1)) == 0 && config->granule <= GRANULE_MAX &&
           config->ring_size != 0 && config->ring_size <= most && config->buffer_size <= most &&
           config->first % config->granule == 0 && config->first <= config->last &&
           legal_iommu(config);
}

/* Bytes of the parts behind the space itself. */
static size_t parts_size(const config_type *config)
{
    switch (config->kind) {
    case VIRTQ_VHOST_USER_SPACE_SWIOTLB:
        return virtq_priv_align_up(virtq_swiotlb_private_size(shared_size(config), POOL_GRANULE)) +
               (size_t)(config->buffer_size + config->granule);
    case VIRTQ_VHOST_USER_SPACE_IOMMU:
        return virtq_priv_user_iommu_size(config);
    default:
        return 0;
    }
}

VIRTQ_API size_t virtq_vhost_user_space_size(const config_type *config)
{
    return legal(config)
               ? virtq_priv_align_up(virtq_priv_align_up(sizeof(space_type)) + parts_size(config))
               : 0;
}

static int give(space_type *space)
{
    const bool slots = virtq_feature_has(virtq_vhost_user_frontend_protocol(space->frontend),
                                         VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) != 0;
    const int error =
        slots ? virtq_vhost_user_frontend_add_memory(space->frontend, &space->shown.share)
              : virtq_vhost_user_frontend_set_memory(space->frontend, &space->shown.share, 1);

    space->given = error == VIRTQ_OK;
    return error;
}

/* A back-end without slots keeps what it has. */
static void give_back(space_type *space)
{
    if (space->given && virtq_feature_has(virtq_vhost_user_frontend_protocol(space->frontend),
                                          VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
        /* One that does not let go has the file for as long as it lives: nothing else of ours. */
        const int error =
            virtq_vhost_user_frontend_remove_memory(space->frontend, &space->shown.share);

        (void)error;
    }
    virtq_host_memory_fini(&space->memory);
}

static unsigned char *next(unsigned char *at, uint64_t granule)
{
    return at + ((uint64_t)0 - (uintptr_t)at) % granule;
}

/* The pool is all that the device reaches: rings lie in it, buffers elsewhere. */
static int make_swiotlb(space_type *space, unsigned char *parts, const config_type *config)
{
    struct virtq_swiotlb_config pool = VIRTQ_SWIOTLB_CONFIG_INIT;
    struct virtq_swiotlb *swiotlb = &space->is.swiotlb;
    int error;

    pool.pool = space->memory.base;
    pool.pool_size = shared_size(config);
    pool.addr = space->shown.share.address;
    pool.granule = POOL_GRANULE;
    pool.memory = parts;
    pool.memory_size = virtq_swiotlb_private_size(pool.pool_size, pool.granule);
    error = virtq_swiotlb_init(swiotlb, &pool);
    if (error == VIRTQ_OK) {
        error =
            virtq_swiotlb_alloc(swiotlb, config->ring_size, config->granule, &space->shown.rings);
    }
    if (config->buffer_size != 0) {
        parts = next(parts + pool.memory_size, config->granule);
        space->shown.buffers = memset(parts, 0, (size_t)config->buffer_size);
    }
    space->shown.space = &swiotlb->space;
    return error;
}

static int make(space_type *space, unsigned char *parts, const config_type *config)
{
    const virtq_addr_t first = space->shown.share.address;
    const struct virtq_host_memory *memory = &space->memory;
    int error;

    switch (config->kind) {
    case VIRTQ_VHOST_USER_SPACE_DIRECT:
        error = virtq_direct_init(&space->is.direct, memory->base, first, first + memory->size - 1,
                                  VIRTQ_PRIV_BOTH);
        space->shown.space = &space->is.direct.space;
        return error;
    case VIRTQ_VHOST_USER_SPACE_SWIOTLB:
        return make_swiotlb(space, parts, config);
    case VIRTQ_VHOST_USER_SPACE_BAR:
        error = virtq_bar_init(&space->is.bar, memory->base, memory->size, VIRTQ_PRIV_BOTH, 0);
        space->shown.space = &space->is.bar.space;
        return error;
    default:
        return virtq_priv_user_iommu_init(space, parts, config);
    }
}

/* Takes memory, and says where in it things are: 0, or an enum virtq_error. */
static int take_memory(space_type *space, const config_type *config)
{
    struct virtq_host_memory *memory = &space->memory;
    const int error = virtq_host_memory_init(memory, shared_size(config), 0);
    virtq_addr_t address = config->first;
    unsigned char *rings;

    if (error != VIRTQ_OK) {
        return error;
    }
    rings = next(memory->base, config->granule);
    space->shown.rings = rings;
    space->shown.buffers =
        config->buffer_size != 0 ? rings + up(config->ring_size, config->granule) : NULL;
    if (config->kind == (uint32_t)VIRTQ_VHOST_USER_SPACE_BAR) {
        address = 0;
    } else {
        /* What begins at a multiple of the granule here does so for the device. */
        address += (uintptr_t)memory->base % config->granule;
        if (memory->size - 1 > config->last - config->first ||
            address > config->last - (memory->size - 1)) {
            return VIRTQ_EINVAL;
        }
    }
    space->shown.share = (struct virtq_vhost_user_share){
        .base = memory->base, .size = memory->size, .address = address, .fd = memory->fd};
    return VIRTQ_OK;
}

VIRTQ_API int virtq_vhost_user_space_init(void *memory, size_t size, const config_type *config,
                                          struct virtq_vhost_user_space **space)
{
    const size_t needed = virtq_vhost_user_space_size(config);
    const size_t head = virtq_priv_align_up(sizeof(space_type));
    space_type *made = memory;
    int error;

    if (needed == 0 || memory == NULL || (uintptr_t)memory % VIRTQ_CACHE_LINE != 0) {
        return VIRTQ_EINVAL;
    }
    if (size < needed) {
        return VIRTQ_ENOMEM;
    }
    memset(made, 0, sizeof(*made));
    made->memory.fd = -1;
    made->frontend = config->frontend;
    made->kind = config->kind;
    made->iotlb = virtq_priv_user_space_iotlb(config);
    error = take_memory(made, config);
    /* Before the space, which may have to tell of it what the back-end does not take else. */
    if (error == VIRTQ_OK &&
        (made->iotlb || made->kind != (uint32_t)VIRTQ_VHOST_USER_SPACE_IOMMU)) {
        error = give(made);
    }
    if (error == VIRTQ_OK) {
        error = make(made, (unsigned char *)memory + head, config);
    }
    if (error != VIRTQ_OK) {
        give_back(made);
        return error;
    }
    *space = &made->shown;
    return VIRTQ_OK;
}

VIRTQ_API void virtq_vhost_user_space_fini(struct virtq_vhost_user_space *space)
{
    space_type *own = (space_type *)(void *)space;

    if (own->kind == (uint32_t)VIRTQ_VHOST_USER_SPACE_IOMMU) {
        virtq_priv_user_iommu_fini(own);
    }
    give_back(own);
}
