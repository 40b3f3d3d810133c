/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: windows of random addresses are looked up.
 *
 * Usage: lookup iotlb|domain|direct WINDOWS LOOKUPS, and it exits with 1 if a window is wrong.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtq/iommu/domain.h"
#include "virtq/iommu/iotlb.h"
#include "virtq/space/direct.h"

enum { PAGE = 4096, MOST = 65536 };

static struct virtq_region regions[MOST];
static struct virtq_iotlb iotlb;
static struct virtq_domain domain;
static struct virtq_direct direct;

static void check(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "lookup: %s\n", what);
        exit(1);
    }
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* In random order, as mappings come in life. */
static void fill(unsigned windows)
{
    const size_t size = virtq_domain_size(windows);
    static unsigned order[MOST];
    uint64_t seed = 1;

    check(virtq_iotlb_init(&iotlb, windows, malloc(size), size) == 0, "IOTLB");
    check(virtq_domain_init(&domain, windows, malloc(size), size) == 0, "domain");
    for (unsigned i = 0; i < windows; i++) {
        const virtq_addr_t first = (virtq_addr_t)(2 * i + 1) * PAGE;
        const unsigned other = (unsigned)(random_next(&seed) % (i + 1));

        regions[i] = (struct virtq_region){
            first, first + PAGE - 1, (void *)(uintptr_t)(first + PAGE), VIRTQ_PERMISSION_READ};
        order[i] = order[other];
        order[other] = i;
    }
    for (unsigned i = 0; i < windows; i++) {
        const struct virtq_region *region = &regions[order[i]];

        check(virtq_iotlb_update(&iotlb, region->first, region->last, region->base,
                                 region->permissions) == 0,
              "update");
        check(virtq_domain_map(&domain, region->first, region->last, region->base,
                               region->permissions) == 0,
              "map");
    }
    check(virtq_direct_init_regions(&direct, regions, windows) == 0, "direct");
}

static int look(const char *table, virtq_addr_t addr, struct virtq_window *window)
{
    if (strcmp(table, "iotlb") == 0) {
        return virtq_iotlb_lookup(&iotlb, addr, VIRTQ_PERMISSION_READ, window);
    }
    if (strcmp(table, "domain") == 0) {
        return virtq_domain_lookup(&domain, addr, VIRTQ_PERMISSION_READ, window);
    }
    return direct.space.ops->window(&direct.space, addr, VIRTQ_PERMISSION_READ, window);
}

int main(int argc, char **argv)
{
    const unsigned windows = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    const unsigned long lookups = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    uint64_t seed = 2;

    check(windows != 0 && windows <= MOST && lookups != 0,
          "usage: lookup iotlb|domain|direct WINDOWS LOOKUPS");
    fill(windows);
    for (unsigned long i = 0; i < lookups; i++) {
        const struct virtq_region *region = &regions[random_next(&seed) % windows];
        struct virtq_window window;

        check(look(argv[1], region->first + random_next(&seed) % PAGE, &window) == 0, "no window");
        check(window.first == region->first && window.last == region->last &&
                  window.base == (unsigned char *)region->base,
              "another window");
    }
    return 0;
}
