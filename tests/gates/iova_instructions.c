/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: addresses of a common size are taken and given back in
 * steady state.
 *
 * Usage: iova_instructions ROUNDS, and it exits with 1 if an address is wrong.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "virtq/iommu/iova_cache.h"

enum { PAGE = 4096, BATCH = 32, ENTRIES = 256, MAGAZINES = VIRTQ_IOVA_CACHE_MAGAZINES };

static struct virtq_iova_range ranges[ENTRIES];
static struct virtq_iova_magazine magazines[MAGAZINES];
static struct virtq_iova iova;
static struct virtq_iova_depot depot;
static struct virtq_iova_cache cache;
static virtq_addr_t addrs[BATCH];

static void check(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "iova_instructions: %s\n", what);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

    check(rounds != 0, "usage: iova_instructions ROUNDS");
    check(virtq_iova_init(&iova, 0, UINT64_MAX, PAGE, ranges, ENTRIES) == 0, "allocator");
    check(virtq_iova_depot_init(&depot, &iova, UINT64_MAX, magazines, MAGAZINES) == 0, "depot");
    check(virtq_iova_cache_init(&cache, &depot) == 0, "cache");
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < BATCH; i++) {
            check(virtq_iova_cache_alloc(&cache, 1500, &addrs[i]) == 0, "no address");
            check(i == 0 || addrs[i] != addrs[i - 1], "the same address twice");
        }
        for (unsigned i = 0; i < BATCH; i++) {
            check(virtq_iova_cache_free(&cache, addrs[i], 1500) == 0, "not taken back");
        }
    }
    return 0;
}
