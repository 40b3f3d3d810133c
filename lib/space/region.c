/* SPDX-License-Identifier: BSD-3-Clause */
#include "region.h"

bool virtq_priv_region_legal(const struct virtq_region *region)
{
    return region->first <= region->last && virtq_priv_permissions_legal(region->permissions) &&
           virtq_priv_memory_legal(region->base, region->last - region->first);
}

/* A step looks at WAYS - 1 places. In a table of more than MANY regions these are not a power of
 * two apart, where the table has such a size: they would compete for one place in the caches. */
enum { WAYS = 8, MANY = 4096 };

/* Narrows [low, low + count), which holds the region that is looked for, to one that still does:
 * by what is found in places of which none waits for another. */
VIRTQ_TEMPLATE const struct virtq_region *narrow(const struct virtq_region *low, unsigned *count,
                                                 virtq_addr_t addr)
{
    const unsigned part = *count / WAYS - (*count >= MANY ? *count / 128 : 0);
    const struct virtq_region *place = low + part - 1;
    size_t below = 0;
    unsigned i;

#pragma GCC unroll 8
    for (i = 1; i < WAYS; i++) {
        below += place->last < addr ? 1u : 0u;
        place += part;
    }
    VIRTQ_OPAQUE(below);
    *count -= (WAYS - 1) * part;
    return low + below * part;
}

/* The first region that does not end below `addr`, or the last if there is none; `count` is not 0.
 * Without a branch on what is compared: a random address would be guessed wrong every other time.
 */
VIRTQ_TEMPLATE const struct virtq_region *find(const struct virtq_region *regions, unsigned count,
                                               virtq_addr_t addr)
{
    const struct virtq_region *low = regions;
    size_t below = 0;
    unsigned i;

    while (count >= WAYS) {
        low = narrow(low, &count, addr);
    }
    for (i = 0; i + 1 < count; i++) {
        below += low[i].last < addr ? 1u : 0u;
    }
    return low + below;
}

/* Whether one window serves all accesses to both, and one subtraction all addresses. */
static bool continues(const struct virtq_region *before, const struct virtq_region *after)
{
    return virtq_priv_region_contiguous(before, after) && before->permissions == after->permissions;
}

/* Takes neighbours in, as long as each continues the one before. */
VIRTQ_OUTLINE void extend(const struct virtq_region *regions, unsigned count,
                          const struct virtq_region *found, struct virtq_window *window)
{
    const struct virtq_region *low = found;
    const struct virtq_region *high = found;

    while (low > regions && continues(low - 1, low)) {
        low--;
    }
    while (high < regions + count - 1 && continues(high, high + 1)) {
        high++;
    }
    window->first = low->first;
    window->last = high->last;
    window->base = low->base;
}

int virtq_priv_region_window(const struct virtq_region *regions, unsigned count, virtq_addr_t addr,
                             uint32_t permission, struct virtq_window *window)
{
    const struct virtq_region *found;
    const struct virtq_region *below;
    const struct virtq_region *above;

    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    if (count == 0) {
        return VIRTQ_EFAULT;
    }
    found = find(regions, count, addr);
    if (found->first > addr || found->last < addr) {
        return VIRTQ_EFAULT;
    }
    if ((found->permissions & permission) != permission) {
        return VIRTQ_EPERM;
    }
    window->first = found->first;
    window->last = found->last;
    window->base = found->base;
    window->permissions = found->permissions;
    window->reserved_ = 0;
    /* The first and the last are their own neighbours, so that no branch depends on where the
     * address lies. */
    below = found - (found != regions ? 1 : 0);
    above = found + (found != regions + count - 1 ? 1 : 0);
    if (VIRTQ_UNLIKELY(below->last == found->first - 1 || above->first - 1 == found->last)) {
        extend(regions, count, found, window);
    }
    return 0;
}
