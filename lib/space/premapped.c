/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "virtq/space/direct.h"

static struct virtq_space *under(struct virtq_space *space)
{
    return ((struct virtq_premapped *)space)->under;
}

/* Queues know this kind and never call; this is for those who go through the operations anyway. */
static int premapped_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;
    unsigned i;

    (void)space;
    if (count > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    for (i = 0; i < count; i++) {
        mapping->runs[i] =
            (struct virtq_run){.addr = mapping->segments[i].addr, .len = mapping->segments[i].len};
    }
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    return 0;
}

static void premapped_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                            uint64_t written)
{
    (void)space;
    (void)mapping;
    (void)written;
}

static int premapped_share(struct virtq_space *space, void *base, uint64_t len,
                           uint32_t permissions, virtq_addr_t *addr)
{
    struct virtq_space *to = under(space);

    if (to == NULL) {
        return VIRTQ_ENOTSUP;
    }
    return virtq_space_share(to, base, len, permissions, addr);
}

static void premapped_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    struct virtq_space *to = under(space);

    if (to != NULL) {
        virtq_space_unshare(to, addr, len);
    }
}

static int premapped_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                            struct virtq_window *window)
{
    struct virtq_space *to = under(space);

    if (to == NULL || to->ops->window == NULL) {
        return VIRTQ_ENOTSUP;
    }
    return to->ops->window(to, addr, permission, window);
}

static const struct virtq_space_ops premapped_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "premapped",
    .map = premapped_map,
    .unmap = premapped_unmap,
    .share = premapped_share,
    .unshare = premapped_unshare,
    .window = premapped_window,
};

void virtq_premapped_init(struct virtq_premapped *premapped, struct virtq_space *under_space)
{
    memset(premapped, 0, sizeof(*premapped));
    premapped->space.ops = &premapped_ops;
    premapped->space.driver_kind = VIRTQ_SPACE_PREMAPPED;
    premapped->space.device_kind = VIRTQ_SPACE_PREMAPPED;
    premapped->under = under_space;
}
