/* SPDX-License-Identifier: BSD-3-Clause */
#include "region.h"

bool virtq_priv_region_legal(const struct virtq_region *region)
{
    return region->first <= region->last && virtq_priv_permissions_legal(region->permissions) &&
           virtq_priv_memory_legal(region->base, region->last - region->first);
}

unsigned virtq_priv_region_from(const struct virtq_region *regions, unsigned count,
                                virtq_addr_t addr)
{
    unsigned low = 0;
    unsigned high = count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (regions[middle].last < addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
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
