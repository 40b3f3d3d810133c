/* SPDX-License-Identifier: BSD-3-Clause */
#include "region.h"

bool virtq_priv_region_legal(const struct virtq_region *region)
{
    return region->first <= region->last && virtq_priv_permissions_legal(region->permissions) &&
           virtq_priv_memory_legal(region->base, region->last - region->first);
}

/* Without a branch on what is compared: a random address would mispredict every other one. Both
 * places that may be looked at next are on their way meanwhile. */
unsigned virtq_priv_region_from(const struct virtq_region *regions, unsigned count,
                                virtq_addr_t addr)
{
    unsigned low = 0;

    while (count > 1) {
        const unsigned half = count / 2;
        const unsigned quarter = (count - half) / 2;
        unsigned step;

        __builtin_prefetch(&regions[low + quarter].last);
        __builtin_prefetch(&regions[low + half + quarter].last);
        step = (0u - (unsigned)(regions[low + half - 1].last < addr)) & half;
        VIRTQ_OPAQUE(step);
        low += step;
        count -= half;
    }
    return low + (count != 0 && regions[low].last < addr ? 1u : 0u);
}

static bool mergeable(const struct virtq_region *other, const struct virtq_region *found,
                      uint32_t permission, enum virtq_priv_merge merge)
{
    if (merge == VIRTQ_PRIV_MERGE_EQUAL) {
        return other->permissions == found->permissions;
    }
    return (other->permissions & permission) == permission;
}

int virtq_priv_region_window(const struct virtq_region *regions, unsigned count, virtq_addr_t addr,
                             uint32_t permission, enum virtq_priv_merge merge,
                             struct virtq_window *window)
{
    unsigned at = virtq_priv_region_from(regions, count, addr);
    unsigned low = at;
    unsigned high = at;
    uint32_t permissions;

    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    if (at == count || regions[at].first > addr) {
        return VIRTQ_EFAULT;
    }
    permissions = regions[at].permissions;
    if ((permissions & permission) != permission) {
        return VIRTQ_EPERM;
    }
    while (low > 0 && virtq_priv_region_contiguous(&regions[low - 1], &regions[low]) &&
           mergeable(&regions[low - 1], &regions[at], permission, merge)) {
        low--;
        permissions &= regions[low].permissions;
    }
    while (high + 1 < count && virtq_priv_region_contiguous(&regions[high], &regions[high + 1]) &&
           mergeable(&regions[high + 1], &regions[at], permission, merge)) {
        high++;
        permissions &= regions[high].permissions;
    }
    *window = (struct virtq_window){.first = regions[low].first,
                                    .last = regions[high].last,
                                    .base = regions[low].base,
                                    .permissions = permissions};
    return 0;
}
